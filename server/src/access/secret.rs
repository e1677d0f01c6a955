//! Random secrets and their digests. **Invariant:** printing a secret for debugging shows nothing of it.

use super::AccessError;
use rand::TryRngCore;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// 256 bits: nobody guesses it, and a plain SHA-256 is a sound way to keep it.
const SECRET_BYTES: usize = 32;
/// Prefixes tell secret scanners and people what they have found.
pub(super) const TOKEN_PREFIX: &str = "clmb_";
pub(super) const SESSION_PREFIX: &str = "clms_";
pub(super) const CODE_PREFIX: &str = "clmc_";

/// A secret on its way to its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn random(prefix: &str) -> Result<Self, AccessError> {
        let mut bytes = [0_u8; SECRET_BYTES];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|e| AccessError::Random(e.to_string()))?;
        Ok(Self(format!("{prefix}{}", hex(&bytes))))
    }

    /// Takes a token from a file; `None` when it is not of our making.
    pub(super) fn parse_token(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(TOKEN_PREFIX)?;
        let good = digits.len() == 2 * SECRET_BYTES && digits.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self(text.to_owned()))
    }

    /// The text itself, for the one who asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is kept of a secret.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// By this part a row is looked up; the whole is then compared in constant time.
    pub(super) fn index(&self) -> &[u8] {
        &self.0[..8]
    }

    pub(super) fn matches(&self, kept: &[u8]) -> bool {
        self.0.ct_eq(kept).into()
    }
}

/// Random letters for an id that is not secret.
pub(super) fn random_id() -> Result<String, AccessError> {
    let mut bytes = [0_u8; 6];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|e| AccessError::Random(e.to_string()))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
