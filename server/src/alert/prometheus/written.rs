//! Rules as a text of ours.

use super::rules::Taken;
use std::fmt::Write as _;

/// A text that `Stated::parse` reads: a table for each rule, in their order.
pub(super) fn text(rules: &[Taken]) -> String {
    let mut text = "# Taken over from a rule file of Prometheus.\n".to_owned();
    for rule in rules {
        write(&mut text, rule).expect("a text takes all");
    }
    text
}

fn write(text: &mut String, rule: &Taken) -> std::fmt::Result {
    writeln!(text, "\n[[rule]]\nname = {}", quoted(&rule.name))?;
    writeln!(text, "promql = {}", quoted(&rule.expr))?;
    writeln!(text, "every = {}", quoted(&span(rule.every_seconds)))?;
    for (name, seconds) in [("for", rule.for_seconds), ("keep_firing_for", rule.keep_firing_seconds)] {
        if seconds > 0 {
            writeln!(text, "{name} = {}", quoted(&span(seconds)))?;
        }
    }
    writeln!(text, "severity = {}", quoted(rule.severity))?;
    if !rule.labels.is_empty() {
        let labels = rule.labels.iter().map(|(name, value)| format!("{name} = {}", quoted(value)));
        writeln!(text, "labels = {{ {} }}", labels.collect::<Vec<_>>().join(", "))?;
    }
    for (name, sentence) in &rule.sentences {
        writeln!(text, "{name} = {}", quoted(sentence))?;
    }
    Ok(())
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => drop(write!(out, "\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// As `1h30m`.
fn span(seconds: u64) -> String {
    let units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let mut left = seconds;
    let mut text = String::new();
    for (unit, size) in units {
        if left >= size {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
