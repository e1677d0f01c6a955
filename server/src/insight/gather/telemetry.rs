//! Hours of samples by GPU and job, and what devices told.

use super::super::InsightError;
use super::super::facts::{Event, HOUR, Use, Window};
use super::read;
use crate::query::Engine;

const USES_MAX: usize = 400_000;
/// The latest; a fleet that tells more in one window tells nothing.
const EVENTS_MAX: usize = 200_000;
/// Hours in which a GPU was busy for this part say how fast its clock is under load.
const BUSY_MIN: f64 = 0.5;

/// The use of GPUs, by job.
pub(super) async fn uses(engine: &Engine, window: Window) -> Result<Vec<Use>, InsightError> {
    let busy_hour = format!("gpu_busy_ratio_integral >= {BUSY_MIN:?} * gpu_busy_ratio_seconds");
    let mean = |gauge: &str| format!("sum({gauge}_integral), sum({gauge}_seconds)");
    let while_busy = |column: &str| format!("sum({column}) filter (where {busy_hour})");
    let sql = format!(
        "select cluster, gpu_uuid, job_id, max(node), max(gpu_model), max(mig_profile), min(time), max(time), \
         sum(covered_seconds), {busy}, max(gpu_busy_ratio_max), {sm}, {tensor}, max(memory_used_bytes_max), \
         max(memory_total_bytes_max), max(temperature_celsius_max), {clock}, {clock_seconds}, {power}, \
         {power_seconds}, max(power_limit_watts_max), sum(ecc_corrected_increase), sum(ecc_uncorrected_increase), \
         sum(remapped_rows_increase) from gpu_samples_1h where time >= $1 and time < $2 \
         group by cluster, gpu_uuid, job_id",
        busy = mean("gpu_busy_ratio"),
        sm = mean("sm_active_ratio"),
        tensor = mean("tensor_active_ratio"),
        clock = while_busy("sm_clock_hertz_integral"),
        clock_seconds = while_busy("sm_clock_hertz_seconds"),
        power = while_busy("power_watts_integral"),
        power_seconds = while_busy("power_watts_seconds"),
    );
    let ratio = |sum: Option<f64>, seconds: Option<f64>| Some(sum? / seconds.filter(|seconds| *seconds > 0.0)?);
    let uses = read(engine, &sql, window, ("GPUs and jobs", USES_MAX), |row| {
        let watts = ratio(row.float(21), row.float(22));
        Some(Use {
            cluster: row.text(0),
            gpu_uuid: row.text(1),
            job_id: row.maybe(2),
            node: row.text(3),
            gpu_model: row.text(4),
            is_mig: row.maybe(5).is_some(),
            hours: Window { from_micros: row.int(6)?, to_micros: row.int(7)? + HOUR },
            sampled_hours: row.float(8).unwrap_or_default() / 3600.0,
            busy: ratio(row.float(9), row.float(10)),
            busy_max: row.float(11),
            sm_active: ratio(row.float(12), row.float(13)),
            tensor_active: ratio(row.float(14), row.float(15)),
            memory_peak_bytes: row.float(16),
            memory_total_bytes: row.float(17),
            celsius_max: row.float(18),
            busy_clock_hertz: ratio(row.float(19), row.float(20)),
            busy_seconds: row.float(20).unwrap_or_default(),
            busy_power_ratio: ratio(watts, row.float(23)),
            ecc_corrected: row.float(24).unwrap_or_default(),
            ecc_uncorrected: row.float(25).unwrap_or_default(),
            remapped_rows: row.float(26).unwrap_or_default(),
        })
    });
    Ok(uses.await?.into_iter().flatten().collect())
}

/// What devices told, in order of time.
pub(super) async fn events(engine: &Engine, window: Window) -> Result<Vec<Event>, InsightError> {
    events_of(engine, window, "kind <> 'dropped'").await
}

/// Those that a condition lets through.
pub(super) async fn events_of(engine: &Engine, window: Window, wanted: &str) -> Result<Vec<Event>, InsightError> {
    let sql = format!(
        "select time, cluster, node, gpu_uuid, kind, code, job_id, severity, message from device_events \
         where time >= $1 and time < $2 and {wanted} order by time"
    );
    read(engine, &sql, window, ("device events", EVENTS_MAX), |row| Event {
        time: row.int(0).unwrap_or_default(),
        cluster: row.text(1),
        node: row.text(2),
        gpu_uuid: row.maybe(3),
        kind: row.text(4),
        code: row.int(5),
        job_id: row.maybe(6),
        severity: row.text(7),
        message: row.text(8),
    })
    .await
}
