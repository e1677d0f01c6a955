#![allow(clippy::unwrap_used)]

use super::super::facts::{HOUR, Job, MINUTE, SECOND};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// 2026-03-05T00:00Z.
const T0: i64 = 1_772_668_800_000_000;
const PRICE: i64 = 2_000_000;

fn facts() -> Facts {
    Facts { window: Window { from_micros: T0, to_micros: T0 + 240 * HOUR }, currency: "USD".into(), ..Facts::default() }
}

fn event(at: i64, gpu: Option<&str>, kind: &str, code: Option<i64>, severity: &str) -> Event {
    Event {
        time: T0 + at,
        cluster: "c".into(),
        node: "n1".into(),
        gpu_uuid: gpu.map(Text::from),
        kind: kind.into(),
        code,
        job_id: None,
        severity: severity.into(),
        message: format!("{kind} {code:?}").into(),
    }
}

fn job(id: &str, gpu: &str, from: i64, to: i64, state: &str, exit_code: i64) -> Job {
    Job {
        cluster: "c".into(),
        job_id: id.into(),
        state: Some(state.into()),
        user: Some("ann".into()),
        gpus: Some(1),
        nodes: vec!["n1".into()],
        gpu_uuids: vec![gpu.into()],
        started: Some(T0 + from),
        ended: Some(T0 + to),
        exit_code: Some(exit_code),
        ..Job::default()
    }
}

fn key(id: &str) -> Attempt {
    ("c".into(), id.into(), 0)
}

fn cost_of(hours: f64) -> AttemptCost {
    AttemptCost { gpu_hours: hours, cost: Some(Micros((hours * PRICE as f64) as i64)) }
}

/// Reading the text takes longer than most tests.
static MEANINGS: LazyLock<Meanings> = LazyLock::new(Meanings::read);

fn all_of(facts: &Facts, losses: Losses) -> Vec<Incident> {
    all(facts, losses, &MEANINGS).incidents
}

#[test]
fn the_same_event_again_within_minutes_is_one_incident_with_a_count() {
    let mut facts = facts();
    for at in [0, 2, 6, 10] {
        facts.events.push(event(at * MINUTE, Some("GPU-1"), "xid", Some(74), "critical"));
    }
    facts.events.push(event(30 * MINUTE, Some("GPU-1"), "xid", Some(74), "critical"));
    let found = all_of(&facts, Losses::default());
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].events[0].count, found[1].category), (4, Category::Link));
    assert_eq!(found[1].seen, Window { from_micros: T0, to_micros: T0 + 10 * MINUTE });
    assert!(found[1].meaning.contains("link") && !found[1].action.is_empty());
    assert_eq!(found[0].events[0].count, 1);
    let ids: BTreeSet<String> = found.iter().map(Incident::id).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_gpu_that_falls_off_the_bus_takes_its_job_and_its_hours_along() {
    let mut facts = facts();
    facts.events.push(event(10 * HOUR, Some("GPU-1"), "xid", Some(79), "critical"));
    facts.events.push(event(10 * HOUR + SECOND, Some("GPU-1"), "lost", None, "critical"));
    facts.jobs.push(job("7", "GPU-1", 4 * HOUR, 10 * HOUR + 20 * SECOND, "NODE_FAIL", 137));
    facts.jobs.push(job("8", "GPU-2", 4 * HOUR, 10 * HOUR, "FAILED", 1));
    let outages = vec![facts.events[1].clone(), event(15 * HOUR, Some("GPU-1"), "reset", None, "info")];
    let down = |hour: i64, gpu: &str| DownHour {
        cluster: "c".into(),
        node: Some("n1".into()),
        gpu_uuid: gpu.into(),
        of: CostHour { hour: T0 + hour * HOUR, gpu_hours: 1.0, cost: Some(Micros(PRICE)) },
    };
    let losses = Losses {
        attempts: [(key("7"), cost_of(6.0)), (key("8"), cost_of(6.0))].into_iter().collect(),
        down: (10..15).map(|hour| down(hour, "GPU-1")).chain([down(100, "GPU-1"), down(12, "GPU-2")]).collect(),
        outages,
        ..Losses::default()
    };
    let found = all_of(&facts, losses);
    let lost = found.iter().find(|incident| incident.category == Category::Hardware).unwrap();
    assert_eq!(lost.title, "Xid 79 on 1 GPU of n1");
    assert_eq!(lost.jobs.iter().map(|job| &*job.job_id).collect::<Vec<_>>(), ["7"]);
    assert_eq!((lost.down_gpu_hours, lost.down_cost), (5.0, Some(Micros(5 * PRICE))));
    assert_eq!((lost.cost(), lost.gpu_hours_lost()), (Some(Micros(11 * PRICE)), 11.0));
    assert_eq!((lost.seen.to_micros, lost.is_ongoing), (T0 + 15 * HOUR, false));
    let own = found.iter().find(|incident| incident.category == Category::UserCode).unwrap();
    assert_eq!((&*own.jobs[0].job_id, own.cost()), ("8", Some(Micros(6 * PRICE))));
    assert_eq!(found.len(), 2);
}

