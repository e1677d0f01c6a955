//! The questions to `logs`: the newest records that pass a filter, how many there are over time, and what comes.
//!
//! **Invariants:** records come newest first, each once, however they are paged; what was not counted is said; whoever
//! follows is told of what was left out.

mod filter;
mod follow;
mod record;
mod slices;

pub use filter::{LogsAsked, log_severity};
pub(super) use follow::Tails;
pub use follow::{LogPart, LogsTail};
pub use record::LogRecord;

use super::ask::{Asking, bounded, each_row, instant};
use super::{Engine, QueryError};
use contract::answers::Range;
use filter::Filter;
use slices::Slice;
use std::fmt;
use std::str::FromStr;

/// Records of a page, at most: more is a table for SQL.
pub(super) const RECORDS_MAX: usize = 1_000;
/// Rows whose words may match that are counted beside a page, at most: ten megabytes of text, which are read in some
/// hundredths of a second. A search for a word that is everywhere would read a day to count it.
const COUNTED_ROWS_MAX: u64 = 64 * 1024;
/// Bars that a page has pixels for.
const BUCKETS_MAX: i64 = 60;
/// Widths of a bar, in seconds, that people read; a longer range has bars of days.
const WIDTHS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200];
const DAY_SECONDS: i64 = 86_400;
/// The least OTLP number of each class of a bucket; what has none is with those of the first.
const CLASSES: [i64; 6] = [i64::MIN, 1, 9, 13, 17, 21];
const SECOND: i64 = 1_000_000;

/// Records of one microsecond that pages may pass over; more have come by mistake.
const SKIP_MAX: u64 = 64 * 1024;

/// Where a page begins: behind so many records of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    pub time_unix_micros: i64,
    pub skip: u64,
}

impl fmt::Display for LogCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.time_unix_micros, self.skip)
    }
}

impl FromStr for LogCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('.').and_then(|(time, skip)| {
            let skip = skip.parse::<u64>().ok().filter(|skip| *skip <= SKIP_MAX)?; // what is no number is no cursor
            Some(Self { time_unix_micros: time.parse().ok()?, skip })
        });
        parsed.ok_or_else(|| format!("{text:?} is no place in a list of records; give `before` of an answer"))
    }
}

/// A page of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogsFound {
    /// Newest first.
    pub records: Vec<LogRecord>,
    /// Where the next page begins, if there are older records.
    pub before: Option<LogCursor>,
    /// With the first page.
    pub counts: Option<LogCounts>,
}

/// How many records there are over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogCounts {
    /// All records from here on to the end of the range were counted; of those before it is not known.
    pub from_unix_micros: i64,
    pub bucket_seconds: i64,
    /// Those that have any, in order of time.
    pub buckets: Vec<LogBucket>,
    pub total: u64,
}

/// Records of one stretch of time, by what [`log_severity`] names: without one, trace and debug, info, warn, error, fatal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogBucket {
    pub time_unix_micros: i64,
    pub counts: [u64; 6],
}

impl Engine {
    /// The newest records that pass a filter.
    pub async fn logs(&self, asked: LogsAsked) -> Result<LogsFound, QueryError> {
        let filter = Filter::of(&asked)?;
        let asking = Asking::new(self)?;
        bounded(self, async move { search(&asking, &asked, &filter).await }).await
    }
}

async fn search(asking: &Asking, asked: &LogsAsked, filter: &Filter) -> Result<LogsFound, QueryError> {
    let range = asked.range;
    let mut found = LogsFound::default();
    let skip = asked.before.map_or(0, |before| before.skip) as usize;
    let limit = asked.limit.min(RECORDS_MAX);
    let until = asked
        .before
        .map_or(range.to_unix_micros, |before| before.time_unix_micros.saturating_add(1).min(range.to_unix_micros));
    let within = Range { to_unix_micros: until, ..range };
    // One more says whether there are older ones.
    let wanted = skip + limit + 1;
    let mut slices = slices::of(asking, filter, within).await?;
    while found.records.len() < wanted {
        let left = wanted - found.records.len();
        let Some(slice) = slices.next(found.records.len(), left) else { break };
        found.records.extend(records(asking, filter, slice, left).await?);
    }
    let more = found.records.len() >= wanted;
    found.records.truncate(skip + limit);
    found.records.drain(..skip.min(found.records.len()));
    found.before = found.records.last().filter(|_| more).map(|last| cursor(&found.records, last, asked.before));
    if asked.before.is_none() {
        found.counts = Some(match more {
            true => counts(asking, filter, range, asked.counted_rows_max.unwrap_or(COUNTED_ROWS_MAX)).await?,
            // The page has all there are.
            false => counts_of(&found.records, range),
        });
    }
    Ok(found)
}

