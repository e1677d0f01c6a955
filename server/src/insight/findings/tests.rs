#![allow(clippy::unwrap_used)]

use super::super::facts::{Cell, Event, Facts, HOUR, Job, MINUTE, SpareHour, Text, Use, Window};
use super::super::incidents::Losses;
use super::*;
use crate::query::Meanings;
use contract::GpuState;
use proptest::prelude::*;
use std::sync::LazyLock;

/// 2026-03-05T00:00Z.
const T0: i64 = 1_772_668_800_000_000;
const HOURS: i64 = 240;
const PRICE: i64 = 2_000_000;

fn window() -> Window {
    Window { from_micros: T0, to_micros: T0 + HOURS * HOUR }
}

fn hours(from: i64, to: i64) -> Window {
    Window { from_micros: T0 + from * HOUR, to_micros: T0 + to * HOUR }
}

fn gpu(node: usize, index: usize) -> (Text, Text) {
    (format!("n{node}").into(), format!("GPU-{node}-{index}").into())
}

fn cell((node, uuid): &(Text, Text), job: Option<&str>, state: GpuState, seen: Window) -> Cell {
    let gpu_hours = seen.micros() as f64 / HOUR as f64;
    Cell {
        cluster: "c".into(),
        node: Some(node.clone()),
        gpu_uuid: uuid.clone(),
        gpu_model: Some("H100".into()),
        job_id: job.map(Text::from),
        state,
        job_name: None,
        user: job.map(|_| "ann".into()),
        team: "ml".into(),
        hours: seen,
        gpu_hours,
        cost: Some(Micros((gpu_hours * PRICE as f64) as i64)),
        unpriced_gpu_hours: 0.0,
    }
}

fn used((node, uuid): &(Text, Text), job: Option<&str>, seen: Window) -> Use {
    Use {
        cluster: "c".into(),
        node: node.clone(),
        gpu_uuid: uuid.clone(),
        gpu_model: "H100".into(),
        job_id: job.map(Text::from),
        hours: seen,
        sampled_hours: seen.micros() as f64 / HOUR as f64,
        busy: Some(0.9),
        busy_max: Some(1.0),
        sm_active: Some(0.7),
        tensor_active: Some(0.4),
        memory_peak_bytes: Some(60e9),
        memory_total_bytes: Some(80e9),
        celsius_max: Some(70.0),
        busy_clock_hertz: Some(1.9e9),
        busy_seconds: seen.micros() as f64 / 1e6,
        busy_power_ratio: Some(0.8),
        ..Use::default()
    }
}

/// Four nodes with eight GPUs each that work all the time, each node for one job.
fn healthy() -> Facts {
    let mut facts = Facts { window: window(), currency: "USD".into(), ..Facts::default() };
    for node in 0..4 {
        let job = format!("job-{node}");
        for index in 0..8 {
            facts.cells.push(cell(&gpu(node, index), Some(&job), GpuState::Active, window()));
            facts.uses.push(used(&gpu(node, index), Some(&job), window()));
        }
        facts.jobs.push(Job {
            cluster: "c".into(),
            job_id: job.as_str().into(),
            state: Some("RUNNING".into()),
            user: Some("ann".into()),
            gpus: Some(8),
            nodes: vec![format!("n{node}").into()],
            submitted: Some(T0 - HOUR),
            started: Some(T0),
            ..Job::default()
        });
    }
    facts
}

/// Reading the text takes longer than most tests.
static MEANINGS: LazyLock<Meanings> = LazyLock::new(Meanings::read);

fn found(facts: &Facts) -> Vec<Finding> {
    let failures = super::super::incidents::all(facts, Losses::default(), &MEANINGS);
    all(facts, &failures)
}

fn kinds(found: &[Finding]) -> Vec<&'static str> {
    found.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_fleet_that_works_has_no_findings() {
    assert_eq!(kinds(&found(&healthy())), Vec::<&str>::new());
}

