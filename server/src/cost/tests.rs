//! Stories: what happens on a few GPUs, and what the ledger says of it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attribution;
mod closing;
mod laws;
mod outcomes;
mod rest;
mod stories;

use super::*;
use contract::{ByState, GpuState};
use rust_decimal::Decimal;
use std::sync::Arc;

pub(super) const MINUTE: i64 = 60_000_000;
/// 2026-11-01T00:00:00Z.
pub(super) const NOVEMBER: i64 = 1_793_491_200_000_000;

pub(super) fn decimal(text: &str) -> Decimal {
    parse_decimal(text).unwrap()
}

/// Prices of whole clusters, each from an hour to an hour.
#[derive(Clone, Default)]
pub(super) struct Book {
    prices: Vec<(i64, i64, Price)>,
}

impl Book {
    pub(super) fn add(&mut self, from: i64, to: i64, per_gpu_hour: &str) -> &mut Price {
        let line = self.prices.len() as i64 + 1;
        let by = PricedBy { kind: Arc::from("on_demand"), version: Arc::from("book"), line };
        let per_gpu_hour = decimal(per_gpu_hour);
        let price =
            Price { per_gpu_hour, per_cpu_hour: None, per_memory_gib_hour: None, electricity: None, by: Arc::new(by) };
        self.prices.push((from, to, price));
        &mut self.prices.last_mut().unwrap().2
    }
}

impl Prices for Book {
    fn price(&self, _: &GpuPlace, hour: i64) -> Priced {
        let valid = self.prices.iter().filter(|(from, to, _)| (*from..*to).contains(&hour));
        match valid.collect::<Vec<_>>().as_slice() {
            [] => Priced::Unpriced,
            [(.., one)] => Priced::Price(one.clone()),
            several => Priced::Ambiguous(several.iter().map(|(.., price)| (*price.by).clone()).collect()),
        }
    }

    fn elsewhen(&self, _: &GpuPlace, hour: i64) -> Option<Elsewhen> {
        let ended = self.prices.iter().map(|(_, to, _)| *to).filter(|to| *to <= hour).max().map(Elsewhen::Ended);
        ended.or_else(|| self.prices.iter().map(|(from, ..)| *from).min().map(Elsewhen::Begins))
    }
}

/// GPUs, jobs and decisions from the start of November on.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) hours: i64,
    pub(super) gpu_hours: Vec<GpuHour>,
    pub(super) accounting: Vec<Arc<JobRun>>,
    pub(super) held: Vec<Held>,
    pub(super) requests: Vec<Request>,
    pub(super) charges: Vec<Charge>,
    pub(super) book: Book,
    pub(super) ownership: Ownership,
    pub(super) policy: Policy,
    pub(super) known_to: i64,
}

pub(super) fn story() -> Story {
    Story {
        hours: 24,
        gpu_hours: Vec::new(),
        accounting: Vec::new(),
        held: Vec::new(),
        requests: Vec::new(),
        charges: Vec::new(),
        book: Book::default(),
        ownership: Ownership::default(),
        policy: Policy::default(),
        known_to: i64::MAX,
    }
}

impl Story {
    pub(super) fn at_price(mut self, per_gpu_hour: &str) -> Self {
        self.book.add(i64::MIN, i64::MAX, per_gpu_hour);
        self
    }

    pub(super) fn at_price_from(mut self, from_hour: i64, to_hour: i64, per_gpu_hour: &str) -> Self {
        self.book.add(NOVEMBER + from_hour * HOUR_MICROS, NOVEMBER + to_hour * HOUR_MICROS, per_gpu_hour);
        self
    }

    pub(super) fn owned(mut self, per_gpu_hour: &str, per_kwh: &str) -> Self {
        let electricity = Some(Electricity { per_kwh: decimal(per_kwh) });
        self.book.add(i64::MIN, i64::MAX, per_gpu_hour).electricity = electricity;
        self
    }

    pub(super) fn policy(mut self, text: &str) -> Self {
        self.policy = Policy::parse(&format!("version = \"test\"\n{text}")).unwrap();
        self
    }

    /// Each user is of the team that is named beside it.
    pub(super) fn teams(mut self, teams: &[(&str, &str)]) -> Self {
        let rule = |(user, team): &(&str, &str)| {
            format!("[[rule]]\nteam = {team:?}\ncost_centre = \"{team}-1\"\nuser = {user:?}\n")
        };
        self.ownership = Ownership::parse(&teams.iter().map(rule).collect::<String>()).unwrap();
        self
    }

    /// What a GPU did in an hour: user's job, state, minutes. A job is its user's, and none is `-`.
    pub(super) fn gpu(mut self, hour: i64, gpu: &str, did: &[(&str, GpuState, i64)]) -> Self {
        self.gpu_hours.push(gpu_hour(hour, gpu, did));
        self
    }

    /// Likewise a MIG instance.
    pub(super) fn instance(mut self, hour: i64, names: (&str, &str, &str), did: &[(&str, GpuState, i64)]) -> Self {
        let (parent, instance, profile) = names;
        let mut gpu = gpu_hour(hour, instance, did);
        gpu.parent_gpu_uuid = Some(Arc::from(parent));
        gpu.mig_profile = Some(Arc::from(profile));
        self.gpu_hours.push(gpu);
        self
    }

