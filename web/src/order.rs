//! The order of rows. Pure.
//!
//! **Invariant:** one sort for all pages: each copy that the standard one makes for a type of row is four kilobytes,
//! and every visitor loads them.

use std::cmp::Ordering;

/// Sorts rows; those that compare as equal keep their order.
pub(crate) fn sort_by<T>(rows: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    for (a, b) in swaps(rows.len(), &|a, b| compare(&rows[a], &rows[b])) {
        rows.swap(a, b);
    }
}

pub(crate) fn sort_by_key<T, K: Ord>(rows: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(rows, |a, b| key(a).cmp(&key(b)));
}

pub(crate) fn sort<T: Ord>(rows: &mut [T]) {
    sort_by(rows, T::cmp);
}

/// Which places to swap, one after the other, for so many rows to be in order.
fn swaps(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    let mut row_at: Vec<usize> = (0..count).collect();
    let mut place_of = row_at.clone();
    let mut swaps = Vec::new();
    for (to, row) in order.into_iter().enumerate() {
        let from = place_of[row];
        if from != to {
            swaps.push((to, from));
            let moved = row_at[to];
            (row_at[from], place_of[moved]) = (moved, from);
        }
    }
    swaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_as_by_the_standard_sort_and_equal_ones_stay_in_order() {
        // A full period of a congruential generator: each row once, in no order, with many equal keys.
        let mut seed = 1u64;
        let mut rows: Vec<(u64, usize)> = Vec::new();
        for at in 0..1000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            rows.push(((seed >> 33) % 50, at));
        }
        for count in [0, 1, 2, 3, 17, 1000] {
            let (mut ours, mut theirs) = (rows[..count].to_vec(), rows[..count].to_vec());
            sort_by_key(&mut ours, |row| row.0);
            theirs.sort_by_key(|row| row.0);
            assert_eq!(ours, theirs);
            sort_by(&mut ours, |a, b| b.1.cmp(&a.1));
            theirs.sort_by(|a, b| b.1.cmp(&a.1));
            assert_eq!(ours, theirs);
            sort(&mut ours);
            theirs.sort();
            assert_eq!(ours, theirs);
        }
    }
}
