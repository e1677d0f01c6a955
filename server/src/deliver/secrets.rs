//! Secrets that are shared with receivers: one file each, in a folder that the server reads and nobody writes.
//!
//! A document names a secret and never holds it. **Invariant:** what a file holds is in no error.

use super::signature::{Key, KeyError};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const NAME_CHARS_MAX: usize = 100;
/// A secret is a line; anything much longer is another file.
const FILE_BYTES_MAX: u64 = 4096;
/// Permissions of everybody who is neither the owner nor of the group.
const OTHERS: u32 = 0o007;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no secret {name:?}: put it as a line into {path:?} on the server, like whsec_… for a signature")]
    Missing { name: String, path: PathBuf },
    #[error("the secret {name:?} may be read by everybody on the server: chmod 600 {path:?}")]
    Open { name: String, path: PathBuf },
    #[error("the secret {name:?} in {path:?} is of no use: {source}")]
    Key { name: String, path: PathBuf, source: KeyError },
    #[error("the secret {name:?} in {path:?} cannot be read: {source}")]
    Read { name: String, path: PathBuf, source: io::Error },
}

/// Whether a document may call a secret so; it is the name of a file.
pub fn is_secret_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(plain)
}

/// The folder of the secrets.
#[derive(Debug, Clone)]
pub struct Secrets(PathBuf);

impl Secrets {
    /// The folder need not be there.
    pub fn of(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// A key that requests are signed with.
    pub fn key(&self, name: &str) -> Result<Key, SecretError> {
        let key = Key::parse(&self.text(name)?);
        key.map_err(|source| SecretError::Key { name: name.to_owned(), path: self.0.join(name), source })
    }

    /// A secret as it is written, without the blanks around it. Read anew each time: one that was changed holds at once.
    pub fn text(&self, name: &str) -> Result<String, SecretError> {
        let (path, name) = (self.0.join(name), name.to_owned());
        let missing = || SecretError::Missing { name: name.clone(), path: path.clone() };
        if !is_secret_name(&name) {
            return Err(missing());
        }
        let read = || -> io::Result<(u32, String)> {
            let file = File::open(&path)?;
            let mode = file.metadata()?.permissions().mode();
            let mut text = String::new();
            file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
            Ok((mode, text))
        };
        match read() {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
            Err(source) => Err(SecretError::Read { name, path, source }),
            Ok((mode, _)) if mode & OTHERS != 0 => Err(SecretError::Open { name, path }),
            Ok((_, text)) => Ok(text.trim().to_owned()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn a_secret_is_a_file_that_others_cannot_read() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(dir.path().to_owned());
        let put = |name: &str, text: &str, mode: u32| {
            std::fs::write(dir.path().join(name), text).unwrap();
            std::fs::set_permissions(dir.path().join(name), Permissions::from_mode(mode)).unwrap();
        };
        put("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600);
        put("open", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o644);
        put("short", "whsec_AAAA", 0o640);
        assert!(secrets.key("hook").is_ok());
        for (name, part) in [
            ("nothing", "there is no secret"),
            ("../hook", "there is no secret"),
            ("open", "chmod 600"),
            ("short", "3 bytes"),
            ("", "there is no secret"),
        ] {
            let told = secrets.key(name).unwrap_err().to_string();
            assert!(told.contains(part) && !told.contains("AAAA") && !told.contains("MfKQ"), "{told}");
        }
    }
}
