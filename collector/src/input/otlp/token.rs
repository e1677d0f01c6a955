//! The token that senders need.

use anyhow::Context as _;
use std::path::Path;
use tonic::codegen::http::{HeaderMap, header};

/// The token in a file.
///
/// # Errors
/// When there is none.
pub(crate) fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).context("the token file cannot be read")?;
    let token = text.trim().to_owned();
    anyhow::ensure!(!token.is_empty(), "the token file is empty");
    Ok(token)
}

/// Whether a request has the token.
pub(super) fn is_given(headers: &HeaderMap, token: &str) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, given)) = value.and_then(|value| value.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer") && is_same(given.trim(), token)
}

/// Takes as long wherever they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearer() {
        let given = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            is_given(&headers, "secret")
        };
        assert!(given("Bearer secret") && given("bearer  secret "));
        assert!(!is_given(&HeaderMap::new(), "secret"));
        for bad in ["Bearer secre", "Bearer secrets", "Bearer", "Basic secret", "secret", "Bearer Secret"] {
            assert!(!given(bad), "{bad}");
        }
    }
}
