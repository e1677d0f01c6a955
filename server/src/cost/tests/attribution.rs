//! Whose a GPU-hour is: the scheduler's word, the samples', the processes'.

use super::laws::{Facts, facts, told};
use super::*;
use contract::GpuState::{Active, Down, HeldEmpty, HeldIdle, Unallocated, Unknown};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn plain() -> Story {
    story().at_price("3.60").teams(&[("*", "all")])
}

#[test]
fn a_job_that_never_starts_a_process_is_charged_for_what_it_holds() {
    let story = plain().gpu(0, "g", &[("-", Unallocated, 60)]).held("g", "ada", None, 15, Some(60));
    let expected = ["0 g job-ada all gpu held_empty 0.7500 2700000", "0 g - unowned idle unallocated 0.2500 900000"];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.outcomes(), []);
}

#[test]
fn the_schedulers_interval_overrules_the_jobs_of_samples() {
    // Ada's process goes on for 20 minutes in bob's time, and for ten after everything.
    let did = [("ada", Active, 60)];
    let story = plain().gpu(0, "g", &did).held("g", "ada", None, 0, Some(30)).held("g", "bob", None, 30, Some(50));
    let expected = [
        "0 g - unowned gpu active 0.1333 480000",
        "0 g job-ada all gpu active 0.5333 1920000",
        "0 g job-bob all gpu active 0.3333 1200000",
    ];
    assert_eq!(story.lines(), expected, "two minutes may be the clocks'");
    assert_eq!(story.outcomes(), [("work_without_job", 1), ("not_as_allocated", 1)]);
}

#[test]
fn clocks_that_are_a_little_apart_move_nothing_and_are_not_told() {
    let did = [("ada", Active, 31), ("bob", Active, 28), ("-", Unallocated, 1)];
    let story = plain().gpu(0, "g", &did).held("g", "ada", None, 0, Some(30)).held("g", "bob", None, 30, Some(59));
    let expected = [
        "0 g job-ada all gpu active 0.5167 1860000",
        "0 g job-bob all gpu active 0.4667 1680000",
        "0 g job-bob all gpu held_empty 0.0167 60000",
    ];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.outcomes(), []);
}

#[test]
fn a_holder_has_the_time_in_which_its_gpu_is_down_or_silent() {
    let did = [("ada", Active, 20), ("-", Down, 20), ("-", Unknown, 20)];
    let story = plain().gpu(0, "g", &did).held("g", "ada", None, -600, Some(60));
    let expected = [
        "0 g job-ada all gpu active 0.3333 1200000",
        "0 g job-ada all gpu down 0.3333 1200000",
        "0 g job-ada all gpu unknown 0.3333 1200000",
    ];
    assert_eq!(story.lines(), expected);
}

#[test]
fn work_of_nobody_is_the_holders_before_idle_time_is() {
    let did = [("-", Active, 25), ("-", HeldIdle, 5), ("-", Unallocated, 30)];
    let story = plain().gpu(0, "g", &did).held("g", "ada", None, 0, Some(40));
    let expected = [
        "0 g job-ada all gpu active 0.4167 1500000",
        "0 g job-ada all gpu held_idle 0.0833 300000",
        "0 g job-ada all gpu held_empty 0.1667 600000",
        "0 g - unowned idle unallocated 0.3333 1200000",
    ];
    assert_eq!(story.lines(), expected);
}

#[test]
fn jobs_that_overlap_without_sharing_pay_alike_and_are_told() {
    let story = plain().gpu(0, "g", &[("ada", Active, 60)]);
    let story = story.held("g", "ada", None, 0, Some(60)).held("g", "bob", None, 30, Some(60));
    let expected = ["0 g job-ada all gpu active 0.7500 2700000", "0 g job-bob all gpu active 0.2500 900000"];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.outcomes(), [("overlapping_allocations", 1), ("not_as_allocated", 1)]);
    let three = plain().gpu(0, "g", &[("-", Active, 60)]);
    let three = ["ada", "bob", "cy"].into_iter().fold(three, |story, user| story.held("g", user, None, 0, Some(60)));
    let costs: Vec<i64> = three.rows().iter().filter_map(|row| Some(row.cost?.0)).collect();
    assert_eq!(costs, [1_200_000; 3]);
}

#[test]
fn shared_gpus_are_split_by_measured_work_memory_or_shares() {
    let story = |measured: &[(&str, i64, Option<f64>, Option<f64>)], policy: &str| {
        let story = plain().policy(policy).gpu(0, "g", &[("-", Active, 60)]).processes(measured);
        story.held("g", "ada", Some(1), 0, Some(60)).held("g", "bob", Some(2), 0, Some(60)).lines()
    };
    let lines = |ada: &str, bob: &str| {
        [format!("0 g job-ada all gpu active {ada}"), format!("0 g job-bob all gpu active {bob}")]
    };
    let measured = [("ada", 60, Some(0.6), Some(1e9)), ("bob", 60, Some(0.2), Some(1e9))];
    assert_eq!(story(&measured, ""), lines("0.7500 2700000", "0.2500 900000"));
    assert_eq!(story(&measured, "shared_gpus = \"even\""), lines("0.3333 1200000", "0.6667 2400000"));
    let memory = [("ada", 60, None, Some(3e9)), ("bob", 60, Some(0.2), Some(1e9))];
    assert_eq!(story(&memory, ""), lines("0.7500 2700000", "0.2500 900000"));
    assert_eq!(story(&measured[..1], ""), lines("0.3333 1200000", "0.6667 2400000"), "not measured for all");
}

