#![allow(clippy::unwrap_used)]

use super::super::convert::place;
use super::super::presets;
use super::*;

fn map(table: &str) -> Map {
    presets::preset("csv", contract::table(table).unwrap()).unwrap()
}

fn row(map: &Map, cells: &[(&str, Value)]) -> Values {
    let mut values = vec![None; map.table.columns.len()];
    for (name, value) in cells {
        values[place(map, name)] = Some(value.clone());
    }
    values
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn from(file: usize) -> Origin<'static> {
    Origin { file, line: 2, stem: "log", mark: "ab12" }
}

fn uuids(defaults: Defaults, cells: &[(&str, Value)]) -> (String, String) {
    let map = map("gpu_samples");
    let mut cells = cells.to_vec();
    cells.extend([("time", Value::Time(0)), ("cluster", text("c"))]);
    let (mut finish, mut out) = (Finish::new(&map, defaults), Vec::new());
    finish.push(row(&map, &cells), from(0), &mut out).unwrap();
    finish.end(&mut out);
    let of = |name: &str| super::text(&out[0].values, place(&map, name)).to_owned();
    (of("gpu_uuid"), of("node"))
}

#[test]
fn a_gpu_without_a_name_is_its_nodes_or_its_files() {
    let none = Defaults::default();
    let node = || Defaults { node: Some("n1".to_owned()), ..Defaults::default() };
    let index = [("gpu_index", Value::Int(3))];
    let bus = [("gpu_uuid", text("00000000:3B:00.0"))];
    let gpu = |defaults: &Defaults, cells: &[(&str, Value)]| uuids(defaults.clone(), cells).0;
    assert_eq!(uuids(none.clone(), &[]), ("file:log/ab12".to_owned(), "log".to_owned()));
    assert_eq!(gpu(&none, &index), "file:log/ab12/3");
    assert_eq!(gpu(&none, &bus), "log/ab12/00000000:3B:00.0");
    assert_eq!(gpu(&node(), &[]), "file:n1/log");
    assert_eq!(gpu(&node(), &index), "file:n1/3");
    assert_eq!(gpu(&node(), &bus), "n1/00000000:3B:00.0");
    assert_eq!(gpu(&none, &[("node", text("n2")), index[0].clone()]), "file:n2/3");
    assert_eq!(gpu(&node(), &[("gpu_uuid", text("GPU-a"))]), "GPU-a");
}

#[test]
fn a_job_of_two_files_is_one_attempt_when_it_is_one_start() {
    let map = map("job_events");
    let mut finish = Finish::new(&map, Defaults { cluster: Some("c".to_owned()), ..Defaults::default() });
    let mut out = Vec::new();
    let rows = [(0, None), (1, Some(10)), (2, Some(10)), (2, Some(20)), (3, Some(30))];
    for (file, started) in rows {
        let mut cells = vec![("job_id", text("a")), ("submitted_at", Value::Time(1))];
        cells.extend(started.map(|s| ("started_at", Value::Time(s))));
        finish.push(row(&map, &cells), from(file), &mut out).unwrap();
    }
    let attempts: Vec<_> = out.iter().map(|v| v.values[place(&map, "attempt")].clone().unwrap()).collect();
    assert_eq!(attempts, [0, 0, 0, 1, 2].map(Value::Int));
}

#[test]
fn what_no_job_does_is_rejected() {
    let map = map("job_events");
    let mut finish = Finish::new(&map, Defaults { cluster: Some("c".to_owned()), ..Defaults::default() });
    let mut rejected = |cells: &[(&str, Value)]| {
        let mut all = vec![("job_id", text("a")), ("started_at", Value::Time(20_000_000))];
        all.extend_from_slice(cells);
        finish.push(row(&map, &all), from(0), &mut Vec::new()).unwrap_err()
    };
    let early = rejected(&[("ended_at", Value::Time(5_000_000))]);
    assert_eq!((early.reason.as_str(), early.detail.as_str()), ("ended_at: before started_at", "a: by 15 s"));
    let kind = rejected(&[("kind", text("finished"))]);
    assert!(kind.reason.contains("submitted, started, requeued, ended, updated"), "{kind:?}");
}

