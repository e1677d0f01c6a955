//! Backup archives: a plain tar of files and a manifest with their digests, written and read in one pass.
//!
//! Owns the format, which FORMAT.md of the store draws. Must not know where files come from or go to, nor what is
//! in them. **Invariants:** an archive that reads to its end is whole, to the bit; a path out of it never leads
//! outside of the folder that it is unpacked into; neither side holds more than one part and the list of files.

mod error;
mod header;
mod manifest;
mod path;
mod read;
mod write;

pub use error::ArchiveError;
pub use manifest::{FileEntry, Manifest};
pub use read::{Unpack, read};
pub use write::ArchiveWriter;

/// A header and the unit that everything is padded to.
const BLOCK_BYTES: usize = 512;
const MANIFEST: &str = "manifest.json";
/// The manifest's own digest, in a line as `sha256sum` reads it.
const MANIFEST_DIGEST: &str = "manifest.sha256";
