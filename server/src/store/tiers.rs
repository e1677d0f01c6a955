//! Which files of a table are worth merging: a pure function from a list of files to a list of merges.
//!
//! A flush leaves a small file a day and table every few minutes. Files of one day are merged when enough of
//! about the same size have come together, so each row is rewritten a few times in all and not with each flush.

use super::{DataFile, columns::DAY_MICROS};
use std::collections::BTreeMap;

/// So many files make a merge while their day still grows: a row is then rewritten about three times a day.
const OPEN_DAY_FILES_MIN: usize = 8;
/// A day that is over ends as one file.
const CLOSED_DAY_FILES_MIN: usize = 2;
/// A merge reads its files side by side; each holds some megabytes of decoded pages.
const FILES_MAX: usize = 16;
/// A file joins smaller ones when it is at most this many times as large as they are together; a large file is
/// not rewritten for a few late rows.
const RATIO_MAX: u64 = 8;
/// Below this a file costs a reader as much as a larger one.
const SMALL_BYTES: u64 = 1 << 20;
/// Larger files are left as they are: a reader skips within them by row groups.
const BYTES_MAX: u64 = 512 << 20;
/// A day is over when the table has rows this much beyond its end: until then collectors still catch up.
const CLOSED_AFTER_MICROS: i64 = 2 * 3_600_000_000;

/// Merges that are due, each of files of one day, the day with the most files first.
pub(super) fn due(files: &[DataFile]) -> Vec<Vec<DataFile>> {
    let newest = files.iter().map(|file| file.time_max_micros).max().unwrap_or(i64::MIN);
    let mut days: BTreeMap<i64, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        // Not by its latest time, which is rounded up and may be midnight.
        days.entry(file.time_min_micros.div_euclid(DAY_MICROS)).or_default().push(file);
    }
    let mut days: Vec<_> = days.into_iter().collect();
    days.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    days.into_iter().filter_map(|(day, files)| merge_of_day(day, files, newest)).collect()
}

fn merge_of_day(day: i64, mut files: Vec<&DataFile>, newest: i64) -> Option<Vec<DataFile>> {
    let is_closed = newest >= (day + 1) * DAY_MICROS + CLOSED_AFTER_MICROS;
    let least = if is_closed { CLOSED_DAY_FILES_MIN } else { OPEN_DAY_FILES_MIN };
    files.sort_by(|a, b| (a.size_bytes, &a.path).cmp(&(b.size_bytes, &b.path)));
    let mut chosen: Vec<DataFile> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let fits = file.size_bytes <= SMALL_BYTES || file.size_bytes <= bytes * RATIO_MAX || chosen.is_empty();
        if !fits || chosen.len() == FILES_MAX || bytes + file.size_bytes > BYTES_MAX {
            break;
        }
        bytes += file.size_bytes;
        chosen.push(file.clone());
    }
    (chosen.len() >= least).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TODAY: i64 = 20_000;

    /// At noon of a day.
    fn file(day: i64, name: usize, size_bytes: u64) -> DataFile {
        let time = day * DAY_MICROS + DAY_MICROS / 2;
        DataFile {
            path: object_store::path::Path::from(format!("t/day={day}/{name:06}.parquet")),
            size_bytes,
            rows: 1,
            time_min_micros: time,
            time_max_micros: time + 1,
            logs: crate::store::Positions::local(1),
        }
    }

    fn sizes(sizes: &[u64], day: i64) -> Vec<Vec<u64>> {
        let mut files: Vec<_> = sizes.iter().enumerate().map(|(i, size)| file(day, i, *size)).collect();
        files.push(file(TODAY, usize::MAX, BYTES_MAX));
        due(&files).iter().map(|merge| merge.iter().map(|f| f.size_bytes).collect()).collect()
    }

    #[test]
    fn a_growing_day_waits_for_eight_files_and_a_closed_one_for_two() {
        assert_eq!(sizes(&[100; 7], TODAY), Vec::<Vec<u64>>::new());
        assert_eq!(sizes(&[100; 8], TODAY), [vec![100; 8]]);
        assert_eq!(sizes(&[100; 2], TODAY - 1), [vec![100; 2]]);
        assert_eq!(sizes(&[100], TODAY - 1), Vec::<Vec<u64>>::new());
        assert_eq!(sizes(&[100; 40], TODAY - 1), [vec![100; FILES_MAX]]);
    }

    #[test]
    fn a_row_just_before_midnight_stays_in_its_day() {
        let until = |time_max_micros, file: DataFile| DataFile { time_max_micros, ..file };
        let yesterday = until(TODAY * DAY_MICROS, file(TODAY - 1, 0, 100));
        // One less than a merge of a growing day needs.
        let today = (1..OPEN_DAY_FILES_MIN).map(|name| file(TODAY, name, 100));
        let files: Vec<_> = std::iter::once(yesterday).chain(today).collect();
        assert_eq!(due(&files), Vec::<Vec<DataFile>>::new());
    }

    #[test]
    fn a_large_file_is_not_rewritten_for_a_few_late_rows() {
        let large = 300 << 20;
        assert_eq!(sizes(&[large, 10_000], TODAY - 1), Vec::<Vec<u64>>::new());
        assert_eq!(sizes(&[large, 40 << 20], TODAY - 1), [vec![40 << 20, large]]);
        assert_eq!(sizes(&[BYTES_MAX, BYTES_MAX], TODAY - 1), Vec::<Vec<u64>>::new());
    }

    proptest! {
        #[test]
        fn merging_until_nothing_is_due_ends(mut left in proptest::collection::vec((0_i64..3, 1_u64..400_000_000), 0..60)) {
            let mut rounds = 0;
            loop {
                let files: Vec<_> = left.iter().enumerate().map(|(i, (day, size))| file(*day, i, *size)).collect();
                let merges = due(&files);
                let Some(merge) = merges.first() else { break };
                let day = merge[0].time_min_micros / DAY_MICROS;
                prop_assert!(merge.len() >= 2 && merge.iter().all(|f| f.time_min_micros / DAY_MICROS == day));
                let gone: Vec<_> = merge.iter().map(|f| &f.path).collect();
                let bytes = merge.iter().map(|f| f.size_bytes).sum();
                prop_assert!(bytes <= BYTES_MAX);
                left = files.iter().filter(|f| !gone.contains(&&f.path))
                    .map(|f| (f.time_min_micros / DAY_MICROS, f.size_bytes)).collect();
                left.push((day, bytes));
                rounds += 1;
                prop_assert!(rounds < 60);
            }
        }
    }
}
