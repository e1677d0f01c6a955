//! `[[rule]]`.

use super::super::matcher::is_label_name;
use super::super::rule::{Asks, Missing, Rule, Severity, Threshold};
use super::super::template::Template;
use super::{NAME_CHARS_MAX, names, span};
use crate::alert::labels::{ALERTNAME, Labels, SEVERITY};
use crate::cost::{TomlDocument, TomlFields};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;
/// Nodes report each minute or more often.
const EVERY: (i64, (i64, i64)) = (MINUTE, (SECOND, DAY));
const OVER: (i64, (i64, i64)) = (10 * MINUTE, (SECOND, 400 * DAY));
const FOR: (i64, (i64, i64)) = (0, (0, 30 * DAY));
const KEEP_FIRING_FOR: (i64, (i64, i64)) = (0, (0, 30 * DAY));
const STATEMENT_BYTES_MAX: usize = 32 << 10;
const SENTENCES: [&str; 4] = ["summary", "description", "runbook", "owner"];

pub(super) fn rule<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Option<Rule> {
    let name_at = table.at_of("name").unwrap_or(table.at);
    let name = document.needed_text(&mut table, "name");
    if !name.is_empty() && (name.len() > NAME_CHARS_MAX || !is_label_name(&name)) {
        let what = format!("name has letters, digits and _, {NAME_CHARS_MAX} at most, like GpuLost");
        document.fault(name_at, what);
    }
    let asks = asks(document, &mut table);
    let threshold = threshold(document, &mut table);
    let over_micros = span(document, &mut table, "over", OVER.0, OVER.1);
    let every_micros = span(document, &mut table, "every", EVERY.0, EVERY.1);
    let for_micros = span(document, &mut table, "for", FOR.0, FOR.1);
    let keep_firing_micros = span(document, &mut table, "keep_firing_for", KEEP_FIRING_FOR.0, KEEP_FIRING_FOR.1);
    let missing = document.word(&mut table, "missing", &Missing::ALL);
    if !table.has("severity") {
        document.fault(table.at, "severity is missing: one of critical, error, warning, info".to_owned());
    }
    let severity = document.word(&mut table, "severity", &Severity::ALL.map(|severity| (severity.as_str(), severity)));
    let labels = labels(document, &mut table);
    let annotations = annotations(document, &mut table);
    let needs = names(document, &mut table, "needs").into_iter().map(|(_, name)| name).collect();
    let line = document.line_of(table.at);
    document.finish(table);
    Some(Rule {
        name,
        asks: asks?,
        threshold,
        over_micros,
        every_micros,
        for_micros,
        keep_firing_micros,
        missing: missing.unwrap_or(Missing::Keep),
        severity: severity?,
        labels,
        annotations,
        needs,
        line,
    })
}

fn asks<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> Option<Asks> {
    let at = table.at_of("sql").or(table.at_of("promql")).unwrap_or(table.at);
    let (sql, promql) = (document.text(table, "sql"), document.text(table, "promql"));
    let asks = match (sql, promql) {
        (Some(sql), None) => Asks::Sql(sql),
        (None, Some(promql)) => Asks::PromQl(promql),
        _ => {
            document.fault(at, "a rule has sql or promql, and not both".to_owned());
            return None;
        }
    };
    if asks.text().len() > STATEMENT_BYTES_MAX {
        document.fault(at, format!("a statement has at most {STATEMENT_BYTES_MAX} bytes"));
    }
    Some(asks)
}

fn threshold<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> Option<Threshold> {
    let at = table.at_of("below").unwrap_or(table.at);
    let (above, below) = (document.number(table, "above"), document.number(table, "below"));
    match (above, below) {
        (Some(_), Some(_)) => {
            document.fault(at, "a rule fires above or below a value, and not both".to_owned());
            None
        }
        (above, below) => above.map(Threshold::Above).or(below.map(Threshold::Below)),
    }
}

fn labels<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> Labels {
    let mut labels = Labels::new();
    for (at, name, value) in document.named_texts(table, "labels") {
        if [ALERTNAME, SEVERITY].contains(&&*name) {
            document.fault(at, format!("the label {name} is the rule's own"));
        } else if !is_label_name(&name) {
            document.fault(at, format!("{name:?} is no name of a label"));
        }
        labels.insert(name.into(), value.into());
    }
    labels
}

fn annotations<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> BTreeMap<Arc<str>, Template> {
    if !table.has(SENTENCES[0]) {
        document.fault(table.at, "summary is missing: a sentence like \"GPU {gpu_uuid} is lost\"".to_owned());
    }
    let mut annotations = BTreeMap::new();
    for name in SENTENCES {
        let at = table.at_of(name).unwrap_or(table.at);
        let Some(text) = document.text(table, name) else { continue };
        match Template::parse(&text) {
            Ok(template) => drop(annotations.insert(name.into(), template)),
            Err(what) => document.fault(at, format!("{name}: {what}")),
        }
    }
    annotations
}
