//! The rows of one import on their way out, in chunks to whoever keeps them.

use super::batch::{Batch, stream};
use super::convert::{Reject, place};
use super::error::ImportError;
use super::finish::Row;
use super::map::{Map, Value};
use super::tally::Tally;
use contract::answers::{IngestAnswer, Rejection};

/// Rows of one request: under a second of work for the server, and a few megabytes.
pub(super) const CHUNK_ROWS: usize = 20_000;
/// Text of one request, for rows that carry long lists.
const CHUNK_TEXT_BYTES: usize = 8 << 20;
/// What the server allows a row's time to lie ahead of its clock; it would reject the row and keep the chunk.
const AHEAD_MICROS_MAX: i64 = 3_600_000_000;

/// What ends an import early: a fault of its file, after which the next file follows, or of the keeper.
#[derive(Debug)]
pub(super) enum Stop<E> {
    File(ImportError),
    All(E),
}

impl<E> From<ImportError> for Stop<E> {
    fn from(error: ImportError) -> Self {
        Self::File(error)
    }
}

/// Who keeps a chunk.
pub(super) trait Keep {
    type Error;
    fn keep(&mut self, writer: &str, sequence: u64, body: &[u8]) -> Result<IngestAnswer, Self::Error>;
}

pub(super) struct Chunks {
    writer: String,
    sequence: u64,
    batch: Batch,
    /// The line of each row of the batch.
    lines: Vec<u64>,
    time: usize,
    interval_seconds: Option<usize>,
    pub(super) rows: u64,
    /// Rows of the file that only a later file completed, and how many more of them are to come.
    pub(super) tail: Vec<Row>,
    pub(super) incomplete: usize,
    has_length: bool,
    pub(super) tally: Tally,
}

impl Chunks {
    pub(super) fn new(map: &Map, writer: String) -> Self {
        let interval = map.table.columns.iter().position(|c| c.name == "interval_seconds");
        Self {
            writer,
            sequence: 0,
            batch: Batch::new(map.table),
            lines: Vec::new(),
            time: place(map, "time"),
            interval_seconds: interval,
            rows: 0,
            tail: Vec::new(),
            incomplete: 0,
            has_length: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn push<K: Keep>(&mut self, row: Row, now_micros: i64, keeper: &mut K) -> Result<(), Stop<K::Error>> {
        if let Some(Value::Time(time)) = row.values[self.time]
            && time.saturating_sub(now_micros) > AHEAD_MICROS_MAX
        {
            return Err(ImportError::Ahead { line: row.line, seconds: (time - now_micros) / 1_000_000 }.into());
        }
        let interval = self.interval_seconds.map(|at| row.values[at].as_ref());
        self.has_length |= interval.is_none_or(|v| matches!(v, Some(Value::Float(seconds)) if *seconds > 0.0));
        self.lines.push(row.line);
        self.batch.push(row.values).map_err(ImportError::from)?;
        self.rows += 1;
        if self.batch.rows() >= CHUNK_ROWS || self.batch.text_bytes() >= CHUNK_TEXT_BYTES {
            self.send(keeper)?;
        }
        Ok(())
    }

    fn send<K: Keep>(&mut self, keeper: &mut K) -> Result<(), Stop<K::Error>> {
        let rows = self.batch.take().map_err(ImportError::from)?;
        let lines = std::mem::take(&mut self.lines);
        let body = stream(&rows).map_err(ImportError::from)?;
        self.sequence += 1;
        let answer = keeper.keep(&self.writer, self.sequence, &body).map_err(Stop::All)?;
        if answer.duplicate {
            self.tally.duplicates += rows.num_rows() as u64;
            return Ok(());
        }
        self.tally.added += answer.accepted;
        let rejected = (rows.num_rows() as u64).saturating_sub(answer.accepted);
        let listed = answer.rejected.len() as u64;
        for rejection in answer.rejected {
            let line = usize::try_from(rejection.row).ok().and_then(|at| lines.get(at)).copied().unwrap_or(0);
            self.tally.reject(line, by_server(&rejection));
        }
        // The answer lists the first ones only.
        self.tally.reject_unlisted(rejected.saturating_sub(listed));
        Ok(())
    }

    /// Sends what is left and says what became of all.
    pub(super) fn end<K: Keep>(mut self, now_micros: i64, keeper: &mut K) -> Result<Tally, Stop<K::Error>> {
        let mut tail = std::mem::take(&mut self.tail);
        tail.sort_by_key(|row| row.line);
        for row in tail {
            self.push(row, now_micros, keeper)?;
        }
        if self.batch.rows() > 0 {
            self.send(keeper)?;
        }
        if self.rows > 0 && !self.has_length {
            let why = "no row has a next one of its GPU, so all intervals are 0 and no energy counts: import the \
                       files of a series together, or give --interval-seconds";
            self.tally.notes.push(why.to_owned());
        }
        Ok(self.tally)
    }
}

/// The number that differs from row to row is a detail, so that like rows are counted together.
fn by_server(rejection: &Rejection) -> Reject {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    let reason = &rejection.reason;
    let start = reason.find(|c: char| c.is_ascii_digit() || c == '-').unwrap_or(reason.len());
    let end = reason[start..].find(|c| !is_part(c)).map_or(reason.len(), |n| start + n);
    let number = if start < end { "…" } else { "" };
    let text = format!("{}: {}{number}{} (by the server)", rejection.column, &reason[..start], &reason[end..]);
    Reject::new(text, &reason[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_the_server_differ_in_no_number() {
        let of = |reason: &str| {
            let reason = reason.to_owned();
            let reject = by_server(&Rejection { row: 0, column: "c".to_owned(), reason });
            (reject.reason, reject.detail)
        };
        let expected = "c: … is not a ratio between 0 and 1 (by the server)";
        assert_eq!(of("-1.5 is not a ratio between 0 and 1"), (expected.to_owned(), "-1.5".to_owned()));
        assert_eq!(of("it is empty"), ("c: it is empty (by the server)".to_owned(), String::new()));
    }
}
