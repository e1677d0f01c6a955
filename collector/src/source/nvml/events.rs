//! What happened to a device: told by the driver (Xid), or seen by comparing two looks. Pure.

use super::device::Reading;
use super::driver::CallError;
use super::{Look, event};
use crate::source::{DeviceEventRow, GpuIdentity, NodeIdentity};
use std::sync::Arc;
use std::time::Duration;

/// Throttle reasons that mean trouble with the hardware: slowdown, thermal slowdown, power brake.
const HARDWARE_REASONS: i64 = 0x8 | 0x40 | 0x80;
/// Corrected errors and throttling may flicker; each is told once a minute at most, with what came together.
const REPEAT: Duration = Duration::from_secs(60);

/// What the comparison needs of the looks before.
#[derive(Debug, Default)]
pub(super) struct Before {
    corrected: Option<i64>,
    corrected_told_at: Option<Duration>,
    uncorrected: Option<i64>,
    remapped: Option<i64>,
    remap_pending: Option<bool>,
    remap_failed: Option<bool>,
    /// Whether a throttling that goes on was told.
    throttle_told: bool,
    throttle_told_at: Option<Duration>,
    /// Links that were up, one bit each.
    pub links_up: u64,
}

impl Before {
    /// Compares a reading with the ones before and tells what is new.
    pub(super) fn compare(
        &mut self,
        gpu: &GpuIdentity,
        job_id: Option<&Arc<str>>,
        reading: &Reading,
        look: Look,
        out: &mut Vec<DeviceEventRow>,
    ) {
        let metrics = &reading.metrics;
        let mut tell = |kind, severity, code: i64, message: String| {
            let row =
                event(&gpu.node, Some(Arc::clone(&gpu.gpu_uuid)), kind, severity, Some(code), message, look.now());
            out.push(DeviceEventRow { job_id: job_id.cloned(), ..row });
        };
        if let Some(new) = risen(&mut self.uncorrected, metrics.ecc_uncorrected_total) {
            tell("ecc", "error", new, format!("{new} new uncorrected memory errors"));
        }
        let quiet = |told: Option<Duration>| told.is_none_or(|at| look.up.saturating_sub(at) >= REPEAT);
        if quiet(self.corrected_told_at)
            && let Some(new) = risen(&mut self.corrected, metrics.ecc_corrected_total)
        {
            self.corrected_told_at = Some(look.up);
            tell("ecc", "info", new, format!("{new} new corrected memory errors"));
        }
        if let Some(new) = risen(&mut self.remapped, metrics.remapped_rows_total) {
            tell("remap", "warning", new, format!("{new} memory rows remapped"));
        }
        if begun(&mut self.remap_pending, reading.remap_pending) {
            tell("remap", "warning", 1, "memory rows wait to be remapped: reset the GPU".to_owned());
        }
        if begun(&mut self.remap_failed, reading.remap_failed) {
            tell("remap", "critical", 1, "a memory row could not be remapped: the GPU needs service".to_owned());
        }
        let Some(reasons) = metrics.throttle_reasons else { return };
        let hardware = reasons & HARDWARE_REASONS;
        if hardware == 0 {
            self.throttle_told = false;
        } else if !self.throttle_told && quiet(self.throttle_told_at) {
            (self.throttle_told, self.throttle_told_at) = (true, Some(look.up));
            tell("throttle", "warning", hardware, format!("the hardware slows the clocks: {}", reason_words(hardware)));
        }
    }
}

/// How much a counter rose since it was last compared; `None` when it did not, or was reset.
fn risen(before: &mut Option<i64>, now: Option<i64>) -> Option<i64> {
    let now = now?;
    before.replace(now).map(|before| now - before).filter(|new| *new > 0)
}

/// Whether something is so now that was not so, or not known, before.
fn begun(before: &mut Option<bool>, now: Option<bool>) -> bool {
    now.is_some_and(|now| before.replace(now) != Some(true) && now)
}

