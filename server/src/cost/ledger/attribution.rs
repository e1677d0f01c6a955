//! Whose a GPU's time was: the scheduler's word where there is one, else the jobs that samples name, else the processes
//! that were seen on it.
//!
//! **Invariant:** time and energy of a GPU-hour change hands, never their sum, so that its rows go on to sum to its
//! price. What a job is to have is taken first from time in which samples name it, then from work of nobody, from
//! time in which nothing was seen, and last from other jobs.

use super::super::policy::SharedGpus;
use super::super::rows::{GpuHour, GpuPlace, Held, Holding, JobRun, Processes, Use};
use super::demand::{self, CLOCK_SKEW_MAX_MICROS, Demand, Demands};
use super::notice::{NoticeKind, Notices};
use super::sheet::job_text;
use super::{HOUR_MICROS, Inputs, Micros, gpu};
use contract::{ByState, GpuState};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const STATES: usize = GpuState::ALL.len();
/// Somebody's process was on the GPU, or a job held it.
const WORK: [GpuState; 3] = [GpuState::Active, GpuState::HeldIdle, GpuState::HeldEmpty];
const NO_WORK: [GpuState; 3] = [GpuState::Unallocated, GpuState::Down, GpuState::Unknown];
/// More joules than an hour of a GPU can draw; as in the parts of an hour.
const JOULES_MAX: f64 = 3.6e9;

/// The hours `[from, to)` in order, with their time as it is charged.
pub(super) fn attributed<'i>(inputs: &Inputs<'i>, from: i64, to: i64, notices: &mut Notices) -> Vec<Cow<'i, GpuHour>> {
    let mut hours: Vec<&'i GpuHour> = inputs.gpu_hours.iter().filter(|h| (from..to).contains(&h.hour_micros)).collect();
    hours.sort_unstable_by(|a, b| gpu::order(a).cmp(&gpu::order(b)));
    let held: HashMap<(&str, &str), &Held> =
        inputs.held.iter().map(|held| ((&*held.cluster, &*held.gpu_uuid), held)).collect();
    let shared_gpus = inputs.policy.shared_gpus;
    let mut attributed: Vec<Cow<'i, GpuHour>> = Vec::with_capacity(hours.len());
    for gpu in hours.iter().copied() {
        let of = |uuid: &'i Arc<str>| held.get(&(&*gpu.place.cluster, &**uuid)).copied();
        let held = of(&gpu.gpu_uuid).or_else(|| gpu.parent_gpu_uuid.as_ref().and_then(of));
        attributed.push(match concerns(gpu, held) {
            true => Cow::Owned(Hour::new(gpu, held, shared_gpus).settle(notices)),
            false => Cow::Borrowed(gpu),
        });
    }
    if !held.is_empty() {
        attributed.extend(unseen(inputs, &hours, from, to).into_iter().map(Cow::Owned));
        attributed.sort_by(|a, b| gpu::order(a).cmp(&gpu::order(b)));
    }
    attributed
}

/// Whether anything but its samples says whose the hour is, or says so differently.
fn concerns(gpu: &GpuHour, held: Option<&Held>) -> bool {
    if let ([Use { job: Some(job), .. }], Some(held)) = (gpu.uses.as_slice(), held) {
        let end = gpu.hour_micros.saturating_add(HOUR_MICROS);
        let mut here = held.holdings.iter().filter(|h| h.from_micros < end && h.to_micros > gpu.hour_micros);
        if let (Some(only), None) = (here.next(), here.next()) {
            let all_of_it = only.from_micros <= gpu.hour_micros && only.to_micros >= end;
            return !all_of_it || only.job != *job;
        }
    }
    let elsewhere = |used: &Use| used.job.as_ref().is_some_and(|job| job.says_gpus);
    let of_nobody = |used: &Use| used.job.is_none() && WORK.iter().any(|state| *used.micros.get(*state) > 0);
    held.is_some() || gpu.uses.iter().any(elsewhere) || (!gpu.processes.is_empty() && gpu.uses.iter().any(of_nobody))
}

