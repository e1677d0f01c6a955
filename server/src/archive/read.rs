//! Reads an archive once, from its start to its end, and believes nothing in it.

use super::manifest::{FORMAT, FileEntry, Manifest, hex};
use super::write::padding;
use super::{ArchiveError, BLOCK_BYTES, MANIFEST, MANIFEST_DIGEST, header, path};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{self, Read};

/// Bytes of a file that are in memory at once.
const PART_BYTES: usize = 1 << 20;
/// A manifest of some two million files; a store has a file a day and table, and a hundred versions of each log.
const MANIFEST_BYTES_MAX: u64 = 512 << 20;
/// Zeros that a tape or a program may add behind the end.
const TRAILER_BYTES_MAX: u64 = 1 << 20;

/// Where the files of an archive go to; `()` is nowhere.
pub trait Unpack {
    /// A file begins; its path is relative and safe.
    fn begin(&mut self, path: &str) -> io::Result<()>;
    fn bytes(&mut self, part: &[u8]) -> io::Result<()>;
    /// The file is complete, though its digest is compared at the end of the archive only.
    fn end(&mut self) -> io::Result<()>;
}

impl Unpack for () {
    fn begin(&mut self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, _part: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads to the end of `input`. Only after `Ok` is anything that `to` was given known to be right.
pub fn read(input: impl Read, to: &mut impl Unpack) -> Result<Manifest, ArchiveError> {
    let mut tar = Tar { input, at: 0 };
    let mut seen: Vec<FileEntry> = Vec::new();
    let mut paths = HashSet::new();
    loop {
        let at = tar.at;
        let damaged = |why: &str| ArchiveError::Damaged { at, why: why.to_owned() };
        let block = tar.block()?;
        let (path, size) = header::decode(&block).map_err(damaged)?;
        if path == MANIFEST {
            return tar.manifest(size, seen);
        }
        if !path::is_safe(&path) {
            return Err(damaged(&format!("the path {path:?} does not belong into a backup")));
        }
        if !paths.insert(path.clone()) {
            return Err(damaged(&format!("{path:?} is there twice")));
        }
        let sha256 = tar.file(&path, size, to)?;
        seen.push(FileEntry { path, size_bytes: size, sha256, rows: None });
    }
}

struct Tar<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
}

impl<R: Read> Tar<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        match self.input.read_exact(buffer) {
            Ok(()) => {
                self.at += buffer.len() as u64;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(ArchiveError::Short { at: self.at }),
            Err(e) => Err(ArchiveError::Read(e)),
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK_BYTES], ArchiveError> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        Ok(block)
    }

    /// Hands a file over and gives its digest.
    fn file(&mut self, path: &str, size: u64, to: &mut impl Unpack) -> Result<String, ArchiveError> {
        let failed = |cause| ArchiveError::Write { path: path.to_owned(), cause };
        to.begin(path).map_err(failed)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; PART_BYTES.min(usize::try_from(size).unwrap_or(PART_BYTES))];
        let mut left = size;
        while left > 0 {
            let part = &mut buffer[..PART_BYTES.min(usize::try_from(left).unwrap_or(PART_BYTES))];
            self.fill(part)?;
            digest.update(&*part);
            to.bytes(part).map_err(failed)?;
            left -= part.len() as u64;
        }
        to.end().map_err(failed)?;
        self.zeros(padding(size))?;
        Ok(hex(digest.finalize()))
    }

    fn zeros(&mut self, count: usize) -> Result<(), ArchiveError> {
        let at = self.at;
        let mut block = [0; 2 * BLOCK_BYTES];
        self.fill(&mut block[..count])?;
        if block.iter().all(|b| *b == 0) {
            return Ok(());
        }
        Err(ArchiveError::Damaged { at, why: "there are bytes where there must be none".to_owned() })
    }

    /// A small file, whole.
    fn small(&mut self, size: u64, size_max: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > size_max {
            let why = format!("its list of files has {size} bytes, {size_max} are possible");
            return Err(ArchiveError::Damaged { at: self.at, why });
        }
        // Not made as large as it claims to be before that many bytes have come.
        let mut bytes = Vec::new();
        let got = self.input.by_ref().take(size).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        self.at += got as u64;
        if (got as u64) < size {
            return Err(ArchiveError::Short { at: self.at });
        }
        self.zeros(padding(size))?;
        Ok(bytes)
    }

    /// Everything from the manifest on, which is compared with what was there before it.
    fn manifest(&mut self, size: u64, seen: Vec<FileEntry>) -> Result<Manifest, ArchiveError> {
        let at = self.at;
        let damaged = |why: String| ArchiveError::Damaged { at, why };
        let text = self.small(size, MANIFEST_BYTES_MAX)?;
        let block = self.block()?;
        let (path, size) = header::decode(&block).map_err(|why| damaged(why.to_owned()))?;
        if path != MANIFEST_DIGEST {
            return Err(damaged(format!("{path:?} stands behind the list of files")));
        }
        let stated = self.small(size, BLOCK_BYTES as u64)?;
        if stated != format!("{}  {MANIFEST}\n", hex(Sha256::digest(&text))).into_bytes() {
            return Err(damaged("its list of files does not match its digest".to_owned()));
        }
        self.zeros(2 * BLOCK_BYTES)?;
        self.nothing_more()?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(ArchiveError::Format { found: manifest.format, known: FORMAT });
        }
        compare(&manifest, &seen)?;
        Ok(manifest)
    }

    fn nothing_more(&mut self) -> Result<(), ArchiveError> {
        let at = self.at;
        let mut rest = Vec::new();
        self.input.by_ref().take(TRAILER_BYTES_MAX + 1).read_to_end(&mut rest).map_err(ArchiveError::Read)?;
        if rest.len() as u64 <= TRAILER_BYTES_MAX && rest.iter().all(|b| *b == 0) {
            return Ok(());
        }
        Err(ArchiveError::Damaged { at, why: "something stands behind its end".to_owned() })
    }
}

