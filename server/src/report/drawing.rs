//! Numbers over time as SVG that stands alone: title, axes, lines or stacked areas, legend. Geometry first, then text. Pure.

use super::chart::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, append, escaped, line};
use super::figures::{round_step, short};
use super::shape::{COLOURS, REST_COLOUR, STATE_COLOURS};
use chrono::DateTime;
use contract::GpuState;

/// Lines across, about.
const STEPS: f64 = 4.0;
/// Above the picture: its title.
const HEAD: f64 = 24.0;
/// A line of the legend.
const LEGEND_LINE: f64 = 16.0;
/// What a letter of the legend takes, about, and what stands around its words.
const LETTER: f64 = 5.6;
const SWATCH: f64 = 26.0;
/// A longer name is cut.
const NAME_CHARS_MAX: usize = 32;
/// Distances between times below the picture, in seconds.
const TIME_STEPS: [i64; 13] =
    [60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000];
const TIMES_MAX: i64 = 8;
const SECOND_MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// What is drawn.
#[derive(Debug, Clone)]
pub struct Drawing {
    pub title: String,
    /// How a value reads on the axis.
    pub scale: Scale,
    /// Unix microseconds.
    pub range: (i64, i64),
    /// Rising; a distance of more than `step_micros` is a gap.
    pub times: Vec<i64>,
    pub step_micros: i64,
    pub lines: Vec<(String, Vec<Option<f64>>)>,
    pub is_stacked: bool,
    /// Below the legend, where something is to be said.
    pub remark: Option<String>,
}

/// A value times `factor` reads as a number with `suffix`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub factor: f64,
    pub suffix: &'static str,
}

/// Round numbers that hold all values.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    fn of(lines: &[(String, Vec<Option<f64>>)]) -> Self {
        let values = || lines.iter().flat_map(|(_, values)| values.iter().flatten().copied());
        let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        let step = round_step((high - low).max(1e-6), STEPS);
        Self { low: (low / step).floor() * step, high: ((high / step).ceil() * step).max(low + step), step }
    }

    fn y(&self, value: f64) -> f64 {
        HEAD + TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }
}

pub fn drawing(what: &Drawing) -> String {
    let factor = what.scale.factor;
    let scaled = |(name, values): &(String, Vec<Option<f64>>)| {
        (name.clone(), values.iter().map(|value| value.map(|v| v * factor)).collect())
    };
    let mut lines: Vec<(String, Vec<Option<f64>>)> = what.lines.iter().map(scaled).collect();
    if what.is_stacked {
        stack(&mut lines);
    }
    let axis = Axis::of(&lines);
    let legend = legend(&lines);
    let remark = if what.remark.is_some() { LEGEND_LINE } else { 0.0 };
    let height = HEAD + HEIGHT + legend.height + remark;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"10\" fill=\"#5B6472\"><title>{0}</title>\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#FFFFFF\"/>\
         <text x=\"6\" y=\"16\" font-size=\"13\" font-weight=\"600\" fill=\"#131A24\">{0}</text>",
        escaped(&what.title)
    );
    grid(&mut out, &axis, what.scale.suffix);
    times(&mut out, what.range);
    let order: Vec<usize> = if what.is_stacked { (0..lines.len()).rev().collect() } else { (0..lines.len()).collect() };
    for at in order {
        let colour = colour(&lines[at].0, at);
        let path = path(what, &axis, &lines[at].1);
        let style = match what.is_stacked {
            true => format!("fill=\"{colour}\" stroke=\"none\""),
            false => format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" stroke-linejoin=\"round\" stroke-linecap=\"round\""
            ),
        };
        append(&mut out, format_args!("<path d=\"{path}\" {style}/>"));
    }
    out.push_str(&legend.text);
    if let Some(remark) = &what.remark {
        append(&mut out, format_args!("<text x=\"6\" y=\"{:.1}\">{}</text>", height - 5.0, escaped(remark)));
    }
    out.push_str("</svg>");
    out
}

/// A state of a GPU has the same colour everywhere.
fn colour(name: &str, at: usize) -> &'static str {
    let state = GpuState::ALL.into_iter().find(|state| state.as_str() == name);
    state.map_or_else(|| COLOURS.get(at).copied().unwrap_or(REST_COLOUR), |state| STATE_COLOURS[state.index()])
}

/// Each on top of those before it; what is not known adds nothing.
fn stack(lines: &mut [(String, Vec<Option<f64>>)]) {
    for at in 1..lines.len() {
        let (below, above) = lines.split_at_mut(at);
        for (value, base) in above[0].1.iter_mut().zip(&below[at - 1].1) {
            *value = match (*value, base) {
                (None, None) => None,
                (value, base) => Some(value.unwrap_or_default().max(0.0) + base.unwrap_or_default()),
            };
        }
    }
}

fn grid(out: &mut String, axis: &Axis, suffix: &str) {
    let count = ((axis.high - axis.low) / axis.step).round() as usize;
    for at in 0..=count {
        let value = axis.low + at as f64 * axis.step;
        let value = if value.abs() < axis.step / 2.0 { 0.0 } else { value };
        let (y, colour) = (axis.y(value), if value == 0.0 { "#9AA3B0" } else { "#E4E7EC" });
        line(out, y, colour);
        let text = format!("{}{suffix}", short(value));
        append(
            out,
            format_args!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 6.0, y + 3.5),
        );
    }
}

fn x(range: (i64, i64), time: i64) -> f64 {
    let span = (range.1 - range.0).max(1) as f64;
    LEFT + (time - range.0) as f64 / span * (WIDTH - LEFT - RIGHT)
}