#[test]
fn only_the_work_since_the_last_checkpoint_is_lost() {
    let mut facts = facts();
    facts.jobs.push(job("7", "GPU-1", 0, 10 * HOUR, "TIMEOUT", 143));
    let hours = (0..10).map(|hour| CostHour { hour: T0 + hour * HOUR, gpu_hours: 1.0, cost: Some(Micros(PRICE + 1)) });
    let losses = Losses {
        attempts: [(key("7"), AttemptCost { gpu_hours: 10.0, cost: Some(Micros(10 * PRICE + 10)) })]
            .into_iter()
            .collect(),
        hours: [(key("7"), hours.collect())].into_iter().collect(),
        checkpoints: [(("c".into(), "7".into()), vec![T0 + HOUR, T0 + 8 * HOUR + 30 * MINUTE, T0 + 12 * HOUR])]
            .into_iter()
            .collect(),
        ..Losses::default()
    };
    let found = all_of(&facts, losses);
    assert_eq!((found[0].category, found[0].jobs[0].has_checkpoint), (Category::Timeout, true));
    assert_eq!(found[0].jobs[0].lost_from_micros, T0 + 8 * HOUR + 30 * MINUTE);
    assert!((found[0].gpu_hours_lost() - 1.5).abs() < 1e-9);
    let cost = found[0].cost().unwrap().0;
    assert!((cost - 3 * PRICE / 2).abs() <= 2, "{cost}");
}

#[test]
fn jobs_that_die_together_with_their_node_are_one_incident() {
    let mut facts = facts();
    for (id, at) in [("1", 0), ("2", 20), ("3", 50)] {
        facts.jobs.push(job(id, "GPU-x", 0, 5 * HOUR + at * SECOND, "NODE_FAIL", 137));
    }
    facts.jobs.push(job("4", "GPU-x", 0, 9 * HOUR, "NODE_FAIL", 137));
    let found = all_of(&facts, Losses::default());
    assert_eq!(found.iter().map(|incident| incident.jobs.len()).collect::<Vec<_>>(), [1, 3]);
    assert!(found.iter().all(|incident| incident.node.as_deref() == Some("n1") && incident.cost().is_none()));
    assert!((found[1].gpu_hours_lost() - (15.0 + 70.0 / 3600.0)).abs() < 1e-6);
}

#[test]
fn a_fault_of_a_program_is_no_failure_of_the_node() {
    let mut facts = facts();
    facts.events.push(event(HOUR, Some("GPU-1"), "xid", Some(31), "error"));
    assert!(all_of(&facts, Losses::default()).is_empty(), "a program that faults and goes on is no incident");
    facts.jobs.push(job("1", "GPU-1", 0, HOUR + SECOND, "FAILED", 1));
    let found = all_of(&facts, Losses::default());
    assert_eq!((found.len(), found[0].category, found[0].jobs.len()), (1, Category::UserCode, 1));
    assert!(found[0].events[0].meaning.contains("address"));
    facts.jobs[0].state = Some("NODE_FAIL".into());
    let found = all_of(&facts, Losses::default());
    assert_eq!(found.iter().map(|incident| incident.category).collect::<Vec<_>>(), [Category::Hardware]);
    facts.jobs[0].state = Some("TIMEOUT".into());
    assert_eq!(all_of(&facts, Losses::default())[0].category, Category::Timeout);
}

#[test]
fn an_event_that_names_the_job_finds_it_without_its_gpus() {
    let mut facts = facts();
    facts.events.push(Event { job_id: Some("1".into()), ..event(HOUR, Some("GPU-9"), "xid", Some(94), "error") });
    facts.jobs.push(Job { gpu_uuids: Vec::new(), ..job("1", "", 0, HOUR + 5 * MINUTE, "FAILED", 1) });
    let found = all_of(&facts, Losses::default());
    assert_eq!((found.len(), found[0].category, found[0].jobs.len()), (1, Category::Hardware, 1));
}