#[test]
fn an_interval_goes_on_in_the_next_file_but_not_over_a_pause() {
    let map = map("gpu_samples");
    let (mut finish, mut out) = (Finish::new(&map, Defaults::default()), Vec::new());
    for (file, second) in [(0, 0), (1, 60), (2, 60 + 3601), (2, 60 + 3601 + 7200)] {
        let cells = [("gpu_uuid", text("g")), ("cluster", text("c")), ("time", Value::Time(second * 1_000_000))];
        finish.push(row(&map, &cells), from(file), &mut out).unwrap();
    }
    assert_eq!((finish.waiting(0), finish.waiting(2)), (0, 1));
    finish.end(&mut out);
    let seconds: Vec<_> = out.iter().map(|r| r.values[place(&map, "interval_seconds")].clone().unwrap()).collect();
    assert_eq!(seconds, [60.0, 0.0, 7200.0, 0.0].map(Value::Float));
    assert_eq!(out.iter().map(|r| r.file).collect::<Vec<_>>(), [0, 1, 2, 2]);
}

#[test]
fn a_repeated_job_id_is_the_next_attempt_and_restarts_count() {
    let map = map("job_events");
    let defaults = Defaults { cluster: Some("c".to_owned()), ..Defaults::default() };
    let mut finish = Finish::new(&map, defaults);
    let mut out = Vec::new();
    for (id, attempt) in [("a", None), ("b", Some(2)), ("a", None), ("a", Some(0)), ("b", None), ("a", Some(9))] {
        let mut cells = vec![("job_id", text(id)), ("ended_at", Value::Time(5))];
        cells.extend(attempt.map(|a| ("attempt", Value::Int(a))));
        finish.push(row(&map, &cells), from(0), &mut out).unwrap();
    }
    let attempts: Vec<_> = out.iter().map(|v| v.values[place(&map, "attempt")].clone().unwrap()).collect();
    assert_eq!(attempts, [0, 2, 1, 2, 3, 9].map(Value::Int));
    assert_eq!(out[0].values[place(&map, "kind")], Some(text("ended")));
    assert_eq!(out[0].values[place(&map, "time")], Some(Value::Time(5)));
}

#[test]
fn the_latest_known_time_makes_the_kind() {
    let map = map("job_events");
    let mut finish = Finish::new(&map, Defaults { cluster: Some("c".to_owned()), ..Defaults::default() });
    let mut out = Vec::new();
    let started = [("job_id", text("a")), ("submitted_at", Value::Time(1)), ("started_at", Value::Time(2))];
    finish.push(row(&map, &started), from(0), &mut out).unwrap();
    finish.push(row(&map, &started[..2]), from(0), &mut out).unwrap();
    let kinds: Vec<_> = out.iter().map(|v| v.values[place(&map, "kind")].clone().unwrap()).collect();
    assert_eq!(kinds, [text("started"), text("submitted")]);
    let timeless = finish.push(row(&map, &started[..1]), from(0), &mut out).unwrap_err();
    assert!(timeless.reason.starts_with("time"), "{timeless:?}");
    assert!(finish.push(row(&map, &started[1..]), from(0), &mut out).unwrap_err().reason.starts_with("job_id"));
}

#[test]
fn an_interval_lasts_until_the_gpus_next_row() {
    let map = map("gpu_samples");
    let defaults = Defaults { cluster: Some("c".to_owned()), ..Defaults::default() };
    let mut finish = Finish::new(&map, defaults);
    let mut out = Vec::new();
    let times = [(0, 10), (1, 10), (0, 10), (0, 12), (1, 13), (0, 11)];
    for (line, (gpu, second)) in (2..).zip(times) {
        let cells = [("time", Value::Time(second * 1_000_000)), ("gpu_index", Value::Int(gpu))];
        finish.push(row(&map, &cells), Origin { line, ..from(0) }, &mut out).unwrap();
    }
    finish.end(&mut out);
    let name = |v: &Row| match (&v.values[place(&map, "gpu_uuid")], &v.values[place(&map, "interval_seconds")]) {
        (Some(Value::Text(uuid)), Some(Value::Float(seconds))) => (uuid.clone(), *seconds),
        other => panic!("{other:?}"),
    };
    let found: Vec<_> = out.iter().map(name).collect();
    let expected = [("0", 0.0), ("0", 2.0), ("1", 3.0), ("0", 0.0), ("1", 0.0), ("0", 0.0)];
    assert_eq!(found, expected.map(|(gpu, seconds)| (format!("file:log/ab12/{gpu}"), seconds)));
    assert_eq!(out[0].values[place(&map, "node")], Some(text("log")));
    assert_eq!(out[0].values[place(&map, "gpu_model")], Some(text("unknown")));
}