/// Hours of GPUs that a scheduler has given away and nobody has measured.
fn unseen(inputs: &Inputs<'_>, hours: &[&GpuHour], from: i64, to: i64) -> Vec<GpuHour> {
    let names = |gpu: &&GpuHour| [Some(Arc::clone(&gpu.gpu_uuid)), gpu.parent_gpu_uuid.clone()];
    let seen: HashSet<(i64, Arc<str>, Arc<str>)> = hours
        .iter()
        .flat_map(|gpu| names(gpu).into_iter().flatten().map(|uuid| (gpu.hour_micros, gpu.place.cluster.clone(), uuid)))
        .collect();
    let mut found = Vec::new();
    for held in inputs.held {
        let Some(place) = &held.place else { continue };
        let mut hour = from;
        while hour < to {
            if !seen.contains(&(hour, held.cluster.clone(), held.gpu_uuid.clone())) {
                let end = |h: &Holding| h.heard_to_micros.min(inputs.known_to_micros);
                let demands = demand::of_hour(held, hour, end, None, inputs.policy.shared_gpus).all;
                found.extend((!demands.is_empty()).then(|| silent(held, place.clone(), hour, &demands)));
            }
            hour = hour.saturating_add(HOUR_MICROS);
        }
    }
    found
}

fn silent(held: &Held, place: Arc<GpuPlace>, hour_micros: i64, demands: &[Demand<'_>]) -> GpuHour {
    let used = |demand: &Demand<'_>| Use {
        job: Some(Arc::clone(demand.job)),
        micros: ByState { unknown: demand.need.try_into().unwrap_or(HOUR_MICROS), ..ByState::default() },
        energy_joules: None,
    };
    GpuHour {
        hour_micros,
        place,
        gpu_uuid: Arc::clone(&held.gpu_uuid),
        parent_gpu_uuid: None,
        mig_profile: None,
        uses: demands.iter().map(used).collect(),
        processes: Vec::new(),
    }
}

/// The time that samples give to one job, or to none.
struct Pool<'g> {
    job: Option<&'g Arc<JobRun>>,
    micros: [u64; STATES],
    millijoules: Option<u64>,
    /// What it does not have any more, by who has it.
    given: Vec<(Option<Arc<JobRun>>, [u64; STATES])>,
}

impl<'g> Pool<'g> {
    fn of(used: &'g Use) -> Self {
        let joules = used.energy_joules.filter(|joules| (0.0..=JOULES_MAX).contains(joules));
        Self {
            job: used.job.as_ref(),
            micros: GpuState::ALL.map(|state| (*used.micros.get(state)).clamp(0, HOUR_MICROS) as u64),
            millijoules: joules.map(|joules| (joules * 1_000.0).round() as u64),
            given: Vec::new(),
        }
    }

    fn is_of(&self, job: &JobRun) -> bool {
        self.job.is_some_and(|own| own.job_id == job.job_id && own.cluster == job.cluster)
    }

    fn give(&mut self, to: Option<&Arc<JobRun>>, from: GpuState, state: GpuState, micros: u64) {
        self.micros[from.index()] -= micros;
        if micros == 0 {
            return;
        }
        let at = match self.given.iter().position(|(job, _)| job.as_ref() == to) {
            Some(at) => at,
            None => {
                self.given.push((to.cloned(), [0; STATES]));
                self.given.len() - 1
            }
        };
        self.given[at].1[state.index()] += micros;
    }

    /// Its time by who has it, with its energy by time.
    fn uses(mut self) -> Vec<Use> {
        let has_time = self.micros.iter().any(|micros| *micros > 0);
        // Energy without time has to stay with somebody.
        if has_time || self.given.is_empty() {
            self.given.push((self.job.cloned(), self.micros));
        }
        let times: Vec<u64> = self.given.iter().map(|(_, micros)| micros.iter().sum()).collect();
        // Fewer than 2^53 of them.
        let energies = self.millijoules.map(|millijoules| Micros(millijoules as i64).split(&times));
        let used = |(at, (job, micros)): (usize, (Option<Arc<JobRun>>, [u64; STATES]))| {
            let mut by_state = ByState::<i64>::default();
            GpuState::ALL.into_iter().for_each(|state| *by_state.get_mut(state) = micros[state.index()] as i64);
            let energy_joules = energies.as_ref().map(|energies| energies[at].0 as f64 / 1_000.0);
            Use { job, micros: by_state, energy_joules }
        };
        self.given.into_iter().enumerate().map(used).collect()
    }
}

