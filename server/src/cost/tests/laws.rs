//! What holds for every fleet: random GPUs, jobs, prices and policies.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const H: i128 = HOUR_MICROS as i128;

#[derive(Debug, Clone)]
pub(super) struct RandomUse {
    user: usize,
    state: usize,
    minutes: i64,
    seconds_off: i64,
    joules: Option<f64>,
}

#[derive(Debug, Clone)]
pub(super) struct RandomGpu {
    hour: i64,
    gpu: usize,
    /// 0 for the GPU itself.
    instance: usize,
    pool: bool,
    uses: Vec<RandomUse>,
}

/// What a story is made of; a late event changes it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) gpus: Vec<RandomGpu>,
    /// User, GPUs, start and minutes.
    pub(super) jobs: Vec<(usize, i64, i64, Option<i64>)>,
    /// For each hour micros, none where there is no price.
    pub(super) prices: Vec<Option<u32>>,
    pub(super) per_kwh: Option<u32>,
    pub(super) policy: usize,
}

const USERS: [&str; 5] = ["-", "ada", "bob", "cy", "dan"];
const PROFILES: [&str; 5] = ["", "1g.10gb", "3g.40gb", "2g.20gb", "4g.40gb"];
pub(super) const HOURS: i64 = 4;
pub(super) const POLICIES: [&str; 6] = [
    "",
    "idle = \"even\"\nshared_gpus = \"even\"",
    "idle = \"proportional\"\n[node_split]\ngpu = 0.61\ncpu = 0.29\nmemory = 0.1",
    "idle = \"pool_owner\"\n[pool_owner.p]\nteam = \"ml\"\ncost_centre = \"1\"",
    "[node_split]\ngpu = 0\ncpu = 0.333333\nmemory = 0.666667",
    "idle = \"proportional\"\n[[overhead]]\nname = \"x\"\nper_month = 99.99\nspread = \"even\"\n\
     [[overhead]]\nname = \"y\"\nper_month = 12345.678901\nspread = \"proportional\"\n[[overhead]]\nname = \"z\"\nper_month = 1",
];

pub(super) fn uses() -> impl Strategy<Value = Vec<RandomUse>> {
    let minutes = prop_oneof![0_i64..=60, Just(60), Just(20)];
    let joules = prop_oneof![Just(None), (0.0..2e6).prop_map(Some)];
    let one = (0..USERS.len(), 0..6_usize, minutes, -2_i64..2, joules).prop_map(
        |(user, state, minutes, seconds_off, joules)| RandomUse { user, state, minutes, seconds_off, joules },
    );
    prop::collection::vec(one, 1..6)
}

fn gpu() -> impl Strategy<Value = RandomGpu> {
    let instance = prop_oneof![Just(0), Just(0), 1..PROFILES.len()];
    (0..HOURS, 0..3_usize, instance, any::<bool>(), uses()).prop_map(|(hour, gpu, instance, pool, uses)| RandomGpu {
        hour,
        gpu,
        instance,
        pool,
        uses,
    })
}

pub(super) fn facts() -> impl Strategy<Value = Facts> {
    let gpus = prop::collection::vec(gpu(), 0..14).prop_map(|mut gpus| {
        gpus.sort_by_key(|gpu| (gpu.hour, gpu.gpu, gpu.instance));
        gpus.dedup_by_key(|gpu| (gpu.hour, gpu.gpu, gpu.instance));
        gpus
    });
    let jobs = (1..USERS.len(), 0_i64..9, -90_i64..250, prop::option::weighted(0.9, -20_i64..400));
    let price = prop::option::weighted(0.9, prop_oneof![0_u32..9_000_000, Just(2_500_000), Just(1)]);
    let prices = prop::collection::vec(price, HOURS as usize);
    let per_kwh = prop::option::of(0_u32..900_000);
    (gpus, prop::collection::vec(jobs, 0..6), prices, per_kwh, 0..POLICIES.len())
        .prop_map(|(gpus, jobs, prices, per_kwh, policy)| Facts { gpus, jobs, prices, per_kwh, policy })
}

