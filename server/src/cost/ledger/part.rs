//! How the time of one GPU, or of one MIG instance, falls into parts: one for each job, or for none, and state.

use super::super::money::Micros;
use super::super::period::HOUR_MICROS;
use super::super::rows::{JobRun, Use};
use contract::GpuState;
use std::ops::Range;
use std::sync::Arc;

pub(super) const HOUR: u64 = HOUR_MICROS as u64;
/// What rounding in the hours' tables may take from a whole hour, or add to it.
const ROUNDING: u64 = 1_000;
/// A megawatt for an hour; whoever reports more does not measure.
const JOULES_MAX: f64 = 3.6e9;

/// A job, or none, in one state.
pub(super) struct Part<'g> {
    pub(super) job: Option<&'g Arc<JobRun>>,
    pub(super) state: GpuState,
    /// Against the others of its kind, see [`Kept::shared`].
    weight: u64,
    /// Of the device's time, in microseconds.
    pub(super) time: f64,
    pub(super) cost: Micros,
    pub(super) electricity: Micros,
    pub(super) joules: Option<f64>,
}

/// Measured energy and the parts that it was drawn in.
pub(super) struct Energy {
    pub(super) millijoules: u64,
    pub(super) parts: Range<usize>,
}

/// The time of a device, in parts.
pub(super) struct Kept<'g> {
    pub(super) parts: Vec<Part<'g>>,
    /// Microseconds, an hour at most.
    pub(super) time: u64,
    /// Where jobs held it together for longer than there was time: the parts that no job had, and the microseconds
    /// that these and the others got.
    shared: Option<(usize, [u64; 2])>,
    pub(super) energies: Vec<Energy>,
    /// Time of which nobody knows what it drew.
    pub(super) unmeasured: bool,
}

/// What a device did for a job, in integers.
struct Sum<'g> {
    job: Option<&'g Arc<JobRun>>,
    micros: [u64; GpuState::ALL.len()],
    millijoules: Option<u64>,
}

impl<'g> Sum<'g> {
    fn of(used: &'g Use) -> Self {
        let micros = GpuState::ALL.map(|state| (*used.micros.get(state)).clamp(0, HOUR_MICROS) as u64);
        let joules = used.energy_joules.filter(|joules| (0.0..=JOULES_MAX).contains(joules));
        Self { job: used.job.as_ref(), micros, millijoules: joules.map(|joules| (joules * 1_000.0).round() as u64) }
    }

    fn total(&self) -> u64 {
        self.micros.iter().sum()
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        (self.job, self.micros, self.millijoules).cmp(&(other.job, other.micros, other.millijoules))
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.micros.iter_mut().zip(other.micros) {
            *sum += more;
        }
        self.millijoules = match (self.millijoules, other.millijoules) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
    }
}

/// One sum for each job, and one for the time without, which is the first.
fn sums<'g>(uses: impl Iterator<Item = &'g Use>) -> Vec<Sum<'g>> {
    let mut sums: Vec<Sum<'g>> = uses.map(Sum::of).collect();
    if sums.len() > 1 {
        sums.sort_unstable_by(Sum::order);
        sums.dedup_by(|next, kept| {
            let same = next.job == kept.job;
            if same {
                kept.add(next);
            }
            same
        });
    }
    sums
}

/// The parts of a device's time, in order of job and state.
pub(super) fn kept<'g>(uses: impl Iterator<Item = &'g Use>) -> Kept<'g> {
    let sums = sums(uses);
    let total: u64 = sums.iter().map(Sum::total).sum();
    let free = sums.iter().filter(|sum| sum.job.is_none()).map(Sum::total).sum::<u64>();
    let longest = sums.iter().filter(|sum| sum.job.is_some()).map(Sum::total).max().unwrap_or(0);
    // A job cannot have held it while no job did; where the sums say so, all count alike.
    let together = total > HOUR + ROUNDING && free + longest <= HOUR + ROUNDING;
    let time = whole(total.min(HOUR));
    let mut kept =
        Kept { parts: Vec::with_capacity(sums.len() + 1), time, shared: None, energies: Vec::new(), unmeasured: false };
    let mut free_parts = 0;
    for sum in &sums {
        let first = kept.parts.len();
        for state in GpuState::ALL {
            let micros = sum.micros[state.index()];
            if micros > 0 {
                kept.parts.push(Part::new(sum.job, state, micros));
            }
        }
        if sum.job.is_none() {
            free_parts = kept.parts.len();
        }
        match sum.millijoules {
            Some(millijoules) => kept.energies.push(Energy { millijoules, parts: first..kept.parts.len() }),
            None => kept.unmeasured |= kept.parts.len() > first,
        }
    }
    if together {
        let free = free.min(HOUR);
        kept.shared = Some((free_parts, [free, HOUR - free]));
    }
    kept.measure_out();
    kept
}

/// Microseconds that are a whole hour but for rounding are one.
pub(super) fn whole(micros: u64) -> u64 {
    if micros.abs_diff(HOUR) <= ROUNDING { HOUR } else { micros }
}

impl<'g> Part<'g> {
    pub(super) fn new(job: Option<&'g Arc<JobRun>>, state: GpuState, weight: u64) -> Self {
        let (cost, electricity) = (Micros::ZERO, Micros::ZERO);
        Self { job, state, weight, time: 0.0, cost, electricity, joules: None }
    }
}

impl Kept<'_> {
    /// Gives each part its time.
    fn measure_out(&mut self) {
        let give = |parts: &mut [Part<'_>], time: u64| {
            let total: u64 = parts.iter().map(|part| part.weight).sum();
            for part in parts {
                part.time = if total == 0 { 0.0 } else { time as f64 * (part.weight as f64 / total as f64) };
            }
        };
        match self.shared {
            Some((free, times)) => {
                give(&mut self.parts[..free], times[0]);
                give(&mut self.parts[free..], times[1]);
            }
            None => give(&mut self.parts, self.time),
        }
    }

    /// Splits what the device's time costs over its parts.
    pub(super) fn pay(&mut self, cost: Micros) {
        match self.shared {
            Some((free, times)) => {
                let costs = cost.split(&times);
                self.pay_some(0..free, costs[0]);
                self.pay_some(free..self.parts.len(), costs[1]);
            }
            None => self.pay_some(0..self.parts.len(), cost),
        }
    }

    fn pay_some(&mut self, range: Range<usize>, cost: Micros) {
        let parts = &mut self.parts[range];
        if let [one] = parts {
            one.cost = cost;
            return;
        }
        let weights: Vec<u64> = parts.iter().map(|part| part.weight).collect();
        for (part, cost) in parts.iter_mut().zip(cost.split(&weights)) {
            part.cost = cost;
        }
    }

    /// Splits electricity, and its energy, over the parts that drew it.
    pub(super) fn draw(&mut self, range: Range<usize>, joules: f64, cost: Micros) {
        let parts = &mut self.parts[range];
        let weights: Vec<u64> = parts.iter().map(|part| part.time.round() as u64).collect();
        let total: u64 = weights.iter().sum();
        for ((part, weight), cost) in parts.iter_mut().zip(&weights).zip(cost.split(&weights)) {
            part.electricity = part.electricity + cost;
            let joules = if total == 0 { 0.0 } else { joules * (*weight as f64 / total as f64) };
            part.joules = Some(part.joules.unwrap_or(0.0) + joules);
        }
    }
}
