#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::super::tres::Tres;
use super::*;
use proptest::prelude::*;
use std::path::Path;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

fn told() -> Told {
    Told::load(Path::new("/nonexistent"), &"c".into(), 10 * HOUR)
}

fn seen(phase: Phase, state: &str, started: Option<i64>, ended: Option<i64>) -> Seen {
    let holds = started.is_some();
    Seen {
        job_id: "7".into(),
        attempt: Some(0),
        record: 1,
        phase,
        state: state.into(),
        submitted: 0,
        started: started.map(|s| s * SECOND),
        ended: ended.map(|s| s * SECOND),
        changed: None,
        suspended: None,
        exit_code: ended.map(|_| 0),
        facts: Facts {
            user: Some("ada".into()),
            queue: Some("main".into()),
            tres: Tres { gpus: Some(2), ..Tres::default() },
            nodes: holds.then(|| vec!["gpu01".into()]),
            gpu_uuids: (holds && ended.is_none()).then(|| vec!["gpu01/0".into(), "gpu01/1".into()]),
            ..Facts::default()
        },
    }
}

/// A row as a line: second, attempt, kind, state, and what else it says.
fn line(row: &JobEventRow) -> String {
    let list = |list: &Option<Vec<Arc<str>>>| list.as_ref().map_or("-".to_owned(), |list| list.join("+"));
    let time = |time: Option<i64>| time.map_or("-".to_owned(), |time| (time / SECOND).to_string());
    format!(
        "{} {}.{} {} {} {} {} {}..{} {}",
        row.time_unix_micros / SECOND,
        row.job_id,
        row.attempt,
        row.kind,
        row.state.as_deref().unwrap_or("-"),
        list(&row.nodes),
        list(&row.gpu_uuids),
        time(row.started_unix_micros),
        time(row.ended_unix_micros),
        row.exit_code.map_or("-".to_owned(), |code| code.to_string()),
    )
}

/// Tells one after the other, at a second each, and returns the lines of all rows.
fn lines(told: &mut Told, story: &[(i64, Source, i64, Seen)]) -> Vec<String> {
    let mut rows = Vec::new();
    for (second, by, number, seen) in story {
        tell(told, seen, *number, *by, second * SECOND, &mut rows);
    }
    rows.iter().map(line).collect()
}

#[test]
fn a_life_is_told_once_with_slurms_times() {
    use Phase::{Changing, Ended, Running, Waiting};
    use Source::{Accounting, Queue};
    let suspended = Seen { changed: Some(40 * SECOND), ..seen(Running, "SUSPENDED", Some(30), None) };
    let resumed = Seen { changed: Some(50 * SECOND), ..seen(Running, "RUNNING", Some(30), None) };
    let requeued = Seen { submitted: 60 * SECOND, attempt: Some(1), ..seen(Waiting, "PENDING", None, None) };
    let again = Seen { submitted: 60 * SECOND, ..seen(Running, "RUNNING", Some(70), None) };
    let killed = Seen { submitted: 60 * SECOND, exit_code: Some(137), ..seen(Ended, "FAILED", Some(70), Some(80)) };
    let story = [
        (5, Queue, 0, seen(Waiting, "PENDING", None, None)),
        (6, Queue, 0, seen(Waiting, "PENDING", None, None)),
        (35, Queue, 0, seen(Running, "RUNNING", Some(30), None)),
        (36, Queue, 0, seen(Running, "RUNNING", Some(30), None)),
        (45, Queue, 0, suspended.clone()),
        (46, Queue, 0, suspended),
        (55, Queue, 0, resumed),
        (60, Queue, 0, seen(Changing, "RUNNING", Some(30), None)),
        (65, Queue, 1, requeued),
        (66, Accounting, 0, seen(Ended, "REQUEUED", Some(30), Some(60))),
        (75, Queue, 1, again.clone()),
        (85, Queue, 1, killed.clone()),
        (86, Accounting, 1, killed.clone()),
        (87, Accounting, 0, seen(Ended, "REQUEUED", Some(30), Some(60))),
        (88, Queue, 1, again),
        (89, Queue, 1, killed),
    ];
    let gpus = "gpu01 gpu01/0+gpu01/1";
    assert_eq!(
        lines(&mut told(), &story),
        [
            "0 7.0 submitted PENDING - - -..- -".to_owned(),
            format!("30 7.0 started RUNNING {gpus} 30..- -"),
            format!("40 7.0 updated SUSPENDED {gpus} 30..- -"),
            format!("50 7.0 updated RUNNING {gpus} 30..- -"),
            "60 7.1 requeued PENDING - - -..- -".to_owned(),
            "60 7.0 ended REQUEUED gpu01 - 30..60 0".to_owned(),
            format!("70 7.1 started RUNNING {gpus} 70..- -"),
            "80 7.1 ended FAILED gpu01 - 70..80 137".to_owned(),
        ]
    );
}

