//! The bytes of an archive, in order.

use super::manifest::{FORMAT, FileEntry, Manifest, hex};
use super::{ArchiveError, BLOCK_BYTES, MANIFEST, MANIFEST_DIGEST, header, path};
use sha2::{Digest, Sha256};

/// Makes headers, padding and the manifest; the bytes of the files pass by, to be summed.
pub struct ArchiveWriter {
    created_unix_micros: i64,
    files: Vec<FileEntry>,
    open: Option<Open>,
}

/// The file whose bytes pass by.
struct Open {
    entry: FileEntry,
    digest: Sha256,
    left: u64,
}

impl ArchiveWriter {
    pub fn new(created_unix_micros: i64) -> Self {
        Self { created_unix_micros, files: Vec::new(), open: None }
    }

    fn header(&self, path: &str, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let seconds = u64::try_from(self.created_unix_micros / 1_000_000).unwrap_or(0);
        let block = header::encode(path, size, seconds);
        block.map(Vec::from).ok_or_else(|| ArchiveError::Made(format!("the path {path:?} is too long")))
    }

    /// What comes before the bytes of a file.
    pub fn begin(&mut self, path: &str, size_bytes: u64, rows: Option<u64>) -> Result<Vec<u8>, ArchiveError> {
        if !path::is_safe(path) {
            return Err(ArchiveError::Made(format!("the path {path:?} does not belong into a backup")));
        }
        let entry = FileEntry { path: path.to_owned(), size_bytes, sha256: String::new(), rows };
        self.open = Some(Open { entry, digest: Sha256::new(), left: size_bytes });
        self.header(path, size_bytes)
    }

    /// The next bytes of the file.
    pub fn sum(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let open = self.open.as_mut().ok_or_else(|| ArchiveError::Made("bytes of no file".into()))?;
        let left = open.left.checked_sub(bytes.len() as u64);
        open.left = left.ok_or_else(|| ArchiveError::Made(format!("{:?} has grown", open.entry.path)))?;
        open.digest.update(bytes);
        Ok(())
    }

    /// What comes after the bytes of the file.
    pub fn end(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let open = self.open.take().filter(|open| open.left == 0);
        let Open { mut entry, digest, .. } = open.ok_or_else(|| ArchiveError::Made("a file is too short".into()))?;
        entry.sha256 = hex(digest.finalize());
        let padding = padding(entry.size_bytes);
        self.files.push(entry);
        Ok(vec![0; padding])
    }

    /// The manifest and the end of the archive.
    pub fn finish(self, version: &str) -> Result<Vec<u8>, ArchiveError> {
        let header = |path: &str, size: usize| self.header(path, size as u64);
        let manifest = Manifest {
            format: FORMAT,
            version: version.to_owned(),
            created_unix_micros: self.created_unix_micros,
            files: self.files.clone(),
        };
        let text = serde_json::to_vec(&manifest).map_err(|e| ArchiveError::Made(e.to_string()))?;
        let digest = format!("{}  {MANIFEST}\n", hex(Sha256::digest(&text)));
        let mut out = Vec::with_capacity(text.len() + 8 * BLOCK_BYTES);
        for (path, bytes) in [(MANIFEST, text.as_slice()), (MANIFEST_DIGEST, digest.as_bytes())] {
            out.extend(header(path, bytes.len())?);
            out.extend_from_slice(bytes);
            out.resize(out.len() + padding(bytes.len() as u64), 0);
        }
        out.resize(out.len() + 2 * BLOCK_BYTES, 0);
        Ok(out)
    }
}

/// Zeros behind a file of this size.
pub(super) fn padding(size: u64) -> usize {
    let block = BLOCK_BYTES as u64;
    ((block - size % block) % block) as usize
}
