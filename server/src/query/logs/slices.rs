//! Stretches of time, newest first, each with about as many rows as are worth reading at once.
//!
//! Whoever wants a page of the newest records reads little more than holds it: how many rows the next slice has follows
//! from how many of those before passed. **Invariant:** slices follow each other without a gap, from the end of the
//! range to its beginning.

use super::super::QueryError;
use super::super::ask::Asking;
use super::filter::Filter;
use crate::store::DataFile;
use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use contract::answers::Range;

/// Rows of the first slice, and of any: a question has a cost of its own, which is that of reading so many.
const ROWS_MIN: u64 = 16 * 1024;
/// While nothing passes, a slice has so many times the rows before it: a filter that nothing passes does not ask a
/// hundred times.
const GROWTH: u64 = 4;
/// What one question holds and sorts; where all rows pass, it is done with the first slices.
const ROWS_MAX: u64 = 4 * 1024 * 1024;

/// `[from, to)`, and how many rows in it may pass the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub from: i64,
    pub to: i64,
    pub rows: u64,
}

/// Rows that lie together: their latest time, and how many they are.
type Piece = (i64, u64);

/// What is left of a range, to be cut from its end.
#[derive(Debug)]
pub(super) struct Slices {
    /// The latest last.
    pieces: Vec<Piece>,
    from: i64,
    to: i64,
    /// Rows of the slices so far.
    rows: u64,
}

pub(super) async fn of(asking: &Asking, filter: &Filter, range: Range) -> Result<Slices, QueryError> {
    let snapshot = asking.snapshot("logs").await?;
    let within = |min: i64, max: i64| max >= range.from_unix_micros && min < range.to_unix_micros;
    let mut pieces: Vec<Piece> = Vec::new();
    for batch in snapshot.hot.iter() {
        let times =
            batch.column_by_name(snapshot.table.time_column).map(|c| c.as_primitive::<TimestampMicrosecondType>());
        let bounds = times.and_then(|times| Some((arrow::compute::min(times)?, arrow::compute::max(times)?)));
        let (min, max) = bounds.unwrap_or((i64::MIN, i64::MAX));
        pieces.extend(within(min, max).then_some((max, batch.num_rows() as u64)));
    }
    let engine = asking.engine();
    let store = engine.inner.store.object_store();
    let indexes = &engine.inner.words_of_bodies;
    for file in snapshot.files.iter().filter(|file: &&DataFile| within(file.time_min_micros, file.time_max_micros)) {
        let Some(index) = indexes.of(store.as_ref(), file).await else {
            pieces.push((file.time_max_micros, file.rows));
            continue;
        };
        let blocks = index.blocks().iter().filter(|b| within(b.time_min_micros, b.time_max_micros));
        let blocks = blocks.filter(|block| index.may_hold(block, filter.needed()));
        pieces.extend(blocks.map(|block| (block.time_max_micros, block.rows as u64)));
    }
    Ok(Slices::new(pieces, range))
}

impl Slices {
    fn new(mut pieces: Vec<Piece>, range: Range) -> Self {
        pieces.sort_unstable();
        Self { pieces, from: range.from_unix_micros, to: range.to_unix_micros, rows: 0 }
    }

    /// The next slice, when `passed` rows of those so far did and so many more are wanted. None where no row is left.
    pub(super) fn next(&mut self, passed: usize, wanted: usize) -> Option<Slice> {
        let enough = self.enough(passed as u64, wanted as u64);
        let mut rows = 0;
        while let Some((latest, count)) = self.pieces.pop() {
            rows += count;
            // What is left is older than this.
            let from = self.pieces.last().map_or(self.from, |(next, _)| next.saturating_add(1).max(self.from));
            // Rows of one time are in one slice, however many they are.
            let is_cut = (self.from + 1..self.to).contains(&from) && from <= latest;
            if self.pieces.is_empty() || (rows >= enough && is_cut) {
                let slice = Slice { from, to: self.to, rows };
                self.to = from;
                self.rows += rows;
                return Some(slice);
            }
        }
        None
    }

