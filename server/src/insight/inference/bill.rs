//! The ledger's rows of the jobs that serve, by hour.

use super::belonging::Candidate;
use super::error::InferenceError;
use super::rows::{With, each};
use super::split::HourBill;
use crate::cost::{HOUR_MICROS, Micros};
use crate::query::Engine;
use contract::answers::Range;
use std::collections::{BTreeMap, BTreeSet};

/// What the jobs of a service cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Booked {
    /// Hours of which something has a price.
    pub(super) hours: BTreeMap<i64, HourBill>,
    pub(super) gpu_hours: f64,
    pub(super) unpriced_gpu_hours: f64,
}

/// The hours that begin within a range, as everywhere in the ledger.
pub(super) fn whole_hours(range: Range) -> Range {
    let up = |micros: i64| micros.saturating_add(HOUR_MICROS - 1).div_euclid(HOUR_MICROS) * HOUR_MICROS;
    Range { from_unix_micros: up(range.from_unix_micros), to_unix_micros: up(range.to_unix_micros) }
}

/// What each service's jobs cost in the hours that begin within a range.
pub(super) async fn of_jobs(
    engine: &Engine,
    hours: Range,
    jobs: &BTreeMap<String, Vec<Candidate>>,
) -> Result<BTreeMap<String, Booked>, InferenceError> {
    let mut of_job: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (service, jobs) in jobs {
        of_job.extend(jobs.iter().map(|job| ((&*job.cluster, &*job.job_id), service.as_str())));
    }
    let mut found: BTreeMap<String, Booked> = BTreeMap::new();
    if of_job.is_empty() {
        return Ok(found);
    }
    let mut with = With::range(hours);
    let ids = with.texts(of_job.keys().map(|(_, id)| *id).collect::<BTreeSet<_>>());
    // What has no state, CPUs for one, is used whenever it is paid.
    let sql = format!(
        "select time, cluster, job_id, coalesce(state, 'active') = 'active', sum(cost_micros), \
         sum(quantity) filter (where unit = 'GPU-Hours'), \
         sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null) \
         from ledger where time >= $1 and time < $2 and job_id in ({ids}) group by 1, 2, 3, 4"
    );
    each(engine, &sql, with, |rows, row| {
        let (Some(cluster), Some(job)) = (rows.text(1, row), rows.text(2, row)) else { return };
        let (Some(service), Some(hour)) = (of_job.get(&(cluster, job)), rows.int(0, row)) else { return };
        let booked = found.entry((*service).to_owned()).or_default();
        booked.gpu_hours += rows.float(5, row).unwrap_or_default();
        booked.unpriced_gpu_hours += rows.float(6, row).unwrap_or_default();
        let Some(cost) = rows.int(4, row).map(Micros) else { return };
        let bill = booked.hours.entry(hour).or_default();
        match rows.bool(3, row) {
            Some(true) => bill.used = bill.used + cost,
            _ => bill.idle = bill.idle + cost,
        }
    })
    .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_that_begin_in_the_range() {
        let of = |from: i64, to: i64| {
            let range = whole_hours(Range { from_unix_micros: from, to_unix_micros: to });
            (range.from_unix_micros / HOUR_MICROS, range.to_unix_micros / HOUR_MICROS)
        };
        assert_eq!(of(0, 2 * HOUR_MICROS), (0, 2));
        assert_eq!(of(1, 2 * HOUR_MICROS + 1), (1, 3));
        assert_eq!(of(1, HOUR_MICROS), (1, 1), "none begins");
    }
}
