//! Texts, and what is said of them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::super::shipped::SHIPPED;
use super::*;
use proptest::prelude::*;

const GOOD: &str = r#"title = "T"
description = "D"
needs = ["gpu_samples", "gpu_samples.tensor_active_ratio"]

[[variable]]
name = "step"
label = "Step"
kind = "step"

[[variable]]
name = "node"
label = "Node"
sql = "select distinct node from gpu_samples where time >= $1"
all = "All nodes"

[[panel]]
row = "R"
title = "P"
kind = "stacked"
unit = "bytes_per_second"
width = 12
sql = "select $1, $2, $3, $4"
promql = "sum(x)"
legend = "{{node}}"
thresholds = [{ at = 90, severity = "critical" }, { at = 8.5, severity = "warning" }]
"#;

#[test]
fn what_is_written_is_read() {
    let board = parse(GOOD).unwrap();
    assert_eq!((board.title.as_str(), board.needs.len()), ("T", 2));
    assert_eq!(board.needs[1].to_string(), "gpu_samples.tensor_active_ratio");
    assert_eq!(board.variables[0].choices, Choices::Step);
    assert_eq!(board.variables[0].unchosen(86_400).as_deref(), Some("300 seconds"));
    assert_eq!(board.variables[1].unchosen(1).as_deref(), Some(""));
    let panel = &board.panels[0];
    assert_eq!((panel.kind, panel.unit, panel.width, panel.line), (Kind::Stacked, Unit::BytesPerSecond, 12, 22));
    assert_eq!(panel.thresholds, [(8.5, Severity::Warning), (90.0, Severity::Critical)]);
}

/// The first fault of the good text with one part in place of another.
fn fault(part: &str, other: &str) -> (usize, String) {
    assert!(GOOD.contains(part), "{part:?} is not in the text");
    let faults = parse(&GOOD.replacen(part, other, 1)).unwrap_err();
    (faults[0].line, faults[0].what.clone())
}

#[test]
fn a_fault_has_its_line_and_says_what_would_be_right() {
    for (part, other, line, said) in [
        ("title = \"T\"", "titel = \"T\"", 1, "titel"),
        ("title = \"T\"", "title = 3", 1, "string"),
        ("title = \"T\"", "title = \" \"", 1, "empty"),
        ("\"gpu_samples\"", "\"gpu samples\"", 3, "table"),
        ("name = \"node\"", "name = \"step\"", 10, "another variable"),
        ("name = \"node\"", "name = \"No de\"", 11, "small letters"),
        ("kind = \"step\"", "kind = \"stop\"", 8, "step"),
        ("kind = \"step\"", "choices = []", 8, "1 to 200"),
        ("kind = \"step\"", "kind = \"step\"\ndefault = \"x\"", 9, "60 seconds"),
        ("all = \"All nodes\"", "choices = [\"a\"]", 10, "one of sql"),
        ("where time >= $1", "where time >= $3", 13, "$3 has no value"),
        ("unit = \"bytes_per_second\"", "unit = \"furlongs\"", 20, "bytes_per_second"),
        ("width = 12", "width = 13", 21, "1 to 12"),
        ("width = 12", "width = \"12\"", 21, "expected"),
        ("$3, $4\"", "$3, $5\"", 22, "$5 has no value"),
        ("promql = \"sum(x)\"\n", "", 23, "legend"),
        ("severity = \"warning\"", "severity = \"loud\"", 25, "warning"),
        ("at = 8.5, ", "at = nan, ", 25, "no number"),
        ("title = \"P\"", "title = \"P", 18, ""),
    ] {
        let (at, what) = fault(part, other);
        assert_eq!(at, line, "{other}: {what}");
        assert!(what.contains(said) && !what.contains('\n'), "{other}: {what}");
    }
    let none = parse("title = \"T\"\ndescription = \"D\"\n").unwrap_err();
    assert!(none[0].what.contains("[[panel]]"));
    let several = parse(&GOOD.replace("width = 12", "width = 0").replace("$4", "$7")).unwrap_err();
    assert_eq!(several.iter().map(|f| f.line).collect::<Vec<_>>(), [21, 22]);
    assert!(parse(&"#".repeat(TEXT_BYTES_MAX + 1)).is_err());
}

#[test]
fn every_dashboard_of_the_product_is_right() {
    for (name, text) in SHIPPED {
        let board = parse(text).unwrap_or_else(|faults| panic!("{name}.toml: {faults:?}"));
        assert!(!board.needs.is_empty(), "{name} would be offered to everybody");
    }
}

proptest! {
    /// Any damage to a good text is a fault within it, or none; never a panic.
    #[test]
    fn a_damaged_text_is_told_about(at in 0usize..GOOD.len(), length in 0usize..40, put in "[ -~\n]{0,12}") {
        let end = (at + length).min(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(faults) = parse(&text) {
            prop_assert!(!faults.is_empty());
            let lines = text.lines().count() + 1;
            prop_assert!(faults.iter().all(|f| f.line >= 1 && f.line <= lines && !f.what.is_empty()));
        }
    }

    #[test]
    fn any_text_is_read_or_told_about(text in "\\PC{0,200}") {
        prop_assert!(parse(&text).is_ok() || !parse(&text).unwrap_err().is_empty());
    }
}
