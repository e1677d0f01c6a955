//! The bounded queue on disk between the sources and the server.
//!
//! Owns the directory: frames in append-only segment files, one table each, in the order of their numbers.
//! Must not know Arrow or HTTP; a frame is bytes with a row count.
//! **Invariants:** a frame is written through before `append` returns, so killing the process loses none
//! (only while the disk takes nothing do frames wait in memory, bounded, to be written as soon as it does);
//! a frame keeps the writer and sequence that it was first given, so sending it again cannot double rows;
//! a new process is a new writer, so a sequence is never given twice, not even after a power cut;
//! at the bound the oldest rows are dropped and counted, device events last.

mod frame;
mod keep;
mod segment;

pub(crate) use frame::FRAME_BYTES_MAX;
pub(crate) use keep::KeepError;

use contract::WriterId;
use segment::Segment;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A segment is a sixteenth of the bound, so that a drop costs little, and not above 4 MiB, so that a restart
/// sends little again; below 64 KiB the files would be too many.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Refused frames that are kept for a person to look at; beyond this the oldest go.
const REJECTED_FILES_MAX: usize = 64;
/// What is kept in memory while the disk takes nothing: a few minutes of a node, small beside the 25 MB that the
/// whole program may use. Beyond it the oldest rows are dropped and counted.
const MEMORY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The number of no file: the segment of a frame that is in memory.
const IN_MEMORY: u64 = 0;
/// The table whose rows tell of losses; it is dropped only when nothing else is left.
const KEPT_LONGEST: &str = "device_events";

#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("the spool {path:?} cannot be used: {source}; choose another directory with --spool")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the spool {0:?} is in use by another collector; give this one its own --spool")]
    Locked(PathBuf),
    #[error("a batch of {bytes} bytes is more than the {max} that fit the spool")]
    TooLarge { bytes: usize, max: u64 },
}

#[derive(Debug, Clone)]
pub(crate) struct SpoolSettings {
    pub dir: PathBuf,
    pub bytes_max: u64,
}

/// What a restart found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub frames: u64,
    pub rows: u64,
    /// Bytes behind the last good frame of a segment: a write that the crash cut.
    pub bytes_cut: u64,
    /// Rows of frames that are damaged although good ones follow them, by table; at least so many.
    pub damaged: Vec<(String, u64)>,
    /// The last good frame of each table and writer.
    pub last: BTreeMap<(String, String), u64>,
}

/// A frame that is put next, or was: of one table no two are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub writer: String,
    pub sequence: u64,
}

/// A frame to send, with the place that [`Spool::done`] needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub table: String,
    pub writer: String,
    pub sequence: u64,
    pub rows: u64,
    pub payload: Vec<u8>,
    segment: u64,
    end: u64,
}

#[derive(Debug)]
pub(crate) struct Spool {
    settings: SpoolSettings,
    segment_bytes: u64,
    writer: WriterId,
    segments: VecDeque<Segment>,
    /// Frames that the disk has not taken, in the order of their sequences; of each table they are later than those
    /// on disk.
    memory: VecDeque<Frame>,
    /// Whether the last write failed, so that it is said once.
    disk_failing: bool,
    number_next: u64,
    sequence_next: u64,
    /// Segment and rows (in memory: sequence) of the frame that is being sent: it is not lost when what holds it
    /// is dropped.
    in_flight: Option<(u64, u64)>,
    /// What a restart found: the last frame of each table and writer.
    found: BTreeMap<(String, String), u64>,
    /// Held for its lock; the operating system releases it however the process ends.
    _lock: File,
}

impl Spool {
    /// Opens or creates the spool; `writer` marks the frames of this process.
    pub(crate) fn open(settings: SpoolSettings, writer: WriterId) -> Result<(Self, Recovered), SpoolError> {
        let failed = |source| SpoolError::Directory { path: settings.dir.clone(), source };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let lock = File::create(settings.dir.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SpoolError::Locked(settings.dir)),
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let (segments, recovered) = segment::recover(&settings.dir).map_err(failed)?;
        let number_next = segments.last().map_or(1, |s| s.number + 1);
        let segment_bytes = (settings.bytes_max / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let segments = VecDeque::from(segments);
        let spool = Self {
            settings,
            segment_bytes,
            writer,
            segments,
            memory: VecDeque::new(),
            disk_failing: false,
            number_next,
            sequence_next: 1,
            in_flight: None,
            found: recovered.last.clone(),
            _lock: lock,
        };
        Ok((spool, recovered))
    }

    /// The frame that the next append makes.
    pub(crate) fn next_mark(&self) -> Mark {
        Mark { writer: self.writer.as_str().to_owned(), sequence: self.sequence_next }
    }

    /// Whether a restart found a frame, or a later one of its table and writer.
    pub(crate) fn found(&self, table: &str, mark: &Mark) -> bool {
        self.found.get(&(table.to_owned(), mark.writer.clone())).is_some_and(|last| *last >= mark.sequence)
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes() > self.settings.bytes_max / 2
    }

    /// Whether a payload of that size fits without a drop, on disk or, while the disk takes nothing, in memory.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let memory_has_room = self.memory.is_empty() || self.bytes_in_memory() + bytes <= MEMORY_BYTES_MAX;
        let waiting: u64 = self.memory.iter().map(|f| Self::room_for(f.payload.len())).sum();
        memory_has_room && self.bytes() + waiting + Self::room_for(bytes) <= self.settings.bytes_max
    }

