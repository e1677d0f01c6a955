//! Lines become records: a traceback or an indented line joins the record before it.
//!
//! The rule: a line joins when it begins with a blank or a tab, when it is `Traceback (most recent call last):` or
//! begins with `Caused by: `, or when the record is a traceback that has not named its exception yet; behind the name,
//! a blank line and the sentence that leads to the next traceback join, too. A line of JSON stands alone.
//! **Invariants:** a record is bounded in bytes, lines and time; records come in the order of the file, and
//! [`Joined::position`] is where those begin that have not come, so reading again from there gives them and no other.

use super::cri;
use super::lines::Line;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer records begin anew: longer than tracebacks of a hundred frames with their locals.
pub(super) const RECORD_BYTES_MAX: usize = 128 * 1024;
pub(super) const RECORD_LINES_MAX: usize = 500;
/// What follows a line comes in the same write, or soon.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(1);
/// Records that wait for an earlier one of another stream of the file; beyond, the earlier one ends.
const HELD_MAX: usize = 1024;

const TRACEBACK: &str = "Traceback (most recent call last):";
const LINKS: [&str; 2] =
    ["During handling of the above exception", "The above exception was the direct cause of the following exception"];

/// Lines that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub start: u64,
    pub end: u64,
    pub text: String,
    /// Bytes that were cut off its lines.
    pub cut: u64,
    pub replaced: bool,
    /// What a container's runtime has said.
    pub stream: Option<&'static str>,
    pub time: Option<String>,
}

#[derive(Debug)]
struct Open {
    record: Record,
    lines: usize,
    traceback: Traceback,
    /// The runtime goes on with the last line.
    partial: bool,
    changed: Duration,
}

/// Where a traceback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traceback {
    None,
    /// Its frames, up to the name of the exception.
    Frames,
    /// Behind the name: another may follow, behind a blank line and a sentence.
    Named,
}

#[derive(Debug, Default)]
pub(super) struct Joined {
    /// By stream.
    open: BTreeMap<&'static str, Open>,
    /// In the order of their starts.
    done: Vec<Record>,
    read_to: u64,
}

impl Joined {
    pub(super) fn at(start: u64) -> Self {
        Self { read_to: start, ..Self::default() }
    }

    /// Takes a line at a time of any clock that goes on.
    pub(super) fn push(&mut self, line: Line, now: Duration) {
        self.read_to = line.end;
        let parsed =
            cri::parse(&line.text).map(|cri| (cri.stream, cri.partial, cri.time.to_owned(), cri.message.to_owned()));
        let (stream, partial, time, message) = match parsed {
            Some((stream, partial, time, message)) => (stream, partial, Some(time), message),
            None => ("", false, None, line.text),
        };
        if let Some(open) = self.open.get_mut(stream) {
            let goes_on = open.partial;
            let fits = open.lines < RECORD_LINES_MAX && open.record.text.len() + message.len() < RECORD_BYTES_MAX;
            if fits && (goes_on || open.joins(&message)) {
                if !goes_on {
                    open.record.text.push('\n');
                }
                open.record.text.push_str(&message);
                open.record.end = line.end;
                open.record.cut += line.cut;
                open.record.replaced |= line.replaced;
                (open.lines, open.partial, open.changed) = (open.lines + 1, partial, now);
                return;
            }
            self.close(stream);
        }
        if message.trim().is_empty() && !partial {
            return;
        }
        let traceback = if message.starts_with(TRACEBACK) { Traceback::Frames } else { Traceback::None };
        let record = Record {
            start: line.start,
            end: line.end,
            text: message,
            cut: line.cut,
            replaced: line.replaced,
            stream: time.is_some().then_some(stream),
            time,
        };
        self.open.insert(stream, Open { record, lines: 1, traceback, partial, changed: now });
    }

    fn close(&mut self, stream: &'static str) {
        let Some(mut open) = self.open.remove(stream) else { return };
        open.record.text.truncate(open.record.text.trim_end().len());
        let at = self.done.partition_point(|done| done.start < open.record.start);
        self.done.insert(at, open.record);
    }

    /// Ends what nothing has joined for [`WAIT_MAX`].
    pub(super) fn expire(&mut self, now: Duration) {
        let over = |open: &Open| now.saturating_sub(open.changed) >= WAIT_MAX;
        let streams: Vec<&'static str> =
            self.open.iter().filter(|(_, open)| over(open)).map(|(stream, _)| *stream).collect();
        streams.into_iter().for_each(|stream| self.close(stream));
    }

    /// Ends everything: the file has ended for good.
    pub(super) fn finish(&mut self) {
        let streams: Vec<&'static str> = self.open.keys().copied().collect();
        streams.into_iter().for_each(|stream| self.close(stream));
    }

    /// Where the records begin that have not come.
    pub(super) fn position(&self) -> u64 {
        let mut position = self.open.values().map(|open| open.record.start).min().unwrap_or(self.read_to);
        // A record of one stream may end behind the start of a waiting one of another.
        for done in self.done.iter().rev() {
            if done.start < position && done.end > position {
                position = done.start;
            }
        }
        position
    }

    /// The records before [`Self::position`].
    pub(super) fn take(&mut self) -> Vec<Record> {
        let mut ready = self.before(self.position());
        if self.done.len() > HELD_MAX {
            self.finish();
            ready.append(&mut self.done);
        }
        ready
    }

    fn before(&mut self, position: u64) -> Vec<Record> {
        let ready = self.done.partition_point(|done| done.start < position);
        self.done.drain(..ready).collect()
    }
}

impl Open {
    /// Whether a line belongs to the record; what it says is remembered.
    fn joins(&mut self, line: &str) -> bool {
        if line.starts_with('{') || self.record.text.starts_with('{') {
            return false;
        }
        let begins = line.starts_with(TRACEBACK);
        let indented = line.starts_with([' ', '\t']);
        let joins = match self.traceback {
            Traceback::None => indented && !line.trim().is_empty() || begins || line.starts_with("Caused by: "),
            Traceback::Frames => true,
            Traceback::Named => {
                let leads_on = line.is_empty() || LINKS.iter().any(|link| line.starts_with(link));
                indented || begins || leads_on || line.starts_with("Caused by: ")
            }
        };
        self.traceback = match self.traceback {
            _ if begins => Traceback::Frames,
            Traceback::Frames if !indented && !line.is_empty() => Traceback::Named,
            other => other,
        };
        joins
    }
}

#[cfg(test)]
mod tests;