pub(super) fn told(facts: &Facts) -> Story {
    let mut story =
        story().policy(POLICIES[facts.policy]).teams(&[("ada", "vision"), ("bob", "speech"), ("cy", "vision")]);
    story.hours = HOURS;
    story.known_to = NOVEMBER + HOURS * HOUR_MICROS;
    for (hour, micros) in facts.prices.iter().enumerate() {
        let Some(micros) = micros else { continue };
        let from = NOVEMBER + hour as i64 * HOUR_MICROS;
        let text = Micros(i64::from(*micros)).decimal().to_string();
        let price = story.book.add(from, from + HOUR_MICROS, &text);
        price.electricity = facts.per_kwh.map(|m| Electricity { per_kwh: Micros(i64::from(m)).decimal() });
    }
    for random in &facts.gpus {
        let did: Vec<(&str, GpuState, i64)> =
            random.uses.iter().map(|u| (USERS[u.user], GpuState::ALL[u.state], u.minutes)).collect();
        let mut gpu = gpu_hour(random.hour, &format!("g{}", random.gpu), &did);
        if random.instance > 0 {
            gpu.parent_gpu_uuid = Some(gpu.gpu_uuid.clone());
            gpu.gpu_uuid = Arc::from(format!("{}-{}", gpu.gpu_uuid, random.instance));
            gpu.mig_profile = Some(Arc::from(PROFILES[random.instance]));
        }
        if random.pool {
            gpu.place = Arc::new(GpuPlace { pool: Some(Arc::from("p")), ..(*gpu.place).clone() });
        }
        for (used, random) in gpu.uses.iter_mut().zip(&random.uses) {
            *used.micros.get_mut(GpuState::ALL[random.state]) += random.seconds_off * 333_333;
            used.energy_joules = random.joules;
        }
        story.gpu_hours.push(gpu);
    }
    for (at, (user, gpus, start, minutes)) in facts.jobs.iter().enumerate() {
        story = story.accounted(USERS[*user], *gpus, *start, minutes.map(|minutes| start + minutes));
        Arc::make_mut(story.accounting.last_mut().unwrap()).job_id = Arc::from(format!("accounted-{at}"));
    }
    story
}

fn half_even(numerator: i128, denominator: i128) -> i64 {
    let (whole, twice) = (numerator / denominator, numerator % denominator * 2);
    let up = twice > denominator || (twice == denominator && whole % 2 == 1);
    i64::try_from(whole + i128::from(up)).unwrap()
}

/// Microseconds of a device, by a plain sum.
fn time_of(gpu: &GpuHour) -> i128 {
    let states = gpu.uses.iter().flat_map(|used| GpuState::ALL.map(|state| *used.micros.get(state)));
    let sum: i128 = states.map(|micros| i128::from(micros.clamp(0, HOUR_MICROS))).sum();
    snapped(sum.min(H))
}

fn snapped(time: i128) -> i128 {
    if H - time <= 1_000 { H } else { time }
}

/// What each GPU costs in each hour, in plain loops over integers; none where there is no price.
fn prices_of_gpus(facts: &Facts, story: &Story) -> BTreeMap<(i64, String), Option<i64>> {
    let mut families: BTreeMap<(i64, String), Vec<&GpuHour>> = BTreeMap::new();
    for gpu in &story.gpu_hours {
        let root = gpu.parent_gpu_uuid.as_ref().unwrap_or(&gpu.gpu_uuid);
        families.entry((gpu.hour_micros, root.to_string())).or_default().push(gpu);
    }
    let cost = |((hour, root), gpus): ((i64, String), Vec<&GpuHour>)| {
        let price = facts.prices[((hour - NOVEMBER) / HOUR_MICROS) as usize];
        let slices =
            |gpu: &GpuHour| gpu.mig_profile.as_ref().map_or(7, |profile| i128::from(profile.as_bytes()[0] - b'0'));
        let (parts, wholes): (Vec<&GpuHour>, Vec<&GpuHour>) = gpus.iter().partition(|gpu| gpu.mig_profile.is_some());
        let own: i128 = wholes.iter().map(|gpu| time_of(gpu)).sum();
        let longest = parts.iter().map(|gpu| time_of(gpu)).max().unwrap_or(0);
        let needed = parts.iter().map(|gpu| slices(gpu) * time_of(gpu)).sum::<i128>();
        let time = snapped((own + longest.max((needed + 6) / 7)).min(H));
        let joules = gpus.iter().flat_map(|gpu| &gpu.uses).filter_map(|used| used.energy_joules);
        let millijoules: i128 = joules.map(|joules| (joules * 1_000.0).round() as i128).sum();
        let power =
            if time > 0 { facts.per_kwh.map_or(0, |per| half_even(i128::from(per) * millijoules, H)) } else { 0 };
        ((hour, root), price.map(|price| half_even(i128::from(price) * time, H) + power))
    };
    families.into_iter().map(cost).collect()
}