    /// Bytes on disk that a payload may need: its frame, and the head of a new segment.
    fn room_for(bytes: usize) -> u64 {
        frame::bytes_of(bytes) + segment::HEADER_BYTES_MAX
    }

    /// Appends a frame, written through; returns how many unsent rows had to go for it, by table.
    pub(crate) fn append(&mut self, table: &str, rows: u64, payload: &[u8]) -> Result<Vec<(String, u64)>, SpoolError> {
        if payload.len() as u64 > self.settings.bytes_max / 2 || payload.len() as u64 > u64::from(FRAME_BYTES_MAX) {
            let max = (self.settings.bytes_max / 2).min(u64::from(FRAME_BYTES_MAX));
            return Err(SpoolError::TooLarge { bytes: payload.len(), max });
        }
        let sequence = self.sequence_next;
        self.sequence_next += 1;
        self.memory.push_back(Frame {
            table: table.to_owned(),
            writer: self.writer.as_str().to_owned(),
            sequence,
            rows,
            payload: payload.to_vec(),
            segment: IN_MEMORY,
            end: 0,
        });
        let mut dropped = Vec::new();
        self.write_back(&mut dropped);
        self.bound_memory(&mut dropped);
        dropped.retain(|(_, rows)| *rows > 0);
        Ok(dropped)
    }

    /// Writes what waits in memory, oldest first, until the disk refuses. A table whose oldest frame is being sent
    /// waits, because of one table the disk must not hold a later frame before an earlier one.
    fn write_back(&mut self, dropped: &mut Vec<(String, u64)>) {
        let sending = self.in_flight.filter(|(segment, _)| *segment == IN_MEMORY).map(|(_, sequence)| sequence);
        let table_sending = self.memory.iter().find(|f| Some(f.sequence) == sending).map(|f| f.table.clone());
        let mut at = 0;
        while let Some(frame) = self.memory.get(at) {
            if Some(&frame.table) == table_sending.as_ref() {
                at += 1;
                continue;
            }
            let frame = self.memory.remove(at).expect("the position was just read");
            if let Err(error) = self.write(&frame, dropped) {
                self.memory.insert(at, frame);
                if !std::mem::replace(&mut self.disk_failing, true) {
                    tracing::error!(%error, dir = ?self.settings.dir, "the spool's disk takes nothing; rows wait in memory");
                }
                return;
            }
        }
        self.disk_failing = false;
    }

    fn write(&mut self, frame: &Frame, dropped: &mut Vec<(String, u64)>) -> io::Result<()> {
        while self.bytes() + Self::room_for(frame.payload.len()) > self.settings.bytes_max {
            match self.drop_oldest()? {
                Some(loss) => dropped.push(loss),
                None => break,
            }
        }
        let at = self.active_segment(&frame.table)?;
        self.segments[at].append(frame.sequence, frame.rows, &frame.payload)
    }

    fn bytes_in_memory(&self) -> usize {
        self.memory.iter().map(|f| f.payload.len()).sum()
    }

    /// Drops the oldest frames of memory beyond its bound, device events last; the newest frame stays.
    fn bound_memory(&mut self, dropped: &mut Vec<(String, u64)>) {
        while self.memory.len() > 1 && self.bytes_in_memory() > MEMORY_BYTES_MAX {
            let last = self.memory.len() - 1;
            let at = self.memory.iter().take(last).position(|f| f.table != KEPT_LONGEST).unwrap_or(0);
            let oldest = self.memory.remove(at).expect("the position was just found");
            let sending = self.in_flight == Some((IN_MEMORY, oldest.sequence));
            dropped.push((oldest.table, if sending { 0 } else { oldest.rows }));
        }
    }

    /// The end: writes what waits in memory, that which is being sent too, because the answer may never be heard;
    /// returns the rows that the disk still does not take and the rows that had to go, by table.
    pub(crate) fn close(&mut self) -> Vec<(String, u64)> {
        self.in_flight = None;
        let mut lost = Vec::new();
        self.write_back(&mut lost);
        lost.extend(self.memory.drain(..).map(|f| (f.table, f.rows)));
        lost.retain(|(_, rows)| *rows > 0);
        lost
    }

