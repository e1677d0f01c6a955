//! Numbers as text, and nowhere else. Three significant digits on pages; `exact_*` for hovers and exports. Pure.

pub(crate) mod money;

use crate::instant::{Civil, DAY, HOUR, MINUTE, SECOND, civil};
use contract::GpuState;

/// Shown for a null.
pub(crate) const NOT_REPORTED: &str = "not reported";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a column measures; decides how its values read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Ratio,
    Watts,
    Celsius,
    Bytes,
    BytesPerSecond,
    Hertz,
    Joules,
    Seconds,
    Hours,
    PerSecond,
    /// Millionths of a currency that is named once beside them.
    Micros,
    /// A number without a unit.
    Count,
}

impl Unit {
    /// Of a series, by the unit that the answer names.
    pub(crate) fn of_series(unit: &str) -> Self {
        match unit {
            "ratio" => Self::Ratio,
            "watts" | "joules_per_second" => Self::Watts,
            "celsius" => Self::Celsius,
            "bytes_per_second" => Self::BytesPerSecond,
            "bytes" => Self::Bytes,
            "hertz" => Self::Hertz,
            "joules" => Self::Joules,
            "seconds" => Self::Seconds,
            "hours" => Self::Hours,
            "per_second" => Self::PerSecond,
            "micros" => Self::Micros,
            _ => Self::Count,
        }
    }
}

/// A value with its unit.
pub(crate) fn value(unit: Unit, v: f64) -> String {
    match unit {
        Unit::Ratio => percent(v),
        Unit::Watts => scaled(v, "W"),
        Unit::Celsius => format!("{} °C", digits(v)),
        Unit::Bytes => bytes(v),
        Unit::BytesPerSecond => format!("{}/s", bytes(v)),
        Unit::Hertz => scaled(v, "Hz"),
        Unit::Joules => scaled(v, "J"),
        Unit::Seconds => seconds(v),
        Unit::Hours => format!("{} h", compact(v)),
        Unit::PerSecond => format!("{}/s", compact(v)),
        Unit::Micros => money::money(v.round() as i64),
        Unit::Count => compact(v),
    }
}

/// `35 ms`, `1.23 s`, then the two largest parts.
fn seconds(v: f64) -> String {
    match v.abs() {
        size if size > 0.0 && size < 1.0 => format!("{} ms", digits(v * 1000.0)),
        size if size < 60.0 => format!("{} s", digits(v)),
        _ if v < 0.0 => format!("−{}", duration((-v * SECOND as f64) as i64)),
        _ => duration((v * SECOND as f64) as i64),
    }
}

/// A value with its unit, or that it was not reported.
pub(crate) fn maybe(unit: Unit, v: Option<f64>) -> String {
    v.filter(|v| v.is_finite()).map_or_else(|| NOT_REPORTED.to_owned(), |v| value(unit, v))
}

/// A tick of a value axis: whole where it can be.
pub(crate) fn axis(unit: Unit, v: f64) -> String {
    let text = match unit {
        Unit::Ratio => return format!("{} %", (v * 100.0).round()),
        Unit::Bytes | Unit::BytesPerSecond => bytes(v),
        Unit::Celsius => return format!("{} °C", trimmed(&digits(v))),
        Unit::Micros => compact(v / 1e6),
        Unit::Seconds => short_duration(v),
        _ => value(unit, v),
    };
    match text.split_once(' ') {
        Some((number, symbol)) => format!("{} {symbol}", trimmed(number)),
        None => trimmed(&text).to_owned(),
    }
}

/// In one unit, as there is room for one beside an axis.
fn short_duration(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3_600.0;
    const DAY: f64 = 86_400.0;
    match seconds.abs() {
        s if s >= DAY => format!("{} d", digits(seconds / DAY)),
        s if s >= HOUR => format!("{} h", digits(seconds / HOUR)),
        s if s >= MINUTE => format!("{} min", digits(seconds / MINUTE)),
        _ => value(Unit::Seconds, seconds),
    }
}

