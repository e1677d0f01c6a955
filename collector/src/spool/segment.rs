//! One segment file: `<number>-<table>.frames`, a head and then frames.
//!
//! **Invariant:** `bytes` is the length of good frames and head; whatever lies behind them was cut.

use super::frame::{self, FRAME_HEAD_BYTES};
use super::{Frame, Recovered};
use contract::WriterId;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

pub(super) const HEADER_BYTES_MAX: u64 = frame::SEGMENT_HEAD_BYTES_MAX as u64;
const SUFFIX: &str = ".frames";
/// A batch has fewer rows; a damaged head may say anything.
const FRAME_ROWS_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    pub table: String,
    pub bytes: u64,
    pub header_bytes: u64,
    pub frames_pending: u64,
    pub rows_pending: u64,
    path: PathBuf,
    writer: String,
    file: File,
    access: Access,
    read_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// This process appends to it.
    Active,
    /// Full, or of an earlier process.
    Sealed,
}

impl Segment {
    pub(super) fn create(dir: &Path, number: u64, table: &str, writer: &str) -> io::Result<Self> {
        let path = dir.join(format!("{number:020}-{table}{SUFFIX}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let head = frame::encode_segment_head(writer);
        file.write_all_at(&head, 0)?;
        let header_bytes = head.len() as u64;
        Ok(Self {
            number,
            table: table.to_owned(),
            bytes: header_bytes,
            header_bytes,
            frames_pending: 0,
            rows_pending: 0,
            path,
            writer: writer.to_owned(),
            file,
            access: Access::Active,
            read_at: header_bytes,
        })
    }

    pub(super) fn is_active(&self) -> bool {
        self.access == Access::Active
    }

    pub(super) fn append(&mut self, sequence: u64, rows: u64, payload: &[u8]) -> io::Result<()> {
        let rows_32 = u32::try_from(rows).map_err(|_| io::Error::other("a frame of more than 2^32 rows"))?;
        let bytes = frame::encode(sequence, rows_32, payload);
        if let Err(error) = self.file.write_all_at(&bytes, self.bytes) {
            // A part may have been written (disk full); the next frame must not follow a torn one.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        self.frames_pending += 1;
        self.rows_pending += rows;
        Ok(())
    }

    /// For a sync beside other work.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Reads the oldest unsent frame; `None` when the file no longer holds what it did.
    pub(super) fn read(&self) -> io::Result<Option<Frame>> {
        let Some((at, (head, payload))) = next_good(&self.file, self.read_at, self.bytes)? else { return Ok(None) };
        Ok(Some(Frame {
            table: self.table.clone(),
            writer: self.writer.clone(),
            sequence: head.sequence,
            rows: u64::from(head.rows),
            end: at + frame::bytes_of(payload.len()),
            payload,
            segment: self.number,
        }))
    }

    pub(super) fn advance(&mut self, end: u64, rows: u64) {
        self.read_at = end;
        self.frames_pending = self.frames_pending.saturating_sub(1);
        self.rows_pending = self.rows_pending.saturating_sub(rows);
    }

    /// Everything in it was acknowledged: start again behind the head.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(self.header_bytes)?;
        self.bytes = self.header_bytes;
        self.read_at = self.header_bytes;
        Ok(())
    }

    /// No more appends; what it holds goes to the disk itself.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        self.access = Access::Sealed;
        self.file.sync_data()
    }

    pub(super) fn delete(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The first good frame from `at` on and its place: behind damage the next one is found by its first bytes.
fn next_good(file: &File, at: u64, end: u64) -> io::Result<Option<(u64, Good)>> {
    if let Some(good) = read_frame(file, at, end)? {
        return Ok(Some((at, good)));
    }
    let mut rest = vec![0; usize::try_from(end.saturating_sub(at)).unwrap_or(0)];
    if !read_exact_at(file, &mut rest, at)? {
        return Ok(None);
    }
    let starts = rest.windows(frame::FRAME_MAGIC.len()).enumerate().skip(1);
    for (offset, _) in starts.filter(|(_, bytes)| bytes == frame::FRAME_MAGIC) {
        if let Some(good) = read_frame(file, at + offset as u64, end)? {
            return Ok(Some((at + offset as u64, good)));
        }
    }
    Ok(None)
}

/// A frame's head and payload, checked.
type Good = (frame::FrameHead, Vec<u8>);

/// One frame at `at`, or `None` where there is no whole, good frame before `end`.
fn read_frame(file: &File, at: u64, end: u64) -> io::Result<Option<Good>> {
    let mut head = [0_u8; FRAME_HEAD_BYTES];
    if at + FRAME_HEAD_BYTES as u64 > end || !read_exact_at(file, &mut head, at)? {
        return Ok(None);
    }
    let Some(head) = frame::decode_head(&head) else { return Ok(None) };
    // The length is checked against the file before anything is allocated for it.
    if at + frame::bytes_of(head.payload_bytes as usize) > end {
        return Ok(None);
    }
    let mut payload = vec![0; head.payload_bytes as usize];
    if !read_exact_at(file, &mut payload, at + FRAME_HEAD_BYTES as u64)? || !head.matches(&payload) {
        return Ok(None);
    }
    Ok(Some((head, payload)))
}

fn read_exact_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn parse_name(name: &str) -> Option<(u64, &str)> {
    let (number, table) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    // A name that is not a number and a table of the contract is not a segment of ours.
    Some((number.parse().ok()?, contract::table(table)?.name))
}

/// Opens every segment in the directory, in the order of their numbers, and cuts what a crash tore.
pub(super) fn recover(dir: &Path) -> io::Result<(Vec<Segment>, Recovered)> {
    let mut recovered = Recovered::default();
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((number, table)) = name.to_str().and_then(parse_name) else { continue };
        match open(&entry.path(), number, table, &mut recovered)? {
            Some(segment) => segments.push(segment),
            None => fs::remove_file(entry.path())?,
        }
    }
    segments.sort_by_key(|s: &Segment| s.number);
    Ok((segments, recovered))
}

fn head_at(file: &File, at: u64) -> io::Result<Option<frame::FrameHead>> {
    let mut head = [0_u8; FRAME_HEAD_BYTES];
    Ok(if read_exact_at(file, &mut head, at)? { frame::decode_head(&head) } else { None })
}

/// The rows that a damaged frame states, at least one.
fn rows_of(head: frame::FrameHead) -> u64 {
    u64::from(head.rows).clamp(1, FRAME_ROWS_MAX)
}

/// Opens one segment; `None` when it holds no frame that can be sent.
fn open(path: &Path, number: u64, table: &str, recovered: &mut Recovered) -> io::Result<Option<Segment>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut head = vec![0; frame::SEGMENT_HEAD_BYTES_MAX.min(usize::try_from(length).unwrap_or(usize::MAX))];
    file.read_exact_at(&mut head, 0)?;
    let writer = frame::decode_segment_head(&head).filter(|(writer, _)| WriterId::parse(writer).is_ok());
    let header_bytes = writer.as_ref().map_or(0, |(_, bytes)| *bytes as u64);
    let (mut at, mut frames, mut rows, mut damaged, mut last) = (header_bytes, 0, 0, 0, 0);
    while let Some((start, (head, payload))) = next_good(&file, at, length)? {
        if start > at && header_bytes > 0 {
            damaged += head_at(&file, at)?.map_or(1, rows_of);
        }
        at = start + frame::bytes_of(payload.len());
        frames += 1;
        rows += u64::from(head.rows);
        last = last.max(head.sequence);
    }
    let Some((writer, _)) = writer else {
        // Without its writer no frame can be sent again without doubling it.
        recovered.bytes_cut += length;
        recovered.damaged.extend((rows > 0).then(|| (table.to_owned(), rows)));
        return Ok(None);
    };
    // A frame that is there in full but damaged was not torn by a crash.
    let whole = head_at(&file, at)?.filter(|head| at + frame::bytes_of(head.payload_bytes as usize) <= length);
    damaged += whole.map_or(0, rows_of);
    recovered.damaged.extend((damaged > 0).then(|| (table.to_owned(), damaged)));
    if at < length {
        recovered.bytes_cut += length - at;
        file.set_len(at)?;
    }
    let last_of = recovered.last.entry((table.to_owned(), writer.clone())).or_default();
    *last_of = last.max(*last_of);
    recovered.frames += frames;
    recovered.rows += rows;
    let path = path.to_owned();
    let table = table.to_owned();
    let segment = Segment {
        number,
        table,
        bytes: at,
        header_bytes,
        frames_pending: frames,
        rows_pending: rows,
        path,
        writer,
        file,
        access: Access::Sealed,
        read_at: header_bytes,
    };
    Ok((frames > 0).then_some(segment))
}
