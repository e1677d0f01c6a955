//! Files below a folder that the operator allows.
//!
//! **Invariants:** a file appears under its name whole, or not at all; no path leads out of the folder, by dots or by
//! a link.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// How a file begins that is not finished; nobody takes it for a document.
const UNFINISHED: &str = ".coulomb-";

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("this server writes no files: start it with --reports-dir DIR")]
    NotAllowed,
    #[error("{0:?} leads out of the folder of reports")]
    Outside(String),
    #[error("cannot write {name:?} below the folder of reports: {source}")]
    Write { name: String, source: io::Error },
}

/// The folder, if files may be written at all.
#[derive(Debug, Clone, Default)]
pub struct Folder(Option<PathBuf>);

impl Folder {
    pub fn of(root: Option<PathBuf>) -> Self {
        Self(root)
    }

    pub fn root(&self) -> Result<&Path, FolderError> {
        self.0.as_deref().ok_or(FolderError::NotAllowed)
    }

    /// Copies `from` to `within/name`; returns when it would survive a power cut. A file of that name is replaced.
    pub fn put(&self, within: &str, name: &str, from: &mut impl Read) -> Result<u64, FolderError> {
        let root = self.root()?;
        let failed = |source| FolderError::Write { name: format!("{within}/{name}"), source };
        if !is_plain(within) || !is_plain(name) {
            return Err(FolderError::Outside(within.to_owned()));
        }
        let folder = root.join(within);
        fs::create_dir_all(&folder).map_err(failed)?;
        // What a link leads to is known only now.
        let (root, folder) = (root.canonicalize().map_err(failed)?, folder.canonicalize().map_err(failed)?);
        if !folder.starts_with(&root) {
            return Err(FolderError::Outside(within.to_owned()));
        }
        let mut unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&folder).map_err(failed)?;
        let bytes = io::copy(from, unfinished.as_file_mut()).map_err(failed)?;
        readable(unfinished.as_file()).and_then(|()| unfinished.as_file().sync_all()).map_err(failed)?;
        unfinished.persist(folder.join(name)).map_err(|error| failed(error.error))?;
        let synced = folder.ancestors().take_while(|dir| dir.starts_with(&root)).try_for_each(sync);
        synced.map_err(failed).map(|()| bytes)
    }
}

/// A temporary file is for its owner only, a document for whoever may enter the folder.
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a path has names only.
fn is_plain(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_within_the_folder() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::of(Some(dir.path().to_owned()));
        for text in ["one", "another"] {
            let bytes = folder.put("finance/monthly", "a.csv", &mut text.as_bytes()).unwrap();
            assert_eq!(bytes, text.len() as u64);
            assert_eq!(fs::read_to_string(dir.path().join("finance/monthly/a.csv")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path().join("finance/monthly")).unwrap().count(), 1, "something unfinished stays");
        std::os::unix::fs::symlink(other.path(), dir.path().join("link")).unwrap();
        for (within, name) in [("..", "a"), ("a/../..", "a"), ("/etc", "a"), ("link", "a"), ("a", "../b"), ("a", "/b")]
        {
            let refused = folder.put(within, name, &mut "x".as_bytes()).unwrap_err();
            assert!(matches!(refused, FolderError::Outside(_)), "{within} {name}: {refused}");
        }
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
        let none = Folder::default().put("a", "b", &mut "x".as_bytes()).unwrap_err().to_string();
        assert!(none.contains("--reports-dir"), "{none}");
    }

    #[test]
    fn a_file_that_breaks_off_does_not_appear() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("it broke off"));
                }
                into[0] = b'x';
                Ok(1)
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(Some(dir.path().to_owned()));
        assert!(folder.put("a", "b.csv", &mut Broken(false)).is_err());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
    }
}
