//! A chart of stacked bars as SVG: geometry first, then text. Pure.

use super::document::Chart;
use super::figures::{round_step, short};
use std::fmt::Write;

pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 210.0;
pub(super) const LEFT: f64 = 52.0;
pub(super) const RIGHT: f64 = 6.0;
pub(super) const TOP: f64 = 8.0;
pub(super) const BOTTOM: f64 = 22.0;
/// Lines across, about.
const STEPS: f64 = 4.0;
/// Labels below, at most.
const LABELS_MAX: usize = 9;
/// The width of a label.
const LABEL: f64 = 60.0;
/// Of a bar's place, left free.
const GAP: f64 = 0.18;

/// Zero, and the round numbers below and above it that hold every stack.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Self {
        let sum_of = |bucket: usize, keep: fn(f64) -> f64| -> f64 {
            chart.series.iter().filter_map(|series| series.values.get(bucket)).map(|value| keep(*value)).sum()
        };
        let all = 0..chart.buckets.len();
        let high = all.clone().map(|bucket| sum_of(bucket, |v| v.max(0.0))).fold(0.0, f64::max);
        let low = all.map(|bucket| sum_of(bucket, |v| v.min(0.0))).fold(0.0, f64::min);
        let step = round_step((high - low).max(1e-6), STEPS);
        Self { low: (low / step).floor() * step, high: (high / step).ceil().max(1.0) * step, step }
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    fn lines(&self) -> impl Iterator<Item = f64> {
        let (low, step) = (self.low, self.step);
        let count = ((self.high - self.low) / step).round() as usize;
        (0..=count).map(move |at| low + at as f64 * step)
    }
}

/// The bars without their legend; `font` is a family, or several.
pub(super) fn svg(chart: &Chart, font: &str) -> String {
    let scale = Scale::of(chart);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"{}\" font-size=\"10\" fill=\"#5B6472\"><title>{}</title>",
        escaped(font),
        escaped(&chart.title)
    );
    for value in scale.lines() {
        let y = scale.y(value);
        let colour = if value == 0.0 { "#9AA3B0" } else { "#E4E7EC" };
        let text = short(if value.abs() < scale.step / 2.0 { 0.0 } else { value });
        line(&mut out, y, colour);
        append(
            &mut out,
            format_args!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 6.0, y + 3.5),
        );
    }
    let place = (WIDTH - LEFT - RIGHT) / chart.buckets.len().max(1) as f64;
    let width = place * (1.0 - GAP);
    for bucket in 0..chart.buckets.len() {
        let x = LEFT + place * (bucket as f64 + GAP / 2.0);
        let (mut above, mut below) = (0.0, 0.0);
        for series in &chart.series {
            let value = series.values.get(bucket).copied().unwrap_or_default();
            let base = if value < 0.0 { &mut below } else { &mut above };
            let (from, to) = (*base, *base + value);
            *base = to;
            let (y, height) = (scale.y(from.max(to)), (scale.y(from) - scale.y(to)).abs());
            if height > 0.005 {
                let rect = format_args!(
                    "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{}\"/>",
                    series.colour
                );
                append(&mut out, rect);
            }
        }
    }
    labels(&mut out, &chart.buckets, place);
    out.push_str("</svg>");
    out
}

pub(super) fn line(out: &mut String, y: f64, colour: &str) {
    let end = WIDTH - RIGHT;
    append(
        out,
        format_args!("<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"{colour}\" stroke-width=\"0.75\" fill=\"none\"/>"),
    );
}

fn labels(out: &mut String, buckets: &[String], place: f64) {
    let every = buckets.len().div_ceil(LABELS_MAX).max(1);
    for (at, bucket) in buckets.iter().enumerate().step_by(every) {
        let (x, y) = (LEFT + place * (at as f64 + 0.5), HEIGHT - 7.0);
        // Half a label does not fit beside the last bars.
        let (x, anchor) = if x > WIDTH - LABEL / 2.0 { (WIDTH, "end") } else { (x, "middle") };
        append(
            out,
            format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(bucket)),
        );
    }
}

pub(super) fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes every text");
}

/// Text of HTML and XML, in elements and in quoted attributes. What neither may hold is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::document::Series;
    use super::*;

    #[test]
    fn credits_hang_below_zero_and_every_stack_fits() {
        let series = |values: [f64; 2]| Series { name: "a".to_owned(), colour: "#000000", values: values.to_vec() };
        let chart = Chart {
            title: "t".to_owned(),
            unit: "USD".to_owned(),
            along: "Time",
            remark: None,
            buckets: vec!["2026-11-01".to_owned(), "2026-11-02".to_owned()],
            series: vec![series([30.0, -8.0]), series([45.0, 10.0])],
        };
        let scale = Scale::of(&chart);
        assert_eq!((scale.low, scale.high, scale.step), (-50.0, 100.0, 50.0));
        assert!(scale.y(0.0) > scale.y(75.0) && scale.y(-8.0) > scale.y(0.0) && scale.y(-50.0) <= HEIGHT - BOTTOM);
        let svg = svg(&chart, "serif");
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains(">\u{2212}50<") && svg.contains(">100<"));
    }
}
