//! How far each file was read, as text for a note.
//!
//! A file is known by its device and inode, and by a checksum of how it begins: an inode is given to another file
//! once its own is gone.

use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// Bytes of a file's beginning that tell it from another: longer than a line with its time.
const PRINT_BYTES_MAX: u64 = 1024;

/// Which file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity {
    pub device: u64,
    pub inode: u64,
}

impl Identity {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// How a file begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Print {
    pub length: u64,
    pub crc32: u32,
}

impl Print {
    /// Of the first bytes up to `offset`.
    pub(super) fn of(file: &File, offset: u64) -> io::Result<Self> {
        let length = offset.min(PRINT_BYTES_MAX);
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self { length, crc32: crc32fast::hash(&bytes) })
    }

    /// Whether the file begins like that.
    pub(super) fn is_of(self, file: &File) -> bool {
        Self::of(file, self.length).is_ok_and(|print| print == self)
    }

    /// Whether more of the file would tell it better.
    pub(super) fn is_short(self, offset: u64) -> bool {
        self.length < offset.min(PRINT_BYTES_MAX)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub path: String,
    pub identity: Identity,
    pub offset: u64,
    pub print: Print,
}

pub(super) fn to_text<'a>(positions: impl Iterator<Item = &'a Position>) -> String {
    let lines = positions.map(|p| {
        let value = json!([p.path, p.identity.device, p.identity.inode, p.offset, p.print.length, p.print.crc32]);
        format!("{value}\n")
    });
    lines.collect()
}

/// Lines that are none of ours are left out.
pub(super) fn from_text(text: &str) -> Vec<Position> {
    let position = |line: &str| {
        let fields: Vec<Value> = serde_json::from_str(line).ok()?; // a torn line says nothing
        let [path, device, inode, offset, length, crc32] = &fields[..] else { return None };
        let length = length.as_u64().filter(|length| *length <= PRINT_BYTES_MAX)?;
        Some(Position {
            path: path.as_str()?.to_owned(),
            identity: Identity { device: device.as_u64()?, inode: inode.as_u64()? },
            offset: offset.as_u64()?,
            print: Print { length, crc32: u32::try_from(crc32.as_u64()?).ok()? }, // more is no checksum
        })
    };
    text.lines().filter_map(position).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_are_read_as_they_were_written(all in proptest::collection::vec(("\\PC{0,20}", any::<[u64; 3]>(), 0..=PRINT_BYTES_MAX, any::<u32>()), 0..5)) {
            let all: Vec<Position> = all.into_iter().map(|(path, [device, inode, offset], length, crc32)| Position {
                path, identity: Identity { device, inode }, offset, print: Print { length, crc32 },
            }).collect();
            prop_assert_eq!(from_text(&to_text(all.iter())), all);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}|(\\[\"a\",[0-9,-]{0,60}\\]\n){0,3}") {
            from_text(&text);
        }
    }

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), "first line\nsecond").unwrap();
        let file = File::open(path.path()).unwrap();
        let print = Print::of(&file, 11).unwrap();
        assert!(print.is_of(&file) && print.is_short(17) && !print.is_short(11));
        std::fs::write(path.path(), "other line\nsecond").unwrap();
        assert!(!print.is_of(&file));
        std::fs::write(path.path(), "x").unwrap();
        assert!(!print.is_of(&file));
    }
}
