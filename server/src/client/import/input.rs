//! A file to import: where its bytes are, what they are, and their digest.
//!
//! **Invariant:** what is hashed is what is read: a pipe is copied to a file of our own first, and a digest is of
//! the unpacked bytes, so that a packed file and its content are the same import.

use super::error::ImportError;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempPath;

/// What a pipe may bring: a year of a large cluster's jobs, and less than a temporary folder mostly has.
pub(super) const PIPE_BYTES_MAX: u64 = 16 << 30;
/// The name that means standard input.
const STDIN: &str = "-";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Packed,
    Parquet,
}

#[derive(Debug)]
pub(super) struct Input {
    /// As the user named it.
    pub(super) path: PathBuf,
    pub(super) form: Form,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
    pub(super) digest: [u8; 32],
    /// Of a pipe; it goes with the input.
    copy: Option<TempPath>,
}

impl Input {
    pub(super) fn open(path: &Path, pipe_bytes_max: u64) -> Result<Self, ImportError> {
        let read = |cause| ImportError::Read { path: path.to_owned(), cause };
        let is_file = path != Path::new(STDIN) && std::fs::metadata(path).map_err(read)?.is_file();
        let copy = if is_file { None } else { Some(copy(path, pipe_bytes_max).map_err(read)?) };
        let place: &Path = copy.as_deref().unwrap_or(path);
        let metadata = std::fs::metadata(place).map_err(read)?;
        let mut first = [0; 4];
        let count = read_up_to(&mut File::open(place).map_err(read)?, &mut first).map_err(read)?;
        let named = |extension: &str| path.extension().is_some_and(|e| e == extension);
        let form = match &first[..count] {
            b"PAR1" => Form::Parquet,
            [0x1f, 0x8b, ..] => Form::Packed,
            _ if named("parquet") => Form::Parquet,
            _ if named("gz") => Form::Packed,
            _ => Form::Text,
        };
        let modified = metadata.modified().map_err(read)?;
        let mut input = Self { path: path.to_owned(), form, bytes: metadata.len(), modified, digest: [0; 32], copy };
        let mut digest = Sha256::new();
        io::copy(&mut input.reader().map_err(read)?, &mut digest).map_err(read)?;
        input.digest = digest.finalize().into();
        Ok(input)
    }

    /// Where the bytes are.
    pub(super) fn place(&self) -> &Path {
        self.copy.as_deref().unwrap_or(&self.path)
    }

    /// The bytes, unpacked.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read>> {
        let file = BufReader::new(File::open(self.place())?);
        Ok(if self.form == Form::Packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
    }

    pub(super) fn file_name(&self) -> String {
        match self.path.file_name() {
            Some(name) if name != STDIN => name.to_string_lossy().into_owned(),
            _ => "stdin".to_owned(),
        }
    }

    /// `node7.2024` of `node7.2024.csv.gz`.
    pub(super) fn stem(&self) -> String {
        let name = self.file_name();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        plain.rsplit_once('.').map_or(plain, |(stem, _)| stem).to_owned()
    }
}

fn copy(path: &Path, bytes_max: u64) -> io::Result<TempPath> {
    let source: Box<dyn Read> =
        if path == Path::new(STDIN) { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    let mut file = tempfile::NamedTempFile::new()?;
    let bytes = io::copy(&mut source.take(bytes_max.saturating_add(1)), &mut file)?;
    if bytes > bytes_max {
        return Err(io::Error::other(format!("more than {bytes_max} bytes came from it; write them to a file first")));
    }
    file.flush()?;
    Ok(file.into_temp_path())
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..])? {
            0 => break,
            n => count += n,
        }
    }
    Ok(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stem(name: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, "x").unwrap();
        // An extension alone does not make it gzip, but a file that says so must be.
        let input = Input { form: Form::Text, ..opened(&path) };
        input.stem()
    }

    fn opened(path: &Path) -> Input {
        let plain = path.with_file_name("plain");
        std::fs::write(&plain, "x").unwrap();
        Input { path: path.to_owned(), ..Input::open(&plain, 10).unwrap() }
    }

    #[test]
    fn a_stem_loses_its_extensions_only() {
        assert_eq!(stem("n1__590.48.01.metrics"), "n1__590.48.01");
        assert_eq!(stem("n1.csv.gz"), "n1");
        assert_eq!(stem("n1"), "n1");
    }

    #[test]
    fn a_packed_file_has_the_digest_of_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("a.csv"), dir.path().join("a.log"));
        std::fs::write(&plain, "a,b\n1,2\n").unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"a,b\n1,2\n").unwrap();
        std::fs::write(&packed, gz.finish().unwrap()).unwrap();
        let (plain, packed) = (Input::open(&plain, 0).unwrap(), Input::open(&packed, 0).unwrap());
        assert_eq!((plain.form, packed.form), (Form::Text, Form::Packed));
        assert_eq!(plain.digest, packed.digest);
    }

    #[test]
    fn a_pipe_is_copied_up_to_a_bound() {
        let pipe = || {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(b"a,b\n1,2\n").unwrap();
            drop(writer);
            reader
        };
        let path = |reader: &io::PipeReader| {
            use std::os::fd::AsRawFd;
            PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()))
        };
        let reader = pipe();
        let input = Input::open(&path(&reader), 8).unwrap();
        let mut text = String::new();
        input.reader().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a,b\n1,2\n");
        let copy = input.place().to_owned();
        drop(input);
        assert!(!copy.exists(), "the copy goes with the input");
        let reader = pipe();
        let error = Input::open(&path(&reader), 7).unwrap_err().to_string();
        assert!(error.contains("more than 7 bytes"), "{error}");
    }
}
