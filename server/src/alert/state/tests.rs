//! Steps of instances, also under clocks that jump.

use super::*;
use crate::alert::{Asks, Severity, Template, Threshold};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;

fn rule(for_seconds: i64, keep_seconds: i64, missing: Missing) -> Rule {
    Rule {
        name: "Hot".into(),
        asks: Asks::Sql("select 1".into()),
        threshold: Some(Threshold::Above(90.0)),
        over_micros: 60 * SECOND,
        every_micros: 10 * SECOND,
        for_micros: for_seconds * SECOND,
        keep_firing_micros: keep_seconds * SECOND,
        missing,
        severity: Severity::Warning,
        labels: Labels::from([("team".into(), "infra".into())]),
        annotations: BTreeMap::from([("summary".into(), Template::parse("{gpu} is at {value:celsius}").unwrap())]),
        needs: Vec::new(),
        line: 1,
    }
}

fn seen(gpu: &str, value: Option<f64>) -> Seen {
    Seen { labels: Labels::from([("gpu".into(), gpu.into())]), value, ..Seen::default() }
}

/// Looks each ten seconds at values of one GPU; `None` is a row without a value. What changed, with its second.
fn watched(rule: &Rule, values: &[Option<f64>]) -> Vec<(i64, &'static str)> {
    let (mut known, mut last, mut changes) = (BTreeMap::new(), None, Vec::new());
    for (at, value) in values.iter().enumerate() {
        let now = at as i64 * 10 * SECOND;
        for change in step(rule, &mut known, &[seen("a", *value)], last, now) {
            changes.push((now / SECOND, change.instance.phase.as_str()));
        }
        last = Some(now);
    }
    changes
}

const HOT: Option<f64> = Some(95.0);
const COOL: Option<f64> = Some(40.0);

#[test]
fn it_fires_after_its_time_and_is_over_after_its_quiet() {
    let rule = rule(20, 20, Missing::Keep);
    assert_eq!(watched(&rule, &[COOL, HOT, COOL, HOT, HOT]), [(10, "pending"), (20, "dropped"), (30, "pending")]);
    let told = watched(&rule, &[HOT, HOT, HOT, COOL, HOT, COOL, COOL, COOL]);
    assert_eq!(told, [(0, "pending"), (20, "firing"), (60, "resolved")]);
    let at_once = watched(&super::tests::rule(0, 0, Missing::Keep), &[HOT, COOL]);
    assert_eq!(at_once, [(0, "firing"), (10, "resolved")]);
}

#[test]
fn what_is_missing_is_neither_well_nor_unwell() {
    let values = [HOT, None, None, HOT, None, COOL, None];
    assert_eq!(
        watched(&rule(0, 0, Missing::Keep), &values),
        [(0, "firing"), (10, "missing"), (30, "firing"), (40, "missing"), (50, "resolved")]
    );
    assert_eq!(watched(&rule(0, 0, Missing::Resolve), &values[..3]), [(0, "firing"), (10, "resolved")]);
    assert_eq!(watched(&rule(10, 0, Missing::Keep), &[None, HOT, None]), [(10, "pending"), (20, "dropped")]);
    assert_eq!(
        watched(&rule(10, 0, Missing::Alert), &[None, None, COOL]),
        [(0, "pending"), (10, "firing"), (20, "resolved")]
    );
    // A row that is not there says as little as one without a value.
    let (rule, mut known) = (rule(0, 0, Missing::Keep), BTreeMap::new());
    step(&rule, &mut known, &[seen("a", HOT)], None, 0);
    let changes = step(&rule, &mut known, &[], Some(0), 10 * SECOND);
    assert_eq!(changes[0].instance.phase, Phase::Missing);
    let later = step(&rule, &mut known, &[], Some(10 * SECOND), 20 * SECOND + MISSING_MICROS_MAX);
    assert!(later.is_empty(), "one look counts for no more than a minute");
}

#[test]
fn a_rule_without_a_threshold_names_what_is_not_well() {
    let rule = Rule { threshold: None, ..rule(0, 0, Missing::Keep) };
    let mut known = BTreeMap::new();
    let changes = step(&rule, &mut known, &[seen("a", None), seen("b", Some(1.0)), seen("a", Some(2.0))], None, 0);
    assert_eq!(changes.len(), 2);
    assert_eq!(changes.iter().filter(|c| c.instance.value.is_none()).count(), 1, "the first of two rows counts");
    let changes = step(&rule, &mut known, &[seen("b", Some(1.0))], Some(0), SECOND);
    assert_eq!((changes.len(), changes[0].instance.phase), (1, Phase::Resolved));
}

#[test]
fn labels_and_sentences_are_those_of_rule_and_row() {
    let mut known = BTreeMap::new();
    let changes = step(&rule(0, 0, Missing::Keep), &mut known, &[seen("a", HOT)], None, 0);
    let instance = &changes[0].instance;
    let shown: Vec<String> = instance.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["alertname=Hot", "gpu=a", "severity=warning", "team=infra"]);
    assert_eq!(instance.annotations.get("summary").map(String::as_str), Some("a is at 95 °C"));
    assert_eq!(changes[0].fingerprint, fingerprint(&instance.labels));
}

