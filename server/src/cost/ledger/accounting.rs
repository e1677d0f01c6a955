//! Jobs of which accounting alone knows: GPUs × time at the price of their cluster, and CPUs and memory where the
//! book has prices for them.
//!
//! **Invariant:** under a price that stays the same the hours of a job sum to the rounded price of all its time.

use super::super::money::Micros;
use super::super::period::HOUR_MICROS;
use super::super::rows::{Category, GpuHour, GpuPlace, JobRun, LedgerRow, Price, Unit};
use super::Inputs;
use super::notice::{NoticeKind, Notices};
use super::sheet::{Sheet, job_text};
use rust_decimal::Decimal;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// No cluster has as many of anything.
const UNITS_MAX: i64 = 10_000_000;
/// A thousand million: sums over all jobs have room above it.
const JOB_COST_MAX: Micros = Micros(1_000_000_000_000_000);
const GIB: i64 = 1 << 30;

type JobId<'i> = (&'i str, &'i str, i64);

/// A job and the time for which it is charged.
struct Charged<'i> {
    job: &'i Arc<JobRun>,
    from: i64,
    to: i64,
    /// The hour in which a GPU's own time was charged to it.
    measured_in: i64,
}

pub(super) struct Accounting<'i> {
    jobs: Vec<Charged<'i>>,
    by_id: HashMap<JobId<'i>, Vec<usize>>,
    places: HashMap<Arc<str>, Arc<GpuPlace>>,
}

fn id(job: &JobRun) -> JobId<'_> {
    (&job.cluster, &job.job_id, job.attempt)
}

impl<'i> Accounting<'i> {
    /// The jobs that ran within a range, each time once, in their order.
    pub(super) fn of(inputs: &Inputs<'i>, from: i64, to: i64, notices: &mut Notices) -> Self {
        let mut all: Vec<Charged<'i>> = Vec::new();
        for job in inputs.accounting_jobs {
            let Some(started) = job.started_micros else { continue };
            let ended = job.ended_micros.unwrap_or(inputs.known_to_micros);
            if started < to && ended.max(started) >= from {
                all.push(Charged { job, from: started, to: ended.min(inputs.known_to_micros), measured_in: i64::MIN });
            }
        }
        // Of one id the longest first.
        let order = |a: &Charged<'i>, b: &Charged<'i>| {
            let long = |c: &Charged<'i>| Reverse(i128::from(c.to) - i128::from(c.from));
            id(a.job).cmp(&id(b.job)).then_with(|| long(a).cmp(&long(b))).then_with(|| a.job.cmp(b.job))
        };
        all.sort_unstable_by(order);
        let mut jobs: Vec<Charged<'i>> = Vec::with_capacity(all.len());
        for same in all.chunk_by(|a, b| id(a.job) == id(b.job)) {
            // Ends of what is charged already, by their starts; none of it overlaps.
            let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
            for Charged { job, from, to, .. } in same {
                let before = taken.range(..to).next_back();
                if from < to && before.is_some_and(|(_, end)| end > from) {
                    notices.note(NoticeKind::DuplicateJob, job_text(job));
                    continue;
                }
                tell(job, notices);
                if from < to {
                    taken.insert(*from, *to);
                    jobs.push(Charged { job, from: *from, to: *to, measured_in: i64::MIN });
                }
            }
        }
        let mut by_id: HashMap<JobId<'i>, Vec<usize>> = HashMap::with_capacity(jobs.len());
        for (at, charged) in jobs.iter().enumerate() {
            by_id.entry(id(charged.job)).or_default().push(at);
        }
        Self { jobs, by_id, places: HashMap::new() }
    }

    /// Adds the rows of the hour, but for jobs that have time on its GPUs.
    pub(super) fn charge(&mut self, sheet: &mut Sheet<'_>, gpus: &[&GpuHour]) {
        if self.jobs.is_empty() {
            return;
        }
        let uses = gpus.iter().flat_map(|gpu| &gpu.uses);
        for job in uses.filter_map(|used| used.job.as_ref()) {
            for at in self.by_id.get(&id(job)).into_iter().flatten() {
                self.jobs[*at].measured_in = sheet.hour;
            }
        }
        let end = sheet.hour.saturating_add(HOUR_MICROS);
        for charged in &self.jobs {
            let (from, to) = (charged.from.max(sheet.hour), charged.to.min(end));
            if from < to && charged.measured_in != sheet.hour {
                let cluster = &charged.job.cluster;
                let place = self
                    .places
                    .entry(Arc::clone(cluster))
                    .or_insert_with(|| Arc::new(GpuPlace { cluster: Arc::clone(cluster), ..GpuPlace::default() }));
                let (before, micros) = (from.abs_diff(charged.from), to.abs_diff(from));
                Stretch { job: charged.job, place, before, micros, nodes: 1 }.charge(sheet);
            }
        }
    }
}

