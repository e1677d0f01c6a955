//! Identities that would be silently wrong when swapped. Parsed at the boundary, always good inside.

use std::fmt;

/// Longest id that is accepted, in bytes: a Kubernetes `namespace/pod` is at most 317.
const ID_BYTES_MAX: usize = 320;

/// Why a text is not an id; the message names the id's kind and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError(String);

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IdError {}

/// A text that may be the id of a GPU, a job or a cluster: not empty, not too long, without control characters.
pub fn checked_id(kind: &str, text: &str) -> Result<String, IdError> {
    if text.is_empty() {
        return Err(IdError(format!("{kind} is empty")));
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError(format!("{kind} has {} bytes, at most {ID_BYTES_MAX} are allowed", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(IdError(format!("{kind} {text:?} has a control character")));
    }
    Ok(text.to_owned())
}

/// Who sends rows: `<node>/<boot-uuid>` of a collector, or `import/<digest>` of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId(String);

impl WriterId {
    /// Parses the `Coulomb-Writer` header: two non-empty parts joined by the last `/`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let id = checked_id("writer", text)?;
        match id.rsplit_once('/') {
            Some((node, boot)) if !node.is_empty() && !boot.is_empty() => Ok(Self(id)),
            _ => Err(IdError(format!("writer {text:?} is not of the form <node>/<boot-uuid>"))),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_needs_two_parts() {
        assert!(WriterId::parse("n1/6f1c").is_ok());
        assert!(WriterId::parse("rack/n1/6f1c").is_ok());
        for bad in ["", "n1", "/x", "n1/", "a\n/b"] {
            assert!(WriterId::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(WriterId::parse(&format!("{}/x", "n".repeat(400))).is_err());
    }

    #[test]
    fn ids_refuse_empty_text() {
        assert!(checked_id("gpu_uuid", "").is_err());
        assert_eq!(checked_id("gpu_uuid", "GPU-1"), Ok("GPU-1".to_owned()));
    }
}
