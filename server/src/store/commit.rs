//! The log's one thread: takes appends, writes them as a group, syncs once, publishes, answers.
//!
//! Being the only writer it is also the only judge of what is a duplicate.
//! **Invariant:** an append is answered `Kept` or `Duplicate` only after the sync that covers it.

use super::error::StoreError;
use super::health::Health;
use super::hot::{Hot, Tables};
use super::meta::Watermarks;
use super::wal::{self, AppendFailure, Frame, Segment};
use super::{Appended, Counters};
use contract::Table;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

/// Appends that wait for the log; more wait in `append` itself. Large enough to fill a group at 1,000 writers.
pub(super) const QUEUE_APPENDS_MAX: usize = 1024;
/// A group is written when it has this many bytes, so that no answer waits for a huge one.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// A segment is closed at this size: replay reads one segment at a time into memory.
const SEGMENT_BYTES_MAX: u64 = 128 << 20;

pub(super) type Answer = Result<Appended, StoreError>;

pub(super) struct Append {
    /// One, or more that are kept together.
    pub parts: Vec<Part>,
    pub writer: String,
    /// None: the next one of this writer, whichever append comes first.
    pub sequence: Option<u64>,
    pub answer: oneshot::Sender<Answer>,
}

/// Rows of one table.
pub(super) struct Part {
    pub table: &'static Table,
    /// The rows as they go to the log.
    pub ipc: Vec<u8>,
    /// The rows as they are read.
    pub hot: Hot,
}

/// What a seal fixed: all frames up to `position` are sealed or in files.
pub(super) struct Sealed {
    pub position: u64,
    pub watermarks: Watermarks,
}

pub(super) enum Command {
    Append(Box<Append>),
    /// Starts a new segment and seals what is published.
    Seal(oneshot::Sender<Result<Sealed, StoreError>>),
}

pub(super) struct Committer {
    pub dir: PathBuf,
    pub segment: Segment,
    pub next_position: u64,
    pub watermarks: Watermarks,
    /// Watermarks since the last seal.
    pub changed: Watermarks,
    pub tables: Arc<Tables>,
    pub counters: Arc<Counters>,
    /// Broken by a failed sync; nothing more is kept until a restart.
    pub health: Arc<Health>,
}

struct Staged {
    append: Append,
    outcome: Appended,
    sequence: u64,
    /// The writer's watermark of each part's table before this append.
    before: Vec<Option<u64>>,
}

fn key(part: &Part, writer: &str) -> (String, String) {
    (part.table.name.to_owned(), writer.to_owned())
}

impl Committer {
    /// Runs until every sender is gone.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut next = commands.blocking_recv();
        while let Some(command) = next.take() {
            match command {
                Command::Append(first) => next = self.commit_group(*first, &mut commands),
                Command::Seal(answer) => {
                    let sealed = self.seal();
                    // The flush that asked may have ended; then its seal is redone by the next one.
                    drop(answer.send(sealed));
                }
            }
            if next.is_none() {
                next = commands.blocking_recv();
            }
        }
    }

    /// Commits `first` and what waits behind it; returns the command that ended the group, if any.
    fn commit_group(&mut self, first: Append, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let mut frames = Vec::new();
        let mut group = vec![self.stage(first, &mut frames)];
        let mut ended_by = None;
        while frames.len() < GROUP_BYTES_MAX && group.len() < QUEUE_APPENDS_MAX {
            match commands.try_recv() {
                Ok(Command::Append(append)) => group.push(self.stage(*append, &mut frames)),
                Ok(other) => {
                    ended_by = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.write(group, &frames);
        ended_by
    }

    fn stage(&mut self, append: Append, frames: &mut Vec<u8>) -> Staged {
        let watermark = |part: &Part| self.watermarks.get(&key(part, &append.writer)).copied();
        let before: Vec<Option<u64>> = append.parts.iter().map(watermark).collect();
        let kept = before.iter().flatten().max().copied();
        let sequence = append.sequence.unwrap_or_else(|| kept.map_or(1, |kept| kept.saturating_add(1)));
        if kept.is_some_and(|kept| sequence <= kept) {
            return Staged { append, outcome: Appended::Duplicate, sequence, before };
        }
        let mut parts = append.parts.iter().map(|part| wal::Part { table: part.table.name, rows: &part.ipc });
        let wal::Part { table, rows } = parts.next().expect("an append has rows of a table");
        let joined = parts.collect();
        Frame { position: self.next_position, sequence, table, writer: &append.writer, rows, joined }
            .encode_into(frames);
        self.next_position += 1;
        for part in &append.parts {
            self.watermarks.insert(key(part, &append.writer), sequence);
        }
        Staged { append, outcome: Appended::Kept, sequence, before }
    }

    fn write(&mut self, group: Vec<Staged>, frames: &[u8]) {
        let written = match self.health.check() {
            Err(broken) => Err(AppendFailure::Refused(broken)),
            Ok(()) if frames.is_empty() => Ok(()),
            Ok(()) => self.segment.append_synced(frames),
        };
        match written {
            Ok(()) => {
                self.counters.log_syncs.fetch_add(u64::from(!frames.is_empty()), Ordering::Relaxed);
                self.counters.log_bytes.fetch_add(frames.len() as u64, Ordering::Relaxed);
                self.counters.log_position.store(self.next_position - 1, Ordering::Release);
                self.publish(group);
                self.rotate_if_large();
            }
            Err(failure) => self.refuse(group, failure),
        }
    }

    fn publish(&mut self, group: Vec<Staged>) {
        for Staged { append, outcome, sequence, .. } in group {
            let Append { parts, writer, answer, .. } = append;
            if outcome == Appended::Kept {
                for part in parts {
                    self.changed.insert(key(&part, &writer), sequence);
                    self.tables.publish(part.table, part.hot);
                }
            } else {
                // Its room is free before anybody hears of it.
                drop(parts);
            }
            // The client may have left; its rows are kept all the same and a retry is a duplicate.
            drop(answer.send(Ok(outcome)));
        }
    }

    /// Takes the group back: its watermarks and positions.
    fn refuse(&mut self, group: Vec<Staged>, failure: AppendFailure) {
        let error = match failure {
            AppendFailure::Refused(error) => error,
            AppendFailure::Broken(error) => {
                self.health.fail(&error);
                error
            }
        };
        tracing::error!(%error, appends = group.len(), "appends were not kept");
        let text = error.to_string();
        for Staged { append, outcome, before, .. } in group.into_iter().rev() {
            if outcome == Appended::Kept {
                self.next_position -= 1;
                for (part, before) in append.parts.iter().zip(before) {
                    let key = key(part, &append.writer);
                    match before {
                        Some(before) => self.watermarks.insert(key, before),
                        None => self.watermarks.remove(&key),
                    };
                }
            }
            drop(append.parts);
            let source = std::io::Error::other(text.clone());
            drop(append.answer.send(Err(StoreError::Io { what: "keep the rows".into(), source })));
        }
    }

    fn rotate_if_large(&mut self) {
        if self.segment.bytes() < SEGMENT_BYTES_MAX {
            return;
        }
        match Segment::create(&self.dir, self.next_position) {
            Ok(segment) => self.segment = segment,
            // The old segment goes on; the next append tries again.
            Err(error) => tracing::error!(%error, "cannot start a log segment"),
        }
    }

    fn seal(&mut self) -> Result<Sealed, StoreError> {
        self.segment = Segment::create(&self.dir, self.next_position)?;
        self.tables.seal();
        Ok(Sealed { position: self.next_position - 1, watermarks: std::mem::take(&mut self.changed) })
    }
}
