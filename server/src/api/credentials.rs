//! The token in an `Authorization` header: as a bearer's, or as the password of HTTP's basic scheme.

/// `Bearer TOKEN`.
pub(super) fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `Basic` with any user and the token as password, for clients that can only be given an address with both.
pub(super) fn password(value: &str) -> Option<String> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = String::from_utf8(base64(encoded.trim()).filter(|_| scheme.eq_ignore_ascii_case("basic"))?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        bits = (bits << 6) | ALPHABET.iter().position(|known| *known == c)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_come_in_two_schemes() {
        assert_eq!(bearer_token("bearer  abc "), Some("abc"));
        assert_eq!(bearer_token("Basic abc"), None);
        assert_eq!(password("Basic dXNlcjpjbG10X2FiYw=="), Some("clmt_abc".to_owned()));
        assert_eq!(password("basic OnRva2Vu"), Some("token".to_owned()));
        for bad in ["Basic", "Basic dXNlcg==", "Basic ****", "Bearer dXNlcjphYmM=", "Basic /////w=="] {
            assert_eq!(password(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "(Basic |Bearer )?\\PC{0,40}") {
            bearer_token(&value);
            password(&value);
        }
    }
}
