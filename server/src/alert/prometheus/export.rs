//! Rules in PromQL as a rule file that Prometheus loads.

use super::super::rule::{Asks, Missing, Rule, Threshold};
use super::sentence;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Of rules by the texts that they are of: a group for each text and pace. What is asked in SQL is named in comments.
pub fn exported<'a>(rules: impl IntoIterator<Item = (&'a str, &'a Rule)>) -> String {
    let mut groups: BTreeMap<(&str, i64), Vec<&Rule>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (text, rule) in rules {
        match rule.asks {
            Asks::PromQl(_) => groups.entry((text, rule.every_micros)).or_default().push(rule),
            Asks::Sql(_) => left_out.push(format!("{} ({text}.toml line {})", rule.name, rule.line)),
        }
    }
    let mut out = "# Rules of Coulomb in PromQL.\n".to_owned();
    if !left_out.is_empty() {
        out.push_str("# Asked in SQL, and not here:\n");
        left_out.iter().for_each(|rule| out.push_str(&format!("#   {rule}\n")));
    }
    if groups.is_empty() {
        return out + "groups: []\n";
    }
    out.push_str("groups:\n");
    for ((text, every_micros), rules) in groups {
        let seconds = every_micros / 1_000_000;
        out.push_str(&format!("- name: {}\n  interval: {seconds}s\n  rules:\n", quoted(&format!("{text}-{seconds}s"))));
        for rule in rules {
            write(&mut out, rule).expect("a text takes all");
        }
    }
    out
}

fn write(out: &mut String, rule: &Rule) -> std::fmt::Result {
    if rule.missing != Missing::Resolve && rule.threshold.is_some() {
        writeln!(out, "  # Here a value that is missing is over; the rule would go on.")?;
    }
    let expr = match rule.threshold {
        None => rule.asks.text().to_owned(),
        Some(Threshold::Above(limit)) => format!("({}) > {limit}", rule.asks.text()),
        Some(Threshold::Below(limit)) => format!("({}) < {limit}", rule.asks.text()),
    };
    writeln!(out, "  - alert: {}\n    expr: {}", quoted(&rule.name), quoted(&expr))?;
    for (name, micros) in [("for", rule.for_micros), ("keep_firing_for", rule.keep_firing_micros)] {
        if micros > 0 {
            writeln!(out, "    {name}: {}s", micros / 1_000_000)?;
        }
    }
    writeln!(out, "    labels:\n      severity: {}", rule.severity.as_str())?;
    for (name, value) in &rule.labels {
        // A label is a template, too.
        writeln!(out, "      {name}: {}", quoted(&value.replace("{{", "{{ \"{{\" }}")))?;
    }
    writeln!(out, "    annotations:")?;
    for (name, template) in &rule.annotations {
        let name = if &**name == "runbook" { "runbook_url" } else { name };
        writeln!(out, "      {name}: {}", quoted(&sentence::given(template.text())))?;
    }
    Ok(())
}

/// A string of JSON is one of YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
