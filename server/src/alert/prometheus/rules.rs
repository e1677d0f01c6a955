//! Groups of rules, as far as they have a counterpart here.

use super::super::matcher::is_label_name;
use super::super::stated::{Stated, TEXT_BYTES_MAX};
use super::document::{Node, Value, read};
use super::{sentence, written};
use crate::cost::LineFault;
use std::collections::{BTreeMap, BTreeSet};

/// Prometheus's own, where nobody says it.
const EVERY_SECONDS: u64 = 60;
const NAME_CHARS_MAX: usize = 90;
/// Where a rule has no severity, or one of another vocabulary.
const SEVERITY: &str = "warning";
/// Words that people use, and ours.
const SEVERITIES: [(&str, &[&str]); 4] = [
    ("critical", &["critical", "page", "emergency", "fatal", "disaster"]),
    ("error", &["error", "high", "major"]),
    ("warning", &["warning", "warn", "minor", "medium", "ticket"]),
    ("info", &["info", "information", "informational", "notice", "low", "none"]),
];
const GROUP_KEYS: [&str; 6] = ["name", "interval", "rules", "labels", "limit", "query_offset"];
const RULE_KEYS: [&str; 7] = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// What becomes of a rule that has no counterpart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untaken {
    /// Nothing is taken over.
    Refused,
    /// The others are, and it is noted.
    LeftOut,
}

/// A rule file as a text of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    pub text: String,
    /// Line of each rule in the rule file, in the order of the text.
    pub lines: Vec<usize>,
    /// What is another than it was, by line of the rule file.
    pub notes: Vec<LineFault>,
}

/// A rule in our words.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) expr: String,
    pub(super) every_seconds: u64,
    pub(super) for_seconds: u64,
    pub(super) keep_firing_seconds: u64,
    pub(super) severity: &'static str,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) sentences: BTreeMap<&'static str, String>,
}

/// What was found wrong, and what is worth to know.
#[derive(Default)]
struct Findings {
    faults: Vec<LineFault>,
    notes: Vec<LineFault>,
}

impl Findings {
    fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faults.push(LineFault { line, what: what.into() });
    }

    fn note(&mut self, line: usize, what: impl Into<String>) {
        self.notes.push(LineFault { line, what: what.into() });
    }
}

/// Takes a rule file over; else every fault with its line.
pub fn convert(text: &str, untaken: Untaken) -> Result<Converted, Vec<LineFault>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(vec![LineFault { line: 1, what: format!("the file is larger than {TEXT_BYTES_MAX} bytes") }]);
    }
    let root = read(text).map_err(|fault| vec![fault])?;
    let mut findings = Findings::default();
    let mut rules = Vec::new();
    let top = fields(&root, "a rule file", &["groups"], &mut findings);
    let groups = top.iter().find(|(name, _)| *name == "groups").map(|(_, node)| *node);
    match groups.map(|node| (&node.value, node.line)) {
        Some((Value::List(groups), _)) => {
            for node in groups {
                group(node, untaken, &mut rules, &mut findings);
            }
        }
        Some((_, line)) => findings.fault(line, "groups is a list"),
        None => findings.fault(root.line, "groups is missing: a list of groups with their rules"),
    }
    named_apart(&mut rules, &mut findings);
    if !findings.faults.is_empty() {
        findings.faults.sort();
        return Err(findings.faults);
    }
    findings.notes.sort();
    let (text, lines) = (written::text(&rules), rules.iter().map(|rule| rule.line).collect::<Vec<_>>());
    let converted = Converted { text, lines, notes: findings.notes };
    // Bounds of our own: a pace of a day at most, sentences that people read.
    match Stated::parse(&converted.text) {
        Ok(_) => Ok(converted),
        Err(faults) => Err(converted.told(faults)),
    }
}

impl Converted {
    /// Faults of the text by the lines of the rule file.
    pub fn told(&self, faults: Vec<LineFault>) -> Vec<LineFault> {
        let told = faults.into_iter().map(|fault| {
            let tables = self.text.lines().take(fault.line).filter(|line| *line == "[[rule]]").count();
            let line = tables.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(1);
            LineFault { line, what: fault.what }
        });
        told.collect()
    }
}

