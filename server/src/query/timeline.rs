//! A GPU's time without gaps: what rows cover, and what their absence means.
//!
//! **Invariant:** the pieces of a window are disjoint, in order and cover all of it, so that hours by state
//! always sum to GPUs times the window (`mig` says when a part of a GPU stands for it). A row covers its interval. Where rows overlap the earlier one holds;
//! a gap shorter than a quarter of the interval before it is the sampling clock's jitter and belongs to the
//! row before. In a gap a GPU is `down` from a `lost` event on, until its `reset` or its next row, and
//! `unknown` otherwise.

use contract::GpuState;
use contract::answers::Range;
use std::sync::Arc;

/// Rows of one GPU that follow each other in one state under one job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Start of the last row in it.
    pub(super) last: i64,
    pub(super) state: GpuState,
    pub(super) job: Option<Arc<str>>,
}

impl Span {
    /// A next row that starts up to here follows without a gap.
    fn reach(&self) -> i64 {
        self.to + (self.to - self.last) / 4
    }

    fn same(&self, state: GpuState, job: Option<&str>) -> bool {
        self.state == state && self.job.as_deref() == job
    }
}

/// Adds a row that does not start before the last one; returns whether it could be merged into it.
pub(super) fn extend(spans: &mut [Span], from: i64, to: i64, state: GpuState, job: Option<&str>) -> bool {
    let Some(last) = spans.last_mut() else { return false };
    if from < last.last || from > last.reach() || !last.same(state, job) {
        return false;
    }
    last.last = from;
    last.to = last.to.max(to);
    true
}

/// Puts spans into order, takes overlaps away and closes the gaps that are only jitter.
pub(super) fn settle(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.from, span.to));
    let mut settled: Vec<Span> = Vec::with_capacity(spans.len());
    for mut span in spans {
        if let Some(before) = settled.last_mut() {
            if span.from > before.to && span.from <= before.reach() {
                before.to = span.from;
            }
            span.from = span.from.max(before.to);
            if span.from >= span.to {
                before.last = before.last.max(span.last);
                continue;
            }
            if span.from == before.to && before.same(span.state, span.job.as_deref()) {
                before.to = span.to;
                before.last = span.last;
                continue;
            }
        }
        settled.push(span);
    }
    settled
}

/// An event that says whether a GPU is there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Presence {
    pub(super) time: i64,
    /// Lost, else reset.
    pub(super) lost: bool,
}

/// A part of the window in one state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) state: GpuState,
    pub(super) job: Option<Arc<str>>,
}

impl Piece {
    /// The part of it that is within a range, in microseconds.
    pub(super) fn micros_within(&self, range: Range) -> i64 {
        (self.to.min(range.to_unix_micros) - self.from.max(range.from_unix_micros)).max(0)
    }
}

/// The parts of pieces that are within a range.
pub(super) fn clip(pieces: &[Piece], range: Range) -> Vec<Piece> {
    let clipped = pieces.iter().filter(|piece| piece.micros_within(range) > 0).map(|piece| Piece {
        from: piece.from.max(range.from_unix_micros),
        to: piece.to.min(range.to_unix_micros),
        ..piece.clone()
    });
    clipped.collect()
}

/// All of `[from, to)`, from settled spans and events in order of time.
pub(super) fn pieces(spans: &[Span], events: &[Presence], from: i64, to: i64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = from;
    let first = spans.partition_point(|span| span.to <= from);
    let mut before = first.checked_sub(1).map(|i| &spans[i]);
    for span in spans[first..].iter().take_while(|span| span.from < to) {
        absent(&mut pieces, before, events, at, span.from);
        let start = span.from.max(at);
        at = span.to.min(to);
        pieces.push(Piece { from: start, to: at, state: span.state, job: span.job.clone() });
        before = Some(span);
    }
    absent(&mut pieces, before, events, at, to);
    pieces
}

