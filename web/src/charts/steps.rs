//! How long steps took, by their numbers: the median of each few of them up to the slowest, and the work in them. Pure.

use super::mark::{Anchor, Fill, Look, Mark, Picture, Shape, label, mark};
use crate::format::{self, Unit};
use crate::training::{TrainingBucket, TrainingSteps};

const GUTTER: f64 = 56.0;
const FOOT: f64 = 24.0;
const HEAD: f64 = 10.0;
/// One step that hung must not make a line of all others: beyond so many medians it lies at the edge.
const HIGH: f64 = 4.0;

struct Scale {
    first: i64,
    steps: f64,
    high: f64,
    width: f64,
    height: f64,
}

impl Scale {
    fn x(&self, step: i64) -> f64 {
        GUTTER + (step - self.first) as f64 / self.steps * (self.width - GUTTER - 8.0)
    }

    fn y(&self, seconds: f64) -> f64 {
        let room = self.height - HEAD - FOOT;
        HEAD + (1.0 - (seconds / self.high).min(1.0)) * room
    }

    fn line(&self, points: impl Iterator<Item = (i64, f64)>) -> String {
        let step = |(at, (step, seconds)): (usize, (i64, f64))| {
            format!("{}{:.1} {:.1}", if at == 0 { "M" } else { "L" }, self.x(step), self.y(seconds))
        };
        points.enumerate().map(step).collect()
    }
}

/// Middle of the steps of a bucket.
fn middle(bucket: &TrainingBucket) -> i64 {
    bucket.first_step + (bucket.last_step - bucket.first_step) / 2
}

pub(crate) fn picture(steps: &TrainingSteps, width: f64, height: f64) -> Picture {
    let mut marks = Vec::new();
    let buckets = &steps.buckets;
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return Picture { width, height, marks };
    };
    let most = buckets.iter().map(|bucket| bucket.max_seconds).fold(0.0, f64::max);
    let high = most.min(steps.p50_seconds * HIGH).max(f64::MIN_POSITIVE) * 1.05;
    let count = (last.last_step - first.first_step + 1).max(1) as f64;
    let scale = Scale { first: first.first_step, steps: count, high, width, height };
    axes(&scale, (first.first_step, last.last_step), &mut marks);
    for bucket in buckets {
        one(bucket, &scale, &mut marks);
    }
    let work = buckets.iter().filter_map(|bucket| Some((middle(bucket), bucket.work_seconds?)));
    let path = scale.line(work);
    marks.push(mark(Shape::Line { path, colour: "good", is_dashed: true }).hint("work of the middle rank"));
    let path = scale.line(buckets.iter().map(|bucket| (middle(bucket), bucket.p50_seconds)));
    marks.push(mark(Shape::Line { path, colour: "accent", is_dashed: false }).hint("median"));
    Picture { width, height, marks }
}

/// From the median up to the slowest; at the foot what was computed again.
fn one(bucket: &TrainingBucket, scale: &Scale, marks: &mut Vec<Mark>) {
    let (x, next) = (scale.x(bucket.first_step), scale.x(bucket.last_step + 1));
    let (top, bottom) = (scale.y(bucket.max_seconds), scale.y(bucket.p50_seconds));
    let steps = match bucket.first_step == bucket.last_step {
        true => format!("step {}", bucket.first_step),
        false => format!("steps {} to {}", bucket.first_step, bucket.last_step),
    };
    let second = |seconds| format::value(Unit::Seconds, seconds);
    let mut hint = format!("{steps}: median {}, slowest {}", second(bucket.p50_seconds), second(bucket.max_seconds));
    if bucket.lost > 0 {
        hint.push_str(&format!(", {} computed again", bucket.lost));
    }
    let width = (next - x).max(1.0);
    let height = (bottom - top).max(1.0);
    let slowest = Shape::Rect { x, y: top, width, height, fill: Fill::Soft("accent"), edge: None };
    marks.push(mark(slowest).hint(hint.clone()));
    if bucket.lost > 0 {
        let y = scale.height - FOOT - 4.0;
        let lost = Shape::Rect { x, y, width, height: 4.0, fill: Fill::Solid("broken"), edge: None };
        marks.push(mark(lost).hint(hint));
    }
}

fn axes(scale: &Scale, (first, last): (i64, i64), marks: &mut Vec<Mark>) {
    for part in [0.0, 0.5, 1.0] {
        let seconds = scale.high / 1.05 * part;
        let path = format!("M{GUTTER:.1} {y:.1}H{:.1}", scale.width - 8.0, y = scale.y(seconds));
        let colour = if part == 0.0 { "line-strong" } else { "line" };
        marks.push(mark(Shape::Line { path, colour, is_dashed: false }));
        let text = format::axis(Unit::Seconds, seconds);
        marks.push(label(GUTTER - 8.0, scale.y(seconds) + 4.0, text, Anchor::End, Look::Muted));
    }
    let y = scale.height - 6.0;
    let number = |step: i64| format!("step {}", format::count(step.unsigned_abs()));
    marks.push(label(GUTTER, y, number(first), Anchor::Start, Look::Muted));
    if last > first {
        marks.push(label(scale.width - 8.0, y, number(last), Anchor::End, Look::Muted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(first_step: i64, p50_seconds: f64, max_seconds: f64, lost: u64) -> TrainingBucket {
        TrainingBucket {
            first_step,
            last_step: first_step + 9,
            count: 10,
            p50_seconds,
            max_seconds,
            lost,
            work_seconds: Some(p50_seconds / 2.0),
        }
    }

    #[test]
    fn everything_lies_in_the_picture_however_long_one_step_took() {
        let steps = TrainingSteps {
            p50_seconds: 1.0,
            buckets: vec![bucket(0, 1.0, 1.2, 0), bucket(10, 1.1, 900.0, 4)],
            ..TrainingSteps::default()
        };
        let drawn = picture(&steps, 600.0, 200.0);
        let mut bars = 0;
        for mark in &drawn.marks {
            if let Shape::Rect { x, y, width, height, .. } = mark.shape {
                bars += 1;
                assert!(x >= 0.0 && x + width <= 600.0 && y >= 0.0 && y + height <= 200.0, "{mark:?}");
            }
        }
        assert_eq!(bars, 3, "two of steps, one of what was lost");
        assert!(drawn.marks.iter().any(|m| m.hint.contains("steps 10 to 19") && m.hint.contains("4 computed again")));
        assert!(picture(&TrainingSteps::default(), 600.0, 200.0).marks.is_empty());
    }
}
