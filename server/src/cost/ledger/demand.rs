//! How much of an hour each job has of a GPU, as its scheduler says.
//!
//! **Invariant:** at each instant of a GPU that anybody has, the parts of those who have it sum to it. Jobs that share
//! it split it by what each did, or evenly, as the policy has it; jobs that overlap without sharing split it evenly.

use super::super::policy::SharedGpus;
use super::super::rows::{GpuHour, Held, Holding, JobRun, Processes};
use super::{HOUR_MICROS, Micros};
use std::sync::Arc;

/// How far the clocks of schedulers and nodes may be apart, epilogues included, before it is told.
pub const CLOCK_SKEW_MAX_MICROS: i64 = 120_000_000;
/// Jobs that have one GPU at once; devices are shared by some dozens.
const HOLDERS_MAX: usize = 256;
/// Steps in which measured work counts.
const STEPS: f64 = 1e9;

/// What a job is to have of an hour.
pub(super) struct Demand<'i> {
    pub(super) job: &'i Arc<JobRun>,
    /// Microseconds that it does not have yet.
    pub(super) need: u64,
}

/// The demands of an hour, and for how long jobs had the GPU together without sharing it.
pub(super) struct Demands<'i> {
    pub(super) all: Vec<Demand<'i>>,
    pub(super) overlap_micros: i64,
}

/// A job that has the GPU within a stretch of time.
struct Holder {
    /// Among the demands.
    at: usize,
    shares: u64,
    shared: bool,
}

/// `end` says until when a holding counts.
pub(super) fn of_hour<'i>(
    held: &'i Held,
    hour: i64,
    end: impl Fn(&Holding) -> i64,
    gpu: Option<&GpuHour>,
    shared_gpus: SharedGpus,
) -> Demands<'i> {
    let close = hour.saturating_add(HOUR_MICROS);
    let mut here: Vec<&Holding> = held.holdings.iter().filter(|h| h.from_micros < close && end(h) > hour).collect();
    here.sort_unstable();
    let mut demands = Demands { all: Vec::new(), overlap_micros: 0 };
    if here.len() > HOLDERS_MAX {
        here.truncate(HOLDERS_MAX);
        demands.overlap_micros = HOUR_MICROS;
    }
    let clipped: Vec<(i64, i64)> = here.iter().map(|h| (h.from_micros.max(hour), end(h).min(close))).collect();
    let mut places = Vec::with_capacity(here.len());
    for holding in &here {
        if demands.all.last().is_none_or(|last| last.job != &holding.job) {
            demands.all.push(Demand { job: &holding.job, need: 0 });
        }
        places.push(demands.all.len() - 1);
    }
    let mut bounds: Vec<i64> = clipped.iter().flat_map(|(from, to)| [*from, *to]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    for pair in bounds.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut holders: Vec<Holder> = Vec::new();
        for ((holding, clipped), at) in here.iter().zip(&clipped).zip(&places) {
            if clipped.0 > from || clipped.1 < to {
                continue;
            }
            let shares = u64::from(holding.shares.unwrap_or(1).max(1));
            match holders.last_mut().filter(|last| last.at == *at) {
                Some(same) => same.shares = same.shares.saturating_add(shares),
                None => holders.push(Holder { at: *at, shares, shared: holding.shares.is_some() }),
            }
        }
        demands.give(&holders, to - from, gpu, shared_gpus);
    }
    demands.all.retain(|demand| demand.need > 0);
    demands
}

impl Demands<'_> {
    fn give(&mut self, holders: &[Holder], micros: i64, gpu: Option<&GpuHour>, shared_gpus: SharedGpus) {
        let shared = holders.iter().all(|holder| holder.shared);
        if holders.len() > 1 && !shared {
            self.overlap_micros += micros;
        }
        let evenly = || holders.iter().map(|holder| if shared { holder.shares } else { 1 }).collect::<Vec<u64>>();
        let weights = match (holders.len(), shared, shared_gpus, gpu) {
            (0, ..) => return,
            (2.., true, SharedGpus::Measured, Some(gpu)) => {
                let all: Option<Vec<&Processes>> =
                    holders.iter().map(|holder| processes(gpu, self.all[holder.at].job)).collect();
                all.and_then(|all| measured(&all, &vec![1.0; holders.len()])).unwrap_or_else(evenly)
            }
            _ => evenly(),
        };
        for (holder, part) in holders.iter().zip(Micros(micros).split(&weights)) {
            self.all[holder.at].need += part.0.unsigned_abs();
        }
    }
}

fn processes<'g>(gpu: &'g GpuHour, job: &JobRun) -> Option<&'g Processes> {
    gpu.processes.iter().find(|p| p.job.job_id == job.job_id && p.job.cluster == job.cluster)
}

/// Weights by the rate at which each worked, times `times`; where that was not measured for all, by the memory that
/// each held; none where that was not either, or nobody did anything.
pub(super) fn measured(all: &[&Processes], times: &[f64]) -> Option<Vec<u64>> {
    let by = |pick: fn(&Processes) -> Option<f64>| -> Option<Vec<u64>> {
        let rate = |processes: &Processes| pick(processes).map(|done| done / processes.seconds.max(1e-6));
        let work = all.iter().zip(times).map(|(processes, time)| rate(processes).map(|rate| rate * time));
        let work: Vec<f64> = work.collect::<Option<_>>()?;
        let most = work.iter().copied().fold(0.0, f64::max);
        let sane = most > 0.0 && work.iter().all(|work| (0.0..=f64::MAX).contains(work));
        sane.then(|| work.iter().map(|work| (work / most * STEPS).round() as u64).collect())
    };
    by(|processes| processes.sm_seconds).or_else(|| by(|processes| processes.byte_seconds))
}