#[test]
fn idle_and_empty_hours_are_told_by_job_with_their_money() {
    let mut facts = healthy();
    for index in 0..2 {
        facts.cells.push(cell(&gpu(5, index), Some("lazy"), GpuState::HeldIdle, hours(0, 240)));
        facts.cells.push(cell(&gpu(6, index), Some("empty"), GpuState::HeldEmpty, hours(10, 20)));
        // A tenth of a minute of loading is no finding.
        facts.cells.push(cell(&gpu(0, index), Some("job-0"), GpuState::HeldIdle, hours(3, 4)));
    }
    let found = found(&facts);
    assert_eq!(kinds(&found), ["idle_gpus", "empty_allocation"]);
    assert_eq!((found[0].cost, found[0].gpu_hours), (Some(Micros(2 * 240 * PRICE)), Some(480.0)));
    assert!(found[0].is_ongoing(facts.window) && found[0].severity == Severity::Warning);
    assert_eq!(per_month(found[0].cost.unwrap(), facts.window), Some(Micros(3 * 2 * 240 * PRICE)));
    assert!(!found[1].is_ongoing(facts.window) && found[1].severity == Severity::Notice);
    assert_eq!((found[1].cost, found[1].seen), (Some(Micros(2 * 10 * PRICE)), hours(10, 20)));
    assert_eq!((found[1].place.job_id.as_deref(), found[1].owner.user.as_deref()), (Some("empty"), Some("ann")));
}

#[test]
fn what_has_no_price_has_no_cost() {
    let mut facts = healthy();
    let unpriced =
        Cell { cost: None, unpriced_gpu_hours: 240.0, ..cell(&gpu(5, 0), Some("lazy"), GpuState::HeldIdle, window()) };
    facts.cells.push(unpriced);
    let found = found(&facts);
    let mut all = kinds(&found);
    all.sort_unstable();
    assert_eq!(all, ["idle_gpus", "unpriced_use"]);
    assert!(found.iter().all(|finding| finding.cost.is_none() && finding.gpu_hours == Some(240.0)));
}

#[test]
fn gpus_that_were_never_used_are_told_and_not_told_again_as_idle() {
    let mut facts = healthy();
    for used in facts.uses.iter_mut().filter(|used| used.job_id.as_deref() == Some("job-2")).take(5) {
        used.busy = Some(0.001);
    }
    let unused: Vec<Text> =
        facts.uses.iter().filter(|used| used.busy == Some(0.001)).map(|used| used.gpu_uuid.clone()).collect();
    for cell in facts.cells.iter_mut().filter(|cell| unused.contains(&cell.gpu_uuid)) {
        cell.state = GpuState::HeldIdle;
    }
    let found = found(&facts);
    assert_eq!(kinds(&found), ["oversized_gpus"]);
    assert_eq!(found[0].title, "Job job-2 never used 5 of its 8 GPUs");
    assert_eq!(found[0].cost, Some(Micros(5 * HOURS * PRICE)));
    assert!(found[0].action.starts_with("Ask for 3 GPUs"), "{}", found[0].action);
}

#[test]
fn a_job_that_stopped_working_is_stalled_and_a_session_is_not() {
    let mut facts = healthy();
    facts.cells.retain(|cell| cell.job_id.as_deref() != Some("job-3"));
    for index in 0..8 {
        facts.cells.push(cell(&gpu(3, index), Some("job-3"), GpuState::Active, hours(0, 200)));
        facts.cells.push(cell(&gpu(3, index), Some("job-3"), GpuState::HeldIdle, hours(200, 240)));
    }
    // One GPU, and idle between bursts of work.
    facts.cells.push(cell(&gpu(6, 0), Some("notebook"), GpuState::Active, hours(100, 110)));
    facts.cells.push(cell(&gpu(6, 0), Some("notebook"), GpuState::HeldIdle, hours(0, 240)));
    let found = found(&facts);
    assert_eq!(kinds(&found), ["stalled_job", "idle_gpus"]);
    assert_eq!((found[0].severity, found[0].seen), (Severity::Critical, hours(200, 240)));
    assert_eq!(found[0].cost, Some(Micros(8 * 40 * PRICE)));
    assert_eq!(found[1].place.job_id.as_deref(), Some("notebook"));
}