    /// Rows of the next slice: a quarter more than it takes if as many pass as before.
    fn enough(&self, passed: u64, wanted: u64) -> u64 {
        let rows = match self.rows.saturating_mul(wanted).saturating_mul(5).checked_div(passed.saturating_mul(4)) {
            Some(rows) => rows.min(self.rows.saturating_mul(GROWTH)),
            None => self.rows.saturating_mul(GROWTH),
        };
        rows.clamp(ROWS_MIN, ROWS_MAX)
    }

    /// Where the newest rows begin that are so many, by whole pieces, and those of one time together.
    pub(super) fn newest(&self, rows_max: u64) -> i64 {
        let (mut rows, mut last) = (0_u64, i64::MIN);
        for (latest, count) in self.pieces.iter().rev() {
            if rows >= rows_max && *latest < last {
                return latest.saturating_add(1).clamp(self.from, self.to);
            }
            rows = rows.saturating_add(*count);
            last = *latest;
        }
        self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGE: Range = Range { from_unix_micros: 0, to_unix_micros: 100 };

    #[test]
    fn slices_are_as_large_as_it_takes() {
        let blocks: Vec<Piece> = (0..4_000).map(|at| (at, 2_048)).collect();
        let range = Range { from_unix_micros: 0, to_unix_micros: 4_000 };
        let mut slices = Slices::new(blocks.clone(), range);
        assert_eq!(slices.next(0, 100), Some(Slice { from: 3_992, to: 4_000, rows: ROWS_MIN }));
        // One of two hundred passes: another 20 of them need 4,000 rows, and a slice has no fewer than the first.
        assert_eq!(slices.next(80, 20).map(|slice| slice.rows), Some(ROWS_MIN));
        // One of three thousand does: 90 need 300,000, a quarter more to be sure, and no more than four times those so far.
        assert_eq!(slices.next(10, 90).map(|slice| slice.rows), Some(4 * 2 * ROWS_MIN));
        let next = slices.next(53, 47).map(|slice| slice.rows);
        assert_eq!(next, Some(182_272), "163,840 × 47 × 5 / (53 × 4), by whole blocks");
        let mut nothing = Slices::new(blocks, range);
        let all: Vec<u64> = std::iter::from_fn(|| nothing.next(0, 100)).map(|slice| slice.rows).collect();
        assert!(all.len() <= 7 && all.iter().sum::<u64>() == 4_000 * 2_048, "{all:?}");
    }

    #[test]
    fn rows_of_one_time_are_in_one_slice() {
        let mut slices = Slices::new(vec![(7, ROWS_MIN); 5], RANGE);
        assert_eq!(slices.next(0, 1), Some(Slice { from: 0, to: 100, rows: 5 * ROWS_MIN }));
        assert_eq!(slices.next(0, 1), None);
    }

    proptest! {
        #[test]
        fn slices_cover_the_range_from_its_end_without_a_gap(
            pieces in proptest::collection::vec((-5_i64..105, 1_u64..200_000), 0..40),
            passed in proptest::collection::vec(0_usize..300, 40),
            rows_max in 0_u64..500_000,
        ) {
            let begun = Slices::new(pieces.clone(), RANGE);
            let newest = begun.newest(rows_max);
            prop_assert!((0..=100).contains(&newest));
            if (1..100).contains(&newest) {
                let counted = || pieces.iter().filter(|piece| piece.0 >= newest);
                let last = counted().map(|piece| piece.0).min();
                let before: u64 = counted().filter(|piece| Some(piece.0) > last).map(|piece| piece.1).sum();
                prop_assert!(last.is_some() && (before == 0 || before < rows_max), "{before} before {last:?}");
            }
            let mut left = begun;
            let mut passed = passed.into_iter();
            let slices: Vec<Slice> = std::iter::from_fn(|| left.next(passed.next().unwrap_or(0), 101)).collect();
            prop_assert_eq!(slices.is_empty(), pieces.is_empty());
            prop_assert_eq!(slices.iter().map(|slice| slice.rows).sum::<u64>(), pieces.iter().map(|piece| piece.1).sum::<u64>());
            let mut to = RANGE.to_unix_micros;
            for slice in &slices {
                prop_assert!(slice.to == to && slice.from < slice.to, "{:?}", slice);
                to = slice.from;
            }
            prop_assert!(slices.is_empty() || to == RANGE.from_unix_micros);
        }
    }
}
