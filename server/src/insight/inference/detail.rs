//! One service: everything that its page shows.

use super::belonging::Candidate;
use super::bill::{self, Booked, whole_hours};
use super::engine_rows::{self, EngineFigures, Of};
use super::engines::Role;
use super::error::InferenceError;
use super::figures::{Figures, Model, Step};
use super::lines::{KeyLine, lines};
use super::observe::Scaling;
use super::per_million::{PerMillion, per_million};
use super::requests::{self, By};
use super::sizing::Objective;
use super::split::{HourBill, Phased, Split, split};
use super::steps::Steps;
use super::{Inference, jobs};
use crate::cost::Micros;
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};

/// What the jobs of a service cost in the hours that begin in a range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// None where nothing has a price.
    pub total_micros: Option<i64>,
    /// While GPUs worked.
    pub used_micros: i64,
    /// While they were held and did not work.
    pub idle_micros: i64,
    /// Of what was used, in hours from which no request is known.
    pub unattributed_micros: i64,
    /// Of what was used for requests.
    pub prefill_micros: i64,
    pub decode_micros: i64,
    /// Hours whose prompts and answers were told apart by time, and by tokens.
    pub hours_by_time: u64,
    pub hours_by_tokens: u64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
    /// Requests of hours that are not in the bill.
    pub unbilled_requests: u64,
    /// All that is paid, idle time too.
    pub on_allocation: PerMillion,
    /// Only what was used for requests.
    pub on_use: PerMillion,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServiceDetail {
    pub service: String,
    pub figures: Figures,
    pub models: Vec<Model>,
    pub step_seconds: i64,
    pub over_time: Vec<Step>,
    pub engine: EngineFigures,
    pub bill: Bill,
    pub by: By,
    pub lines: Vec<KeyLine>,
    pub lines_left_out: u64,
    /// Jobs that served it within the range, as `cluster/job_id`; the latest ones where there are many.
    pub jobs: Vec<String>,
    pub jobs_left_out: u64,
    pub scaling: Option<Scaling>,
}

/// Jobs that somebody looks at.
const JOBS_MAX: usize = 50;

impl Inference {
    /// How a service does, what it costs and whom.
    pub async fn service(
        &self,
        service: &str,
        range: Range,
        by: By,
        objective: &Objective,
    ) -> Result<ServiceDetail, InferenceError> {
        let engine = &self.inner.engine;
        let (hours, steps) = (whole_hours(range), Steps::over(range.from_unix_micros, range.to_unix_micros));
        let names = BTreeSet::from([service.to_owned()]);
        let (mut figures, over_time, keys, mut uses, mut jobs) = futures::try_join!(
            requests::services(engine, range, Some(service)),
            requests::over_time(engine, range, service, &steps),
            requests::keys(engine, range, service, by),
            requests::uses(engine, hours, Some(service), Some(by)),
            jobs::of_services(engine, range, &names)
        )?;
        let mut booked = bill::of_jobs(engine, hours, &jobs).await?;
        let jobs = jobs.remove(service).unwrap_or_default();
        let ids: BTreeSet<String> = jobs.iter().map(|job| job.job_id.clone()).collect();
        let of = Of { service, jobs: &ids };
        let (mut reported, (counted, engines)) = futures::try_join!(
            engine_rows::gauges(engine, range, of, &steps),
            engine_rows::counters(engine, range, of, &steps)
        )?;
        complete(&mut reported, &counted, engines);
        let (mut figures, models) = figures.remove(service).unwrap_or_default();
        if figures.requests == 0 {
            figures = engine_rows::figures(engine, range, of, &steps, &counted).await?;
            if figures == Figures::default() && reported.engines.is_empty() {
                return Err(InferenceError::NotFound { service: service.chars().take(200).collect() });
            }
        }
        let booked = booked.remove(service).unwrap_or_default();
        let split = split(&booked.hours, uses.remove(service).unwrap_or_default());
        let (lines, lines_left_out) = lines(&split, &keys);
        let (jobs, jobs_left_out) = latest(&jobs);
        Ok(ServiceDetail {
            service: service.to_owned(),
            figures,
            models,
            step_seconds: steps.seconds(),
            over_time,
            engine: reported,
            bill: bill_of(&booked, &split),
            by,
            lines,
            lines_left_out,
            jobs,
            jobs_left_out,
            scaling: self.scaling(service, objective),
        })
    }
}

/// Hits of the prefix cache by counters are exact, where a gauge is a mean of what the engine thought.
fn complete(reported: &mut EngineFigures, counted: &BTreeMap<Role, f64>, engines: BTreeSet<&'static str>) {
    let grown = |role: Role| counted.get(&role).copied().filter(|grown| *grown > 0.0);
    if let Some(queries) = grown(Role::PrefixQueries) {
        reported.prefix_hit_ratio = Some((grown(Role::PrefixHits).unwrap_or(0.0) / queries).clamp(0.0, 1.0));
    }
    let all: BTreeSet<String> = reported.engines.drain(..).chain(engines.into_iter().map(str::to_owned)).collect();
    reported.engines = all.into_iter().collect();
}

fn bill_of(booked: &Booked, split: &Split) -> Bill {
    let (used, allocated, tokens) = split.totals();
    let sum = |of: fn(&HourBill) -> i64| booked.hours.values().map(of).sum::<i64>();
    let of_requests = Phased { other: Micros::ZERO, ..used };
    Bill {
        total_micros: (!booked.hours.is_empty()).then(|| allocated.total().0),
        used_micros: sum(|hour| hour.used.0),
        idle_micros: sum(|hour| hour.idle.0),
        unattributed_micros: sum(|hour| hour.used.0) - of_requests.total().0,
        prefill_micros: used.prefill.0,
        decode_micros: used.decode.0,
        hours_by_time: split.by.time,
        hours_by_tokens: split.by.tokens,
        gpu_hours: booked.gpu_hours,
        unpriced_gpu_hours: booked.unpriced_gpu_hours,
        unbilled_requests: split.unbilled_requests,
        on_allocation: per_million(allocated, tokens),
        on_use: per_million(of_requests, tokens),
    }
}

fn latest(jobs: &[Candidate]) -> (Vec<String>, u64) {
    let mut all: Vec<&Candidate> = jobs.iter().collect();
    all.sort_by(|a, b| (b.started_micros, &a.job_id).cmp(&(a.started_micros, &b.job_id)));
    let mut names: Vec<String> = Vec::new();
    for job in all {
        let name = format!("{}/{}", job.cluster, job.job_id);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let left_out = names.len().saturating_sub(JOBS_MAX) as u64;
    names.truncate(JOBS_MAX);
    (names, left_out)
}
