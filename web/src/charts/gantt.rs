//! Jobs over time, one row each: how long they waited, and when they ran. Pure.

use super::axis;
use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, fitting, label, mark};
use crate::format;
use contract::answers::Range;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) hint: String,
    pub(crate) href: Option<String>,
    pub(crate) colour: &'static str,
    /// When it began to wait; none where that is not known.
    pub(crate) waits_from: Option<i64>,
    pub(crate) from: Option<i64>,
    /// None while it goes on.
    pub(crate) to: Option<i64>,
}

const ROW: f64 = 22.0;
const BAR: f64 = 14.0;
const FOOT: f64 = 26.0;
/// Room for names, of the width.
const NAMES_RATIO: f64 = 0.2;
const NAMES_MAX: f64 = 180.0;
/// A job of a second is still to be seen.
const WIDTH_MIN: f64 = 2.0;

/// Left edge and width of a part of the range; none where it lies outside.
pub(crate) fn place(range: Range, from: i64, to: i64, left: f64, width: f64) -> Option<(f64, f64)> {
    let (start, end) = (from.max(range.from_unix_micros), to.min(range.to_unix_micros));
    let span = (range.to_unix_micros - range.from_unix_micros).max(1) as f64;
    let at = |time: i64| left + (time - range.from_unix_micros) as f64 / span * width;
    (end >= start).then(|| (at(start), (at(end) - at(start)).max(WIDTH_MIN)))
}

pub(crate) fn gantt(range: Range, rows: &[Row], now: i64, width: f64) -> Picture {
    let left = (width * NAMES_RATIO).min(NAMES_MAX);
    let (room, height) = (width - left - 4.0, rows.len() as f64 * ROW + FOOT);
    let mut marks = Vec::new();
    let (ticks, step) = axis::ticks(range.from_unix_micros, range.to_unix_micros, ((room / 72.0) as i64).clamp(2, 9));
    for tick in ticks {
        if let Some((x, _)) = place(range, tick, tick, left, room) {
            let path = format!("M{x:.1} 0V{:.1}", height - FOOT);
            marks.push(mark(Shape::Line { path, colour: "line", is_dashed: false }));
            marks.push(label(x, height - 8.0, format::tick(tick, step), Anchor::Middle, Look::Muted));
        }
    }
    for (at, row) in rows.iter().enumerate() {
        one(row, at as f64 * ROW, now, |from, to| place(range, from, to, left, room), left, &mut marks);
    }
    Picture { width, height, marks }
}

fn one(row: &Row, y: f64, now: i64, place: impl Fn(i64, i64) -> Option<(f64, f64)>, left: f64, marks: &mut Vec<Mark>) {
    let name = label(0.0, y + 15.0, fitting(&row.name, left - 8.0), Anchor::Start, Look::Plain);
    marks.push(name.hint(row.hint.clone()).leading_to(row.href.clone()));
    let bar = |(x, width): (f64, f64), fill, edge| {
        let shape = Shape::Rect { x, y: y + (ROW - BAR) / 2.0, width, height: BAR, fill, edge };
        mark(shape).hint(row.hint.clone())
    };
    let waited = row.waits_from.and_then(|from| place(from, row.from.unwrap_or(now)));
    marks.extend(waited.map(|place| bar(place, Fill::Soft("text-muted"), None)));
    let ran = row.from.and_then(|from| place(from, row.to.unwrap_or(now)));
    marks.extend(ran.map(|place| bar(place, Fill::Solid(row.colour), None)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { from_unix_micros: 100, to_unix_micros: 300 };

    #[test]
    fn what_lies_outside_is_cut_off() {
        assert_eq!(place(RANGE, 0, 200, 50.0, 400.0), Some((50.0, 200.0)));
        assert_eq!(place(RANGE, 250, 999, 50.0, 400.0), Some((350.0, 100.0)));
        assert_eq!(place(RANGE, 400, 500, 50.0, 400.0), None);
        assert_eq!(place(RANGE, 0, 99, 50.0, 400.0), None);
        assert_eq!(place(RANGE, 200, 200, 50.0, 400.0), Some((250.0, WIDTH_MIN)));
    }

    #[test]
    fn a_job_that_goes_on_runs_until_now_and_one_that_waits_has_no_run() {
        let running = Row { from: Some(150), waits_from: Some(120), colour: "state-active", ..Row::default() };
        let waiting = Row { waits_from: Some(200), ..Row::default() };
        let unknown = Row::default();
        let bars = |rows: &[Row]| {
            let marks = gantt(RANGE, rows, 250, 500.0).marks;
            marks.into_iter().filter(|m| matches!(m.shape, Shape::Rect { .. })).count()
        };
        assert_eq!((bars(&[running]), bars(&[waiting]), bars(&[unknown]), bars(&[])), (2, 1, 0, 0));
    }
}
