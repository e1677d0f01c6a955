//! What services did in the last day, kept in memory, so that who scales them is answered at once.
//!
//! **Invariant:** what is asked of the engine does not grow with how often somebody wants to scale.

use super::belonging::replicas_at;
use super::error::InferenceError;
use super::rows::{With, count, each};
use super::sizing::{Objective, PERIODS_MIN, Period, Sizing, size};
use super::split::{CACHED_WEIGHT, PROMPT_WEIGHT};
use super::steps::Steps;
use super::{Inference, engine_rows, jobs};
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MINUTE: i64 = 60_000_000;
/// A day has the busiest hour of a service in it.
const LEARN_FROM: i64 = 24 * 60 * MINUTE;
/// Long enough for a 95th percentile, short enough that load does not change within.
const PERIOD_SECONDS: i64 = 600;
/// A day changes slowly; what came in last does not.
const LEARN_EVERY: i64 = 10 * MINUTE;
/// A service of which little is known is looked at again so soon: its history may have come a moment later.
const LEARN_AGAIN_AFTER: i64 = 60 * 1_000_000;
/// What came in last: long enough to be no accident, short enough to be now.
const NOW: i64 = 5 * MINUTE;
/// Without a request for so long a service is idle.
const IDLE_AFTER: i64 = 15 * MINUTE;
/// What is older than this is not told: whoever scales by it would scale by the past.
const STALE_AFTER: i64 = 5 * MINUTE;
/// Services that are watched, those with most requests.
const SERVICES_MAX: usize = 500;

/// What is known of all services.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// None before the first look.
    pub(super) at_micros: Option<i64>,
    learned_micros: i64,
    learned: Arc<BTreeMap<String, Vec<Period>>>,
    now: BTreeMap<String, Period>,
    last_request: BTreeMap<String, i64>,
}

/// How many replicas a service needs, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    pub service: String,
    pub at_micros: i64,
    pub objective: Objective,
    pub sizing: Sizing,
    pub first_token_p95: Option<f64>,
    pub queue_p95: Option<f64>,
    pub waiting: Option<f64>,
    /// Whether somebody asked within a quarter of an hour.
    pub is_active: bool,
}

impl Observed {
    /// Whether somebody asks a service of which nothing was learned yet, or too little and not just now.
    fn has_unlearned(&self, now_micros: i64) -> bool {
        let has_room = self.learned.len() < SERVICES_MAX;
        let is_old = now_micros - self.learned_micros >= LEARN_AGAIN_AFTER;
        self.now.iter().filter(|(_, now)| now.requests > 0).any(|(service, _)| match self.learned.get(service) {
            None => has_room,
            Some(periods) => is_old && periods.len() < PERIODS_MIN,
        })
    }
}

impl Inference {
    /// Looks at all services. Whoever scales is told of the last look.
    pub async fn observe(&self) -> Result<(), InferenceError> {
        let now_micros = (self.inner.clock)();
        let before = Arc::clone(&self.inner.observed.read());
        let observed = match before.at_micros {
            Some(_) if now_micros - before.learned_micros < LEARN_EVERY => Observed {
                at_micros: Some(now_micros),
                learned_micros: before.learned_micros,
                learned: Arc::clone(&before.learned),
                now: BTreeMap::new(),
                last_request: before.last_request.clone(),
            },
            _ => self.learn(now_micros).await?,
        };
        let mut observed = self.look(observed, now_micros).await?;
        if observed.has_unlearned(now_micros) && observed.learned_micros < now_micros {
            observed = self.learn(now_micros).await?;
            observed = self.look(observed, now_micros).await?;
        }
        *self.inner.observed.write() = Arc::new(observed);
        self.show()
    }

    /// What replicas did within a day.
    async fn learn(&self, now_micros: i64) -> Result<Observed, InferenceError> {
        let range = Range { from_unix_micros: now_micros - LEARN_FROM, to_unix_micros: now_micros };
        let steps = Steps::of_seconds(range.from_unix_micros, range.to_unix_micros, PERIOD_SECONDS);
        let mut observed = Observed { learned_micros: now_micros, ..Observed::default() };
        let step = steps.sql();
        let (found, last) = futures::try_join!(self.periods(range, &step), self.last_requests(range))?;
        observed.last_request = last;
        let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
        found.iter().for_each(|(service, _, period)| *requests.entry(service).or_default() += period.requests);
        let mut names: Vec<(&str, u64)> = requests.into_iter().collect();
        names.sort_by_key(|(service, requests)| (std::cmp::Reverse(*requests), *service));
        let names: BTreeSet<String> = names.into_iter().take(SERVICES_MAX).map(|(name, _)| name.to_owned()).collect();
        let jobs = jobs::of_services(&self.inner.engine, range, &names).await?;
        let mut learned: BTreeMap<String, Vec<Period>> = BTreeMap::new();
        for (service, start, period) in found.into_iter().filter(|(service, ..)| names.contains(service)) {
            let middle = start + PERIOD_SECONDS * 1_000_000 / 2;
            // The first and the last one are not whole, and are no worse for it: they are judged by the second.
            let from = start.max(range.from_unix_micros);
            let to = (start + PERIOD_SECONDS * 1_000_000).min(now_micros);
            let replicas = jobs.get(&service).map(|jobs| replicas_at(jobs, middle.min(now_micros)));
            let seconds = (to - from) as f64 / 1e6;
            learned.entry(service).or_default().push(Period { seconds, replicas, ..period });
        }
        observed.learned = Arc::new(learned);
        Ok(observed)
    }

