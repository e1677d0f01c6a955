//! Days that cost more or less than days like them, and what made them so.

use super::days::DAY;
use super::read::{Names, Rows, rows_of};
use super::refresh::known_to;
use super::{Ledger, LedgerError};
use crate::cost::{Anomaly, DayCosts, DayPart, LedgerDimension, Micros, anomalies};
use crate::query::Parameter;
use contract::answers::Range;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Days before the range that its days are held against.
const DAYS_BEFORE: i64 = 56;
/// Days that are looked at; ten years.
const DAYS_MAX: i64 = 3_660;
/// Anomalies that are told, the latest ones; more of them are a way of life.
const ANOMALIES_MAX: usize = 50;
/// Groups of a day that are looked at apart.
const NAMES_MAX: usize = 10_000;
/// Jobs that are told of an anomaly's first driver.
const JOBS_MAX: usize = 3;
/// Part of a day's hours without price from which on its cost says nothing.
const UNPRICED_RATIO_MAX: f64 = 0.01;

/// A day with hours that have no price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unpriced {
    pub day_micros: i64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
}

/// An anomaly, and the jobs that cost most of what its first driver did.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub anomaly: Anomaly,
    /// Name, user and cost; none where the driver cost less than usual.
    pub jobs: Vec<(String, Option<String>, Micros)>,
}

/// What was found in a range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Anomalies {
    /// In order of their days.
    pub found: Vec<Explained>,
    /// Earlier ones that are not listed.
    pub left_out: usize,
    /// Days that were not judged, because too many of their hours have no price.
    pub unpriced: Vec<Unpriced>,
    /// Whole days that were judged.
    pub days: usize,
}

/// Of each day since the epoch: its groups, GPU-hours, and those without a price.
type Days = BTreeMap<i64, (BTreeMap<Arc<str>, DayPart>, f64, f64)>;

impl Ledger {
    /// The days within a range that are not like their weekday in the eight weeks before, with what drove them, by a
    /// dimension such as `team`. Days that are not over are not judged.
    pub async fn anomalies(&self, range: Range, by: &str) -> Result<Anomalies, LedgerError> {
        let dimension = super::costs::dimension(by)?;
        let first = range.from_unix_micros.div_euclid(DAY);
        let end = range.to_unix_micros.min(known_to((self.inner.clock)())).div_euclid(DAY);
        if end - first > DAYS_MAX {
            return Err(LedgerError::Refused(format!(
                "at most {DAYS_MAX} days are looked at; ask for a shorter range"
            )));
        }
        let days = self.by_day(dimension, (first - DAYS_BEFORE) * DAY, end * DAY).await?;
        let Some(known) = days.keys().next().copied() else { return Ok(Anomalies::default()) };
        let mut all = Vec::new();
        let mut found = Anomalies::default();
        for day in known..end {
            let (by, gpu_hours, unpriced_gpu_hours) = days.get(&day).cloned().unwrap_or_default();
            let is_unpriced = unpriced_gpu_hours > gpu_hours * UNPRICED_RATIO_MAX;
            let day_micros = day * DAY;
            if is_unpriced && day >= first {
                found.unpriced.push(Unpriced { day_micros, gpu_hours, unpriced_gpu_hours });
            }
            found.days += usize::from(day >= first && !is_unpriced);
            all.push(DayCosts { day_micros, by, is_unpriced });
        }
        let mut odd = anomalies(&all);
        odd.retain(|anomaly| anomaly.day_micros >= first * DAY);
        found.left_out = odd.len().saturating_sub(ANOMALIES_MAX);
        for anomaly in odd.split_off(found.left_out) {
            let jobs = self.jobs_behind(dimension, &anomaly).await?;
            found.found.push(Explained { anomaly, jobs });
        }
        Ok(found)
    }

    async fn by_day(&self, dimension: &LedgerDimension, from: i64, to: i64) -> Result<Days, LedgerError> {
        let column = dimension.column;
        let sql = format!(
            "select date_trunc('day', time), {column}, coalesce(sum(cost_micros), 0) as cost, \
             coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is not null), 0.0), \
             coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
             coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0) \
             from ledger where time >= $1 and time < $2 group by 1, 2 order by 1, cost desc, 2"
        );
        let (mut days, mut names) = (Days::new(), Names::default());
        for batch in rows_of(&self.inner.engine, &sql, vec![Parameter::Time(from), Parameter::Time(to)]).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let day = rows.int(0, row).unwrap_or_default().div_euclid(DAY);
                let (by, hours, unpriced) = days.entry(day).or_default();
                *hours += rows.float(4, row).unwrap_or_default();
                *unpriced += rows.float(5, row).unwrap_or_default();
                // The least costly ones of a day together: the day's sum stays whole.
                let name = if by.len() < NAMES_MAX { rows.text(1, row).unwrap_or_default() } else { "others" };
                let part = by.entry(names.get(name)).or_default();
                part.cost = part.cost + Micros(rows.int(2, row).unwrap_or_default());
                part.gpu_hours += rows.float(3, row).unwrap_or_default();
            }
        }
        Ok(days)
    }

    async fn jobs_behind(
        &self,
        dimension: &LedgerDimension,
        anomaly: &Anomaly,
    ) -> Result<Vec<(String, Option<String>, Micros)>, LedgerError> {
        let first = anomaly.drivers.first().filter(|driver| driver.difference() > Micros::ZERO);
        let Some(driver) = first else { return Ok(Vec::new()) };
        let sql = format!(
            "select job_id, max(\"user\"), sum(cost_micros) as cost from ledger where time >= $1 and time < $2 \
             and job_id is not null and coalesce({}, '') = $3 group by job_id \
             having sum(cost_micros) > 0 order by cost desc, job_id limit {JOBS_MAX}",
            dimension.column
        );
        let day = anomaly.day_micros;
        let with = vec![Parameter::Time(day), Parameter::Time(day + DAY), Parameter::Text(driver.name.to_string())];
        let mut jobs = Vec::new();
        for batch in rows_of(&self.inner.engine, &sql, with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let text = |at| rows.text(at, row).map(str::to_owned);
                jobs.push((text(0).unwrap_or_default(), text(1), Micros(rows.int(2, row).unwrap_or_default())));
            }
        }
        Ok(jobs)
    }
}
