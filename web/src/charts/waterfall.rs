//! Spans of one step, rank by rank, each where it lies in time. Pure.

use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, fitting, label, mark};
use crate::format::{self, Unit};
use crate::training::{Category, JobTrace, TraceSpan};

const ROW: f64 = 20.0;
const BAR: f64 = 14.0;
const HEAD: f64 = 22.0;
const GAP: f64 = 8.0;
/// Room for names of ranks, of the width.
const NAMES_RATIO: f64 = 0.16;
const NAMES_MAX: f64 = 132.0;
/// A span of a microsecond is still to be seen.
const WIDTH_MIN: f64 = 2.0;

/// `rank 3, node1`.
fn who(span: &TraceSpan) -> String {
    let rank = span.rank.map_or("no rank".to_owned(), |rank| format!("rank {rank}"));
    span.node.as_deref().map_or(rank.clone(), |node| format!("{rank}, {node}"))
}

/// What a bar is, in words.
pub(crate) fn hint(span: &TraceSpan) -> String {
    let second = |seconds| format::value(Unit::Seconds, seconds);
    let (took, start) = (second(span.duration_seconds), second(span.start_seconds));
    let error = span.message.as_deref().map(|text| format!("; failed with {text}"));
    let error = error.unwrap_or_else(|| if span.is_error { "; failed".to_owned() } else { String::new() });
    format!("{}, {}: {took}, from {start} on{error}", span.name.replace('_', " "), who(span))
}

/// Lanes of each rank: a span lies below those that have not ended when it starts.
fn lanes(spans: &[TraceSpan]) -> Vec<(usize, usize)> {
    let (mut rank, mut group, mut ends): (Option<Option<i64>>, usize, Vec<f64>) = (None, 0, Vec::new());
    let mut out = Vec::new();
    for span in spans {
        if rank != Some(span.rank) {
            group += usize::from(rank.is_some());
            (rank, ends) = (Some(span.rank), Vec::new());
        }
        let end = span.start_seconds + span.duration_seconds;
        let lane = ends.iter().position(|before| *before <= span.start_seconds).unwrap_or(ends.len());
        match ends.get_mut(lane) {
            Some(before) => *before = end,
            None => ends.push(end),
        }
        out.push((group, lane));
    }
    out
}

/// `leads` says where a bar leads.
pub(crate) fn waterfall(trace: &JobTrace, width: f64, leads: impl Fn(&TraceSpan) -> Option<String>) -> Picture {
    let places = lanes(&trace.spans);
    let groups = places.last().map_or(0, |(group, _)| group + 1);
    let mut depth = vec![0; groups];
    places.iter().for_each(|(group, lane)| depth[*group] = depth[*group].max(lane + 1));
    let mut tops = vec![HEAD];
    depth.iter().for_each(|lanes| tops.push(tops.last().copied().unwrap_or(HEAD) + *lanes as f64 * ROW + GAP));
    let height = tops.last().copied().unwrap_or(HEAD);
    let left = (width * NAMES_RATIO).min(NAMES_MAX);
    let length = (trace.range.to_unix_micros - trace.range.from_unix_micros).max(1) as f64 / 1e6;
    let room = width - left - 8.0;
    let x = |seconds: f64| left + seconds / length * room;
    let mut marks = Vec::new();
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = x(length * part);
        let path = format!("M{at:.1} {HEAD:.1}V{height:.1}");
        marks.push(mark(Shape::Line { path, colour: "line", is_dashed: false }));
        let anchor = if part == 1.0 { Anchor::End } else { Anchor::Start };
        if part == 0.0 || part == 1.0 || width > 600.0 {
            marks.push(label(at, 12.0, format::axis(Unit::Seconds, length * part), anchor, Look::Muted));
        }
    }
    let mut named = None;
    for (span, (group, lane)) in trace.spans.iter().zip(places) {
        let y = tops[group] + lane as f64 * ROW;
        if named != Some(group) {
            named = Some(group);
            marks.push(
                label(0.0, y + 12.0, fitting(&who(span), left - 8.0), Anchor::Start, Look::Plain).hint(who(span)),
            );
        }
        let wide = (span.duration_seconds / length * room).max(WIDTH_MIN);
        marks.extend(bar(span, (x(span.start_seconds), y, wide), leads(span)));
    }
    Picture { width, height, marks }
}

fn bar(span: &TraceSpan, (x, y, width): (f64, f64, f64), href: Option<String>) -> Vec<Mark> {
    let colour = if span.is_error { "broken" } else { Category::named(&span.name).colour };
    // What is around other spans is paler than they are.
    let (fill, edge) = match span.name.as_str() {
        "step" => (Fill::Soft(colour), Some(colour)),
        _ => (Fill::Solid(colour), None),
    };
    let shape = Shape::Rect { x, y: y + (ROW - BAR) / 2.0, width, height: BAR, fill, edge };
    let mut marks = vec![mark(shape).hint(hint(span)).leading_to(href)];
    if span.name == "step" {
        let text = fitting(&format::value(Unit::Seconds, span.duration_seconds), width - 8.0);
        marks.push(label(x + 4.0, y + 14.0, text, Anchor::Start, Look::Muted));
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::answers::Range;

    fn span(rank: i64, name: &str, start_seconds: f64, duration_seconds: f64) -> TraceSpan {
        TraceSpan { rank: Some(rank), name: name.to_owned(), start_seconds, duration_seconds, ..TraceSpan::default() }
    }

    #[test]
    fn spans_within_others_lie_below_them_and_ranks_are_apart() {
        let spans = vec![
            span(0, "step", 0.0, 1.0),
            span(0, "data_loading", 0.0, 0.2),
            span(0, "communication", 0.6, 0.4),
            span(0, "checkpoint_save", 1.0, 0.2),
            span(3, "step", 0.0, 0.5),
        ];
        assert_eq!(lanes(&spans), [(0, 0), (0, 1), (0, 1), (0, 0), (1, 0)]);
        let range = Range { from_unix_micros: 0, to_unix_micros: 1_200_000 };
        let trace = JobTrace { range, spans, ..JobTrace::default() };
        let drawn = waterfall(&trace, 800.0, |span| span.rank.map(|rank| format!("?ranks={rank}")));
        for mark in &drawn.marks {
            if let Shape::Rect { x, y, width, height, .. } = mark.shape {
                assert!(x >= 0.0 && x + width <= 800.5 && y >= HEAD && y + height <= drawn.height, "{mark:?}");
            }
        }
        assert_eq!(drawn.marks.iter().filter(|mark| mark.href.is_some()).count(), 5);
        assert!(waterfall(&JobTrace::default(), 800.0, |_| None).height > 0.0);
    }

    #[test]
    fn a_bar_says_what_went_wrong() {
        let failed =
            TraceSpan { is_error: true, message: Some("ValueError: x".to_owned()), ..span(1, "step", 0.5, 2.0) };
        assert_eq!(hint(&failed), "step, rank 1: 2.00 s, from 500 ms on; failed with ValueError: x");
    }
}