fn compare(manifest: &Manifest, seen: &[FileEntry]) -> Result<(), ArchiveError> {
    let wrong = |path: &str, why: &str| ArchiveError::File { path: path.to_owned(), why: why.to_owned() };
    for (listed, found) in manifest.files.iter().zip(seen) {
        if (&listed.path, listed.size_bytes) != (&found.path, found.size_bytes) {
            return Err(wrong(&found.path, "is not what its list of files says"));
        }
        if listed.sha256 != found.sha256 {
            return Err(wrong(&found.path, "does not match its digest"));
        }
    }
    match (manifest.files.get(seen.len()), seen.get(manifest.files.len())) {
        (Some(missing), _) => Err(wrong(&missing.path, "is missing")),
        (_, Some(extra)) => Err(wrong(&extra.path, "is not in its list of files")),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::ArchiveWriter;
    use super::*;
    use proptest::prelude::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(1_700_000_000_000_000);
        let mut out = Vec::new();
        for (path, bytes) in files {
            out.extend(writer.begin(path, bytes.len() as u64, Some(3)).unwrap());
            writer.sum(bytes).unwrap();
            out.extend_from_slice(bytes);
            out.extend(writer.end().unwrap());
        }
        out.extend(writer.finish("0.0.0").unwrap());
        out
    }

    fn example() -> Vec<u8> {
        archive(&[
            ("meta.sqlite", b"watermarks"),
            ("tables/t/day=1/a.parquet", &[7; 600]),
            ("tables/t/_delta_log/0.json", b""),
        ])
    }

    #[derive(Default)]
    struct Kept(Vec<(String, Vec<u8>)>);

    impl Unpack for Kept {
        fn begin(&mut self, path: &str) -> io::Result<()> {
            self.0.push((path.to_owned(), Vec::new()));
            Ok(())
        }

        fn bytes(&mut self, part: &[u8]) -> io::Result<()> {
            self.0.last_mut().unwrap().1.extend_from_slice(part);
            Ok(())
        }

        fn end(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut kept = Kept::default();
        let manifest = read(&example()[..], &mut kept).unwrap();
        assert_eq!((manifest.files.len(), manifest.rows(), manifest.bytes()), (3, 9, 610));
        assert_eq!(kept.0[0], ("meta.sqlite".to_owned(), b"watermarks".to_vec()));
        assert_eq!(kept.0[1].1, [7; 600]);
        let mut padded = example();
        padded.resize(padded.len() + 4096, 0);
        read(&padded[..], &mut ()).unwrap();
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = example();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(read(&bad[..], &mut ()).is_err(), "a bit of byte {at}");
            let cut = read(&good[..at], &mut ()).unwrap_err();
            assert!(matches!(cut, ArchiveError::Short { .. }), "cut at {at}: {cut}");
        }
    }

    #[test]
    fn what_a_backup_never_holds_is_refused() {
        let header = |path: &str, kind: u8| {
            let mut block = header::encode(path, 0, 0).unwrap();
            block[156] = kind;
            let sum: u32 =
                block.iter().enumerate().map(|(i, b)| u32::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            block
        };
        for (path, kind) in [
            ("../x", b'0'),
            ("/etc/x", b'0'),
            ("admin.token", b'0'),
            ("tables/t/l", b'2'),
            ("tables/t/h", b'1'),
            ("tables/t/", b'5'),
        ] {
            let mut bad = header(path, kind).to_vec();
            bad.extend(example());
            let mut kept = Kept::default();
            assert!(matches!(read(&bad[..], &mut kept), Err(ArchiveError::Damaged { at: 0, .. })), "{path}");
            assert!(kept.0.is_empty());
        }
        let twice = archive(&[("meta.sqlite", b"a"), ("meta.sqlite", b"b")]);
        assert!(read(&twice[..], &mut ()).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_writer_holds_files_to_their_size() {
        let mut writer = ArchiveWriter::new(0);
        writer.begin("meta.sqlite", 3, None).unwrap();
        assert!(writer.end().is_err());
        writer.begin("meta.sqlite", 3, None).unwrap();
        assert!(writer.sum(b"four").is_err());
        assert!(writer.begin("../x", 0, None).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(at in 0usize..4000, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut bad = example();
            let end = (at + bytes.len()).min(bad.len());
            if at < end {
                bad[at..end].copy_from_slice(&bytes[..end - at]);
            }
            let _unused = read(&bad[..], &mut ()).is_ok();
            prop_assert!(read(&bytes[..], &mut ()).is_err());
        }
    }
}
