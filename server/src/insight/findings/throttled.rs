//! The hardware of a GPU lowers its clock: heat or missing power, not the power limit that every GPU has.

use super::super::facts::{Text, Use, percent};
use super::{Finding, GPU_HOURS_MIN, Looking};
use contract::answers::Severity;
use std::collections::BTreeMap;

/// GPUs of a model differ by some percent in how high they clock.
const DEFICIT_MIN: f64 = 0.1;
/// From here on data-centre GPUs slow down by themselves.
const HOT_CELSIUS: f64 = 85.0;
/// A GPU that draws this part of its limit is slow because of the limit, which is as it should be.
const AT_LIMIT_RATIO: f64 = 0.95;
/// With fewer of a model nobody knows which of them is the slow one.
const GPUS_MIN: usize = 4;
const BUSY_SECONDS_MIN: f64 = 3_600.0;

/// A GPU over all of its jobs.
#[derive(Default)]
struct Gpu<'a> {
    model: &'a str,
    index: Option<&'a Use>,
    clock_seconds: f64,
    seconds: f64,
    celsius: Option<f64>,
    power: (f64, f64),
}

pub(super) fn check(looking: &mut Looking<'_>) -> Vec<Finding> {
    let facts = looking.facts;
    let gpus = gpus(&facts.uses);
    let mut clocks: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for gpu in gpus.values().filter(|gpu| gpu.seconds >= BUSY_SECONDS_MIN) {
        clocks.entry(gpu.model).or_default().push(gpu.clock_seconds / gpu.seconds);
    }
    let mut told: BTreeMap<&Text, usize> = BTreeMap::new();
    for event in facts.events.iter().filter(|event| &*event.kind == "throttle") {
        event.gpu_uuid.iter().for_each(|gpu| *told.entry(gpu).or_default() += 1);
    }
    let mut found = Vec::new();
    for (uuid, gpu) in gpus.iter().filter(|(_, gpu)| gpu.seconds >= BUSY_SECONDS_MIN) {
        let Some(usual) = clocks.get_mut(gpu.model).filter(|all| all.len() >= GPUS_MIN).map(|all| median(all)) else {
            continue;
        };
        let clock = gpu.clock_seconds / gpu.seconds;
        let deficit = 1.0 - clock / usual;
        let told = told.get(uuid).copied().unwrap_or_default();
        let is_hot = gpu.celsius.is_some_and(|celsius| celsius >= HOT_CELSIUS);
        let at_limit = gpu.power.1 > 0.0 && gpu.power.0 / gpu.power.1 >= AT_LIMIT_RATIO;
        if deficit < DEFICIT_MIN || !(told > 0 || (is_hot && !at_limit)) {
            continue;
        }
        let places = looking.claims.active_of_gpu(uuid);
        if looking.claims.sum(&places, deficit).gpu_hours < GPU_HOURS_MIN {
            continue;
        }
        let (mut place, owner) = looking.claims.about(&places);
        place.job_id = None;
        place.node = gpu.index.map(|seen| seen.node.clone());
        let claimed = looking.claims.take(&places, deficit);
        let heat = gpu.celsius.map(|celsius| format!(" at up to {celsius:.0} °C")).unwrap_or_default();
        found.push(Finding {
            kind: "throttled",
            severity: Severity::Warning,
            title: format!("A GPU of {} runs {} slower than others of its model", place.node.as_deref().unwrap_or("a node"), percent(deficit)),
            detail: format!("its clock is {:.0} MHz under load{heat}, the median of {} is {:.0} MHz", clock / 1e6, gpu.model, usual / 1e6),
            action: "Have the cooling and power of the node looked at; until then keep it out of jobs of many GPUs, which wait for the slowest.".to_owned(),
            place,
            owner,
            seen: claimed.hours,
            confidence: if told > 0 { 0.95 } else { 0.7 },
            why: if told > 0 { "its clock, and the driver said that its hardware slows it down" } else { "its clock and its heat; the driver did not say why" },
            gpu_hours: Some(claimed.gpu_hours),
            cost: claimed.cost,
            is_waste: true,
            evidence: vec![("clock_hertz", clock), ("usual_clock_hertz", usual), ("celsius_max", gpu.celsius.unwrap_or(f64::NAN)), ("throttle_events", told as f64)],
        });
    }
    found
}

fn gpus(uses: &[Use]) -> BTreeMap<&Text, Gpu<'_>> {
    let mut gpus: BTreeMap<&Text, Gpu<'_>> = BTreeMap::new();
    for used in uses {
        let gpu = gpus.entry(&used.gpu_uuid).or_default();
        (gpu.model, gpu.index) = (&used.gpu_model, Some(used));
        if let Some(clock) = used.busy_clock_hertz {
            gpu.clock_seconds += clock * used.busy_seconds;
            gpu.seconds += used.busy_seconds;
        }
        if let Some(ratio) = used.busy_power_ratio {
            gpu.power = (gpu.power.0 + ratio * used.busy_seconds, gpu.power.1 + used.busy_seconds);
        }
        gpu.celsius = gpu.celsius.into_iter().chain(used.celsius_max).reduce(f64::max);
    }
    gpus
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
