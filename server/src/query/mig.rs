//! A GPU that is cut into MIG instances, and when its parts stand for it.
//!
//! **Invariant:** at each time either the GPU counts or its instances do. An instance counts from its first row on,
//! until the first later row of its GPU, or of another instance of it, that comes without one of its own; then it
//! may come back. Where all of them are silent nothing has changed. The GPU counts where no instance does.

use super::gpu_fold::GpuFold;
use super::timeline::{Piece, Span};
use std::collections::{HashMap, HashSet};

/// Disjoint and in order.
pub(super) type Intervals = Vec<(i64, i64)>;

/// Notes in each fold where it does not count.
pub(super) fn settle(folds: &mut [GpuFold]) {
    let mut instances: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, fold) in folds.iter().enumerate() {
        if let Some(parent) = &fold.identity.parent {
            instances.entry(parent.clone()).or_default().push(at);
        }
    }
    if instances.is_empty() {
        return;
    }
    let places: HashMap<String, usize> = folds.iter().enumerate().map(|(at, fold)| (fold.uuid.clone(), at)).collect();
    for (parent, instances) in instances {
        let parent = places.get(&parent).copied();
        let family = || instances.iter().copied().chain(parent);
        let mut rows: Vec<&Span> = family().flat_map(|at| &folds[at].spans).collect();
        rows.sort_by_key(|span| span.from);
        let there: Vec<Intervals> = instances.iter().map(|at| there(&folds[*at].spans, &rows)).collect();
        for (at, there) in instances.iter().zip(&there) {
            folds[*at].gone = outside(there);
        }
        if let Some(parent) = parent {
            folds[parent].gone = union(there.into_iter().flatten().collect());
        }
    }
}

/// When an instance is there. `family` has its own spans, too, and is in order of start.
fn there(own: &[Span], family: &[&Span]) -> Intervals {
    let lives = own.iter().enumerate().map(|(at, span)| {
        let next = own.get(at + 1).map_or(i64::MAX, |next| next.from);
        if next <= span.to {
            return (span.from, span.to);
        }
        // Rows of one look may be apart by less than half of the time to the next look.
        let look = span.last + (span.to - span.last) / 2;
        let without = family.iter().filter(|row| row.last > look).map(|row| row.from.max(span.to)).min();
        (span.from, without.map_or(next, |time| time.min(next)))
    });
    union(lives.collect())
}

fn union(mut all: Intervals) -> Intervals {
    all.sort_unstable();
    let mut joined: Intervals = Vec::with_capacity(all.len());
    for (from, to) in all {
        match joined.last_mut() {
            Some(before) if from <= before.1 => before.1 = before.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn outside(inside: &[(i64, i64)]) -> Intervals {
    let mut at = i64::MIN;
    let mut gaps = Intervals::new();
    for (from, to) in inside.iter().copied().chain([(i64::MAX, i64::MAX)]) {
        if at < from {
            gaps.push((at, from));
        }
        at = to;
    }
    gaps
}

/// The parts of pieces in which their GPU counts.
pub(super) fn counted(pieces: Vec<Piece>, gone: &[(i64, i64)]) -> Vec<Piece> {
    if gone.is_empty() {
        return pieces;
    }
    let mut counted = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mut at = piece.from;
        for (from, to) in gone.iter().filter(|(from, to)| *from < piece.to && *to > piece.from) {
            if at < *from {
                counted.push(Piece { from: at, to: *from, ..piece.clone() });
            }
            at = *to;
        }
        if at < piece.to {
            counted.push(Piece { from: at, ..piece });
        }
    }
    counted
}

/// The folds whose sum is that of the boards: an instance's share is already in what its GPU measures, if it does.
pub(super) fn boards(gpus: &[GpuFold], measures: impl Fn(&GpuFold) -> bool) -> Vec<&GpuFold> {
    let parents: HashSet<&str> = gpus.iter().filter_map(|gpu| gpu.identity.parent.as_deref()).collect();
    let measured: HashSet<&str> =
        gpus.iter().filter(|gpu| parents.contains(&*gpu.uuid) && measures(gpu)).map(|gpu| &*gpu.uuid).collect();
    let own = |gpu: &&GpuFold| gpu.identity.parent.as_deref().is_none_or(|parent| !measured.contains(parent));
    gpus.iter().filter(own).collect()
}

/// Whether a GPU counts just before `to`.
pub(super) fn counts_at(gone: &[(i64, i64)], to: i64) -> bool {
    !gone.iter().any(|(from, until)| *from < to && to <= *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::GpuState;

    fn rows(from: i64, to: i64) -> Span {
        Span { from, to, last: to - 10, state: GpuState::Active, job: None }
    }

    #[test]
    fn an_instance_ends_at_the_next_row_without_it() {
        let own = [rows(100, 200)];
        let with = |others: &[Span]| {
            let mut family: Vec<&Span> = own.iter().chain(others).collect();
            family.sort_by_key(|span| span.from);
            there(&own, &family)
        };
        assert_eq!(with(&[]), [(100, i64::MAX)], "silence changes nothing");
        assert_eq!(with(&[rows(0, 200)]), [(100, i64::MAX)]);
        assert_eq!(with(&[rows(0, 203)]), [(100, i64::MAX)], "the same look, a little later");
        assert_eq!(with(&[rows(0, 500)]), [(100, 200)]);
        assert_eq!(with(&[rows(0, 200), rows(300, 400)]), [(100, 300)]);
    }

    #[test]
    fn an_instance_may_come_back() {
        let own = [rows(100, 200), rows(400, 500)];
        let family = [rows(0, 300)];
        let mut all: Vec<&Span> = own.iter().chain(&family).collect();
        all.sort_by_key(|span| span.from);
        assert_eq!(there(&own, &all), [(100, 200), (400, i64::MAX)]);
        assert_eq!(there(&own, &own.iter().collect::<Vec<_>>()), [(100, i64::MAX)]);
        assert_eq!(outside(&[(100, 200), (400, i64::MAX)]), [(i64::MIN, 100), (200, 400)]);
    }

    #[test]
    fn pieces_lose_the_time_in_which_others_stand_for_them() {
        let piece = |from, to| Piece { from, to, state: GpuState::Active, job: None };
        let gone = [(i64::MIN, 10), (20, 30), (90, i64::MAX)];
        let found = counted(vec![piece(0, 25), piece(25, 50), piece(50, 100)], &gone);
        assert_eq!(found, [piece(10, 20), piece(30, 50), piece(50, 90)]);
        assert!(counts_at(&gone, 90) && !counts_at(&gone, 91) && counts_at(&gone, 31) && !counts_at(&gone, 30));
    }
}
