//! One file that is read as it grows.
//!
//! **Invariant:** [`Tail::position`] counts the bytes whose records [`Tail::read`] has given, and no others.

use super::joined::{Joined, Record};
use super::lines::Lines;
use super::positions::{Identity, Position, Print};
use super::reading::Origin;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

/// Bytes of one read: a second of a talkative job.
const READ_BYTES: usize = 128 * 1024;
/// A renamed file may still be written to, until its writer has opened the new one.
const LEFT_FOR: Duration = Duration::from_secs(60);
/// A file that has not grown for so long is closed until it does.
const RESTS_AFTER: Duration = Duration::from_secs(120);
/// Shorter beginnings may be alike by chance.
const COPY_BYTES_MIN: u64 = 64;

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub records: Vec<Record>,
    /// Whether there is more to read at once.
    pub more: bool,
    /// Whether the file can be forgotten: it is gone, and read to its end.
    pub over: bool,
    /// The path of a copy that has the rest of what the file held before it was cut, and where to go on in it.
    pub copy: Option<(String, Position)>,
}

#[derive(Debug)]
pub(super) struct Tail {
    pub origin: Origin,
    pub identity: Identity,
    /// Whether its path leads to it; not so once it was renamed.
    pub is_named: bool,
    file: File,
    print: Print,
    lines: Lines,
    joined: Joined,
    grown: Duration,
    /// The length that the file was read to at the last look.
    read_to: u64,
}

impl Tail {
    /// Opens a file at its beginning, or where it was left.
    pub(super) fn open(origin: Origin, known: Option<&Position>, now: Duration) -> io::Result<Self> {
        let file = File::open(&origin.path)?;
        let metadata = file.metadata()?;
        let is_it = |known: &&Position| known.offset <= metadata.len() && known.print.is_of(&file);
        let known = known.filter(is_it);
        let (offset, print) = known.map_or((0, Print::default()), |known| (known.offset, known.print));
        Ok(Self {
            identity: Identity::of(&metadata),
            origin,
            is_named: true,
            file,
            print,
            lines: Lines::at(offset),
            joined: Joined::at(offset),
            grown: now,
            read_to: offset,
        })
    }

    /// Whether all of it was read, and nothing has come for so long.
    pub(super) fn rests(&self, now: Duration) -> bool {
        let idle = now.saturating_sub(self.grown) >= RESTS_AFTER;
        idle && self.is_named && self.position().offset == self.read_to
    }

    /// Whether another file begins like this one, which then is a copy: of many bytes, not of a common head.
    pub(super) fn begins_like(&self, path: &str) -> bool {
        // What cannot be opened is no copy for us.
        self.print.length >= COPY_BYTES_MIN && File::open(path).is_ok_and(|file| self.print.is_of(&file))
    }

    pub(super) fn position(&self) -> Position {
        // Empty lines count when nothing waits.
        let offset = self.joined.position().min(self.lines.position());
        Position { path: self.origin.path.clone(), identity: self.identity, offset, print: self.print }
    }

    /// Reads what has come, one part of it.
    pub(super) fn look(&mut self, now: Duration) -> io::Result<Looked> {
        let mut looked = Looked::default();
        let metadata = self.file.metadata()?;
        let length = metadata.len();
        if length < self.read_to || (length != self.read_to && !self.print.is_of(&self.file)) {
            let position = self.position();
            looked.copy = copy_of(&position).map(|path| (path, position));
            self.begin_anew(now, &mut looked);
        }
        if length > self.read_to {
            self.read(now, &mut looked)?;
            looked.more = length > self.read_to;
        }
        let gone = metadata.nlink() == 0 || (!self.is_named && now.saturating_sub(self.grown) >= LEFT_FOR);
        if gone && !looked.more {
            self.finish(now);
            looked.over = true;
        } else {
            self.joined.expire(now);
        }
        looked.records.extend(self.joined.take());
        Ok(looked)
    }

    /// The file was cut: what waits is read from the copy, and where there is none it is all that is left.
    fn begin_anew(&mut self, now: Duration, looked: &mut Looked) {
        if looked.copy.is_none() {
            self.finish(now);
            looked.records.extend(self.joined.take());
        }
        (self.lines, self.joined, self.print, self.read_to) = (Lines::at(0), Joined::at(0), Print::default(), 0);
    }

    fn read(&mut self, now: Duration, looked: &mut Looked) -> io::Result<()> {
        let mut bytes = vec![0; READ_BYTES];
        let length = self.file.read_at(&mut bytes, self.read_to)?;
        let joined = &mut self.joined;
        self.lines.push(&bytes[..length], &mut |line| joined.push(line, now));
        looked.records.extend(self.joined.take());
        self.read_to += length as u64;
        self.grown = now;
        if self.print.is_short(self.read_to) {
            self.print = Print::of(&self.file, self.read_to)?;
        }
        Ok(())
    }

    /// Takes what waits as it is: nothing more will come.
    fn finish(&mut self, now: Duration) {
        if let Some(line) = self.lines.finish() {
            self.joined.push(line, now);
        }
        self.joined.finish();
    }
}

/// The copy of a file that was then cut: it begins like it, lies beside it under a longer name, and holds at least what
/// was read of it.
pub(super) fn copy_of(cut: &Position) -> Option<String> {
    let path = Path::new(&cut.path);
    let name = path.file_name()?.to_str()?;
    let is_it = |other: &Path| {
        // What cannot be opened is no copy for us.
        let Ok(file) = File::open(other) else { return false };
        let long_enough = file.metadata().is_ok_and(|m| m.is_file() && m.len() >= cut.offset);
        long_enough && cut.print.length >= COPY_BYTES_MIN && cut.print.is_of(&file)
    };
    let entries = std::fs::read_dir(path.parent()?).ok()?; // a folder that cannot be read has no copy for us
    let mut copies: Vec<(i64, String)> = Vec::new();
    for entry in entries.flatten() {
        let Ok(other) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if other.len() > name.len() && other.starts_with(name) && !super::pattern::is_packed(&other) && is_it(&path) {
            let changed = entry.metadata().map_or(0, |metadata| metadata.mtime());
            copies.extend(path.to_str().map(|path| (changed, path.to_owned())));
        }
    }
    copies.into_iter().max().map(|(_, path)| path)
}

/// Where a file is that was renamed while nobody looked: in its folder, under another name.
pub(super) fn renamed(known: &Position) -> Option<String> {
    let entries = std::fs::read_dir(Path::new(&known.path).parent()?).ok()?; // no folder, no file
    let is_it = |entry: &std::fs::DirEntry| entry.metadata().is_ok_and(|m| Identity::of(&m) == known.identity);
    entries.flatten().find(is_it)?.path().to_str().map(str::to_owned)
}
