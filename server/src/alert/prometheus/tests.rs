//! Rule files as people write them, what has no counterpart, and texts that nobody should believe.

use super::super::stated::Stated;
use super::*;
use crate::alert::{Asks, Severity};
use proptest::prelude::*;

const GOOD: &str = r#"groups:
- name: gpus
  interval: 30s
  rules:
  - alert: GpuHot
    expr: coulomb_gpu_temperature_celsius > 90
    for: 1h30m
    keep_firing_for: 5m
    labels:
      severity: page
      team: infra
    annotations:
      summary: "{{ $labels.gpu_uuid }} is at {{ printf \"%.1f\" $value }} °C {set}"
      description: |
        {{ .Labels.node }} has {{ $value | humanize1024 }}B left, {{- "-" -}}  {{ $value | humanizePercentage }}
      runbook_url: https://runbooks.example.org/hot
      dashboard: https://example.org/d/1
  - alert: GpuHot
    expr: |
      max by (node) (coulomb_gpu_temperature_celsius) > 80
    labels: { severity: warning }
- name: rest
  rules:
  - alert: "GPU is away!"
    expr: absent(coulomb_gpu_busy_ratio)
"#;

fn refused(text: &str) -> Vec<String> {
    convert(text, Untaken::Refused).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_file_becomes_a_text_of_ours() {
    let converted = convert(GOOD, Untaken::Refused).unwrap();
    let stated = Stated::parse(&converted.text).unwrap();
    assert_eq!(converted.lines, [5, 18, 24]);
    let names: Vec<&str> = stated.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["GpuHot", "GpuHotWarning", "GPU_is_away_"]);
    let rule = &stated.rules[0];
    assert_eq!(rule.asks, Asks::PromQl("coulomb_gpu_temperature_celsius > 90".into()));
    let seconds = |micros: i64| micros / 1_000_000;
    let spans = (seconds(rule.every_micros), seconds(rule.for_micros), seconds(rule.keep_firing_micros));
    assert_eq!(spans, (30, 5_400, 300));
    assert_eq!((rule.severity, rule.labels.len(), rule.threshold), (Severity::Critical, 1, None));
    let said = |name: &str| rule.annotations[name].text().to_owned();
    assert_eq!(said("summary"), "{gpu_uuid} is at {value} °C {{set}}");
    assert_eq!(
        said("description"),
        "{node} has {value:bytes} left,-{value:percent}\ndashboard: https://example.org/d/1"
    );
    assert_eq!(said("runbook"), "https://runbooks.example.org/hot");
    assert_eq!((seconds(stated.rules[2].every_micros), stated.rules[2].severity), (60, Severity::Warning));
    let notes: Vec<String> = converted.notes.iter().map(ToString::to_string).collect();
    for (line, what) in
        [(10, "\"page\""), (18, "GpuHotWarning"), (24, "no severity"), (24, "no summary"), (24, "GPU_is_away_")]
    {
        let found = notes.iter().any(|note| note.starts_with(&format!("line {line}:")) && note.contains(what));
        assert!(found, "line {line}, {what}: {notes:#?}");
    }
}

#[test]
fn what_has_no_counterpart_is_told_by_its_line() {
    let rule = |more: &str| format!("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    {more}\n");
    for (text, line, what) in [
        ("groups:\n- name: a\n  rules:\n  - record: a:b\n    expr: up\n".to_owned(), 4, "recording rules"),
        (rule("annotations: { summary: '{{ if $value }}x{{ end }}' }"), 6, "has no counterpart"),
        (rule("annotations: { summary: '{{ $externalLabels.a }}' }"), 6, "has no counterpart"),
        (rule("annotations: { summary: '{{ query \"up\" | first }}' }"), 6, "has no counterpart"),
        (rule("annotations: { summary: '{{ $labels.value }}' }"), 6, "has no counterpart"),
        (rule("annotations: { summary: '{{ $value' }"), 6, "does not close"),
        (rule("labels: { team: '{{ $labels.team }}' }"), 6, "is a template"),
        (rule("labels: { alertname: b }"), 6, "cannot be stated"),
        (rule("for: soon"), 6, "a span like"),
        (rule("for: 10ms"), 6, "finer than a second"),
        (rule("colour: red"), 6, "\"colour\" is not known"),
        (rule("for: 1y"), 4, "between 0 and"),
        ("groups:\n- name: a\n  interval: 0s\n".to_owned(), 3, "at least a second"),
        ("groups:\n- rules: []\n".to_owned(), 2, "name of the group"),
        ("groups:\n- name: a\n  limit: 3\n".to_owned(), 3, "limit has no counterpart"),
        ("groups: 3\n".to_owned(), 1, "groups is a list"),
        ("rules: []\n".to_owned(), 1, "\"rules\" is not known"),
        ("groups:\n- name: [\n".to_owned(), 0, "cannot be read as YAML"),
    ] {
        let told = refused(&text);
        let found = told.iter().any(|t| (line == 0 || t.starts_with(&format!("line {line}:"))) && t.contains(what));
        assert!(found, "{text}\n{told:#?}");
    }
}

