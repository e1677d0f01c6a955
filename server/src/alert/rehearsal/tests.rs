//! Cases that are right, faults with their lines, and the notation of series.

use super::super::state::{Instance, Phase};
use super::*;
use proptest::prelude::*;

const GOOD: &str = r#"
rules = ["../hardware.toml"]
start = "2026-03-01T00:00:00Z"

[[default]]
table = "gpu_samples"
row = { cluster = "c", node = "n1", interval_seconds = 60.0 }

[[case]]
name = "a GPU that is hot"
rules = ["GpuHot"]

[[case.load]]
table = "gpu_samples"
at = "-10m"
every = "30s"
row = { gpu_uuid = "g" }
series = { temperature_celsius = "60+10x2 _ 91x2", process_count = "1" }

[[case.load]]
table = "device_events"
rows = [{ at = "-1m", kind = "lost", code = 79 }, { kind = "xid" }]
every = "5m"
times = 2

[[case.eval]]
at = "10m"
alerts = [{ rule = "GpuHot", state = "pending", labels = { node = "n1" }, value = 91, summary = "hot" }]

[[case.eval]]
at = "0s"
alerts = []
"#;

#[test]
fn a_file_has_cases_with_rows_and_times() {
    let script = Script::parse(GOOD).unwrap();
    assert_eq!((&*script.rules[0], script.start_micros), ("../hardware.toml", 1_772_323_200_000_000));
    let case = &script.cases[0];
    assert_eq!((&*case.name, case.only.len(), case.line), ("a GPU that is hot", 1, 9));
    let minutes = |played: &Played| played.at_micros as f64 / 60e6;
    let gpus: Vec<_> = case.rows.iter().filter(|played| *played.table == *"gpu_samples").collect();
    let hot: Vec<_> = gpus.iter().map(|p| (minutes(p), p.row["temperature_celsius"].as_i64())).collect();
    let all = [(-10.0, 60), (-9.5, 70), (-9.0, 80), (-8.0, 91), (-7.5, 91), (-7.0, 91)];
    assert_eq!(hot, all.map(|(minute, value)| (minute, Some(value))));
    assert_eq!((&gpus[0].row["node"], &gpus[0].row["gpu_uuid"]), (&"n1".into(), &"g".into()));
    let events: Vec<_> = case.rows.iter().filter(|p| *p.table == *"device_events").map(minutes).collect();
    assert_eq!(events, [-1.0, 4.0, 0.0, 5.0]);
    assert_eq!(
        case.evals.iter().map(|eval| (eval.at_micros / 60_000_000, eval.line)).collect::<Vec<_>>(),
        [(0, 30), (10, 26)]
    );
    let expected = &case.evals[1].alerts[0];
    assert_eq!(expected.to_string(), "GpuHot pending node=\"n1\" value 91, summary \"hot\"");
    let instance = |phase, value| Instance {
        labels: [("node".into(), "n1".into()), ("gpu_uuid".into(), "g".into())].into(),
        annotations: [("summary".into(), "hot".to_owned())].into(),
        phase,
        value: Some(value),
        since_micros: 0,
        started_micros: None,
        true_micros: 0,
        quiet_micros: 0,
        missing_micros: 0,
        starts: Vec::new(),
    };
    assert!(expected.is_met("GpuHot", &instance(Phase::Pending, 91.0)));
    assert!(!expected.is_met("GpuHot", &instance(Phase::Firing, 91.0)));
    assert!(!expected.is_met("GpuHot", &instance(Phase::Pending, 91.5)));
    assert!(!expected.is_met("Other", &instance(Phase::Pending, 91.0)));
}

#[test]
fn each_fault_has_its_line() {
    let case = |more: &str| {
        format!("rules = [\"a.toml\"]\n[[case]]\nname = \"a\"\n{more}\n[[case.eval]]\nat = \"0s\"\nalerts = []\n")
    };
    for (text, line, what) in [
        ("[[case]]\nname = \"a\"\n[[case.eval]]\nat = \"0s\"\nalerts = []".to_owned(), 1, "rules is missing"),
        ("rules = [\"a\"]\n[[case]]\nname = \"a\"".to_owned(), 2, "a case has [[case.eval]]"),
        (case("colour = 1"), 4, "\"colour\" is not known"),
        (case("[[case.load]]\ntable = \"t\""), 4, "a load has rows"),
        (case("[[case.load]]\ntable = \"t\"\nrows = [{ at = \"soon\" }]"), 6, "a time from the start"),
        (case("[[case.load]]\ntable = \"t\"\nseries = { a = \"1 b\" }"), 6, "series.a"),
        (case("[[case.load]]\ntable = \"t\"\nrows = [{}]\ntimes = 0"), 7, "times is a whole number"),
        (case("[[case.load]]\ntable = \"t\"\nrows = [{}, {}]\ntimes = 100000"), 4, "more than 100000 rows"),
        (case("[[case.eval]]\nat = \"-1m\"\nalerts = []"), 5, "a time from the start"),
        (case("[[case.eval]]\nat = \"1m\""), 4, "alerts is missing"),
        (case("[[case.eval]]\nat = \"1m\"\nalerts = [{ state = \"firing\" }]"), 6, "rule is missing"),
        (case("[[case.eval]]\nat = \"1m\"\nalerts = [{ rule = \"A\", state = \"resolved\" }]"), 6, "state: "),
        ("rules = [\"a\"]\nstart = \"noon\"".to_owned(), 2, "start is a time"),
    ] {
        let faults = Script::parse(&text).unwrap_err();
        assert!(faults.iter().any(|f| f.line == line && f.what.contains(what)), "{text}\n{faults:?}");
    }
}

proptest! {
    /// A right file with a piece taken out or put in anywhere: read or refused, never a panic.
    #[test]
    fn no_text_panics(at in 0_usize..GOOD.len(), length in 0_usize..40, with in "[\\[\\]{}\"'=a-z0-9x_+\n-]{0,6}") {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(GOOD.len());
        text.replace_range(at..end, &with);
        drop(Script::parse(&text));
    }

    #[test]
    fn no_series_panics(series in "[0-9+._ex-]{0,12}( [0-9+._ex-]{0,12}){0,3}") {
        let text = format!("rules = [\"a\"]\n[[case]]\nname = \"a\"\n[[case.load]]\ntable = \"t\"\nseries = {{ a = \"{series}\" }}\n");
        drop(Script::parse(&text));
    }
}