#[test]
fn free_gpus_count_as_far_as_jobs_waited_for_them() {
    let mut facts = healthy();
    for index in 0..8 {
        facts.cells.push(cell(&gpu(7, index), None, GpuState::Unallocated, window()));
    }
    facts.spare =
        (0..HOURS).map(|hour| SpareHour { cluster: "c".into(), hour: T0 + hour * HOUR, gpu_hours: 8.0 }).collect();
    assert_eq!(kinds(&found(&facts)), Vec::<&str>::new(), "nobody waited");
    let waiting = |gpus, from, to| Job {
        cluster: "c".into(),
        job_id: "w".into(),
        gpus: Some(gpus),
        submitted: Some(T0 + from * HOUR - 5 * MINUTE),
        started: Some(T0 + to * HOUR + 5 * MINUTE),
        ..Job::default()
    };
    // Six GPUs for ten hours, and a job for which there is not enough for as long.
    facts.jobs.push(waiting(6, 20, 30));
    facts.jobs.push(waiting(64, 50, 60));
    let found = found(&facts);
    assert_eq!(kinds(&found), ["free_while_jobs_wait"]);
    let wanted = 6.0 * 10.0 + 8.0 * 10.0;
    assert!(found[0].evidence.contains(&("wanted_gpu_hours", wanted)), "{:?}", found[0].evidence);
    let cost = found[0].cost.unwrap().0 as f64 / PRICE as f64;
    assert!((cost - wanted).abs() < 2.0, "{cost} of {wanted}");
    assert_eq!(found[0].seen, hours(20, 60));
}

#[test]
fn a_slow_clock_is_told_where_heat_or_the_driver_explains_it() {
    let mut facts = healthy();
    facts.uses[3].busy_clock_hertz = Some(1.14e9);
    assert_eq!(kinds(&found(&facts)), Vec::<&str>::new(), "nobody knows why");
    facts.uses[3].celsius_max = Some(92.0);
    let hot = found(&facts);
    assert_eq!(kinds(&hot), ["throttled"]);
    let deficit = 1.0 - 1.14 / 1.9;
    let cost = hot[0].cost.unwrap().0 as f64 / (HOURS * PRICE) as f64;
    assert!((cost - deficit).abs() < 0.002, "{cost}");
    assert_eq!((hot[0].place.gpu_uuid.as_deref(), hot[0].confidence), (Some("GPU-0-3"), 0.7));
    facts.uses[3].busy_power_ratio = Some(0.99);
    assert_eq!(kinds(&found(&facts)), Vec::<&str>::new(), "at its power limit a GPU is slow as it should be");
    facts.events.push(Event {
        time: T0 + HOUR,
        cluster: "c".into(),
        node: "n0".into(),
        gpu_uuid: Some("GPU-0-3".into()),
        kind: "throttle".into(),
        code: Some(0x60),
        ..Event::default()
    });
    assert_eq!(found(&facts)[0].confidence, 0.95);
}

#[test]
fn little_memory_and_few_sms_fit_into_a_slice() {
    let mut facts = healthy();
    facts.cells.push(cell(&gpu(5, 0), Some("small"), GpuState::Active, window()));
    let mut small = used(&gpu(5, 0), Some("small"), window());
    (small.memory_peak_bytes, small.sm_active) = (Some(6e9), Some(0.1));
    facts.uses.push(small);
    let slice = found(&facts);
    assert_eq!(kinds(&slice), ["small_memory"]);
    assert!(slice[0].is_waste && slice[0].action.contains("one seventh"), "{}", slice[0].action);
    let part = slice[0].cost.unwrap().0 as f64 / (HOURS * PRICE) as f64;
    assert!((part - 6.0 / 7.0).abs() < 0.001, "{part}");
    facts.uses.last_mut().unwrap().sm_active = Some(0.9);
    let busy = found(&facts);
    assert_eq!((kinds(&busy), busy[0].is_waste), (vec!["small_memory"], false), "it needs the SMs of a whole GPU");
}

