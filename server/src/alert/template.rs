//! Sentences with values in them: `GPU {gpu_uuid} draws {value:watts}`.

use super::labels::Labels;
use std::collections::BTreeMap;
use std::sync::Arc;

const TEXT_CHARS_MAX: usize = 2_000;
/// Name of the number that a rule is about.
const VALUE: &str = "value";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Plain,
    /// Of a ratio.
    Percent,
    Watts,
    Celsius,
    Bytes,
    /// Seconds.
    Duration,
    /// Micros of the ledger's currency.
    Money,
}

impl Unit {
    const ALL: [(&'static str, Self); 6] = [
        ("percent", Self::Percent),
        ("watts", Self::Watts),
        ("celsius", Self::Celsius),
        ("bytes", Self::Bytes),
        ("duration", Self::Duration),
        ("money", Self::Money),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, unit)| unit)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Named(Arc<str>, Unit),
}

/// A sentence with places for labels and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    parts: Vec<Part>,
}

impl Template {
    /// `{name}` and `{name:unit}` stand for values, `{{` and `}}` for braces. Else what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("it is longer than {TEXT_CHARS_MAX} characters"));
        }
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = after.find('}').filter(|_| brace == "{");
            let end = end.ok_or("a brace has no other: names are written {name}, braces {{ and }}")?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(named(&after[..end])?);
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { text: text.into(), parts })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names that it has places for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Named(name, _) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// The sentence. What is not known is said to be so.
    pub fn fill(&self, labels: &Labels, value: Option<f64>, numbers: &BTreeMap<Arc<str>, f64>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            let (name, unit) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Named(name, unit) => (name, *unit),
            };
            let number = if **name == *VALUE { value } else { numbers.get(name).copied() };
            match (labels.get(name), number) {
                (_, Some(number)) => out.push_str(&number_text(number, unit)),
                (Some(text), None) => out.push_str(text),
                (None, None) => out.push_str("unknown"),
            }
        }
        out
    }
}

fn named(inner: &str) -> Result<Part, String> {
    let (name, unit) = inner.split_once(':').map_or((inner, None), |(name, unit)| (name, Some(unit)));
    if !super::matcher::is_label_name(name) {
        return Err(format!("{{{inner}}} is no name in braces like {{node}} or {{value:percent}}"));
    }
    let unit = match unit {
        None => Unit::Plain,
        Some(unit) => Unit::parse(unit).ok_or_else(|| {
            let known = Unit::ALL.map(|(name, _)| name).join(", ");
            format!("{{{inner}}}: the unit is one of {known}")
        })?,
    };
    Ok(Part::Named(name.into(), unit))
}

fn number_text(number: f64, unit: Unit) -> String {
    if !number.is_finite() {
        return number.to_string();
    }
    match unit {
        Unit::Plain => digits(number),
        Unit::Percent => format!("{} %", digits(number * 100.0)),
        Unit::Watts => format!("{} W", digits(number)),
        Unit::Celsius => format!("{} °C", digits(number)),
        Unit::Bytes => bytes(number),
        Unit::Duration => duration(number),
        Unit::Money => format!("{:.2}", number / 1e6),
    }
}

/// Three digits, and no zeros behind the point.
fn digits(number: f64) -> String {
    let places = match number.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn bytes(number: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut number, mut unit) = (number, 0);
    while number.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(number), UNITS[unit])
}

fn duration(seconds: f64) -> String {
    const DAY: u64 = 86_400;
    let whole = seconds.abs().round() as u64;
    let sign = if seconds < 0.0 { "-" } else { "" };
    match whole {
        0..60 => format!("{} s", digits(seconds)),
        60..3_600 => format!("{sign}{} min", whole / 60),
        3_600..DAY => format!("{sign}{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{sign}{} d {} h", whole / DAY, whole % DAY / 3_600),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str, value: Option<f64>) -> String {
        let labels = Labels::from([("node".into(), "n1".into())]);
        let numbers = BTreeMap::from([("energy".into(), 3.5)]);
        Template::parse(text).unwrap().fill(&labels, value, &numbers)
    }

    #[test]
    fn values_have_their_units() {
        for (text, value, said) in [
            ("{node} is at {value:percent}", Some(0.256), "n1 is at 25.6 %"),
            ("{value:money} a day", Some(61_234_567.0), "61.23 a day"),
            ("{value:duration}", Some(7_260.0), "2 h 1 min"),
            ("{value:duration}", Some(0.25), "0.25 s"),
            ("{value:duration}", Some(180_000.0), "2 d 2 h"),
            ("{value:bytes}", Some(85_899_345_920.0), "80 GiB"),
            ("{value:celsius} and {energy}", Some(91.04), "91 °C and 3.5"),
            ("{{{value}}}", Some(1234.5), "{1234}"),
            ("{value} of {rack}", None, "unknown of unknown"),
            ("{value}", Some(f64::INFINITY), "inf"),
        ] {
            assert_eq!(filled(text, value), said, "{text}");
        }
        assert_eq!(Template::parse("{a} {b:watts}").unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
        for text in ["{", "}", "{a", "a}", "{}", "{a b}", "{a:miles}", "{:percent}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn plain_text_stays_as_it_is(text in "[^{}]{0,50}") {
            prop_assert_eq!(filled(&text, None), text);
        }

        #[test]
        fn no_text_and_no_number_panics(text in "[{}:a-z ]{0,30}", value in proptest::num::f64::ANY) {
            if let Ok(read) = Template::parse(&text) {
                read.fill(&Labels::new(), Some(value), &BTreeMap::new());
            }
            for (_, unit) in Unit::ALL {
                number_text(value, unit);
            }
        }
    }
}
