//! Texts within a query. Pure.

/// Percent-encodes all but what RFC 3986 leaves free, and the colon and slash, which read better in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = match byte {
            b'%' => {
                let mut ahead = bytes.clone();
                let pair = [ahead.next(), ahead.next()].map(|d| d.and_then(|d| char::from(d).to_digit(16)));
                if let [Some(high), Some(low)] = pair {
                    bytes = ahead;
                    (high * 16 + low) as u8
                } else {
                    byte
                }
            }
            b'+' => b' ',
            other => other,
        };
        out.push(escaped);
    }
    String::from_utf8_lossy(&out).into_owned()
}