/// What accounting alone charges, in a plain loop over jobs and hours.
fn prices_of_jobs(facts: &Facts) -> i64 {
    let mut sum = 0;
    for (_, gpus, start, minutes) in &facts.jobs {
        let from = i128::from(*start * MINUTE);
        let to = minutes.map_or(H * i128::from(HOURS), |minutes| i128::from((start + minutes) * MINUTE));
        for (hour, price) in facts.prices.iter().enumerate() {
            let (open, close) = (H * hour as i128, H * (hour as i128 + 1));
            let (first, last) = (from.max(open), to.min(close));
            if first < last {
                let until = |at: i128| half_even(i128::from(price.unwrap_or(0)) * i128::from(*gpus) * (at - from), H);
                sum += until(last) - until(first);
            }
        }
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_rows_of_a_gpu_and_hour_sum_to_its_price(facts in facts()) {
        let story = told(&facts);
        let mut sums: BTreeMap<(i64, String), (i64, f64)> = BTreeMap::new();
        let rows = story.rows();
        for row in &rows {
            prop_assert!(row.cost.is_none_or(|cost| cost >= Micros::ZERO), "{row:?}");
            prop_assert!(row.quantity >= 0.0 && row.quantity.is_finite(), "{row:?}");
            prop_assert_eq!(row.cost.is_some(), row.rate.is_some(), "{:?}", row);
            let Some(gpu) = row.parent_gpu_uuid.as_ref().or(row.gpu_uuid.as_ref()) else { continue };
            let sum = sums.entry((row.hour_micros, gpu.to_string())).or_default();
            sum.0 += row.cost.unwrap_or_default().0;
            sum.1 += if row.unit == Unit::GpuHours { row.quantity } else { 0.0 };
        }
        for (key, expected) in prices_of_gpus(&facts, &story) {
            let (cost, hours) = sums.get(&key).copied().unwrap_or_default();
            prop_assert_eq!(cost, expected.unwrap_or(0), "{:?}", key);
            prop_assert!(hours <= 1.0 + 1e-9, "{key:?} has {hours} hours");
        }
    }

    #[test]
    fn the_ledger_sums_to_the_bill(facts in facts()) {
        let story = told(&facts);
        let gpus: i64 = prices_of_gpus(&facts, &story).values().flatten().sum();
        let rows = story.rows();
        let overheads = total(&rows.iter().filter(|r| r.category == Category::Overhead).cloned().collect::<Vec<_>>());
        let per_month: Decimal = story.policy.overheads.iter().map(|overhead| overhead.per_month).sum();
        let exact = per_month * Decimal::from(HOURS) / Decimal::from(720);
        prop_assert!((Micros(overheads).decimal() - exact).abs() < decimal("0.000010"));
        prop_assert_eq!(total(&rows), gpus + prices_of_jobs(&facts) + overheads);
    }

    #[test]
    fn no_policy_changes_what_is_paid(facts in facts()) {
        let sums: Vec<i64> = (0..POLICIES.len()).map(|policy| {
            let story = told(&Facts { policy, ..facts.clone() });
            total(&story.rows().iter().filter(|r| r.category != Category::Overhead).cloned().collect::<Vec<_>>())
        }).collect();
        prop_assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
    }

    #[test]
    fn neither_order_nor_repetition_changes_a_bit(facts in facts(), seed in any::<u64>()) {
        let story = told(&facts);
        let mut late = story.clone();
        shuffle(&mut late.gpu_hours, seed);
        late.gpu_hours.iter_mut().for_each(|gpu| shuffle(&mut gpu.uses, seed));
        shuffle(&mut late.accounting, seed);
        prop_assert_eq!(format!("{:?}", day(&story.inputs())), format!("{:?}", day(&late.inputs())));
    }

    #[test]
    fn hour_by_hour_is_the_same_as_all_at_once(facts in facts()) {
        let story = told(&facts);
        let mut apart = Vec::new();
        for hour in 0..HOURS {
            let from_micros = NOVEMBER + hour * HOUR_MICROS;
            apart.extend(day(&Inputs { from_micros, to_micros: from_micros + HOUR_MICROS, ..story.inputs() }).0);
        }
        prop_assert_eq!(apart, story.rows());
    }

    #[test]
    fn a_job_of_accounting_costs_the_rounded_price_of_its_time(
        price in 0_u32..9_000_000, gpus in 1_i64..2_000, start in 0_i64..1_000_000_000_000, length in 1_i64..900_000_000_000,
    ) {
        let mut story = story().at_price(&Micros(i64::from(price)).decimal().to_string()).accounted("ada", gpus, 0, Some(1));
        let one = Arc::make_mut(&mut story.accounting[0]);
        (one.started_micros, one.ended_micros) = (Some(NOVEMBER + start), Some(NOVEMBER + start + length));
        story.hours = 700;
        prop_assert_eq!(total(&story.rows()), half_even(i128::from(price) * i128::from(gpus) * i128::from(length), H));
    }

    #[test]
    fn a_plain_hour_is_a_plain_loop(price in 0_u32..9_000_000, minutes in prop::collection::vec((0..5_usize, 0..6_usize, 1_i64..9), 1..8)) {
        let did: Vec<(&str, GpuState, i64)> = minutes.iter().map(|(u, s, m)| (USERS[*u], GpuState::ALL[*s], *m)).collect();
        let story = story().at_price(&Micros(i64::from(price)).decimal().to_string()).gpu(0, "g", &did);
        let mut expected: BTreeMap<(String, &str), i64> = BTreeMap::new();
        for (user, state, minutes) in did {
            let job = if user == "-" { user.to_owned() } else { format!("job-{user}") };
            *expected.entry((job, state.as_str())).or_default() += minutes;
        }
        let rows = story.rows();
        prop_assert_eq!(rows.len(), expected.len());
        for row in rows {
            let job = row.job.map_or("-".to_owned(), |job| job.job_id.to_string());
            let minutes = expected[&(job, row.state.unwrap().as_str())];
            let exact = f64::from(price) * minutes as f64 / 60.0;
            prop_assert!((row.cost.unwrap().0 as f64 - exact).abs() < 1.5);
            prop_assert!((row.quantity - minutes as f64 / 60.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_waterfall_loses_nothing_on_its_way(facts in facts(), ratios in prop::collection::vec(prop::option::of(0.0..1.0), 3)) {
        let rows = told(&facts).rows();
        let activity = Activity { sm_active_ratio: ratios[0], tensor_active_ratio: ratios[1], goodput_ratio: ratios[2] };
        let (mut forth, mut back) = (Waterfall::default(), Waterfall::default());
        rows.iter().for_each(|row| forth.add(row, activity));
        rows.iter().rev().for_each(|row| back.add(row, activity));
        prop_assert_eq!(forth.steps(), back.steps());
        let (mut lost, paid) = (Micros::ZERO, forth.steps()[0].reached.unwrap_or_default().cost);
        for step in forth.steps() {
            prop_assert!(step.lost.cost >= Micros::ZERO && step.unknown.cost >= Micros::ZERO && step.lost.gpu_hours >= 0.0);
            lost = lost + step.lost.cost;
            prop_assert_eq!(lost + step.unknown.cost + step.reached.unwrap_or_default().cost, paid);
        }
    }

    #[test]
    fn documents_never_break_the_reader(text in "(\\[\\[?(rule|overhead|budget|node_split|pool_owner\\.a)\\]?\\]\n|[a-z_.]{1,8} = (\"[a-z*]{0,4}\"|[-0-9.]{1,9}|\\[[\",a1]{0,6}\\]|\\{\\})\n|[\\[\\]\"=\n ]){0,12}") {
        for faults in [Ownership::parse(&text).err(), Policy::parse(&text).err(), Budget::parse(&text).err()].into_iter().flatten() {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| (1..=text.lines().count().max(1) + 1).contains(&fault.line)));
        }
    }
}

/// A fixed mixing of an order.
fn shuffle<T>(all: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for at in (1..all.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(at, (state >> 33) as usize % (at + 1));
    }
}
