//! CPUs and memory of jobs on nodes whose GPUs are measured, where the book has prices for them.
//!
//! **Invariant:** what a job holds falls evenly on its nodes; under a price that stays the same the hours of a job on
//! a node sum to the rounded price of all its time there.

use super::super::period::HOUR_MICROS;
use super::super::rows::Request;
use super::Inputs;
use super::accounting::Stretch;
use super::sheet::Sheet;

pub(super) struct Requests<'i> {
    /// With the time for which each is charged.
    all: Vec<(&'i Request, i64, i64)>,
}

impl<'i> Requests<'i> {
    /// Those that have time within a range, in their order.
    pub(super) fn of(inputs: &Inputs<'i>, from: i64, to: i64) -> Self {
        let time = |request: &'i Request| {
            let (start, end) = (request.job.started_micros?, request.job.ended_micros.unwrap_or(i64::MAX));
            let end = end.min(inputs.known_to_micros);
            (start < to && end > from && start < end).then_some((request, start, end))
        };
        let mut all: Vec<_> = inputs.requests.iter().filter_map(time).collect();
        all.sort_unstable_by(|a, b| (&a.0.job, &a.0.places).cmp(&(&b.0.job, &b.0.places)));
        Self { all }
    }

    /// Adds the rows of the hour.
    pub(super) fn charge(&self, sheet: &mut Sheet<'_>) {
        let close = sheet.hour.saturating_add(HOUR_MICROS);
        for (request, start, end) in &self.all {
            let (from, to) = ((*start).max(sheet.hour), (*end).min(close));
            if from >= to {
                continue;
            }
            for place in &request.places {
                let stretch = Stretch {
                    job: &request.job,
                    place,
                    before: from.abs_diff(*start),
                    micros: to.abs_diff(from),
                    nodes: request.places.len(),
                };
                let price = sheet.price_if_any(place);
                stretch.charge_rest(sheet, price.as_deref());
            }
        }
    }
}
