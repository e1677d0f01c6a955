//! How often values of each size occur. Pure.

use super::mark::{Anchor, Fill, Look, Picture, Shape, label, mark};
use crate::format::{self, Unit};

/// Values from the one before (or 0) up to this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bin {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) count: usize,
}

/// Bins of equal width on round edges, from zero to above the largest value; values that are no number are left out.
pub(crate) fn bins(values: &[f64], most: usize) -> Vec<Bin> {
    let good = || values.iter().copied().filter(|v| v.is_finite() && *v >= 0.0);
    let Some(largest) = good().reduce(f64::max) else { return Vec::new() };
    let width = round_up(if largest > 0.0 { largest / most.max(1) as f64 } else { 1.0 });
    let count = ((largest / width).floor() as usize + 1).max(1);
    let mut out: Vec<Bin> =
        (0..count).map(|at| Bin { from: at as f64 * width, to: (at + 1) as f64 * width, count: 0 }).collect();
    good().for_each(|value| out[((value / width) as usize).min(count - 1)].count += 1);
    out
}

/// 1, 2 or 5 times a power of ten, not below.
fn round_up(width: f64) -> f64 {
    let power = 10f64.powf(width.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= width * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

const FOOT: f64 = 24.0;
const HEAD: f64 = 18.0;

pub(crate) fn histogram(bins: &[Bin], unit: Unit, width: f64, height: f64) -> Picture {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let each = width / bins.len().max(1) as f64;
    let room = height - FOOT - HEAD;
    let mut marks = Vec::new();
    for (at, bin) in bins.iter().enumerate() {
        let (x, tall) = (at as f64 * each, bin.count as f64 / most * room);
        let (from, to) = (format::axis(unit, bin.from), format::axis(unit, bin.to));
        let hint = format!("{from} to {to}: {}", format::count(bin.count as u64));
        let (x, width, y) = (x + 1.0, each - 2.0, HEAD + room - tall);
        let bar = Shape::Rect { x, y, width, height: tall, fill: Fill::Solid("accent"), edge: None };
        marks.push(mark(bar).hint(hint));
        if bin.count > 0 && each > 20.0 {
            let count = format::count(bin.count as u64);
            marks.push(label(x + width / 2.0, y - 4.0, count, Anchor::Middle, Look::Muted));
        }
        // A label needs some 60 pixels.
        if at % ((60.0 / each).ceil().max(1.0) as usize) == 0 {
            marks.push(label(x, height - 8.0, from, Anchor::Start, Look::Muted));
        }
    }
    Picture { width, height, marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once_and_edges_are_round() {
        let values = [0.0, 1.0, 1.9, 2.0, 7.5, 12.0, f64::NAN, -1.0];
        let found = bins(&values, 10);
        assert_eq!(found.iter().map(|b| b.count).sum::<usize>(), 6);
        assert_eq!((found[0].to, found.len()), (2.0, 7));
        assert_eq!(found[0].count, 3, "an edge belongs to the bin above");
        assert_eq!(bins(&[0.0, 0.0], 8), [Bin { from: 0.0, to: 1.0, count: 2 }]);
        assert!(bins(&[f64::NAN], 8).is_empty());
        for most in 1..30 {
            assert!(bins(&[0.37, 93.1], most).len() <= most + 1);
        }
        assert!(!histogram(&found, Unit::Count, 400.0, 120.0).marks.is_empty());
        assert!(histogram(&[], Unit::Count, 400.0, 120.0).marks.is_empty());
    }
}
