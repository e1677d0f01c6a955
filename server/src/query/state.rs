//! What a GPU was doing in one row of `gpu_samples`: the one definition, as the SQL that computes it.
//!
//! | state | when |
//! |---|---|
//! | `unallocated` | no job holds it and no process is on it |
//! | `held_empty` | a job holds it, and no process is on it |
//! | `held_idle` | a process is on it, and it was busy for less than [`IDLE_BUSY_RATIO`] |
//! | `active` | a process is on it otherwise, also where its busy ratio is not reported |
//!
//! Where the number of processes is not reported, work means a process; without work, a job or memory in use above
//! [`HELD_MEMORY_BYTES`] means one that idles. A device without a busy ratio (MIG) is judged by its active SMs. A row
//! that reports none of these leaves the state `unknown`; otherwise `down` and `unknown` are the absence of rows, with and without a `lost` event before it (see `timeline`).

use contract::GpuState;

/// Below this a GPU is idle. Drivers count a sampling window as busy when any kernel ran in it, and
/// monitoring itself wakes a GPU for a few milliseconds of each second; real work stays above 1 %.
pub(super) const IDLE_BUSY_RATIO: f64 = 0.01;

/// An unused GPU holds less than this: driver, ECC and context-less reservations are 0.3 to 0.5 GiB on the
/// largest devices, while one CUDA context with a framework loaded is more.
pub(super) const HELD_MEMORY_BYTES: i64 = 512 * 1024 * 1024;

/// An expression over the columns of `gpu_samples`; its value is the position in [`GpuState::ALL`].
pub(super) fn expression() -> String {
    let [active, idle, empty, free, unknown] =
        [GpuState::Active, GpuState::HeldIdle, GpuState::HeldEmpty, GpuState::Unallocated, GpuState::Unknown]
            .map(GpuState::index);
    let busy = "coalesce(gpu_busy_ratio, sm_active_ratio)";
    format!(
        "case when process_count is null then \
           case when {busy} >= {IDLE_BUSY_RATIO:?} then {active} \
                when job_id is not null or memory_used_bytes > {HELD_MEMORY_BYTES} then {idle} \
                when {busy} is null and memory_used_bytes is null then {unknown} \
                else {free} end \
         when process_count = 0 then case when job_id is null then {free} else {empty} end \
         when {busy} < {IDLE_BUSY_RATIO:?} then {idle} \
         else {active} end"
    )
}
