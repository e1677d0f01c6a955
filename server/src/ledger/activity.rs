//! How active GPUs were in the hours that they are paid for, by job: what the waterfall needs beside the money.

use super::LedgerError;
use super::read::{Names, Rows, rows_of};
use crate::cost::LedgerRow;
use crate::query::{Engine, Parameter};
use std::collections::HashMap;
use std::sync::Arc;

/// Means of a GPU and job over their samples of an hour, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Ratios {
    pub(super) sm_active: Option<f64>,
    pub(super) tensor_active: Option<f64>,
}

/// Of each hour and GPU.
#[derive(Default)]
pub(super) struct Activity {
    by_hour: HashMap<(i64, Arc<str>), Vec<(Option<Arc<str>>, Ratios)>>,
}

const SQL: &str = "select time, gpu_uuid, job_id, sm_active_ratio_mean, tensor_active_ratio_mean from usage_hourly \
    where time >= $1 and time < $2 and (sm_active_ratio_mean is not null or tensor_active_ratio_mean is not null)";

impl Activity {
    /// Of the hours that begin within `[from, to)`, Unix microseconds.
    pub(super) async fn ask(engine: &Engine, (from, to): (i64, i64)) -> Result<Self, LedgerError> {
        let (mut activity, mut names) = (Self::default(), Names::default());
        for batch in rows_of(engine, SQL, vec![Parameter::Time(from), Parameter::Time(to)]).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let (Some(hour), Some(gpu)) = (rows.int(0, row), rows.text(1, row)) else { continue };
                let ratios = Ratios { sm_active: rows.float(3, row), tensor_active: rows.float(4, row) };
                let of_gpu = activity.by_hour.entry((hour, names.get(gpu))).or_default();
                of_gpu.push((names.maybe(rows.text(2, row)), ratios));
            }
        }
        Ok(activity)
    }

    /// Of what a row is paid for. A row without a job of that name is as active as its GPU, where that has but one.
    pub(super) fn of(&self, row: &LedgerRow) -> Ratios {
        let key = row.gpu_uuid.as_ref().map(|gpu| (row.hour_micros, Arc::clone(gpu)));
        let Some(of_gpu) = key.and_then(|key| self.by_hour.get(&key)) else { return Ratios::default() };
        let job = row.job.as_ref().map(|job| &*job.job_id);
        match of_gpu.iter().find(|(name, _)| name.as_deref() == job) {
            Some((_, ratios)) => *ratios,
            None if of_gpu.len() == 1 => of_gpu[0].1,
            None => Ratios::default(),
        }
    }
}