fn cursor(records: &[LogRecord], last: &LogRecord, before: Option<LogCursor>) -> LogCursor {
    let time = last.time_unix_micros;
    let here = records.iter().rev().take_while(|record| record.time_unix_micros == time).count() as u64;
    let earlier = before.filter(|before| before.time_unix_micros == time).map_or(0, |before| before.skip);
    LogCursor { time_unix_micros: time, skip: here + earlier }
}

async fn records(asking: &Asking, filter: &Filter, slice: Slice, limit: usize) -> Result<Vec<LogRecord>, QueryError> {
    // Records of one time are in the order in which they were read, whatever files they are in.
    let sql = format!(
        "select {} from logs where time >= $1 and time < $2{} \
         order by time desc, time_nanos desc, observed_at desc, cluster, node, service, body limit {limit}",
        record::COLUMNS,
        filter.conditions(3)
    );
    let mut with = vec![instant(slice.from), instant(slice.to)];
    with.extend(filter.values());
    Ok(record::of(&asking.rows(&sql, with).await?))
}

impl LogCounts {
    fn new(range: Range) -> Self {
        let (from_unix_micros, bucket_seconds) = (range.from_unix_micros, bucket_seconds(range));
        Self { from_unix_micros, bucket_seconds, ..Self::default() }
    }

    /// Adds records of a bucket, which is none before those that were added.
    fn add(&mut self, time_unix_micros: i64, class: usize, count: u64) {
        if self.buckets.last().is_none_or(|last| last.time_unix_micros != time_unix_micros) {
            self.buckets.push(LogBucket { time_unix_micros, ..LogBucket::default() });
        }
        if let Some(last) = self.buckets.last_mut() {
            last.counts[class] += count;
        }
        self.total += count;
    }
}

/// Counts of records that are there, the newest first.
fn counts_of(records: &[LogRecord], range: Range) -> LogCounts {
    let mut counts = LogCounts::new(range);
    let width = counts.bucket_seconds * SECOND;
    for record in records.iter().rev() {
        let least = record.severity_number.unwrap_or(0);
        let class = CLASSES.iter().rposition(|from| *from <= least).unwrap_or(0);
        counts.add(record.time_unix_micros.div_euclid(width) * width, class, 1);
    }
    counts
}

async fn counts(asking: &Asking, filter: &Filter, range: Range, rows_max: u64) -> Result<LogCounts, QueryError> {
    let mut counts = LogCounts::new(range);
    let width = counts.bucket_seconds * SECOND;
    let first = range.from_unix_micros.div_euclid(width) * width;
    if filter.reads_texts() {
        counts.from_unix_micros = slices::of(asking, filter, range).await?.newest(rows_max);
    }
    let cases = CLASSES.iter().enumerate().skip(1).rev();
    let cases: String = cases.map(|(class, from)| format!(" when severity_number >= {from} then {class}")).collect();
    let class = format!("case{cases} else 0 end");
    let sql = format!(
        "select (cast(time as bigint) - {first}) / {width} as bucket, {class} as class, count(*) from logs \
         where time >= $1 and time < $2{} group by 1, 2 order by 1, 2",
        filter.conditions(3)
    );
    let mut with = vec![instant(counts.from_unix_micros), instant(range.to_unix_micros)];
    with.extend(filter.values());
    for row in each_row(&asking.rows(&sql, with).await?) {
        let (Some(bucket), Some(class), Some(count)) = (row.int(0), row.int(1), row.int(2)) else { continue };
        counts.add(first + bucket * width, class.clamp(0, 5) as usize, count.unsigned_abs());
    }
    Ok(counts)
}

fn bucket_seconds(range: Range) -> i64 {
    let length = (range.to_unix_micros - range.from_unix_micros) / SECOND;
    let fits = |seconds: &&i64| length / **seconds <= BUCKETS_MAX;
    let days = (length / BUCKETS_MAX).div_euclid(DAY_SECONDS) + 1;
    WIDTHS.iter().find(fits).copied().unwrap_or(days * DAY_SECONDS)
}

#[cfg(test)]
mod tests;
