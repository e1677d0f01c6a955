//! `label_replace` and `label_join`.

use super::super::super::QueryError;
use super::super::labels::Labels;
use super::super::node::Relabel;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::T_EQL_REGEX;

/// From the texts that follow the vector.
pub(super) fn of(name: &str, texts: Vec<String>) -> Result<Relabel, QueryError> {
    let invalid = |what: &str, text: &str| QueryError::Evaluation(format!("invalid {what} in {name}(): {text}"));
    let to = texts.first().cloned().unwrap_or_default();
    if !is_label(&to) {
        return Err(invalid("destination label name", &to));
    }
    let mut texts = texts.into_iter().skip(1);
    let mut text = || texts.next().unwrap_or_default();
    if name == "label_replace" {
        let (replacement, from, pattern) = (text(), text(), text());
        // A matcher's pattern is anchored at both ends, as is this function's.
        let matcher = Matcher::new_matcher(T_EQL_REGEX, from.clone(), pattern.clone());
        let pattern = Box::new(matcher.map_err(|_| invalid("regular expression", &pattern))?);
        return Ok(Relabel::Replace { to, replacement, from, pattern });
    }
    let separator = text();
    let from: Vec<String> = texts.collect();
    match from.iter().find(|label| !is_label(label)) {
        Some(label) => Err(invalid("source label name", label)),
        None => Ok(Relabel::Join { to, separator, from }),
    }
}

pub(in super::super) fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(in super::super) fn apply(how: &Relabel, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    match how {
        Relabel::Replace { to, replacement, from, pattern } => {
            let MatchOp::Re(pattern) = &pattern.op else { return labels };
            let mut value = String::new();
            if let Some(found) = pattern.captures(labels.get(from)) {
                found.expand(replacement, &mut value);
            } else {
                return labels;
            }
            labels.set(to, &value);
        }
        Relabel::Join { to, separator, from } => {
            let values: Vec<&str> = from.iter().map(|name| labels.get(name)).collect();
            let value = values.join(separator);
            labels.set(to, &value);
        }
    }
    labels
}
