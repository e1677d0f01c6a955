//! A file that is written in one go, and the CRC-32 of what was written.

use std::fs::File;
use std::io::{self, Write};

pub(super) struct Summed {
    file: File,
    sum: crc32fast::Hasher,
}

impl Summed {
    pub(super) fn new(file: File) -> Self {
        Self { file, sum: crc32fast::Hasher::new() }
    }

    /// The file, which is not synced yet, and the sum of its bytes.
    pub(super) fn finish(self) -> (File, u32) {
        (self.file, self.sum.finalize())
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.sum.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
