//! What the processes of jobs did on each GPU in each hour, where several jobs may have had it.

use super::LedgerError;
use super::inputs::Jobs;
use super::read::{Names, Rows, rows_of};
use crate::cost::{GpuHour, JobRun, Processes};
use crate::query::{Engine, Parameter};
use std::collections::HashMap;
use std::sync::Arc;

/// By hour and GPU.
type ByGpu = HashMap<(i64, Arc<str>, Arc<str>), Vec<Processes>>;

const SQL: &str = "select time, cluster, gpu_uuid, job_id, max(covered_seconds), \
     case when min(sm_busy_ratio_count) > 0 then sum(sm_busy_ratio_integral) end, \
     case when min(memory_used_bytes_count) > 0 then sum(memory_used_bytes_integral) end \
     from process_samples_1h where time >= $1 and time < $2 and job_id is not null and sample_count > 0 \
     group by time, cluster, gpu_uuid, job_id order by time, cluster, gpu_uuid, job_id";

/// Adds them to the GPU-hours that begin within `[from, to)`, Unix microseconds.
pub(super) async fn attach(
    engine: &Engine,
    jobs: &Jobs,
    (from, to): (i64, i64),
    hours: &mut [GpuHour],
) -> Result<(), LedgerError> {
    let (mut by_gpu, mut names) = (ByGpu::new(), Names::default());
    for batch in rows_of(engine, SQL, vec![Parameter::Time(from), Parameter::Time(to)]).await? {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            let mut text = |at| names.get(rows.text(at, row).unwrap_or_default());
            let (cluster, gpu_uuid, job_id) = (text(1), text(2), text(3));
            let Some(hour) = rows.int(0, row) else { continue };
            let key = (Arc::clone(&cluster), job_id);
            let stranger = || {
                let (cluster, job_id) = key.clone();
                Arc::new(JobRun { cluster, job_id, ..JobRun::default() })
            };
            let processes = Processes {
                job: jobs.at(&key, hour).unwrap_or_else(stranger),
                seconds: rows.float(4, row).unwrap_or_default(),
                sm_seconds: rows.float(5, row),
                byte_seconds: rows.float(6, row),
            };
            by_gpu.entry((hour, cluster, gpu_uuid)).or_default().push(processes);
        }
    }
    if by_gpu.is_empty() {
        return Ok(());
    }
    for hour in hours {
        let key = (hour.hour_micros, Arc::clone(&hour.place.cluster), Arc::clone(&hour.gpu_uuid));
        hour.processes = by_gpu.remove(&key).unwrap_or_default();
    }
    Ok(())
}