fn group(node: &Node, untaken: Untaken, rules: &mut Vec<Taken>, findings: &mut Findings) {
    let fields = fields(node, "a group", &GROUP_KEYS, findings);
    let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, node)| *node);
    if field("name").is_none() {
        findings.fault(node.line, "name of the group is missing");
    }
    let every_seconds = field("interval").map_or(EVERY_SECONDS, |node| seconds(node, "interval", findings));
    if every_seconds == 0 {
        findings.fault(field("interval").map_or(node.line, |n| n.line), "interval is at least a second");
    }
    for name in ["limit", "query_offset"] {
        if let Some(node) = field(name).filter(|node| !is_zero(node)) {
            findings.fault(node.line, format!("{name} has no counterpart here"));
        }
    }
    let common = field("labels").map(|node| texts(node, "labels", findings)).unwrap_or_default();
    let list = match field("rules").map(|node| &node.value) {
        Some(Value::List(list)) => list.as_slice(),
        None | Some(Value::Nothing) => &[],
        Some(_) => {
            findings.fault(node.line, "rules is a list");
            &[]
        }
    };
    for node in list {
        let mut own = Findings::default();
        let taken = rule(node, every_seconds, &common, &mut own);
        findings.notes.append(&mut own.notes);
        match (own.faults.is_empty(), untaken) {
            (true, _) => rules.extend(taken),
            (false, Untaken::Refused) => findings.faults.append(&mut own.faults),
            (false, Untaken::LeftOut) => {
                let left = own.faults.into_iter();
                findings.notes.extend(left.map(|f| LineFault { line: f.line, what: format!("left out: {}", f.what) }));
            }
        }
    }
}

fn rule(node: &Node, every_seconds: u64, common: &[(usize, String, String)], findings: &mut Findings) -> Option<Taken> {
    let fields = fields(node, "a rule", &RULE_KEYS, findings);
    let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, node)| *node);
    if let Some(record) = field("record") {
        findings.fault(record.line, "recording rules are not taken: put the expression into the rules that use it");
        return None;
    }
    let Some((alert, expr)) = field("alert").zip(field("expr")) else {
        findings.fault(node.line, "a rule has alert and expr");
        return None;
    };
    let name = text(alert, "alert", findings)?;
    let expr = text(expr, "expr", findings)?.trim().to_owned();
    let span = |name: &str, findings: &mut Findings| field(name).map_or(0, |node| seconds(node, name, findings));
    let (for_seconds, keep_firing_seconds) = (span("for", findings), span("keep_firing_for", findings));
    let own = field("labels").map(|node| texts(node, "labels", findings)).unwrap_or_default();
    let mut labels = BTreeMap::new();
    let mut said = None;
    for (line, name, value) in common.iter().chain(&own) {
        if value.contains("{{") {
            findings.fault(*line, format!("labels.{name} is a template, and labels are plain texts here"));
        } else if name == "severity" {
            said = Some((*line, value.clone()));
        } else if name == "alertname" || !is_label_name(name) {
            findings.fault(*line, format!("labels.{name} cannot be stated here"));
        } else {
            labels.insert(name.clone(), value.clone());
        }
    }
    let severity = severity(alert.line, said, findings);
    let sentences = sentences(&name, alert.line, field("annotations"), findings);
    let name = plain_name(&name, alert.line, findings);
    let line = node.line;
    Some(Taken { line, name, expr, every_seconds, for_seconds, keep_firing_seconds, severity, labels, sentences })
}

fn severity(line: usize, said: Option<(usize, String)>, findings: &mut Findings) -> &'static str {
    let Some((line, word)) = said else {
        findings.note(line, format!("it has no severity, and is a {SEVERITY} here"));
        return SEVERITY;
    };
    let lower = word.to_ascii_lowercase();
    let found = SEVERITIES.iter().find(|(_, words)| words.contains(&lower.as_str())).map(|(ours, _)| *ours);
    let ours = found.unwrap_or(SEVERITY);
    if ours != word {
        findings.note(line, format!("severity {word:?} is {ours:?} here"));
    }
    ours
}

