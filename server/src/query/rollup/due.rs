//! Which hours of a derived table are not as its source has them: a pure function of lists of files.
//!
//! An hour is rolled up once it is over and its rows are in files, so that it is mostly read once. Rows that come
//! later bring it up again. **Invariant:** an hour that is not due is in the table as its source's files have it.

use crate::store::{DataFile, Snapshot};
use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use std::collections::BTreeSet;

pub(in crate::query) const HOUR: i64 = 3_600_000_000;
pub(in crate::query) const DAY: i64 = 24 * HOUR;
/// After its end an hour waits for a flush of its last rows, and for collectors that were cut off for a moment.
const OPEN_AFTER_END: i64 = 10 * 60 * 1_000_000;

pub(in crate::query) fn hour_of(time: i64) -> i64 {
    time.div_euclid(HOUR)
}

/// First hour, since the epoch, that is not over yet.
pub(super) fn open_hour(now_micros: i64) -> i64 {
    hour_of(now_micros - OPEN_AFTER_END)
}

/// First hour after those that a derived table has rows of.
pub(in crate::query) fn first_missing(derived: &Snapshot) -> i64 {
    derived.files.iter().map(|file| hour_of(file.time_max_micros) + 1).max().unwrap_or(i64::MIN)
}

fn hours(file: &DataFile) -> std::ops::RangeInclusive<i64> {
    // The latest time of a file is rounded up by at most a millisecond, maybe into the next hour: harmless.
    hour_of(file.time_min_micros)..=hour_of(file.time_max_micros)
}

/// Hours of rows that came after the derived table was last made.
pub(super) fn touched(source: &Snapshot, covers: u64) -> BTreeSet<i64> {
    source.files.iter().filter(|file| file.position() > covers).flat_map(hours).collect()
}

/// Hours of the source from `missing` on.
pub(super) fn new(source: &Snapshot, missing: i64, open: i64) -> BTreeSet<i64> {
    source.files.iter().flat_map(hours).filter(|hour| (missing..open).contains(hour)).collect()
}

/// Hours of rows that came after the derived table was last made, and the `reach` hours after each, as far as there
/// are rows: they may depend on it.
pub(in crate::query) fn late(source: &Snapshot, covers: u64, reach: i64, open: i64) -> BTreeSet<i64> {
    let newest = source.files.iter().map(|file| hour_of(file.time_max_micros)).max().unwrap_or(i64::MIN);
    let end = open.min(newest.saturating_add(1));
    touched(source, covers).into_iter().flat_map(|hour| hour..(hour + reach + 1).min(end)).collect()
}

/// Hours of rows that no file holds yet.
pub(super) fn in_memory(source: &Snapshot) -> BTreeSet<i64> {
    let times = source.hot.iter().filter_map(|batch| batch.column_by_name(source.table.time_column));
    let times = times.filter_map(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let mut hours = BTreeSet::new();
    for times in times {
        let mut last = None;
        for hour in times.values().iter().map(|time| hour_of(*time)) {
            if last.replace(hour) != Some(hour) {
                hours.insert(hour);
            }
        }
    }
    hours
}

/// The newest position of the log that the files of a table hold.
pub(super) fn position(source: &Snapshot) -> u64 {
    source.files.iter().map(DataFile::position).max().unwrap_or(0)
}

/// Consecutive hours of one day.
pub(in crate::query) fn runs(hours: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for hour in hours {
        match runs.last_mut() {
            Some((_, end)) if *end == *hour && hour.rem_euclid(24) != 0 => *end += 1,
            _ => runs.push((*hour, *hour + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;
    use std::sync::Arc;

    fn snapshot(covers: u64, files: &[(u64, i64, i64)]) -> Snapshot {
        let file = |(position, from, to): &(u64, i64, i64)| DataFile {
            path: Path::from(format!("t/day=x/{position:020}-a.parquet")),
            size_bytes: 1,
            rows: 1,
            time_min_micros: *from,
            time_max_micros: *to,
        };
        let table = contract::table("gpu_samples").expect("a table");
        let files = Arc::new(files.iter().map(file).collect());
        let schema = contract::read_schema(table);
        Snapshot { table, schema, generation: 0, hot: Vec::new(), files, covers }
    }

    fn all(hours: BTreeSet<i64>) -> Vec<i64> {
        hours.into_iter().collect()
    }

    #[test]
    fn an_hour_is_due_when_it_is_over_and_again_after_late_rows() {
        let files = [(5, 10 * HOUR, 12 * HOUR - 1), (9, 12 * HOUR, 12 * HOUR + 5)];
        let source = snapshot(0, &files);
        let nothing = snapshot(0, &[]);
        assert_eq!(first_missing(&nothing), i64::MIN);
        assert_eq!(all(new(&source, i64::MIN, 12)), [10, 11]);
        assert_eq!(all(new(&source, 11, 13)), [11, 12]);
        let made = snapshot(9, &[(9, 10 * HOUR, 11 * HOUR + 1000)]);
        assert_eq!(first_missing(&made), 12, "a bound is up to a millisecond too late");
        assert!(late(&source, 9, 24, 13).is_empty());
        assert_eq!(all(late(&source, 5, 24, 13)), [12]);
        let more = snapshot(0, &[files[0], files[1], (11, 7 * HOUR, 7 * HOUR + 1)]);
        assert_eq!(all(late(&more, 9, 0, 12)), [7]);
        assert_eq!(all(late(&more, 9, 3, 12)), [7, 8, 9, 10]);
        assert_eq!(all(late(&more, 9, 24, 99)), [7, 8, 9, 10, 11, 12], "nothing beyond the newest row depends on it");
        assert_eq!(position(&more), 11);
    }

    #[test]
    fn runs_end_at_midnight() {
        assert_eq!(runs(&[22, 23, 24, 25, 30].into()), [(22, 24), (24, 26), (30, 31)]);
        assert_eq!(runs(&BTreeSet::new()), []);
    }
}