    /// What came in last.
    async fn look(&self, mut observed: Observed, now_micros: i64) -> Result<Observed, InferenceError> {
        let range = Range { from_unix_micros: now_micros - NOW, to_unix_micros: now_micros };
        let recent = Range { from_unix_micros: now_micros - IDLE_AFTER, to_unix_micros: now_micros };
        let (found, waiting, last) = futures::try_join!(
            self.periods(range, "cast(0 as bigint)"),
            engine_rows::waiting(&self.inner.engine, range),
            self.last_requests(recent)
        )?;
        observed.at_micros = Some(now_micros);
        observed.last_request.extend(last);
        let seconds = NOW as f64 / 1e6;
        observed.now = found.into_iter().map(|(service, _, period)| (service, Period { seconds, ..period })).collect();
        for service in observed.learned.keys().chain(waiting.keys()) {
            observed.now.entry(service.clone()).or_insert(Period { seconds, ..Period::default() });
        }
        while observed.now.len() > SERVICES_MAX {
            observed.now.pop_last();
        }
        let names: BTreeSet<String> = observed.now.keys().cloned().collect();
        let jobs = jobs::of_services(&self.inner.engine, range, &names).await?;
        for (service, period) in &mut observed.now {
            let told = waiting.get(service);
            period.waiting = told.and_then(|(waiting, _)| *waiting);
            let jobs = jobs.get(service).map(|jobs| replicas_at(jobs, now_micros)).filter(|jobs| *jobs > 0);
            // Engines that report are replicas, where the jobs are not known.
            period.replicas = jobs.or_else(|| told.map(|(_, processes)| *processes));
        }
        Ok(observed)
    }

    /// What each service did in each step of a range.
    async fn periods(&self, range: Range, step: &str) -> Result<Vec<(String, i64, Period)>, InferenceError> {
        let sql = format!(
            "select service, {step} as step, count(*), sum(duration_seconds), \
             cast(sum((input_tokens - least(coalesce(cached_tokens, 0), input_tokens)) * {PROMPT_WEIGHT} \
               + least(coalesce(cached_tokens, 0), input_tokens) * {CACHED_WEIGHT}) as double), \
             cast(sum(output_tokens) as double), \
             percentile_cont(time_to_first_token_seconds, 0.95) filter (where status = 'ok'), \
             percentile_cont(queue_seconds, 0.95) filter (where status = 'ok') \
             from inference_requests where time >= $1 and time < $2 group by 1, 2 order by 1, 2"
        );
        let mut found = Vec::new();
        each(&self.inner.engine, &sql, With::range(range), |rows, row| {
            let Some(service) = rows.text(0, row) else { return };
            let number = |at: usize| rows.float(at, row).unwrap_or_default();
            let period = Period {
                seconds: 0.0,
                requests: count(rows, 2, row),
                work_tokens: Period::work(number(4), number(5)),
                busy_seconds: number(3),
                first_token_p95: rows.float(6, row),
                queue_p95: rows.float(7, row),
                replicas: None,
                waiting: None,
            };
            found.push((service.to_owned(), rows.int(1, row).unwrap_or_default(), period));
        })
        .await?;
        Ok(found)
    }

    async fn last_requests(&self, range: Range) -> Result<BTreeMap<String, i64>, InferenceError> {
        let sql = "select service, max(time) from inference_requests where time >= $1 and time < $2 group by 1";
        let mut found = BTreeMap::new();
        each(&self.inner.engine, sql, With::range(range), |rows, row| {
            if let (Some(service), Some(time)) = (rows.text(0, row), rows.int(1, row)) {
                found.insert(service.to_owned(), time);
            }
        })
        .await?;
        Ok(found)
    }

    /// How many replicas a service needs for an objective, by the last look; none where it is not known, or the last
    /// look is too long ago.
    pub fn scaling(&self, service: &str, objective: &Objective) -> Option<Scaling> {
        let observed = Arc::clone(&self.inner.observed.read());
        let at_micros = observed.at_micros.filter(|at| (self.inner.clock)() - at <= STALE_AFTER)?;
        let now = observed.now.get(service)?;
        let learned = observed.learned.get(service).map_or(&[][..], Vec::as_slice);
        let last = observed.last_request.get(service);
        let waits = now.waiting.is_some_and(|waiting| waiting > 0.0);
        Some(Scaling {
            service: service.to_owned(),
            at_micros,
            objective: *objective,
            sizing: size(learned, now, objective),
            first_token_p95: now.first_token_p95,
            queue_p95: now.queue_p95,
            waiting: now.waiting,
            // Who has never asked may be about to: only silence after requests is idle.
            is_active: waits || last.is_none_or(|last| at_micros - last < IDLE_AFTER),
        })
    }

    /// All services by the last look, in order of their names.
    pub fn scalings(&self, objective: &Objective) -> Vec<Scaling> {
        let observed = Arc::clone(&self.inner.observed.read());
        observed.now.keys().filter_map(|service| self.scaling(service, objective)).collect()
    }
}