#[test]
fn busy_work_without_tensor_cores_is_told_as_what_is_at_stake() {
    let mut facts = healthy();
    facts
        .uses
        .iter_mut()
        .filter(|used| used.job_id.as_deref() == Some("job-1"))
        .for_each(|used| used.tensor_active = Some(0.01));
    let found = found(&facts);
    assert_eq!(kinds(&found), ["no_tensor_cores"]);
    assert!(!found[0].is_waste && found[0].cost == Some(Micros(8 * HOURS * PRICE)));
}

#[test]
fn memory_errors_links_and_silence_are_told_by_node() {
    let mut facts = healthy();
    facts.uses[9].ecc_uncorrected = 1.0;
    facts.uses[10].ecc_corrected = 4.0;
    facts.uses[11].remapped_rows = 1.0;
    facts.cells[20].state = GpuState::Unknown;
    facts.cells[20].hours = hours(230, 240);
    for minute in [0, 600] {
        facts.events.push(Event {
            time: T0 + minute * MINUTE,
            cluster: "c".into(),
            node: "n3".into(),
            kind: "xid".into(),
            code: Some(74),
            message: "Xid 74".into(),
            ..Event::default()
        });
    }
    let mut all = kinds(&found(&facts));
    all.sort_unstable();
    assert_eq!(all, ["link_errors", "memory_errors", "memory_errors", "silent_node"]);
    let ids: std::collections::BTreeSet<String> = found(&facts).iter().map(Finding::id).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

fn ended(id: usize, node: &str, name: &str, state: &str) -> Job {
    Job {
        cluster: "c".into(),
        job_id: format!("e{id}").into(),
        state: Some(state.into()),
        name: Some(format!("{name}-{id}").into()),
        user: Some("bob".into()),
        gpus: Some(1),
        nodes: vec![node.into()],
        started: Some(T0 + id as i64 * HOUR),
        ended: Some(T0 + id as i64 * HOUR + 30 * MINUTE),
        exit_code: Some(i64::from(state == "FAILED")),
        ..Job::default()
    }
}

#[test]
fn a_program_that_fails_again_and_again_is_told_once() {
    let mut facts = healthy();
    facts.jobs.extend((0..5).map(|id| ended(id, "n1", "train-debug", if id == 2 { "COMPLETED" } else { "FAILED" })));
    facts.jobs.extend((10..15).map(|id| ended(id, "n1", "eval", if id == 12 { "FAILED" } else { "COMPLETED" })));
    let found = found(&facts);
    assert_eq!(kinds(&found), ["repeat_failures"]);
    assert_eq!(found[0].title, "train-debug of bob failed 4 times of 5");
    assert_eq!(found[0].gpu_hours, Some(2.0));
}

#[test]
fn a_node_is_a_lemon_only_where_chance_does_not_explain_it() {
    let attempts = |node: &str, from: usize, all: usize, failed: usize| -> Vec<Job> {
        let state = |id| if id < from + failed { "NODE_FAIL" } else { "COMPLETED" };
        (from..from + all).map(|id| Job { user: None, ..ended(id, node, "job", state(id)) }).collect()
    };
    let mut facts = healthy();
    for (at, node) in ["n0", "n1", "n2"].into_iter().enumerate() {
        facts.jobs.extend(attempts(node, 1 + at * 50, 50, 1));
    }
    facts.jobs.extend(attempts("n3", 160, 2, 1));
    assert_eq!(kinds(&found(&facts)), Vec::<&str>::new(), "one failure of two is bad luck");
    facts.jobs.extend(attempts("n4", 170, 20, 8));
    let found = found(&facts);
    assert_eq!(kinds(&found), ["lemon_node"]);
    assert_eq!(found[0].place.node.as_deref(), Some("n4"));
}

fn any_state() -> impl Strategy<Value = GpuState> {
    prop::sample::select(GpuState::ALL.to_vec())
}

prop_compose! {
    fn any_cell()(
        node in 0..3_usize, index in 0..4_usize, job in prop::option::weighted(0.8, 0..6_usize), state in any_state(),
        from in 0..HOURS, length in 1..100_i64, cost in prop::option::weighted(0.9, 0..5_000_000_000_i64),
    ) -> Cell {
        let job = job.map(|job| format!("job-{job}"));
        let seen = hours(from, (from + length).min(HOURS));
        Cell { cost: cost.map(Micros), ..cell(&gpu(node, index), job.as_deref(), state, seen) }
    }
}

prop_compose! {
    fn any_use()(
        node in 0..3_usize, index in 0..4_usize, job in prop::option::weighted(0.8, 0..6_usize),
        busy in prop::option::of(prop::sample::select(vec![0.0, 0.005, 0.1, 0.9])), memory in 0.0..80e9_f64,
        clock in prop::sample::select(vec![1.9e9, 1.0e9]), celsius in 60.0..95.0_f64,
    ) -> Use {
        let job = job.map(|job| format!("job-{job}"));
        Use {
            busy, sm_active: busy, memory_peak_bytes: Some(memory), busy_clock_hertz: Some(clock),
            celsius_max: Some(celsius), ..used(&gpu(node, index), job.as_deref(), window())
        }
    }
}

proptest! {
    #[test]
    fn waste_is_never_more_than_the_ledger_has(
        cells in prop::collection::vec(any_cell(), 0..60),
        uses in prop::collection::vec(any_use(), 0..40),
        waits in prop::collection::vec((0..HOURS, 1..50_i64, 1..20_i64), 0..5),
    ) {
        let mut facts = Facts { window: window(), cells, uses, ..Facts::default() };
        let free: f64 = facts.cells.iter().filter(|cell| cell.state == GpuState::Unallocated).map(|cell| cell.gpu_hours).sum();
        facts.spare = (0..HOURS).map(|hour| SpareHour { cluster: "c".into(), hour: T0 + hour * HOUR, gpu_hours: free / HOURS as f64 }).collect();
        facts.jobs = waits.iter().map(|(from, long, gpus)| Job {
            cluster: "c".into(),
            job_id: "w".into(),
            gpus: Some(*gpus),
            submitted: Some(T0 + from * HOUR),
            started: Some(T0 + (from + long) * HOUR),
            ..Job::default()
        }).collect();
        let found = found(&facts);
        let waste = |finding: &&Finding| finding.is_waste;
        let wasted: Micros = found.iter().filter(waste).filter_map(|finding| finding.cost).sum();
        let all: Micros = facts.cells.iter().filter_map(|cell| cell.cost).sum();
        prop_assert!(wasted <= all, "{wasted:?} of {all:?}");
        let wasted_hours: f64 = found.iter().filter(waste).filter_map(|finding| finding.gpu_hours).sum();
        let all_hours: f64 = facts.cells.iter().map(|cell| cell.gpu_hours).sum();
        prop_assert!(wasted_hours <= all_hours + 1e-6, "{wasted_hours} of {all_hours}");
        for finding in &found {
            prop_assert!((0.0..=1.0).contains(&finding.confidence) && !finding.why.is_empty(), "{finding:?}");
            prop_assert!(finding.action.ends_with(['.', '`']) && !finding.title.is_empty(), "{finding:?}");
            prop_assert!(finding.cost != Some(Micros::ZERO) || finding.gpu_hours.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter(cells in prop::collection::vec(any_cell(), 0..30), uses in prop::collection::vec(any_use(), 0..20)) {
        let mut facts = Facts { window: window(), cells, uses, ..Facts::default() };
        let sums = |found: Vec<Finding>| -> Vec<(String, Option<Micros>)> {
            found.iter().map(|finding| (finding.id(), finding.cost)).collect()
        };
        let forward = sums(found(&facts));
        facts.cells.reverse();
        let back = sums(found(&facts));
        prop_assert_eq!(forward, back);
    }
}
