//! Functions of the samples in a window. Pure, and number by number what Prometheus computes.

use super::super::series::Sample;

/// The samples of one series in a window, in order of time; there is at least one. Times are milliseconds.
pub(in super::super) struct Window<'a> {
    pub(in super::super) samples: &'a [Sample],
    pub(in super::super) start: i64,
    pub(in super::super) end: i64,
    /// The time of the evaluation.
    pub(in super::super) now: i64,
    /// The function's scalar; NaN when it has none.
    pub(in super::super) parameter: f64,
}

#[derive(Clone, Copy)]
pub(in super::super) struct WindowFunction {
    pub(in super::super) of: fn(&Window) -> Option<f64>,
    pub(in super::super) keeps_name: bool,
    pub(super) parameter_first: bool,
}

pub(super) fn named(name: &str) -> Option<WindowFunction> {
    let of: fn(&Window) -> Option<f64> = match name {
        "rate" => |w| extrapolated(w, Change::Counter).map(|rise| rise / w.seconds()),
        "increase" => |w| extrapolated(w, Change::Counter),
        "delta" => |w| extrapolated(w, Change::Gauge),
        "irate" => |w| latest(w, Change::Counter).and_then(|(rise, seconds)| (seconds > 0.0).then(|| rise / seconds)),
        "idelta" => |w| latest(w, Change::Gauge).map(|(change, _)| change),
        "deriv" => |w| Some(regression(w, w.samples[0].time)?.0),
        "predict_linear" => |w| regression(w, w.now).map(|(slope, intercept)| slope * w.parameter + intercept),
        "changes" => |w| Some(count_pairs(w, |a, b| a != b && !(a.is_nan() && b.is_nan()))),
        "resets" => |w| Some(count_pairs(w, |a, b| b < a)),
        "avg_over_time" => |w| Some(mean(w)),
        "sum_over_time" => |w| Some(Sum::of(w.values()).value()),
        "min_over_time" => |w| w.values().reduce(|least, v| if v < least || least.is_nan() { v } else { least }),
        "max_over_time" => |w| w.values().reduce(|most, v| if v > most || most.is_nan() { v } else { most }),
        "count_over_time" => |w| Some(w.samples.len() as f64),
        "last_over_time" => |w| w.values().last(),
        "first_over_time" => |w| w.values().next(),
        "present_over_time" => |_| Some(1.0),
        "quantile_over_time" => |w| Some(quantile(w.parameter, w.values().collect())),
        "stdvar_over_time" => |w| Some(variance(w)),
        "stddev_over_time" => |w| Some(variance(w).sqrt()),
        _ => return None,
    };
    let keeps_name = matches!(name, "last_over_time" | "first_over_time");
    Some(WindowFunction { of, keeps_name, parameter_first: name == "quantile_over_time" })
}

impl Window<'_> {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|sample| sample.value)
    }

    fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 / 1e3
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// What falls has started again from 0.
    Counter,
    Gauge,
}

/// The change over the whole window, from that between its first and last sample.
///
/// It is taken to go on to the window's ends where these are no farther away than samples are from each other, and for
/// half of that distance where they are. A counter is not taken to have been below 0.
fn extrapolated(window: &Window, change: Change) -> Option<f64> {
    let &[first, .., last] = window.samples else { return None };
    let mut result = last.value - first.value;
    if change == Change::Counter {
        let resets = window.samples.windows(2).filter(|pair| pair[1].value < pair[0].value);
        result += resets.map(|pair| pair[0].value).sum::<f64>();
    }
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1e3;
    let sampled = seconds(first.time, last.time);
    let average = sampled / (window.samples.len() - 1) as f64;
    let mut to_start = seconds(window.start, first.time);
    let to_end = seconds(last.time, window.end);
    if change == Change::Counter && result > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / result));
    }
    let reach = |gap: f64| if gap < average * 1.1 { gap } else { average / 2.0 };
    Some(result * ((sampled + reach(to_start) + reach(to_end)) / sampled))
}

/// The change between the last two samples, and the seconds between them.
fn latest(window: &Window, change: Change) -> Option<(f64, f64)> {
    let &[.., before, last] = window.samples else { return None };
    let reset = change == Change::Counter && last.value < before.value;
    let rise = if reset { last.value } else { last.value - before.value };
    Some((rise, (last.time - before.time) as f64 / 1e3))
}

fn count_pairs(window: &Window, counts: fn(f64, f64) -> bool) -> f64 {
    window.samples.windows(2).filter(|pair| counts(pair[0].value, pair[1].value)).count() as f64
}

/// A sum that carries its rounding error along (Kahan and Neumaier).
#[derive(Clone, Copy, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sum = Self::default();
        values.for_each(|value| sum.add(value));
        sum
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn value(&self) -> f64 {
        // Beyond what a float holds there is no error to carry.
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

fn mean(window: &Window) -> f64 {
    let mut mean = Sum::default();
    for (count, value) in (1u64..).zip(window.values()) {
        if mean.sum.is_infinite() {
            let same = value.is_infinite() && (mean.sum > 0.0) == (value > 0.0);
            if same || value.is_finite() {
                continue;
            }
        }
        mean.add(value / count as f64 - mean.sum / count as f64);
    }
    mean.value()
}

/// Of all values, not of a sample of them.
fn variance(window: &Window) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (count, value) in (1u64..).zip(window.values()) {
        let delta = value - mean.value();
        mean.add(delta / count as f64);
        squares.add(delta * (value - mean.value()));
    }
    squares.value() / window.samples.len() as f64
}

/// Slope per second, and the value at `at`, of the line through the samples with least squares.
fn regression(window: &Window, at: i64) -> Option<(f64, f64)> {
    let &[first, _, ..] = window.samples else { return None };
    if window.samples.iter().all(|sample| sample.value == first.value) {
        let known = !first.value.is_infinite();
        return Some(if known { (0.0, first.value) } else { (f64::NAN, f64::NAN) });
    }
    let sum = |of: fn(f64, f64) -> f64| {
        let terms = window.samples.iter().map(|s| of((s.time - at) as f64 / 1e3, s.value));
        let sum = Sum::of(terms);
        sum.sum + sum.lost
    };
    let n = window.samples.len() as f64;
    let (x, y, xy, xx) = (sum(|x, _| x), sum(|_, y| y), sum(|x, y| x * y), sum(|x, _| x * x));
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Some((slope, y / n - slope * x / n))
}

/// Between the two values that it falls between; infinite when `q` is no share. NaN sorts first.
pub(in super::super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

pub(in super::super) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}
