//! What an archive says of itself.

use serde::{Deserialize, Serialize};

/// Rises when an older `coulomb` could not restore an archive.
pub(super) const FORMAT: u32 = 1;

/// Last in the archive, because digests are known only then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Of the server that made it.
    pub version: String,
    /// Unix microseconds: every row that was acknowledged before is in it.
    pub created_unix_micros: i64,
    /// In the order of the archive.
    pub files: Vec<FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub size_bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Of a data file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Manifest {
    pub fn rows(&self) -> u64 {
        self.files.iter().filter_map(|file| file.rows).fold(0, u64::saturating_add)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add)
    }
}

pub(super) fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