#[test]
fn what_began_and_ended_while_nobody_looked_is_told_whole() {
    let record = seen(Phase::Ended, "COMPLETED", Some(30), Some(60));
    let whole = [
        "0 7.0 submitted PENDING - - -..- -",
        "30 7.0 started RUNNING gpu01 - 30..- -",
        "60 7.0 ended COMPLETED gpu01 - 30..60 0",
    ];
    assert_eq!(lines(&mut told(), &[(99, Source::Accounting, 0, record.clone())]), whole);
    let cancelled = Seen { exit_code: Some(0), ..seen(Phase::Ended, "CANCELLED", None, Some(60)) };
    let rows = lines(&mut told(), &[(99, Source::Accounting, 0, cancelled)]);
    assert_eq!(rows, ["0 7.0 submitted PENDING - - -..- -", "60 7.0 ended CANCELLED - - -..60 0"]);
}

#[test]
fn a_change_of_what_a_job_is_is_told_when_it_is_seen() {
    let mut moved = seen(Phase::Waiting, "PENDING", None, None);
    moved.facts.queue = Some("long".into());
    let story = [(5, Source::Queue, 0, seen(Phase::Waiting, "PENDING", None, None)), (9, Source::Queue, 0, moved)];
    assert_eq!(lines(&mut told(), &story)[1..], ["9 7.0 updated PENDING - - -..- -"]);
}

#[test]
fn a_record_without_a_partition_is_waited_for() {
    let mut partial = seen(Phase::Ended, "FAILED", Some(30), Some(30));
    partial.facts.queue = None;
    let whole = seen(Phase::Ended, "FAILED", Some(30), Some(30));
    let story = [(31, Source::Accounting, 0, partial.clone()), (32, Source::Queue, 0, whole)];
    assert_eq!(lines(&mut told(), &story[..1]), Vec::<String>::new());
    assert_eq!(lines(&mut told(), &story).len(), 3);
    assert_eq!(lines(&mut told(), &[(630, Source::Accounting, 0, partial)]).len(), 3, "it stays so");
}

#[test]
fn a_resumption_just_before_the_end_is_told() {
    let suspended = Seen { changed: Some(40 * SECOND), ..seen(Phase::Running, "SUSPENDED", Some(30), None) };
    let ended = Seen { changed: Some(50 * SECOND), ..seen(Phase::Ended, "COMPLETED", Some(30), Some(55)) };
    let story = [(45, Source::Queue, 0, suspended), (60, Source::Queue, 0, ended)];
    assert_eq!(
        lines(&mut told(), &story)[3..],
        ["50 7.0 updated RUNNING gpu01 - 30..- -", "55 7.0 ended COMPLETED gpu01 - 30..55 0"]
    );
}

#[test]
fn a_resumption_that_only_accounting_knows_of_is_told_by_its_length() {
    let suspended = |at| Seen { changed: Some(at * SECOND), ..seen(Phase::Running, "SUSPENDED", Some(30), None) };
    let resumed = Seen { changed: Some(44 * SECOND), ..seen(Phase::Running, "RUNNING", Some(30), None) };
    // It was suspended for four seconds, and later for three more.
    let ended = Seen { suspended: Some(7 * SECOND), ..seen(Phase::Ended, "COMPLETED", Some(30), Some(60)) };
    let story = [
        (41, Source::Queue, 0, suspended(40)),
        (45, Source::Queue, 0, resumed),
        (51, Source::Queue, 0, suspended(50)),
        (62, Source::Accounting, 0, ended.clone()),
    ];
    assert_eq!(
        lines(&mut told(), &story)[4..],
        [
            "50 7.0 updated SUSPENDED gpu01 gpu01/0+gpu01/1 30..- -",
            "53 7.0 updated RUNNING gpu01 - 30..- -",
            "60 7.0 ended COMPLETED gpu01 - 30..60 0"
        ]
    );
    let never = Seen { suspended: Some(99 * SECOND), ..ended };
    let story = [(41, Source::Queue, 0, suspended(40)), (62, Source::Accounting, 0, never)];
    assert_eq!(lines(&mut told(), &story).len(), 4, "a resumption after the end was none");
}

/// Accounting does not know the GPUs of a job that runs, and must not take them back.
#[test]
fn accounting_says_nothing_of_what_goes_on_but_its_state() {
    let by_queue = seen(Phase::Running, "RUNNING", Some(30), None);
    let mut by_accounting = by_queue.clone();
    by_accounting.facts.gpu_uuids = None;
    let mut story = Vec::new();
    for second in [40, 50] {
        story.push((second, Source::Queue, 0, by_queue.clone()));
        story.push((second, Source::Accounting, 0, by_accounting.clone()));
    }
    assert_eq!(lines(&mut told(), &story).len(), 2, "submitted and started");
    let mut story = vec![(40, Source::Accounting, 0, by_accounting)];
    story.push((50, Source::Queue, 0, by_queue));
    assert_eq!(lines(&mut told(), &story)[2..], ["50 7.0 updated RUNNING gpu01 gpu01/0+gpu01/1 30..- -"]);
}