fn times(out: &mut String, range: (i64, i64)) {
    let span = (range.1 - range.0) / SECOND_MICROS;
    let last = TIME_STEPS[TIME_STEPS.len() - 1];
    let step =
        TIME_STEPS.into_iter().find(|step| span / step < TIMES_MAX).unwrap_or(last * (span / last / TIMES_MAX + 1));
    let step_micros = step * SECOND_MICROS;
    let mut time = range.0.div_euclid(step_micros) * step_micros;
    while time <= range.1 {
        let at = x(range, time);
        let date = DateTime::from_timestamp_micros(time).unwrap_or_default();
        let is_day = step >= DAY_SECONDS || time.rem_euclid(DAY_SECONDS * SECOND_MICROS) == 0;
        let text = date.format(if is_day { "%-d %b" } else { "%H:%M" });
        if at >= LEFT && at <= WIDTH - RIGHT {
            let anchor = if at > WIDTH - 30.0 { "end" } else { "middle" };
            let y = HEAD + HEIGHT - 7.0;
            append(out, format_args!("<text x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
        }
        time += step_micros;
    }
}

/// A line that breaks where nothing is known, or areas down to zero.
fn path(what: &Drawing, axis: &Axis, values: &[Option<f64>]) -> String {
    let mut out = String::new();
    let mut run: Vec<(f64, f64)> = Vec::new();
    let mut before = i64::MIN;
    for (time, value) in what.times.iter().zip(values) {
        let is_gap = value.is_none() || (before > i64::MIN && time - before > what.step_micros * 3 / 2);
        if is_gap {
            end(&mut out, &mut run, axis, what.is_stacked);
        }
        if let Some(value) = value {
            run.push((x(what.range, *time), axis.y(*value)));
        }
        before = *time;
    }
    end(&mut out, &mut run, axis, what.is_stacked);
    out
}

fn end(out: &mut String, run: &mut Vec<(f64, f64)>, axis: &Axis, is_area: bool) {
    let (Some(first), Some(last)) = (run.first().copied(), run.last().copied()) else { return };
    let zero = axis.y(0.0);
    if is_area {
        append(out, format_args!("M{:.1} {zero:.1}", first.0));
    }
    for (at, (x, y)) in run.drain(..).enumerate() {
        append(out, format_args!("{}{x:.1} {y:.1}", if at == 0 && !is_area { 'M' } else { 'L' }));
    }
    match is_area {
        true => append(out, format_args!("L{:.1} {zero:.1}Z", last.0)),
        // One point alone is a dot: its line has round ends.
        false if first == last => append(out, format_args!("h0")),
        false => {}
    }
}

struct Legend {
    text: String,
    height: f64,
}

fn legend(lines: &[(String, Vec<Option<f64>>)]) -> Legend {
    let (mut text, mut at, mut row) = (String::new(), 6.0, 0.0);
    for (position, (full, _)) in lines.iter().enumerate() {
        let name: String = full.chars().take(NAME_CHARS_MAX).collect();
        let width = name.chars().count() as f64 * LETTER + SWATCH;
        if at + width > WIDTH && at > 6.0 {
            (at, row) = (6.0, row + 1.0);
        }
        let y = HEAD + HEIGHT + row * LEGEND_LINE + 10.0;
        let colour = colour(full, position);
        append(
            &mut text,
            format_args!(
                "<rect x=\"{at:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\" rx=\"2\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 8.0,
                at + 13.0,
                escaped(&name)
            ),
        );
        at += width;
    }
    let height = if lines.is_empty() { 0.0 } else { (row + 1.0) * LEGEND_LINE + 4.0 };
    Legend { text, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * SECOND_MICROS;

    fn what(lines: Vec<(&str, Vec<Option<f64>>)>, is_stacked: bool) -> Drawing {
        Drawing {
            title: "a < b".to_owned(),
            scale: Scale { factor: 100.0, suffix: " %" },
            range: (0, 4 * HOUR),
            times: vec![0, HOUR, 3 * HOUR],
            step_micros: HOUR,
            lines: lines.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
            is_stacked,
            remark: None,
        }
    }

    #[test]
    fn gaps_are_gaps_and_text_is_text() {
        let svg = drawing(&what(vec![("x&y", vec![Some(0.1), Some(0.9), Some(0.5)])], false));
        // From 0 to 1, nothing at 2, and a dot at 3.
        let path = svg.split("d=\"").find(|part| part.contains("stroke-width=\"1.4\"")).unwrap_or_default();
        assert_eq!((path.matches('M').count(), path.matches('L').count(), path.matches("h0").count()), (2, 1, 1));
        assert!(svg.contains("a &lt; b") && svg.contains(">x&amp;y<") && svg.contains(">100 %<"), "{svg}");
        assert!(svg.contains(">02:00<"), "{svg}");
    }

    #[test]
    fn areas_lie_on_each_other_and_fit() {
        let what = what(vec![("a", vec![Some(0.5), None, None]), ("b", vec![Some(0.25), Some(0.5), None])], true);
        let mut lines = what.lines.clone();
        stack(&mut lines);
        assert_eq!(lines[1].1, [Some(0.75), Some(0.5), None]);
        let svg = drawing(&what);
        assert_eq!(svg.matches("Z\" fill=").count(), 2);
        assert!(drawing(&Drawing { lines: vec![], times: vec![], ..what }).ends_with("</svg>"));
    }
}