/// What a job that comes into time of others makes of it.
fn held_state(state: GpuState) -> GpuState {
    if state == GpuState::Unallocated { GpuState::HeldEmpty } else { state }
}

/// What time is that a job leaves to nobody.
fn left_state(state: GpuState) -> GpuState {
    if state == GpuState::HeldEmpty { GpuState::Unallocated } else { state }
}

/// A GPU-hour whose time changes hands.
struct Hour<'g> {
    gpu: &'g GpuHour,
    held: Option<&'g Held>,
    shared_gpus: SharedGpus,
    pools: Vec<Pool<'g>>,
}

impl<'g> Hour<'g> {
    fn new(gpu: &'g GpuHour, held: Option<&'g Held>, shared_gpus: SharedGpus) -> Self {
        let mut pools: Vec<Pool<'g>> = gpu.uses.iter().map(Pool::of).collect();
        pools.sort_by(|a, b| (a.job, a.micros, a.millijoules).cmp(&(b.job, b.micros, b.millijoules)));
        Self { gpu, held, shared_gpus, pools }
    }

    fn settle(mut self, notices: &mut Notices) -> GpuHour {
        let hour = self.gpu.hour_micros;
        let mut amiss = 0;
        if let Some(held) = self.held {
            let Demands { all: mut demands, overlap_micros } =
                demand::of_hour(held, hour, |h| h.to_micros, Some(self.gpu), self.shared_gpus);
            if overlap_micros > CLOCK_SKEW_MAX_MICROS {
                notices.note(NoticeKind::OverlappingAllocations, gpu::whom(self.gpu));
            }
            let inferred = |holding: &&Holding| {
                holding.is_inferred && holding.from_micros < hour + HOUR_MICROS && holding.to_micros > hour
            };
            for holding in held.holdings.iter().filter(inferred) {
                notices.note(NoticeKind::InferredAllocation, job_text(&holding.job));
            }
            self.fit(&mut demands);
            amiss = fill(&mut self.pools, &mut demands);
        }
        amiss += self.release();
        if amiss > CLOCK_SKEW_MAX_MICROS as u64 {
            notices.note(NoticeKind::NotAsAllocated, gpu::whom(self.gpu));
        }
        self.share_out();
        let uses = self.pools.into_iter().flat_map(Pool::uses).collect();
        GpuHour { uses, processes: Vec::new(), ..self.gpu.clone() }
    }