/// Without zeros at the end of a fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A number for a table whose head names the unit: no unit, and an em dash is never used for null.
pub(crate) fn cell(unit: Unit, v: f64) -> String {
    match unit {
        Unit::Ratio => format!("{:.1}", v * 100.0),
        Unit::Bytes => digits(v / GIB),
        _ => digits(v),
    }
}

const GIB: f64 = (1u64 << 30) as f64;

/// Three significant digits without an exponent: `0.0123`, `1.23`, `12.3`, `123`, `1,234`.
pub(crate) fn digits(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".to_owned() } else { NOT_REPORTED.to_owned() };
    }
    let magnitude = v.abs().log10().floor() as i32;
    let mut decimals = (2 - magnitude).clamp(0, 6) as usize;
    // Rounding may carry into the next magnitude: 9.996 is 10.0, not 10.00.
    let rounded = format!("{v:.decimals$}").parse::<f64>().unwrap_or(v);
    if rounded != 0.0 && decimals > 0 && rounded.abs().log10().floor() as i32 > magnitude {
        decimals -= 1;
    }
    grouped(&format!("{v:.decimals$}"))
}

/// `1,234,567.5`: groups of three before the point.
fn grouped(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// `12.4k`, `3.1M`: three digits and a letter.
pub(crate) fn compact(v: f64) -> String {
    let (scaled, letter) = shortened(v, &["", "k", "M", "G", "T"]);
    format!("{}{letter}", digits(scaled))
}

fn shortened(v: f64, letters: &[&'static str]) -> (f64, &'static str) {
    let mut scaled = v;
    let mut letter = 0;
    // 999.5 would read 1,000.
    while scaled.abs() >= 999.5 && letter + 1 < letters.len() {
        scaled /= 1000.0;
        letter += 1;
    }
    (scaled, letters[letter])
}

fn scaled(v: f64, unit: &str) -> String {
    let (scaled, letter) = shortened(v, &["", "k", "M", "G", "T"]);
    format!("{} {letter}{unit}", digits(scaled))
}

/// A whole number in full, grouped.
pub(crate) fn count(n: u64) -> String {
    grouped(&n.to_string())
}

/// `1 node`, `2 nodes`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

pub(crate) fn percent(ratio: f64) -> String {
    let text = format!("{:.1} %", ratio * 100.0);
    if text == "-0.0 %" { "0.0 %".to_owned() } else { text.replace('-', "−") }
}

pub(crate) fn bytes(v: f64) -> String {
    let mut scaled = v;
    let mut letter = 0;
    let letters = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while scaled.abs() >= 999.5 && letter + 1 < letters.len() {
        scaled /= 1024.0;
        letter += 1;
    }
    format!("{} {}", digits(scaled), letters[letter])
}

/// `58.2 / 79.6 GiB`: memory in use and there is.
pub(crate) fn part_of(used: f64, total: f64) -> String {
    format!("{} / {} GiB", cell(Unit::Bytes, used), cell(Unit::Bytes, total))
}

/// `12.4k GPU-h`.
pub(crate) fn gpu_hours(hours: f64) -> String {
    format!("{} GPU-h", compact(hours))
}

/// Hours for a column, whose points lie one below the other: `12,431.0`.
pub(crate) fn hours(hours: f64) -> String {
    grouped(&format!("{hours:.1}"))
}

/// `812 kWh`, `1.24 MWh`.
pub(crate) fn energy(joules: f64) -> String {
    scaled(joules / 3600.0, "Wh")
}

/// `2 d 4 h`, `4 h 5 min`, `35 s`: the two largest parts.
pub(crate) fn duration(micros: i64) -> String {
    let total = micros.max(0);
    let parts =
        [(total / DAY, "d"), (total / HOUR % 24, "h"), (total / MINUTE % 60, "min"), (total / SECOND % 60, "s")];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}"));
    let text = shown.collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0 s".to_owned() } else { text }
}

/// The largest part alone: `12 s`, `4 min`, `3 h`, `2 d`.
pub(crate) fn age(micros: i64) -> String {
    let total = micros.max(0);
    let (n, unit) = match total {
        t if t < MINUTE => (t / SECOND, "s"),
        t if t < HOUR => (t / MINUTE, "min"),
        t if t < 2 * DAY => (t / HOUR, "h"),
        t => (t / DAY, "d"),
    };
    format!("{n} {unit}")
}

/// The page's words for a state.
pub(crate) fn state_label(state: GpuState) -> &'static str {
    match state {
        GpuState::Active => "active",
        GpuState::HeldIdle => "held, idle",
        GpuState::HeldEmpty => "held, empty",
        GpuState::Unallocated => "unallocated",
        GpuState::Down => "down",
        GpuState::Unknown => "unknown",
    }
}

