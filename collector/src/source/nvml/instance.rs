//! One MIG instance: a row of its own, with what can be told of a part of a board.

use super::answers::{Answers, Ask};
use super::driver::{Driver, Handle};
use super::gpm::{self, Gpm};
use super::held::{Busy, Held};
use super::number;
use crate::metrics::Counters;
use crate::source::process::Processes;
use crate::source::{GpuIdentity, GpuMetrics, GpuRow, Interval, ProcessRow};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Instance {
    pub handle: Handle,
    pub identity: Arc<GpuIdentity>,
    pub id: u32,
    pub answers: Answers,
    pub gpm: Option<Gpm>,
    pub job_id: Option<Arc<str>>,
}

impl Instance {
    pub(super) fn look(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        parent: Handle,
        interval: Interval,
        processes: &mut Processes,
        rows: &mut Vec<ProcessRow>,
    ) -> (GpuRow, Held) {
        let handle = self.handle;
        // An instance that vanished between two refreshes gives nulls until the next one.
        self.answers.gone = None;
        let memory = self.answers.ask(Ask::Memory, counters, || driver.memory(handle));
        let place = (parent, Some(self.id));
        let gpm = gpm::look(&mut self.answers, &mut self.gpm, driver, counters, place, interval.seconds);
        let listed = self.answers.ask(Ask::Processes, counters, || driver.processes(handle));
        let held = Held::by(listed, &Busy::default(), &self.identity, interval, processes, rows);
        let noted = processes.job_of_instance(&self.identity, self.id);
        self.job_id = held.job().or(noted);
        let metrics = GpuMetrics {
            sm_active_ratio: gpm.sm_active_ratio,
            sm_occupancy_ratio: gpm.sm_occupancy_ratio,
            tensor_active_ratio: gpm.tensor_active_ratio,
            dram_active_ratio: gpm.dram_active_ratio,
            memory_used_bytes: memory.and_then(|(used, _)| number::count(used)),
            memory_total_bytes: memory.and_then(|(_, total)| number::count(total)),
            ..GpuMetrics::default()
        };
        let gpu = Arc::clone(&self.identity);
        (GpuRow { interval, gpu, job_id: self.job_id.clone(), process_count: held.count, metrics }, held)
    }
}

/// What a MIG instance is called; `None` when it vanished again.
pub(super) fn find(driver: &Driver, parent: &GpuIdentity, handle: Handle, uuid: &str) -> Option<Instance> {
    let id = driver.gpu_instance_id(handle).ok()?;
    // The name ends in the profile on current drivers; older ones give the sizes only.
    let name = driver.name(handle).unwrap_or_default();
    let named = name.rsplit_once("MIG ").map(|(_, profile)| profile.trim().to_owned());
    let sized = || driver.mig_size(handle).ok().map(|(slices, mib)| format!("{slices}g.{}gb", (mib + 512) / 1024));
    let identity = GpuIdentity {
        gpu_uuid: uuid.into(),
        parent_gpu_uuid: Some(Arc::clone(&parent.gpu_uuid)),
        mig_profile: named.or_else(sized).map(Arc::from),
        ..parent.clone()
    };
    Some(Instance { handle, identity: Arc::new(identity), id, answers: Answers::default(), gpm: None, job_id: None })
}