    /// Nobody gets more of an hour than there is.
    fn fit(&self, demands: &mut [Demand<'_>]) {
        let there: u64 = self.pools.iter().flat_map(|pool| pool.micros).sum();
        let needs: Vec<u64> = demands.iter().map(|demand| demand.need).collect();
        if needs.iter().sum::<u64>() > there {
            let parts = Micros(there as i64).split(&needs);
            demands.iter_mut().zip(parts).for_each(|(demand, part)| demand.need = part.0.unsigned_abs());
        }
    }

    /// Takes from jobs what their scheduler did not give them, but for what clocks may be apart; says how much.
    fn release(&mut self) -> u64 {
        let (hour, held) = (self.gpu.hour_micros, self.held);
        let mut released = 0;
        for pool in &mut self.pools {
            let Some(job) = pool.job.filter(|job| job.says_gpus) else { continue };
            let close = |time: i64| {
                let (from, to) = (hour - CLOCK_SKEW_MAX_MICROS, hour + HOUR_MICROS + CLOCK_SKEW_MAX_MICROS);
                (from..=to).contains(&time)
            };
            let mut of_job = held.iter().flat_map(|held| &held.holdings).filter(|h| h.job.job_id == job.job_id);
            let near = of_job.any(|h| close(h.from_micros) || close(h.to_micros));
            let mut allowed = if near { CLOCK_SKEW_MAX_MICROS as u64 } else { 0 };
            for state in GpuState::ALL {
                let kept = pool.micros[state.index()].min(allowed);
                allowed -= kept;
                let rest = pool.micros[state.index()] - kept;
                released += rest;
                pool.give(None, state, left_state(state), rest);
            }
        }
        released
    }

    /// Gives work of nobody to the jobs whose processes were there.
    fn share_out(&mut self) {
        let mut jobs: Vec<&Processes> = self.gpu.processes.iter().filter(|p| !p.job.says_gpus).collect();
        jobs.sort_by(|a, b| a.job.cmp(&b.job));
        if jobs.is_empty() {
            return;
        }
        // What is left of each when the time is taken away in which samples name it alone.
        let together: Vec<f64> = jobs
            .iter()
            .map(|p| {
                let own = self.pools.iter().filter(|pool| pool.is_of(&p.job));
                let alone = own.flat_map(|pool| pool.micros).sum::<u64>() as f64 / 1e6;
                (p.seconds - alone).clamp(0.0, HOUR_MICROS as f64 / 1e6)
            })
            .collect();
        let evenly = || together.iter().map(|seconds| (seconds * 1e6).round() as u64).collect::<Vec<u64>>();
        let mut weights = match self.shared_gpus {
            SharedGpus::Measured => demand::measured(&jobs, &together).unwrap_or_else(evenly),
            SharedGpus::Even => evenly(),
        };
        if weights.iter().all(|weight| *weight == 0) {
            weights.fill(1);
        }
        for pool in self.pools.iter_mut().filter(|pool| pool.job.is_none()) {
            for state in WORK {
                let parts = Micros(pool.micros[state.index()] as i64).split(&weights);
                for (processes, part) in jobs.iter().zip(parts) {
                    pool.give(Some(&processes.job), state, state, part.0.unsigned_abs());
                }
            }
        }
    }
}

/// Gives each demand its time; says how much of it came from other jobs.
fn fill(pools: &mut [Pool<'_>], demands: &mut [Demand<'_>]) -> u64 {
    for at in 0..demands.len() {
        let job = Arc::clone(demands[at].job);
        // Attempts of one job follow each other, and samples do not tell them apart.
        take(pools, &GpuState::ALL, demands, |pool| pool.is_of(&job), |demand| demand.job.job_id == job.job_id);
    }
    take(pools, &WORK, demands, |pool| pool.job.is_none(), |_| true);
    take(pools, &NO_WORK, demands, |pool| pool.job.is_none(), |_| true);
    take(pools, &GpuState::ALL, demands, |pool| pool.job.is_some_and(|job| job.says_gpus), |_| true)
        + take(pools, &GpuState::ALL, demands, |pool| pool.job.is_some(), |_| true)
}

/// Moves time of some pools to some demands, in proportion to what is there and to what is needed.
fn take(
    pools: &mut [Pool<'_>],
    states: &[GpuState],
    demands: &mut [Demand<'_>],
    from: impl Fn(&Pool<'_>) -> bool,
    to: impl Fn(&Demand<'_>) -> bool,
) -> u64 {
    let wanting: Vec<usize> = (0..demands.len()).filter(|at| demands[*at].need > 0 && to(&demands[*at])).collect();
    let needed: u64 = wanting.iter().map(|at| demands[*at].need).sum();
    if needed == 0 {
        return 0;
    }
    let cells: Vec<(usize, GpuState)> = (0..pools.len())
        .filter(|at| from(&pools[*at]))
        .flat_map(|at| states.iter().map(move |state| (at, *state)))
        .collect();
    let sizes: Vec<u64> = cells.iter().map(|(at, state)| pools[*at].micros[state.index()]).collect();
    let moved = needed.min(sizes.iter().sum());
    for ((at, state), amount) in cells.into_iter().zip(Micros(moved as i64).split(&sizes)) {
        let needs: Vec<u64> = wanting.iter().map(|at| demands[*at].need).collect();
        for (wanting, part) in wanting.iter().zip(amount.split(&needs)) {
            let part = part.0.unsigned_abs();
            demands[*wanting].need -= part;
            pools[at].give(Some(demands[*wanting].job), state, held_state(state), part);
        }
    }
    moved
}
