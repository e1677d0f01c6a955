//! Who holds a device: its processes and their job.

use super::driver::DeviceProcess;
use super::number;
use crate::source::process::Processes;
use crate::source::{GpuIdentity, Interval, ProcessRow};
use std::collections::HashMap;
use std::sync::Arc;

/// The SM share of processes.
#[derive(Debug, Default)]
pub(super) struct Busy {
    pub by_pid: HashMap<u32, f64>,
    /// The share of a process that the driver does not name: none where it names all that did something.
    pub otherwise: Option<f64>,
}

/// Who holds a device.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub count: Option<i64>,
    jobs: Vec<Arc<str>>,
}

impl Held {
    /// Names the processes of a device and adds their rows.
    pub(super) fn by(
        listed: Option<Vec<DeviceProcess>>,
        busy: &Busy,
        gpu: &GpuIdentity,
        interval: Interval,
        processes: &mut Processes,
        rows: &mut Vec<ProcessRow>,
    ) -> Self {
        let Some(listed) = listed else { return Self::default() };
        let mut held = Self { count: i64::try_from(listed.len()).ok(), jobs: Vec::new() }; // at most 2^16 were asked for
        for process in listed {
            let owned = processes.owner_on(process.pid, gpu);
            held.jobs.extend(owned.job_id.clone());
            rows.push(ProcessRow {
                interval,
                node: gpu.node.clone(),
                gpu_uuid: Arc::clone(&gpu.gpu_uuid),
                pid: i64::from(process.pid),
                user: owned.user,
                command: owned.command,
                job_id: owned.job_id,
                memory_used_bytes: number::count(process.used_bytes),
                sm_busy_ratio: busy.by_pid.get(&process.pid).copied().or(busy.otherwise),
            });
        }
        held
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count = match (self.count, other.count) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.jobs.extend(other.jobs.iter().cloned());
    }

    /// The job that holds the device; `None` when there is none, or more than one.
    pub(super) fn job(&self) -> Option<Arc<str>> {
        let first = self.jobs.first()?;
        self.jobs.iter().all(|job| job == first).then(|| Arc::clone(first))
    }
}