#[test]
fn flapping_is_damped() {
    let rule = rule(0, 0, Missing::Keep);
    let beats: Vec<Option<f64>> = (0..30).map(|at| if at % 2 == 0 { HOT } else { COOL }).collect();
    let told = watched(&rule, &beats);
    let ends = told.iter().filter(|(_, phase)| *phase == "resolved").count();
    assert_eq!(ends, FLAPS_MAX - 1, "{told:?}");
    let mut quiet = beats;
    quiet.extend(std::iter::repeat_n(COOL, 61));
    let told = watched(&rule, &quiet);
    assert_eq!(told.last(), Some(&(290 + 590, "resolved")), "{told:?}");
}

#[test]
fn a_clock_that_jumps_neither_fires_nor_resolves() {
    let rule = rule(3_600, 3_600, Missing::Keep);
    let mut known = BTreeMap::new();
    step(&rule, &mut known, &[seen("a", HOT)], None, 0);
    let day = 86_400 * SECOND;
    assert!(step(&rule, &mut known, &[seen("a", HOT)], Some(0), day).is_empty(), "a day ahead");
    assert!(step(&rule, &mut known, &[seen("a", HOT)], Some(day), 0).is_empty(), "and back");
    let instance = known.values().next().unwrap();
    assert_eq!(instance.true_micros, rule.every_micros + LOOK_MICROS_MAX);
}

proptest! {
    /// Whatever is seen, at whatever pace: phases follow each other as they may, and each fires only after its time.
    #[test]
    fn phases_follow_each_other(
        for_seconds in 0_i64..40,
        keep_seconds in 0_i64..40,
        missing in 0_usize..3,
        looks in proptest::collection::vec((0_i64..100, proptest::option::of(0_u8..2)), 1..80),
    ) {
        let rule = rule(for_seconds, keep_seconds, Missing::ALL[missing].1);
        let (mut known, mut last, mut now) = (BTreeMap::new(), None, 0);
        let mut phase: Option<Phase> = None;
        // The looks' own account of how long it has been true.
        let mut held = 0;
        for (seconds, value) in looks {
            now += seconds * SECOND;
            let value = value.map(|v| if v == 1 { 95.0 } else { 40.0 });
            let is_true = value == HOT || (value.is_none() && missing == 2);
            let gone_by = last.map_or(0, |last| now - last).min(rule.every_micros + LOOK_MICROS_MAX);
            held = if !is_true { -1 } else if held < 0 { 0 } else { held + gone_by };
            for change in step(&rule, &mut known, &[seen("a", value)], last, now) {
                prop_assert_eq!(change.from.filter(|from| !from.is_over()), phase.filter(|phase| !phase.is_over()));
                let may = match (phase, change.instance.phase) {
                    (None | Some(Phase::Resolved | Phase::Dropped), Phase::Pending | Phase::Firing) => true,
                    (Some(Phase::Pending), Phase::Firing | Phase::Dropped) => true,
                    (Some(Phase::Firing), Phase::Missing | Phase::Resolved) => true,
                    (Some(Phase::Missing), Phase::Firing | Phase::Resolved) => true,
                    _ => false,
                };
                prop_assert!(may, "{:?} to {:?}", phase, change.instance.phase);
                if change.instance.phase == Phase::Firing && phase != Some(Phase::Missing) {
                    prop_assert!(held >= rule.for_micros, "it fired after {held}");
                }
                prop_assert!(change.instance.started_micros.is_some() || !change.instance.phase.is_active());
                phase = Some(change.instance.phase);
            }
            last = Some(now);
        }
    }

    /// What nobody knew begins where the first row about it says so, whatever other rows are beside it.
    #[test]
    fn a_first_look_begins_what_its_first_rows_say(
        rows in proptest::collection::vec((0_usize..4, proptest::option::of(80_u8..100)), 0..12),
        missing in 0_usize..3,
    ) {
        let (rule, names) = (rule(0, 0, Missing::ALL[missing].1), ["a", "b", "c", "d"]);
        let rows: Vec<(&str, Option<f64>)> = rows.iter().map(|(at, v)| (names[*at], v.map(f64::from))).collect();
        let mut expected: Vec<&str> = Vec::new();
        for name in names {
            let first = rows.iter().find(|(of, _)| *of == name);
            expected.extend(first.filter(|(_, v)| v.map_or(missing == 2, |v| v > 90.0)).map(|_| name));
        }
        let seen: Vec<Seen> = rows.iter().map(|(name, value)| seen(name, *value)).collect();
        let changes = step(&rule, &mut BTreeMap::new(), &seen, None, 0);
        let mut begun: Vec<&str> = changes.iter().map(|change| &*change.instance.labels["gpu"]).collect();
        begun.sort_unstable();
        prop_assert_eq!(begun, expected);
    }
}