fn absent(pieces: &mut Vec<Piece>, before: Option<&Span>, events: &[Presence], from: i64, to: i64) {
    let mut at = from;
    let mut state = GpuState::Unknown;
    let mut push = |from: i64, to: i64, state| {
        if from < to {
            pieces.push(Piece { from, to, state, job: None });
        }
    };
    // An event before the last row has been answered by that row.
    let since = before.map_or(i64::MIN, |span| span.last);
    for event in events.iter().filter(|e| e.time >= since && e.time < to) {
        let next = if event.lost { GpuState::Down } else { GpuState::Unknown };
        if next != state {
            push(at, event.time.max(at), state);
            at = event.time.max(at);
            state = next;
        }
    }
    push(at, to, state);
}

/// The state at the end of a window. The last row stands for a while after its interval, because rows are
/// on their way: up to three intervals and a minute.
pub(super) fn at_end(spans: &[Span], events: &[Presence], to: i64) -> GpuState {
    let before = spans.partition_point(|span| span.from < to).checked_sub(1).map(|i| &spans[i]);
    let since = before.map_or(i64::MIN, |span| span.last);
    let absent = events.iter().rfind(|e| e.time >= since && e.time < to);
    match (before, absent) {
        (_, Some(event)) if event.lost => GpuState::Down,
        (Some(span), _) if to <= fresh_until(span.last, span.to - span.last) => span.state,
        _ => GpuState::Unknown,
    }
}

/// Until when a row counts as news: three intervals and a minute after its start.
pub(super) fn fresh_until(row: i64, interval: i64) -> i64 {
    row + 3 * interval + 60_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64, last: i64, state: GpuState) -> Span {
        Span { from, to, last, state, job: None }
    }

    fn words(pieces: &[Piece]) -> Vec<(i64, i64, &'static str)> {
        pieces.iter().map(|p| (p.from, p.to, p.state.as_str())).collect()
    }

    #[test]
    fn overlap_counts_once_and_jitter_is_no_gap() {
        let a = GpuState::Active;
        let spans =
            vec![span(21, 31, 21, a), span(0, 10, 0, a), span(5, 15, 5, a), span(12, 20, 12, GpuState::HeldIdle)];
        let settled = settle(spans);
        let bounds: Vec<_> = settled.iter().map(|s| (s.from, s.to, s.state)).collect();
        assert_eq!(bounds, [(0, 15, a), (15, 21, GpuState::HeldIdle), (21, 31, a)]);
    }

    #[test]
    fn a_gap_is_down_after_lost_and_unknown_after_reset() {
        let spans = [span(0, 100, 90, GpuState::Active), span(300, 400, 390, GpuState::Active)];
        let lost = |time| Presence { time, lost: true };
        let reset = |time| Presence { time, lost: false };
        let check = |events: &[Presence]| words(&pieces(&spans, events, 50, 500));
        let whole = |middle: &[(i64, i64, &'static str)]| {
            let mut all = vec![(50, 100, "active")];
            all.extend(middle);
            all.extend([(300, 400, "active"), (400, 500, "unknown")]);
            all
        };
        assert_eq!(check(&[]), whole(&[(100, 300, "unknown")]));
        assert_eq!(check(&[lost(95)]), whole(&[(100, 300, "down")]));
        assert_eq!(check(&[lost(20)]), whole(&[(100, 300, "unknown")]));
        assert_eq!(check(&[lost(150), lost(160)]), whole(&[(100, 150, "unknown"), (150, 300, "down")]));
        let both = [lost(95), reset(200)];
        assert_eq!(check(&both), whole(&[(100, 200, "down"), (200, 300, "unknown")]));
        assert_eq!(words(&pieces(&[], &[lost(10)], 50, 60)), [(50, 60, "down")]);
        assert_eq!(words(&pieces(&spans, &[], 100, 101)), [(100, 101, "unknown")]);
    }

    #[test]
    fn the_last_row_stands_for_a_while() {
        let second = 1_000_000;
        let spans = [span(0, 10 * second, 0, GpuState::HeldIdle)];
        assert_eq!(at_end(&spans, &[], 5 * second), GpuState::HeldIdle);
        assert_eq!(at_end(&spans, &[], 90 * second), GpuState::HeldIdle);
        assert_eq!(at_end(&spans, &[], 91 * second), GpuState::Unknown);
        let lost = [Presence { time: 9 * second, lost: true }];
        assert_eq!(at_end(&spans, &lost, 91 * second), GpuState::Down);
        assert_eq!(at_end(&[], &[], 0), GpuState::Unknown);
    }
}