fn tell(job: &JobRun, notices: &mut Notices) {
    if job.ended_micros.is_none() {
        notices.note(NoticeKind::JobWithoutEnd, job_text(job));
    }
    if job.ended_micros.zip(job.started_micros).is_some_and(|(end, start)| end < start) {
        notices.note(NoticeKind::EndBeforeStart, job_text(job));
    }
    if job.gpus.unwrap_or(0) <= 0 {
        notices.note(NoticeKind::ZeroGpuJob, job_text(job));
    }
}

/// The time of a job within an hour.
pub(super) struct Stretch<'s> {
    pub(super) job: &'s Arc<JobRun>,
    pub(super) place: &'s Arc<GpuPlace>,
    /// Microseconds since its start.
    pub(super) before: u64,
    pub(super) micros: u64,
    /// On which what it holds falls evenly; this is one of them.
    pub(super) nodes: usize,
}

impl Stretch<'_> {
    fn charge(&self, sheet: &mut Sheet<'_>) {
        let job = self.job;
        let gpus = Decimal::from(job.gpus.unwrap_or(0).clamp(0, UNITS_MAX));
        let price = match gpus.is_zero() {
            false => sheet.price(self.place, || job_text(job)),
            // Whether its CPUs have a price is nobody's question.
            true => sheet.price_if_any(self.place),
        };
        let price = price.as_deref();
        if !gpus.is_zero() {
            if price.is_some_and(|price| price.electricity.is_some()) {
                sheet.notices.note(NoticeKind::EnergyNotMeasured, job_text(job));
            }
            let row = self.row(sheet, price, price.map(|p| p.per_gpu_hour), gpus, (Category::Gpu, Unit::GpuHours));
            sheet.payers.add(&row);
            sheet.rows.push(row);
        }
        self.charge_rest(sheet, price);
    }

    /// Adds the rows of its CPUs and memory, where they have a price.
    pub(super) fn charge_rest(&self, sheet: &mut Sheet<'_>, price: Option<&Price>) {
        let job = self.job;
        let nodes = Decimal::from(self.nodes.max(1));
        let cpus = Decimal::from(job.cpus.unwrap_or(0).clamp(0, UNITS_MAX)) / nodes;
        let memory = job.memory_bytes.unwrap_or(0).clamp(0, UNITS_MAX * GIB);
        let gib = Decimal::from(memory) / Decimal::from(GIB) / nodes;
        let cpu_rate = price.and_then(|price| price.per_cpu_hour);
        if cpu_rate.is_some() && !cpus.is_zero() {
            let row = self.row(sheet, price, cpu_rate, cpus, (Category::Cpu, Unit::CpuHours));
            sheet.rows.push(row);
        }
        let memory_rate = price.and_then(|price| price.per_memory_gib_hour);
        if memory_rate.is_some() && !gib.is_zero() {
            let row = self.row(sheet, price, memory_rate, gib, (Category::Memory, Unit::GibHours));
            sheet.rows.push(row);
        }
    }

    fn row(
        &self,
        sheet: &mut Sheet<'_>,
        price: Option<&Price>,
        rate: Option<Decimal>,
        units: Decimal,
        (category, unit): (Category, Unit),
    ) -> LedgerRow {
        let job = self.job;
        let mut until = |micros: u64| rate.and_then(|rate| sheet.cost(rate, units, micros, || job_text(job)));
        let cost = until(self.before).zip(until(self.before + self.micros));
        let cost = cost.filter(|(_, after)| *after <= JOB_COST_MAX).map(|(before, after)| after - before);
        if rate.is_some() && cost.is_none() {
            sheet.notices.note(NoticeKind::AmountTooLarge, job_text(job));
        }
        LedgerRow {
            hour_micros: sheet.hour,
            place: Arc::clone(self.place),
            gpu_uuid: None,
            parent_gpu_uuid: None,
            job: Some(Arc::clone(job)),
            owner: sheet.owner(job),
            state: None,
            category,
            quantity: units_as_float(units) * (self.micros as f64 / HOUR_MICROS as f64),
            unit,
            rate,
            priced_by: price.map(|price| Arc::clone(&price.by)),
            cost,
            electricity: None,
            energy_joules: None,
            overhead: None,
        }
    }
}

/// Units are few enough for a float.
fn units_as_float(units: Decimal) -> f64 {
    rust_decimal::prelude::ToPrimitive::to_f64(&units).unwrap_or(f64::MAX)
}
