//! Signatures of requests as Standard Webhooks has them: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// How a secret begins in the form in which receivers are given it.
const PREFIX: &str = "whsec_";
/// What the specification asks for.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is not like {PREFIX}… with base64 behind it")]
    NotBase64,
    #[error("it has {0} bytes, a key has {first} to {last}", first = KEY_BYTES.start(), last = KEY_BYTES.end())]
    Length(usize),
}

/// What sender and receiver share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// `whsec_` and base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).ok_or(KeyError::NotBase64)?);
        let bytes = bytes.map_err(|_| KeyError::NotBase64)?;
        if KEY_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyError::Length(bytes.len())) }
    }
}

/// Headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The same for each try: a receiver knows by it what it has had already.
    pub id: String,
    /// Of this try, in seconds.
    pub timestamp: String,
    /// None where nothing is shared with the receiver.
    pub signature: Option<String>,
}

impl Signed {
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("webhook-id", self.id.clone()), ("webhook-timestamp", self.timestamp.clone())];
        headers.extend(self.signature.clone().map(|signature| ("webhook-signature", signature)));
        headers
    }
}

/// `id` holds no point.
pub fn sign(key: Option<&Key>, id: &str, unix_seconds: i64, body: &[u8]) -> Signed {
    let timestamp = unix_seconds.to_string();
    let signature = key.map(|key| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("a key of any length is taken");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    Signed { id: id.to_owned(), timestamp, signature }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(Some(&key), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed.signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(signed.headers().len(), 3);
        assert_eq!(sign(None, "x", 1, body).headers().len(), 2);
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn a_key_is_base64_of_a_sensible_length() {
        assert_eq!(Key::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Err(KeyError::NotBase64));
        assert_eq!(Key::parse("whsec_?"), Err(KeyError::NotBase64));
        assert_eq!(Key::parse("whsec_AAAA"), Err(KeyError::Length(3)));
    }
}