fn sentences(
    name: &str,
    line: usize,
    annotations: Option<&Node>,
    findings: &mut Findings,
) -> BTreeMap<&'static str, String> {
    let mut sentences: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut others = Vec::new();
    let stated = annotations.map(|node| texts(node, "annotations", findings)).unwrap_or_default();
    for (line, name, value) in stated {
        let read = match sentence::taken(value.trim()) {
            Ok(read) => read,
            Err(why) => {
                findings.fault(line, format!("annotations.{name}: {why}"));
                continue;
            }
        };
        if read.is_empty() {
            continue;
        }
        let ours = match name.as_str() {
            "summary" | "title" => "summary",
            "description" | "message" => "description",
            "runbook" | "runbook_url" => "runbook",
            "owner" => "owner",
            _ => {
                others.push((name, read));
                continue;
            }
        };
        if let Some(before) = sentences.insert(ours, read) {
            others.push((name, before));
        }
    }
    for (name, read) in others {
        let description = sentences.entry("description").or_default();
        let between = if description.is_empty() { "" } else { "\n" };
        description.push_str(&format!("{between}{name}: {read}"));
    }
    if !sentences.contains_key("summary") {
        findings.note(line, "it has no summary, and says its name");
        sentences.insert("summary", name.replace('{', "{{").replace('}', "}}"));
    }
    sentences
}

/// A name in letters, digits and `_`.
fn plain_name(name: &str, line: usize, findings: &mut Findings) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut ours: String = name.trim().chars().map(plain).take(NAME_CHARS_MAX).collect();
    if ours.starts_with(|c: char| c.is_ascii_digit()) || ours.is_empty() {
        ours.insert(0, '_');
    }
    if ours != name {
        findings.note(line, format!("{name:?} is called {ours} here"));
    }
    ours
}

/// Names are unique here: of two the second has its severity behind it, or a number.
fn named_apart(rules: &mut [Taken], findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for rule in rules {
        let base = rule.name.clone();
        let by_severity = format!("{base}{}{}", rule.severity[..1].to_ascii_uppercase(), &rule.severity[1..]);
        let mut others = std::iter::once(by_severity).chain((2..).map(|number| format!("{base}{number}")));
        while !names.insert(rule.name.clone()) {
            rule.name = others.next().unwrap_or_default();
        }
        if rule.name != base {
            findings.note(rule.line, format!("there is a rule {base} before it, so it is called {} here", rule.name));
        }
    }
}

/// A mapping by its names; what nobody knows is a fault.
fn fields<'n>(node: &'n Node, what: &str, known: &[&str], findings: &mut Findings) -> Vec<(&'n str, &'n Node)> {
    let Value::Map(entries) = &node.value else {
        findings.fault(node.line, format!("{what} is a mapping with {}", known.join(", ")));
        return Vec::new();
    };
    let mut named = Vec::new();
    for (key, value) in entries {
        match &key.value {
            Value::Text(name) if known.contains(&name.as_str()) => named.push((name.as_str(), value)),
            Value::Text(name) => {
                findings.fault(key.line, format!("{name:?} is not known here; {what} has {}", known.join(", ")));
            }
            _ => findings.fault(key.line, format!("a name of {what} is a text")),
        }
    }
    named
}

fn text(node: &Node, name: &str, findings: &mut Findings) -> Option<String> {
    match &node.value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => {
            findings.fault(node.line, format!("{name} is a text"));
            None
        }
    }
}

/// Texts by name, each with its line.
fn texts(node: &Node, name: &str, findings: &mut Findings) -> Vec<(usize, String, String)> {
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Nothing => &[],
        _ => {
            findings.fault(node.line, format!("{name} is a mapping of texts"));
            &[]
        }
    };
    let mut texts = Vec::new();
    for (key, value) in entries {
        match (&key.value, &value.value) {
            (Value::Text(key_text), Value::Text(text)) => texts.push((key.line, key_text.clone(), text.clone())),
            (Value::Text(key_text), Value::Nothing) => texts.push((key.line, key_text.clone(), String::new())),
            _ => findings.fault(key.line, format!("{name} has texts by name")),
        }
    }
    texts
}

fn is_zero(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.trim_end_matches(char::is_alphabetic) == "0")
}

/// A span as Prometheus writes it: `1h30m`, `5m`, `0`.
fn seconds(node: &Node, name: &str, findings: &mut Findings) -> u64 {
    let read = match &node.value {
        Value::Text(text) => milliseconds(text),
        _ => None,
    };
    match read {
        Some(millis) if millis % 1_000 == 0 => millis / 1_000,
        Some(_) => {
            findings.fault(node.line, format!("{name} is finer than a second"));
            0
        }
        None => {
            findings.fault(node.line, format!("{name} is a span like 30s, 5m or 1h30m"));
            0
        }
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let (mut rest, mut sum) = (text.trim(), 0_u64);
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum = number.checked_mul(*size)?.checked_add(sum)?;
        rest = &rest[unit.len()..];
    }
    (!text.trim().is_empty()).then_some(sum)
}
