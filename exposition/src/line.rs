//! One line of a page: a sample, or what is said of a metric.

use crate::time;
use std::borrow::Cow;

/// What a metric is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    /// Of OpenMetrics: buckets that may fall.
    GaugeHistogram,
    /// Also `info`, `stateset` and what a later standard may add.
    Other,
}

impl Kind {
    fn parse(text: &str) -> Self {
        match text {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "gaugehistogram" => Self::GaugeHistogram,
            _ => Self::Other,
        }
    }
}

/// A line that says something.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    Sample(Sample<'a>),
    Help {
        name: Cow<'a, str>,
        text: &'a str,
    },
    Type {
        name: Cow<'a, str>,
        kind: Kind,
    },
    Unit {
        name: Cow<'a, str>,
        unit: &'a str,
    },
    /// `# EOF`, the end of a page of OpenMetrics.
    End,
    /// Neither a sample nor a comment.
    Bad,
}

/// Name, labels, value and, where it has one, its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    pub name: Cow<'a, str>,
    /// In the order of the line; of a name that is there twice the last value.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// As it stands there.
    pub text: &'a str,
    pub value: f64,
    /// Unix microseconds.
    pub time_micros: Option<i64>,
}

impl Sample<'_> {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }
}

/// All lines that say something, with their numbers from 1.
pub fn lines(page: &str) -> impl Iterator<Item = (u64, Line<'_>)> {
    let numbered = (1..).zip(page.split('\n'));
    numbered.filter_map(|(number, line)| {
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        let read = if line.starts_with('#') { said(line)? } else { sample(line).map_or(Line::Bad, Line::Sample) };
        Some((number, read))
    })
}

/// What a line that begins with `#` says; nothing when it is a comment.
pub fn said(line: &str) -> Option<Line<'_>> {
    let rest = line.trim_start_matches('#').trim_start();
    if rest.trim_end() == "EOF" {
        return Some(Line::End);
    }
    let (word, rest) = rest.split_once([' ', '\t'])?;
    let (name, rest) = name(rest.trim_start())?;
    let text = rest.trim();
    match word {
        "HELP" => Some(Line::Help { name, text }),
        "TYPE" => Some(Line::Type { name, kind: Kind::parse(text) }),
        "UNIT" => Some(Line::Unit { name, unit: text }),
        _ => None,
    }
}

/// A name up to a blank, or a quoted one; and the rest.
fn name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| (Cow::Borrowed(&text[..end]), &text[end..]))
}

/// `name{label="value",…} 1.5 1700000000000`, or `{"name",label="value"} 1.5` when the name is no word. What follows
/// the time, an exemplar, is left out.
pub fn sample(line: &str) -> Option<Sample<'_>> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')))?;
    let (word, rest) = line.split_at(name_end);
    if word.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut name = (!word.is_empty()).then_some(Cow::Borrowed(word));
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest, &mut name)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let text = words.next()?;
    let value = number(text)?;
    let time_micros = match words.next() {
        None | Some("#") => None,
        Some(word) => Some(time::micros(word)?),
    };
    Some(Sample { name: name?, labels, text, value, time_micros })
}

/// A decimal, or one of the three that are no numbers.
fn number(text: &str) -> Option<f64> {
    let is_decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    if text.bytes().all(is_decimal) {
        // What is too large for a float is none.
        return text.parse().ok().filter(|value: &f64| value.is_finite());
    }
    let (sign, word) =
        text.strip_prefix('-').map_or((1.0, text.strip_prefix('+').unwrap_or(text)), |word| (-1.0, word));
    if word.eq_ignore_ascii_case("nan") && word.len() == text.len() {
        Some(f64::NAN)
    } else if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity") {
        Some(sign * f64::INFINITY)
    } else {
        None
    }
}

type Labels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What follows `{`, up to and without `}`; and the rest. A quoted text alone is the metric's name.
fn labels<'a>(mut rest: &'a str, metric: &mut Option<Cow<'a, str>>) -> Option<(Labels<'a>, &'a str)> {
    let mut labels: Labels<'a> = Vec::new();
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = if rest.starts_with('"') {
            let (text, after) = quoted(rest)?;
            match after.trim_start().strip_prefix('=') {
                Some(after) => (text, after),
                None if metric.is_none() => {
                    *metric = Some(text);
                    rest = after;
                    continue;
                }
                None => return None,
            }
        } else {
            let (name, after) = rest.split_once('=')?;
            let name = name.trim();
            if name.is_empty() || name.contains(['"', '{', '}', ',']) {
                return None;
            }
            (Cow::Borrowed(name), after)
        };
        let (value, after) = quoted(after.trim_start())?;
        match labels.iter_mut().find(|(n, _)| *n == name) {
            Some((_, before)) => *before = value,
            None => labels.push((name, value)),
        }
        rest = after;
    }
}

/// A text in quotes without its escapes; and the rest.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let end = inner.find(['"', '\\'])?;
    if inner.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&inner[..end]), &inner[end + 1..]));
    }
    let mut value = inner[..end].to_owned();
    let mut chars = inner[end..].chars();
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
}