#[test]
fn without_a_scheduler_processes_share_what_samples_give_to_nobody() {
    // Bob comes for the last 20 minutes, in which samples name nobody.
    let story = plain().gpu(0, "g", &[("ada", Active, 40), ("-", Active, 20)]);
    let story = story.processes(&[("ada", 60, Some(0.3), None), ("bob", 20, Some(0.1), None)]);
    let expected = ["0 g job-ada all gpu active 0.9167 3300000", "0 g job-bob all gpu active 0.0833 300000"];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.clone().policy("shared_gpus = \"even\"").lines()[0], "0 g job-ada all gpu active 0.8333 3000000");
    assert_eq!(story.outcomes(), []);
}

#[test]
fn an_instance_of_mig_is_allocated_by_itself_or_with_its_gpu() {
    let whole = plain().instance(0, ("g", "i1", "3g.40gb"), &[("-", Unallocated, 60)]);
    let whole = whole.instance(0, ("g", "i2", "4g.40gb"), &[("-", Unallocated, 60)]);
    let one = whole.clone().held("i1", "ada", None, 0, Some(60));
    let expected = ["0 i1 job-ada all gpu held_empty 0.4286 1542857", "0 i2 - unowned idle unallocated 0.5714 2057143"];
    assert_eq!(one.lines(), expected);
    let both = whole.held("g", "ada", None, 0, Some(60));
    assert_eq!(both.rows().iter().filter(|row| row.state == Some(HeldEmpty)).count(), 2);
    assert_eq!(total(&both.rows()), 3_600_000);
}

#[test]
fn a_gpu_that_nobody_measures_costs_the_time_for_which_it_was_given_away() {
    let story = plain().held("g", "ada", None, 30, Some(90));
    let expected = ["0 g job-ada all gpu unknown 0.5000 1800000", "1 g job-ada all gpu unknown 0.5000 1800000"];
    assert_eq!(story.lines(), expected);
    let mut goes_on = plain().held("g", "ada", None, 30, None);
    goes_on.held[0].holdings[0].heard_to_micros = NOVEMBER + 60 * MINUTE;
    assert_eq!(goes_on.lines(), expected[..1], "while its scheduler is heard of");
}

#[test]
fn attempts_of_one_job_have_their_own_time() {
    let mut story = plain().gpu(0, "g", &[("ada", Active, 50), ("-", Unallocated, 10)]);
    story = story.held("g", "ada", None, 0, Some(20)).held("g", "ada", None, 30, Some(60));
    Arc::make_mut(&mut story.held[0].holdings[1].job).attempt = 1;
    Arc::make_mut(story.gpu_hours[0].uses[0].job.as_mut().unwrap()).attempt = 1;
    let attempts: Vec<(i64, i64)> =
        story.rows().iter().filter_map(|row| Some((row.job.as_ref()?.attempt, row.cost?.0))).collect();
    assert_eq!(attempts, [(0, 1_200_000), (1, 1_800_000)]);
}

#[derive(Debug, Clone)]
struct Said {
    gpu: usize,
    user: usize,
    from: i64,
    minutes: i64,
    goes_on: bool,
    shares: Option<u32>,
}

const GPUS: [&str; 5] = ["g0", "g1", "g2", "g1-2", "elsewhere"];
const USERS: [&str; 4] = ["ada", "bob", "cy", "dan"];

fn said() -> impl Strategy<Value = Vec<Said>> {
    let one = (
        0..GPUS.len(),
        0..USERS.len(),
        -90_i64..250,
        -5_i64..200,
        prop::bool::weighted(0.1),
        prop::option::of(1..4_u32),
    );
    let one =
        one.prop_map(|(gpu, user, from, minutes, goes_on, shares)| Said { gpu, user, from, minutes, goes_on, shares });
    prop::collection::vec(one, 0..10)
}

type Seen = Vec<(usize, usize, i64, Option<f64>, Option<f64>)>;

fn seen() -> impl Strategy<Value = Seen> {
    let number = || prop::option::of(0.0..1.0);
    prop::collection::vec((0..14_usize, 0..USERS.len(), 0_i64..61, number(), number()), 0..12)
}