#[test]
fn maintenance_is_planned_and_an_outage_may_have_begun_before() {
    let facts = facts();
    let begin = Event { severity: "info".into(), ..event(-20 * HOUR, Some("GPU-1"), "lost", None, "info") };
    let down = |hour: i64| DownHour {
        cluster: "c".into(),
        node: Some("n1".into()),
        gpu_uuid: "GPU-1".into(),
        of: CostHour { hour: T0 + hour * HOUR, gpu_hours: 1.0, cost: None },
    };
    let losses = Losses { down: (0..240).map(down).collect(), outages: vec![begin.clone()], ..Losses::default() };
    let found = all_of(&facts, losses);
    assert_eq!((found[0].category, found[0].is_ongoing, found[0].cost()), (Category::Planned, true, None));
    assert_eq!(found[0].down_gpu_hours, 240.0);
    let over =
        Losses { outages: vec![begin, event(-10 * HOUR, Some("GPU-1"), "reset", None, "info")], ..Losses::default() };
    assert!(all_of(&facts, over).is_empty());
}

#[test]
fn the_interval_of_wilson_is_wide_for_few_tries() {
    assert_eq!(records::at_least(0, 0), 0.0);
    assert!(records::at_least(1, 2) < 0.1 && records::at_least(50, 100) > 0.4);
    assert!(records::at_least(3, 3) > 0.4 && records::at_least(3, 3) < 0.5);
}

proptest! {
    #[test]
    fn incidents_never_cost_more_than_the_ledger_has(
        events in prop::collection::vec((0..200_i64, 0..3_usize, prop::sample::select(vec![("xid", 79), ("xid", 31), ("xid", 74), ("lost", 0), ("reset", 0), ("ecc", 4)])), 0..40),
        jobs in prop::collection::vec((0..190_i64, 1..10_i64, 0..3_usize, prop::sample::select(vec!["NODE_FAIL", "FAILED", "TIMEOUT", "COMPLETED"]), 0..9_000_000_i64, prop::option::of(0..10_i64)), 0..25),
        down in prop::collection::btree_map((0..240_i64, 0..3_usize), 0..3_000_000_i64, 0..60),
    ) {
        let mut facts = facts();
        for (hour, gpu, (kind, code)) in events {
            let code = (code > 0).then_some(code);
            facts.events.push(event(hour * HOUR, Some(&format!("GPU-{gpu}")), kind, code, "critical"));
        }
        facts.events.sort_by_key(|event| event.time);
        let mut losses = Losses {
            outages: facts.events.iter().filter(|event| ["lost", "reset"].contains(&&*event.kind)).cloned().collect(),
            ..Losses::default()
        };
        let mut in_ledger = Micros::ZERO;
        for (at, (from, long, gpu, state, cost, checkpoint)) in jobs.into_iter().enumerate() {
            let id = format!("{at}");
            facts.jobs.push(job(&id, &format!("GPU-{gpu}"), from * HOUR, (from + long) * HOUR, state, 1));
            in_ledger = in_ledger + Micros(cost);
            losses.attempts.insert(key(&id), AttemptCost { gpu_hours: long as f64, cost: Some(Micros(cost)) });
            if let Some(checkpoint) = checkpoint {
                let parts = Micros(cost).split(&vec![1; long as usize]);
                let hour = |(hour, cost): (usize, &Micros)| CostHour { hour: T0 + (from + hour as i64) * HOUR, gpu_hours: 1.0, cost: Some(*cost) };
                losses.hours.insert(key(&id), parts.iter().enumerate().map(hour).collect());
                losses.checkpoints.insert(("c".into(), id.as_str().into()), vec![T0 + from * HOUR + checkpoint * 47 * MINUTE]);
            }
        }
        for ((hour, gpu), cost) in down {
            in_ledger = in_ledger + Micros(cost);
            losses.down.push(DownHour {
                cluster: "c".into(),
                node: Some("n1".into()),
                gpu_uuid: format!("GPU-{gpu}").into(),
                of: CostHour { hour: T0 + hour * HOUR, gpu_hours: 1.0, cost: Some(Micros(cost)) },
            });
        }
        let attempts = losses.attempts.clone();
        let found = all_of(&facts, losses);
        let cost: Micros = found.iter().filter_map(Incident::cost).sum();
        prop_assert!(cost <= in_ledger, "{cost:?} of {in_ledger:?}");
        let hits: Vec<&JobHit> = found.iter().flat_map(|incident| &incident.jobs).collect();
        for hit in &hits {
            prop_assert!(hit.cost <= attempts[&(hit.cluster.clone(), hit.job_id.clone(), hit.attempt)].cost);
        }
        let failed = facts.jobs.iter().filter(|job| category_of_job(job).is_some()).count();
        let different: BTreeSet<_> = hits.iter().map(|hit| (&hit.job_id, hit.attempt)).collect();
        prop_assert_eq!((hits.len(), different.len()), (failed, failed), "each failed attempt is in one incident");
    }
}