#[test]
fn what_has_no_counterpart_can_be_left_out() {
    let text = format!("{GOOD}  - record: a:b\n    expr: up\n  - alert: C\n    expr: up\n    for: soon\n");
    assert_eq!(refused(&text).len(), 2);
    let converted = convert(&text, Untaken::LeftOut).unwrap();
    let left: Vec<_> = converted.notes.iter().filter(|note| note.what.starts_with("left out: ")).collect();
    assert_eq!((converted.lines.len(), left.len()), (3, 2), "{left:?}");
}

#[test]
fn aliases_are_read_and_do_not_make_much_of_little() {
    let text = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    labels: &l { severity: info }\n  \
                - alert: B\n    expr: up\n    labels: *l\n";
    assert_eq!(Stated::parse(&convert(text, Untaken::Refused).unwrap().text).unwrap().rules.len(), 2);
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    bomb.push_str("groups: *a11\n");
    let begun = std::time::Instant::now();
    assert!(refused(&bomb)[0].contains("cannot be read as YAML"), "{:?}", refused(&bomb));
    assert!(begun.elapsed().as_secs() < 5);
    let deep = format!("groups: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    assert!(refused(&deep)[0].contains("cannot be read as YAML"));
    assert!(refused(&" ".repeat(300 << 10))[0].contains("larger than"));
}

#[test]
fn our_rules_are_written_for_prometheus_and_read_back() {
    let text = r#"
[[rule]]
name = "Hot"
promql = 'max by (node) (coulomb_gpu_temperature_celsius{node="a"})'
above = 88.5
for = "5m"
severity = "error"
labels = { team = "{{x" }
summary = "{node} is at {value:celsius}, {{so}} {value:percent} {value:bytes} {value:duration}"
runbook = "https://example.org"

[[rule]]
name = "InSql"
sql = "select 1 as value"
severity = "info"
summary = "x"
"#;
    let stated = Stated::parse(text).unwrap();
    let written = exported(stated.rules.iter().map(|rule| ("mine", rule)));
    assert!(written.contains("#   InSql (mine.toml line 12)"), "{written}");
    let converted = convert(&written, Untaken::Refused);
    // A label with a template's braces is the one thing that does not come back.
    assert!(converted.unwrap_err().iter().all(|fault| fault.what.contains("labels.team")));
    let converted = convert(&written.replace("{{ \\\"{{\\\" }}x", "x"), Untaken::Refused).unwrap();
    let again = Stated::parse(&converted.text).unwrap();
    assert_eq!(again.rules.len(), 1);
    assert_eq!(&*again.rules[0].name, "Hot");
    assert_eq!(again.rules[0].asks.text(), "(max by (node) (coulomb_gpu_temperature_celsius{node=\"a\"})) > 88.5");
    let said = again.rules[0].annotations["summary"].text();
    assert_eq!(said, "{node} is at {value} °C, {{so}} {value:percent} {value:bytes} {value:duration}");
    assert_eq!(exported([]), "# Rules of Coulomb in PromQL.\ngroups: []\n");
}

proptest! {
    /// A right file with a piece taken out or put in anywhere: a text that is right, or faults; never a panic.
    #[test]
    fn no_file_panics(at in 0_usize..GOOD.len(), length in 0_usize..40, with in "[{}\\[\\]&*|>:%\"' a-z0-9\n-]{0,8}") {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(GOOD.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &with);
        }
        for untaken in [Untaken::Refused, Untaken::LeftOut] {
            if let Ok(converted) = convert(&text, untaken) {
                prop_assert!(Stated::parse(&converted.text).is_ok(), "{}", converted.text);
            }
        }
    }

    #[test]
    fn no_sentence_panics_and_plain_ones_come_back(text in ".{0,60}", actions in "[{}$.|\"` a-zA-Z%0-9-]{0,60}") {
        drop(sentence::taken(&actions));
        drop(sentence::taken(&format!("{{{{ {actions} }}}}")));
        if !text.contains("{{") {
            let ours = sentence::taken(&text).unwrap();
            let back = sentence::taken(&sentence::given(&ours)).unwrap();
            prop_assert_eq!(back, ours);
        }
    }
}