#[test]
fn accounting_corrects_the_queue_and_is_not_corrected_by_it() {
    let by_queue = seen(Phase::Ended, "COMPLETED", Some(30), Some(60));
    let by_accounting = seen(Phase::Ended, "TIMEOUT", Some(30), Some(61));
    let story = [
        (65, Source::Queue, 0, by_queue.clone()),
        (66, Source::Accounting, 0, by_accounting.clone()),
        (67, Source::Queue, 0, by_queue),
        (68, Source::Accounting, 0, by_accounting),
    ];
    assert_eq!(
        lines(&mut told(), &story)[2..],
        ["60 7.0 ended COMPLETED gpu01 - 30..60 0", "61 7.0 ended TIMEOUT gpu01 - 30..61 0",]
    );
}

#[test]
fn who_is_gone_for_an_hour_without_a_record_has_ended_when_it_was_gone() {
    let mut told = told();
    lines(&mut told, &[(5, Source::Queue, 0, seen(Phase::Running, "RUNNING", Some(3), None))]);
    let gone = told.gone(&std::collections::HashSet::new(), 60 * SECOND);
    let mut rows = Vec::new();
    give_up(&mut told, &gone, 60 * SECOND + HOUR - 1, &mut rows);
    assert!(rows.is_empty());
    give_up(&mut told, &gone, 60 * SECOND + HOUR, &mut rows);
    assert_eq!(rows.iter().map(line).collect::<Vec<_>>(), ["60 7.0 ended - - - -..60 -"]);
    let late = seen(Phase::Ended, "COMPLETED", Some(3), Some(70));
    assert_eq!(lines(&mut told, &[(9999, Source::Accounting, 0, late)]), ["70 7.0 ended COMPLETED gpu01 - 3..70 0"]);
}

#[test]
fn records_are_numbered_in_their_order_and_by_what_is_known() {
    let record = |job: &str, record: u64, submitted: i64| Seen {
        job_id: job.into(),
        record,
        submitted,
        ..seen(Phase::Ended, "REQUEUED", Some(1), Some(2))
    };
    let history = || vec![record("7", 30, 3), record("7", 10, 1), record("8", 20, 1), record("7", 20, 2)];
    let of = |numbers: &BTreeMap<(Arc<str>, u64), i64>| numbers.values().copied().collect::<Vec<_>>();
    let mut told = told();
    assert_eq!(of(&number_records(&told, history())), [0, 1, 2, 0]);
    // The queue has counted four restarts of the attempt that was submitted last: two records were purged.
    tell(&mut told, &record("7", 0, 3), 4, Source::Queue, 9, &mut Vec::new());
    assert_eq!(of(&number_records(&told, history())), [2, 3, 4, 0]);
}

/// What is seen at one moment of a life that goes on.
fn any_look() -> impl Strategy<Value = (Source, Seen)> {
    let phase = prop_oneof![
        Just((Phase::Waiting, "PENDING", None, None)),
        Just((Phase::Running, "RUNNING", Some(30), None)),
        Just((Phase::Running, "SUSPENDED", Some(30), None)),
        Just((Phase::Changing, "COMPLETING", Some(30), None)),
        Just((Phase::Ended, "COMPLETED", Some(30), Some(60))),
    ];
    let by = prop_oneof![Just(Source::Queue), Just(Source::Accounting)];
    (by, phase).prop_map(|(by, (phase, state, started, ended))| (by, seen(phase, state, started, ended)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// However often and in whatever order it is looked, each thing is told once, and a restart in between that has
    /// forgotten everything repeats rows with the same content.
    #[test]
    fn looks_in_any_order_tell_each_thing_once(looks in prop::collection::vec(any_look(), 1..12)) {
        let mut rows = Vec::new();
        let mut memory = told();
        for (by, seen) in &looks {
            tell(&mut memory, seen, 0, *by, 99 * SECOND, &mut rows);
        }
        for kind in ["submitted", "started", "ended"] {
            prop_assert!(rows.iter().filter(|row| row.kind == kind).count() <= 1, "{kind}");
        }
        let ended = looks.iter().any(|(_, seen)| seen.phase == Phase::Ended);
        prop_assert_eq!(rows.iter().any(|row| row.kind == "ended"), ended);
        let mut again = Vec::new();
        let mut forgotten = told();
        for (by, seen) in &looks {
            tell(&mut forgotten, seen, 0, *by, 99 * SECOND, &mut again);
        }
        prop_assert_eq!(rows, again);
    }
}