/// `24 Nov 2026, 01:02:03 UTC`.
pub(crate) fn instant(micros: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = civil(micros);
    format!("{day} {} {year}, {hour:02}:{minute:02}:{second:02} UTC", MONTHS[(month - 1) as usize])
}

/// `24 Nov 2026`.
pub(crate) fn date(micros: i64) -> String {
    let Civil { year, month, day, .. } = civil(micros);
    format!("{day} {} {year}", MONTHS[(month - 1) as usize])
}

/// `24 Nov 01:02`.
pub(crate) fn short_instant(micros: i64) -> String {
    let Civil { month, day, hour, minute, .. } = civil(micros);
    format!("{day} {} {hour:02}:{minute:02}", MONTHS[(month - 1) as usize])
}

/// `24 Nov 01:02 – 03:04 UTC`; the second date only where it differs.
pub(crate) fn window(from: i64, to: i64) -> String {
    let end = civil(to);
    if from.div_euclid(DAY) == to.div_euclid(DAY) {
        return format!("{} – {:02}:{:02} UTC", short_instant(from), end.hour, end.minute);
    }
    format!("{} – {} UTC", short_instant(from), short_instant(to))
}

/// A label of a time axis with ticks this far apart.
pub(crate) fn tick(micros: i64, step: i64) -> String {
    let Civil { month, day, hour, minute, second, .. } = civil(micros);
    let date = || format!("{day} {}", MONTHS[(month - 1) as usize]);
    match step {
        s if s >= DAY => date(),
        _ if micros.rem_euclid(DAY) == 0 => date(),
        s if s >= MINUTE => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

/// How much more or less than before, as a ratio of before; nothing where that cannot be said.
pub(crate) fn change(now: f64, before: Option<f64>) -> Option<f64> {
    before.filter(|b| *b > 0.0).map(|b| now / b - 1.0)
}

/// From here on a change reads as a multiple: nobody compares `+137,033.3 %` with anything.
const MANY_TIMES: f64 = 9.995;

/// `+3.2 %`, `−1.0 %`, `±0.0 %`; a change from 1 to 50 is `50.0 times`.
pub(crate) fn signed_percent(ratio: f64) -> String {
    if ratio >= MANY_TIMES {
        return format!("{} times", digits(ratio + 1.0));
    }
    match percent(ratio) {
        text if text == "0.0 %" || text == "−0.0 %" => "±0.0 %".to_owned(),
        text if ratio > 0.0 => format!("+{text}"),
        text => text,
    }
}

/// `+1.2 points`: the difference of two shares.
pub(crate) fn points(difference: f64) -> String {
    let text = format!("{:+.1} points", difference * 100.0);
    text.replace('-', "−").replace("+0.0", "±0.0").replace("−0.0", "±0.0")
}

/// An error's text, which begins small and has no full stop, as a sentence of a page.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', '…']) || text.is_empty() { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// The beginning of a long id, for places where the whole stands elsewhere.
pub(crate) fn short_id(id: &str) -> String {
    const CHARS_MAX: usize = 16;
    if id.chars().count() <= CHARS_MAX {
        id.to_owned()
    } else {
        id.chars().take(CHARS_MAX - 1).collect::<String>() + "…"
    }
}

/// A file's name for rows about this window.
pub(crate) fn file_name(what: &str, from: i64, to: i64) -> String {
    let stamp = |t| crate::instant::rfc3339(t).replace([':', '-'], "").replace('Z', "");
    format!("coulomb-{what}-{}-{}.csv", stamp(from), stamp(to))
}

#[cfg(test)]
mod tests;