fn reason_words(reasons: i64) -> String {
    let words = [(0x8, "hardware slowdown"), (0x40, "thermal slowdown"), (0x80, "power brake")];
    words.iter().filter(|(bit, _)| reasons & bit != 0).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

pub(super) fn lost(gpu: &GpuIdentity, job_id: Option<Arc<str>>, error: CallError, now: i64) -> DeviceEventRow {
    let message = format!("GPU {} no longer answers: {error}", gpu.gpu_index);
    let code = Some(i64::from(error.code));
    let row = event(&gpu.node, Some(Arc::clone(&gpu.gpu_uuid)), "lost", "critical", code, message, now);
    DeviceEventRow { job_id, ..row }
}

pub(super) fn lost_without_name(node: &NodeIdentity, index: u32, error: CallError, now: i64) -> DeviceEventRow {
    let message = format!("the driver counts GPU {index} but does not give it: {error}");
    event(node, None, "lost", "critical", Some(i64::from(error.code)), message, now)
}

pub(super) fn returned(gpu: &GpuIdentity, now: i64) -> DeviceEventRow {
    let message = format!("GPU {} answers again", gpu.gpu_index);
    event(&gpu.node, Some(Arc::clone(&gpu.gpu_uuid)), "reset", "info", None, message, now)
}

pub(super) fn link_down(gpu: &GpuIdentity, job_id: Option<Arc<str>>, link: u32, now: i64) -> DeviceEventRow {
    let message = format!("NVLink {link} of GPU {} went down", gpu.gpu_index);
    let code = Some(i64::from(link));
    let row = event(&gpu.node, Some(Arc::clone(&gpu.gpu_uuid)), "link", "error", code, message, now);
    DeviceEventRow { job_id, ..row }
}

pub(crate) fn xid(
    node: &NodeIdentity,
    gpu_uuid: Option<Arc<str>>,
    job_id: Option<Arc<str>>,
    code: u64,
    now: i64,
) -> DeviceEventRow {
    let (severity, meaning) = xid_meaning(code);
    let code = i64::try_from(code).ok(); // a number beyond 2^63 is no Xid
    let message = match code {
        Some(code) => format!("Xid {code}: {meaning}"),
        None => format!("Xid: {meaning}"),
    };
    DeviceEventRow { job_id, ..event(node, gpu_uuid, "xid", severity, code, message, now) }
}

/// How bad an Xid is and what it says, after NVIDIA's Xid catalogue.
fn xid_meaning(code: u64) -> (&'static str, &'static str) {
    match code {
        13 => ("warning", "graphics engine exception, mostly the application"),
        31 => ("warning", "memory page fault, mostly the application"),
        32 => ("error", "invalid or corrupted push buffer stream"),
        43 => ("warning", "the application's channel was stopped"),
        45 => ("warning", "work was removed, after another error or by the user"),
        46 => ("error", "the GPU stopped processing"),
        48 => ("critical", "uncorrectable memory error"),
        54 => ("error", "auxiliary power is not connected"),
        62 => ("critical", "the power management unit halted"),
        63 => ("warning", "a memory row or page was retired"),
        64 => ("critical", "a memory row or page could not be retired"),
        68 => ("warning", "video decoder exception"),
        69 => ("warning", "graphics engine class error"),
        74 => ("error", "NVLink error"),
        79 => ("critical", "the GPU has fallen off the bus"),
        92 => ("warning", "high rate of corrected memory errors"),
        94 => ("error", "contained memory error, one application is hit"),
        95 => ("critical", "uncontained memory error, the GPU must be reset"),
        109 => ("error", "context switch timed out"),
        110 => ("critical", "security fault"),
        119 | 120 => ("critical", "the GPU system processor does not answer"),
        121 => ("warning", "chip-to-chip link error"),
        136 => ("error", "link training failed"),
        137 => ("error", "NVLink privileged access error"),
        140 => ("critical", "unrecovered memory error"),
        143 => ("critical", "the GPU could not be initialised"),
        144..=150 => ("error", "NVLink error"),
        154 => ("error", "the recovery that the GPU needs has changed"),
        156 => ("warning", "a resource was retired"),
        157 => ("error", "a resource could not be retired"),
        158 => ("critical", "the GPU timed out for good"),
        _ => ("error", "see NVIDIA's Xid catalogue"),
    }
}
