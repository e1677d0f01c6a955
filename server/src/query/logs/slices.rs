//! Stretches of time, newest first, each with about as many rows as are worth reading at once.
//!
//! Whoever wants a page of the newest records is done with the first slice or two. **Invariant:** slices follow each
//! other without a gap, from the end of the range to its beginning.

use super::super::QueryError;
use super::super::ask::Asking;
use super::filter::Filter;
use crate::store::DataFile;
use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use contract::answers::Range;

/// Rows of the first slice; each further one has twice as many, up to the second number, so that a filter which
/// nothing passes does not ask a hundred times.
const ROWS_MIN: u64 = 64 * 1024;
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

pub(super) async fn of(asking: &Asking, filter: &Filter, range: Range) -> Result<Vec<Slice>, QueryError> {
    let snapshot = asking.snapshot("logs").await?;
    let within = |min: i64, max: i64| max >= range.from_unix_micros && min < range.to_unix_micros;
    let mut pieces: Vec<Piece> = Vec::new();
    for batch in &snapshot.hot {
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
        let blocks = blocks.filter(|block| index.may_hold(block, filter.words()));
        pieces.extend(blocks.map(|block| (block.time_max_micros, block.rows as u64)));
    }
    Ok(cut(pieces, range))
}

fn cut(mut pieces: Vec<Piece>, range: Range) -> Vec<Slice> {
    pieces.sort_unstable_by_key(|piece| std::cmp::Reverse(*piece));
    let mut slices = Vec::new();
    let (mut to, mut rows, mut enough) = (range.to_unix_micros, 0, ROWS_MIN);
    for (latest, count) in pieces {
        // The piece as a whole is older than this.
        let from = latest.saturating_add(1);
        if rows >= enough && from < to && from > range.from_unix_micros {
            slices.push(Slice { from, to, rows });
            (to, rows, enough) = (from, 0, (enough * 2).min(ROWS_MAX));
        }
        rows += count;
    }
    // Where no row may pass, nothing has to be asked.
    if rows > 0 {
        slices.push(Slice { from: range.from_unix_micros, to, rows });
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_the_range_from_its_end_without_a_gap(
            pieces in proptest::collection::vec((-5_i64..105, 1_u64..200_000), 0..40),
        ) {
            let range = Range { from_unix_micros: 0, to_unix_micros: 100 };
            let slices = cut(pieces.clone(), range);
            prop_assert_eq!(slices.is_empty(), pieces.is_empty());
            prop_assert_eq!(slices.iter().map(|slice| slice.rows).sum::<u64>(), pieces.iter().map(|piece| piece.1).sum::<u64>());
            let mut to = range.to_unix_micros;
            for slice in &slices {
                prop_assert!(slice.to == to && slice.from < slice.to);
                to = slice.from;
            }
            prop_assert!(slices.is_empty() || to == range.from_unix_micros);
        }
    }
}