    /// A job that accounting alone knows: its user, GPUs, start and end in minutes.
    pub(super) fn accounted(mut self, user: &str, gpus: i64, start: i64, end: Option<i64>) -> Self {
        let minutes = |at: i64| NOVEMBER + at * MINUTE;
        self.accounting.push(Arc::new(JobRun {
            gpus: Some(gpus),
            started_micros: Some(minutes(start)),
            ended_micros: end.map(minutes),
            ..(*job(user)).clone()
        }));
        self
    }

    /// Measured joules of the last GPU's uses, in their order.
    pub(super) fn drawing(mut self, joules: &[Option<f64>]) -> Self {
        let uses = &mut self.gpu_hours.last_mut().unwrap().uses;
        uses.iter_mut().zip(joules).for_each(|(used, joules)| used.energy_joules = *joules);
        self
    }

    /// What a scheduler says of a GPU: user's job, shares, start and end in minutes. Samples of the job count
    /// nowhere else from then on.
    pub(super) fn held(mut self, gpu: &str, user: &str, shares: Option<u32>, from: i64, to: Option<i64>) -> Self {
        let said = |job: &mut Arc<JobRun>| {
            if job.user.as_deref() == Some(user) {
                Arc::make_mut(job).says_gpus = true;
            }
        };
        self.gpu_hours.iter_mut().flat_map(|gpu| &mut gpu.uses).filter_map(|used| used.job.as_mut()).for_each(said);
        let to_micros = to.map_or(i64::MAX, |to| NOVEMBER + to * MINUTE);
        let job = Arc::new(JobRun { says_gpus: true, ..(*job(user)).clone() });
        let from_micros = NOVEMBER + from * MINUTE;
        let holding = Holding { job, from_micros, to_micros, heard_to_micros: to_micros, shares, is_inferred: false };
        match self.held.iter_mut().find(|held| &*held.gpu_uuid == gpu) {
            Some(held) => held.holdings.push(holding),
            None => self.held.push(Held {
                cluster: Arc::from("c"),
                gpu_uuid: Arc::from(gpu),
                place: Some(Arc::new(GpuPlace { cluster: Arc::from("c"), ..GpuPlace::default() })),
                holdings: vec![holding],
            }),
        }
        self
    }

    /// Processes on the last GPU: user's job, minutes, busy ratio and memory.
    pub(super) fn processes(mut self, did: &[(&str, i64, Option<f64>, Option<f64>)]) -> Self {
        let all = did.iter().map(|(user, minutes, busy, bytes)| {
            let seconds = (minutes * 60) as f64;
            let job = job(user);
            Processes { job, seconds, sm_seconds: busy.map(|b| b * seconds), byte_seconds: bytes.map(|b| b * seconds) }
        });
        self.gpu_hours.last_mut().unwrap().processes = all.collect();
        self
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        Inputs {
            from_micros: NOVEMBER,
            to_micros: NOVEMBER + self.hours * HOUR_MICROS,
            known_to_micros: self.known_to,
            gpu_hours: &self.gpu_hours,
            held: &self.held,
            requests: &self.requests,
            charges: &self.charges,
            accounting_jobs: &self.accounting,
            prices: &self.book,
            ownership: &self.ownership,
            policy: &self.policy,
        }
    }

    pub(super) fn rows(&self) -> Vec<LedgerRow> {
        day(&self.inputs()).0
    }

    /// Each row as `hour gpu job team category state quantity cost`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.rows().iter().map(line).collect()
    }

    pub(super) fn outcomes(&self) -> Vec<(&'static str, u64)> {
        Notice::of(&day(&self.inputs()).1).iter().map(|notice| (notice.kind.code(), notice.count)).collect()
    }
}

pub(super) fn line(row: &LedgerRow) -> String {
    let hour = (row.hour_micros - NOVEMBER) / HOUR_MICROS;
    let gpu = row.gpu_uuid.as_deref().or(row.overhead.as_deref()).unwrap_or("-");
    let job = row.job.as_ref().map_or("-", |job| &job.job_id);
    let state = row.state.map_or("-", GpuState::as_str);
    let cost = row.cost.map_or("unpriced".to_owned(), |cost| cost.0.to_string());
    let (team, category) = (&row.owner.team, row.category.as_str());
    format!("{hour} {gpu} {job} {team} {category} {state} {:.4} {cost}", row.quantity)
}

pub(super) fn job(user: &str) -> Arc<JobRun> {
    let [cluster, job_id, user] = ["c", &format!("job-{user}"), user].map(Arc::from);
    Arc::new(JobRun { cluster, job_id, user: Some(user), ..JobRun::default() })
}

fn gpu_hour(hour: i64, gpu: &str, did: &[(&str, GpuState, i64)]) -> GpuHour {
    let place = GpuPlace { cluster: Arc::from("c"), node: Some(Arc::from("n1")), ..GpuPlace::default() };
    let uses = did.iter().map(|(user, state, minutes)| {
        let mut micros = ByState::default();
        *micros.get_mut(*state) = minutes * MINUTE;
        Use { job: (*user != "-").then(|| job(user)), micros, energy_joules: None }
    });
    GpuHour {
        hour_micros: NOVEMBER + hour * HOUR_MICROS,
        place: Arc::new(place),
        gpu_uuid: Arc::from(gpu),
        parent_gpu_uuid: None,
        mig_profile: None,
        uses: uses.collect(),
        processes: Vec::new(),
    }
}

pub(super) fn total(rows: &[LedgerRow]) -> i64 {
    rows.iter().filter_map(|row| row.cost).map(|cost| cost.0).sum()
}