fn with(facts: &Facts, said: &[Said], seen: &Seen) -> Story {
    let mut story = told(facts);
    for said in said {
        let to = (!said.goes_on).then_some(said.from + said.minutes);
        story = story.held(GPUS[said.gpu], USERS[said.user], said.shares, said.from, to);
    }
    for (at, user, minutes, busy, bytes) in seen {
        let Some(gpu) = story.gpu_hours.get_mut(*at) else { continue };
        let (job, seconds) = (job(USERS[*user]), (minutes * 60) as f64);
        if gpu.processes.iter().all(|known| known.job != job) {
            let (sm_seconds, byte_seconds) = (busy.map(|b| b * seconds), bytes.map(|b| b * seconds));
            gpu.processes.push(Processes { job, seconds, sm_seconds, byte_seconds });
        }
    }
    story
}

/// Cost and energy of each GPU and hour, of those that are measured.
fn sums(story: &Story) -> BTreeMap<(i64, String), (i64, i64)> {
    let mut sums: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
    for row in story.rows() {
        let Some(gpu) = row.parent_gpu_uuid.as_ref().or(row.gpu_uuid.as_ref()) else { continue };
        let sum = sums.entry((row.hour_micros, gpu.to_string())).or_default();
        sum.0 += row.cost.unwrap_or_default().0;
        sum.1 += (row.energy_joules.unwrap_or(0.0) * 1_000.0).round() as i64;
    }
    sums
}

fn measured(story: &Story) -> Vec<(i64, String)> {
    let of = |gpu: &GpuHour| gpu.parent_gpu_uuid.as_ref().unwrap_or(&gpu.gpu_uuid).to_string();
    story.gpu_hours.iter().map(|gpu| (gpu.hour_micros, of(gpu))).collect()
}

fn turned<T: Clone>(all: &[T], by: usize) -> Vec<T> {
    let mut all = all.to_vec();
    let by = by.checked_rem(all.len()).unwrap_or(0);
    all.rotate_left(by);
    all.reverse();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_that_anybody_says_changes_what_a_gpu_costs(facts in facts(), said in said(), seen in seen()) {
        let (before, after) = (told(&facts), with(&facts, &said, &seen));
        let (expected, found) = (sums(&before), sums(&after));
        for key in measured(&before) {
            let (expected, found) = (expected.get(&key).copied().unwrap_or_default(), found.get(&key).copied().unwrap_or_default());
            prop_assert_eq!(expected.0, found.0, "{:?}", key);
            // Energy of a job whose share of the work is zero is with nobody as long as nobody says who else was there.
            prop_assert!(found.1 >= expected.1 - 40, "{key:?} drew {expected:?}, not {found:?}");
        }
        for row in after.rows() {
            prop_assert!(row.cost.is_none_or(|cost| cost >= Micros::ZERO) && row.quantity >= 0.0, "{row:?}");
        }
    }

    #[test]
    fn whoever_speaks_first_is_charged_alike(facts in facts(), said in said(), seen in seen(), by in 0..20_usize) {
        let story = with(&facts, &said, &seen);
        let mut other = story.clone();
        other.gpu_hours = turned(&story.gpu_hours, by);
        other.gpu_hours.iter_mut().for_each(|gpu| gpu.uses = turned(&gpu.uses, by));
        other.gpu_hours.iter_mut().for_each(|gpu| gpu.processes = turned(&gpu.processes, by));
        other.held = turned(&story.held, by);
        other.held.iter_mut().for_each(|held| held.holdings = turned(&held.holdings, by));
        prop_assert_eq!(format!("{:?}", day(&story.inputs())), format!("{:?}", day(&other.inputs())));
    }

    #[test]
    fn a_closed_month_and_its_corrections_are_what_is_known_last(
        facts in facts(), early in said(), late in said(), seen in seen(), policy in 0..super::laws::POLICIES.len(),
    ) {
        let mut ledger = with(&facts, &early, &Seen::new()).rows();
        let closed = ledger.clone();
        for story in [with(&facts, &late, &seen), with(&Facts { policy, ..facts.clone() }, &late, &seen)] {
            let fresh = story.rows();
            ledger.extend(adjustments(&ledger, &fresh).into_iter().map(|adjustment| adjustment.row));
            prop_assert_eq!(total(&ledger), total(&fresh));
            prop_assert!(adjustments(&ledger, &fresh).is_empty());
        }
        prop_assert_eq!(&ledger[..closed.len()], &closed[..]);
    }

    #[test]
    fn a_job_alone_on_a_gpu_is_charged_for_its_minutes(from in 0_i64..170, minutes in 1_i64..120, price in 1_u32..9_000_000) {
        let price = Micros(i64::from(price));
        let mut story = story().at_price(&price.decimal().to_string());
        story.hours = 6;
        for hour in 0..6 {
            story = story.gpu(hour, "g", &[("-", Unallocated, 60)]);
        }
        let rows = story.held("g", "ada", None, from, Some(from + minutes)).rows();
        let of_job: Vec<LedgerRow> = rows.iter().filter(|row| row.job.is_some()).cloned().collect();
        let exact = price.0 as f64 * minutes as f64 / 60.0;
        prop_assert!((total(&of_job) as f64 - exact).abs() <= of_job.len() as f64, "{} and {exact}", total(&of_job));
        prop_assert_eq!(total(&rows), price.0 * 6);
    }
}
