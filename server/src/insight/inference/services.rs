//! All services of a range: how they do, what a million tokens cost, how many replicas they need.

use super::belonging::Candidate;
use super::bill::{Booked, whole_hours};
use super::engine_rows::Of;
use super::error::InferenceError;
use super::figures::{Figures, Model};
use super::observe::Scaling;
use super::per_million::{PerMillion, per_million};
use super::sizing::Objective;
use super::split::split;
use super::steps::Steps;
use super::{Inference, bill, engine_rows, jobs, requests};
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};

/// Services that somebody looks at, those with most requests.
const SERVICES_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub service: String,
    pub figures: Figures,
    pub models: Vec<Model>,
    /// What its jobs cost in the hours that begin in the range; none where nothing has a price.
    pub bill_micros: Option<i64>,
    pub unpriced_gpu_hours: f64,
    /// On the basis of allocation.
    pub per_million: PerMillion,
    /// None where too little is known of the last hours.
    pub scaling: Option<Scaling>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Services {
    pub services: Vec<Service>,
    pub left_out: u64,
}

impl Inference {
    /// All services that have requests or engines that report within a range.
    pub async fn services(&self, range: Range) -> Result<Services, InferenceError> {
        let engine = &self.inner.engine;
        let hours = whole_hours(range);
        let (mut figures, reporting, mut uses) = futures::try_join!(
            requests::services(engine, range, None),
            engine_rows::services(engine, range),
            requests::uses(engine, hours, None, None)
        )?;
        for service in reporting {
            figures.entry(service).or_default();
        }
        let mut all: Vec<(String, (Figures, Vec<Model>))> = figures.into_iter().collect();
        all.sort_by(|(a, of_a), (b, of_b)| (of_b.0.requests, a).cmp(&(of_a.0.requests, b)));
        let left_out = all.len().saturating_sub(SERVICES_MAX) as u64;
        all.truncate(SERVICES_MAX);
        let names: BTreeSet<String> = all.iter().map(|(service, _)| service.clone()).collect();
        let jobs = jobs::of_services(engine, range, &names).await?;
        let mut booked = bill::of_jobs(engine, hours, &jobs).await?;
        let mut services = Vec::with_capacity(all.len());
        for (service, (mut figures, models)) in all {
            if figures.requests == 0 {
                figures = self.from_engine(range, &service, &jobs).await?;
            }
            let booked = booked.remove(&service).unwrap_or_default();
            let uses = uses.remove(&service).unwrap_or_default();
            let (_, allocated, tokens) = split(&booked.hours, uses).totals();
            let Booked { hours, unpriced_gpu_hours, .. } = booked;
            services.push(Service {
                scaling: self.scaling(&service, &Objective::DEFAULT),
                bill_micros: (!hours.is_empty()).then(|| allocated.total().0),
                unpriced_gpu_hours,
                per_million: per_million(allocated, tokens),
                service,
                figures,
                models,
            });
        }
        Ok(Services { services, left_out })
    }

    /// Of a service without requests.
    async fn from_engine(
        &self,
        range: Range,
        service: &str,
        jobs: &BTreeMap<String, Vec<Candidate>>,
    ) -> Result<Figures, InferenceError> {
        let jobs: BTreeSet<String> = jobs.get(service).into_iter().flatten().map(|job| job.job_id.clone()).collect();
        let of = Of { service, jobs: &jobs };
        let steps = Steps::over(range.from_unix_micros, range.to_unix_micros);
        let (counted, _) = engine_rows::counters(&self.inner.engine, range, of, &steps).await?;
        engine_rows::figures(&self.inner.engine, range, of, &steps, &counted).await
    }
}
