//! Which hours of a derived table are not as its source has them: a pure function of lists of files.
//!
//! An hour is rolled up once it is over and its rows are in files, so that it is mostly read once. Rows that come
//! later bring it up again. **Invariant:** an hour that is not due is in the table as its source's files have it.

use crate::store::{Covers, DataFile, Snapshot};
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
pub(super) fn touched(source: &Snapshot, covers: &Covers) -> BTreeSet<i64> {
    let held = covers.of(source.table.name);
    source.files.iter().filter(|file| !held.hold(&file.logs)).flat_map(hours).collect()
}

/// Hours of the source from `missing` on.
pub(super) fn new(source: &Snapshot, missing: i64, open: i64) -> BTreeSet<i64> {
    source.files.iter().flat_map(hours).filter(|hour| (missing..open).contains(hour)).collect()
}

/// Hours of rows that came after the derived table was last made, and the `reach` hours after each, as far as there
/// are rows: they may depend on it.
pub(in crate::query) fn late(source: &Snapshot, covers: &Covers, reach: i64, open: i64) -> BTreeSet<i64> {
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

/// What a derived table holds that has the rows of all files of its source, and of no other.
pub(super) fn covered(source: &Snapshot) -> Covers {
    let mut all = Covers::default();
    source.files.iter().for_each(|file| all.add(source.table.name, &file.logs));
    all
}

/// End of the hours from `from` on, before `to`, that have at most so many rows together, or of the first one.
pub(super) fn together(source: &Snapshot, from: i64, to: i64, rows_max: f64) -> i64 {
    let share = |file: &DataFile, hour: i64| {
        let begin = file.time_min_micros.max(hour * HOUR);
        let within = file.time_max_micros.min((hour + 1) * HOUR) - begin;
        let all = (file.time_max_micros - file.time_min_micros).max(1);
        file.rows as f64 * (within.max(0) as f64 / all as f64)
    };
    let rows = |hour: i64| source.files.iter().map(|file| share(file, hour)).sum::<f64>();
    let (mut until, mut all) = (from + 1, rows(from));
    while until < to {
        all += rows(until);
        if all > rows_max {
            break;
        }
        until += 1;
    }
    until
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
    use crate::store::Positions;
    use object_store::path::Path;
    use std::sync::Arc;

    fn covers(position: u64) -> Covers {
        let mut covers = Covers::default();
        covers.add("gpu_samples", &Positions::local(position));
        covers
    }

    fn snapshot(files: &[(u64, i64, i64)]) -> Snapshot {
        let file = |(position, from, to): &(u64, i64, i64)| DataFile {
            path: Path::from(format!("t/day=x/{position:020}-a.parquet")),
            size_bytes: 1,
            rows: 1,
            time_min_micros: *from,
            time_max_micros: *to,
            logs: Positions::local(*position),
        };
        let table = contract::table("gpu_samples").expect("a table");
        let files = Arc::new(files.iter().map(file).collect());
        let schema = contract::read_schema(table);
        Snapshot { table, schema, generation: 0, hot: Arc::default(), files, covers: Arc::default() }
    }

    fn all(hours: BTreeSet<i64>) -> Vec<i64> {
        hours.into_iter().collect()
    }

    #[test]
    fn an_hour_is_due_when_it_is_over_and_again_after_late_rows() {
        let files = [(5, 10 * HOUR, 12 * HOUR - 1), (9, 12 * HOUR, 12 * HOUR + 5)];
        let source = snapshot(&files);
        let nothing = snapshot(&[]);
        assert_eq!(first_missing(&nothing), i64::MIN);
        assert_eq!(all(new(&source, i64::MIN, 12)), [10, 11]);
        assert_eq!(all(new(&source, 11, 13)), [11, 12]);
        let made = snapshot(&[(9, 10 * HOUR, 11 * HOUR + 1000)]);
        assert_eq!(first_missing(&made), 12, "a bound is up to a millisecond too late");
        assert!(late(&source, &covers(9), 24, 13).is_empty());
        assert_eq!(all(late(&source, &covers(5), 24, 13)), [12]);
        let more = snapshot(&[files[0], files[1], (11, 7 * HOUR, 7 * HOUR + 1)]);
        assert_eq!(all(late(&more, &covers(9), 0, 12)), [7]);
        assert_eq!(all(late(&more, &covers(9), 3, 12)), [7, 8, 9, 10]);
        assert_eq!(
            all(late(&more, &covers(9), 24, 99)),
            [7, 8, 9, 10, 11, 12],
            "nothing beyond the newest row depends on it"
        );
        assert_eq!(covered(&more), covers(11));
    }

    #[test]
    fn hours_are_taken_together_as_far_as_their_rows_are_few() {
        let mut source = snapshot(&[(1, 0, 4 * HOUR), (2, 3 * HOUR, 5 * HOUR)]);
        Arc::make_mut(&mut source.files).iter_mut().for_each(|file| file.rows = 400);
        assert_eq!(together(&source, 0, 24, 99.0), 1);
        assert_eq!(together(&source, 0, 24, 301.0), 3);
        assert_eq!(together(&source, 0, 24, 601.0), 4);
        assert_eq!(together(&source, 0, 24, 1e9), 24);
        assert_eq!(together(&source, 0, 2, 1e9), 2);
    }

    #[test]
    fn runs_end_at_midnight() {
        assert_eq!(runs(&[22, 23, 24, 25, 30].into()), [(22, 24), (24, 26), (30, 31)]);
        assert_eq!(runs(&BTreeSet::new()), []);
    }
}
