//! Conditions on labels, written as in Alertmanager: `team="ml"`, `node!~"r0[12]-.*"`.

use super::labels::Labels;
use regex::Regex;
use std::fmt;
use std::sync::Arc;

const PATTERN_BYTES_MAX: usize = 1_000;
/// Of a compiled pattern.
const PATTERN_MEMORY_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
enum Test {
    Is(Arc<str>),
    Fits(Regex),
}

/// One condition. A label that is not there is empty.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Arc<str>,
    test: Test,
    is_negated: bool,
    /// Without the quotation marks.
    value: Arc<str>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.operator(), &*self.value)
    }
}

impl Matcher {
    /// Exactly this value.
    pub fn is(name: &str, value: &str) -> Self {
        Self { name: name.into(), test: Test::Is(value.into()), is_negated: false, value: value.into() }
    }

    /// From a text like `team="ml"`; else what would have been right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no condition like team=\"ml\", with =, !=, =~ or !~ between");
        let end = text.find(['=', '!']).ok_or_else(wrong)?;
        let (name, rest) = (text[..end].trim(), &text[end..]);
        let (operator, value) = rest
            .split_at_checked(2)
            .filter(|(op, _)| ["!=", "=~", "!~"].contains(op))
            .unwrap_or((&rest[..1], &rest[1..]));
        if !is_label_name(name) || operator == "!" {
            return Err(wrong());
        }
        let value = unquoted(value.trim()).ok_or_else(wrong)?;
        Self::new(name, operator, &value)
    }

    /// From its parts; `operator` is one of `=`, `!=`, `=~`, `!~`.
    pub fn new(name: &str, operator: &str, value: &str) -> Result<Self, String> {
        if !is_label_name(name) {
            return Err(format!("{name:?} is no name of a label"));
        }
        let (is_pattern, is_negated) = match operator {
            "=" => (false, false),
            "!=" => (false, true),
            "=~" => (true, false),
            "!~" => (true, true),
            other => return Err(format!("{other:?} is none of =, !=, =~, !~")),
        };
        let test = if is_pattern { Test::Fits(whole(value)?) } else { Test::Is(value.into()) };
        Ok(Self { name: name.into(), test, is_negated, value: value.into() })
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", |value| value);
        let fits = match &self.test {
            Test::Is(wanted) => **wanted == *value,
            Test::Fits(pattern) => pattern.is_match(value),
        };
        fits != self.is_negated
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    pub fn operator(&self) -> &'static str {
        match (&self.test, self.is_negated) {
            (Test::Is(_), false) => "=",
            (Test::Is(_), true) => "!=",
            (Test::Fits(_), false) => "=~",
            (Test::Fits(_), true) => "!~",
        }
    }
}

/// Whether all of them hold; none is no condition.
pub(super) fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// As Prometheus has it.
pub(super) fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A pattern that has to fit the whole value.
fn whole(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
    }
    let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_MEMORY_MAX).build();
    // The message of the library draws the pattern over several lines.
    built.map_err(|_| format!("{pattern:?} is no regular expression"))
}

/// In quotation marks with `\"`, `\\` and `\n`, or bare.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains(['"', ',', '{', '}'])).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(value),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                // A pattern keeps its backslashes.
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn conditions_are_alertmanagers() {
        let ours = labels(&[("team", "ml"), ("node", "r01-n3")]);
        for (text, fits) in [
            ("team=\"ml\"", true),
            ("team=ml", true),
            ("team != \"ml\"", false),
            ("node=~\"r0[12]-.*\"", true),
            ("node=~\"r0\"", false),
            ("node!~\"r0\"", true),
            ("queue=\"\"", true),
            ("queue!=\"\"", false),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches(&ours), fits, "{text}");
        }
        for text in ["", "team", "=\"a\"", "1a=\"b\"", "team=\"a", "team=\"a\"b", "team!\"a\"", "a=~\"(\"", "a=b,c=d"] {
            assert!(Matcher::parse(text).is_err(), "{text:?}");
        }
        assert!(Matcher::new("a", "=~", &"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(value in "[ -~\n]{0,20}", operator in 0_usize..2) {
            let made = Matcher::new("a", ["=", "!="][operator], &value).unwrap();
            let read = Matcher::parse(&made.to_string()).unwrap();
            prop_assert_eq!(read.value(), made.value());
            prop_assert_eq!(read.operator(), made.operator());
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = Matcher::parse(&text).is_ok();
        }
    }
}