    /// Position of the segment that this process appends to for a table; rotates it when it is full.
    fn active_segment(&mut self, table: &str) -> io::Result<usize> {
        let found = self.segments.iter().rposition(|s| s.table == table && s.is_active());
        if let Some(at) = found {
            if self.segments[at].bytes < self.segment_bytes {
                return Ok(at);
            }
            self.segments[at].seal()?;
        }
        let segment = Segment::create(&self.settings.dir, self.number_next, table, self.writer.as_str())?;
        self.number_next += 1;
        self.segments.push_back(segment);
        Ok(self.segments.len() - 1)
    }

    fn drop_oldest(&mut self) -> io::Result<Option<(String, u64)>> {
        let droppable = |s: &&Segment| s.table != KEPT_LONGEST && s.bytes > s.header_bytes;
        let oldest = self.segments.iter().find(droppable).or(self.segments.front()).map(|s| s.number);
        let Some(at) = oldest.and_then(|number| self.position(number)) else { return Ok(None) };
        self.segments[at].delete()?;
        let segment = self.segments.remove(at).expect("the position was just found");
        let sending = self.in_flight.filter(|(number, _)| *number == segment.number).map_or(0, |(_, rows)| rows);
        Ok(Some((segment.table, segment.rows_pending.saturating_sub(sending))))
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.segments.iter().position(|s| s.number == number)
    }

    /// The tables that have something to send.
    pub(crate) fn tables_pending(&self) -> Vec<String> {
        let mut tables: Vec<String> =
            self.segments.iter().filter(|s| s.frames_pending > 0).map(|s| s.table.clone()).collect();
        tables.extend(self.memory.iter().map(|f| f.table.clone()));
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// The oldest unsent frame of a table, with the rows and bytes that turned out unreadable on the way to it.
    pub(crate) fn next(&mut self, table: &str) -> io::Result<(Option<Frame>, u64)> {
        let mut rows_unreadable = 0;
        loop {
            let Some(at) = self.segments.iter().position(|s| s.table == table && s.frames_pending > 0) else {
                return Ok((self.next_in_memory(table), rows_unreadable));
            };
            if let Some(frame) = self.segments[at].read()? {
                self.in_flight = Some((frame.segment, frame.rows));
                return Ok((Some(frame), rows_unreadable));
            }
            // The file changed under us; what it still held is gone and is counted.
            let segment = self.segments.remove(at).expect("the position was just found");
            rows_unreadable += segment.rows_pending;
            if let Err(error) = segment.delete() {
                tracing::error!(%error, "a damaged file of the spool could not be removed");
            }
        }
    }

    fn next_in_memory(&mut self, table: &str) -> Option<Frame> {
        let frame = self.memory.iter().find(|f| f.table == table)?.clone();
        self.in_flight = Some((IN_MEMORY, frame.sequence));
        Some(frame)
    }

    /// Forgets a frame that the server has, or never will have.
    pub(crate) fn done(&mut self, frame: &Frame) -> io::Result<()> {
        self.in_flight = None;
        if frame.segment == IN_MEMORY {
            self.memory.retain(|f| f.sequence != frame.sequence);
            return Ok(());
        }
        // The segment may have been dropped meanwhile; then there is nothing left to forget.
        let Some(at) = self.position(frame.segment) else { return Ok(()) };
        self.segments[at].advance(frame.end, frame.rows);
        if self.segments[at].frames_pending > 0 {
            return Ok(());
        }
        if self.segments[at].is_active() {
            return self.segments[at].empty();
        }
        self.segments[at].delete()?;
        self.segments.remove(at);
        Ok(())
    }

    /// A frame that the server did not take waits where it was. Returns its rows when they were dropped meanwhile:
    /// only now are they lost.
    pub(crate) fn not_sent(&mut self, frame: &Frame) -> u64 {
        self.in_flight = None;
        let kept = match frame.segment {
            IN_MEMORY => self.memory.iter().any(|f| f.sequence == frame.sequence),
            segment => self.position(segment).is_some(),
        };
        if kept { 0 } else { frame.rows }
    }

    /// Keeps a refused frame beside the spool, for a person to look at, and forgets it.
    pub(crate) fn set_aside(&mut self, frame: &Frame) -> io::Result<()> {
        let kept = keep_rejected(&self.settings.dir.join("rejected"), frame);
        self.done(frame)?;
        kept
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    pub(crate) fn rows_pending(&self) -> u64 {
        let on_disk: u64 = self.segments.iter().map(|s| s.rows_pending).sum();
        on_disk + self.memory.iter().map(|f| f.rows).sum::<u64>()
    }
}

fn keep_rejected(dir: &Path, frame: &Frame) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut kept: Vec<PathBuf> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    kept.sort_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok());
    let surplus = (kept.len() + 1).saturating_sub(REJECTED_FILES_MAX);
    for path in &kept[..surplus] {
        fs::remove_file(path)?;
    }
    let boot = frame.writer.rsplit('/').next().unwrap_or_default();
    fs::write(dir.join(format!("{}-{boot}-{}.arrows", frame.table, frame.sequence)), &frame.payload)
}

#[cfg(test)]
mod tests;
