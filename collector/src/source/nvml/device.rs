//! One GPU and its MIG instances: what it is, whether it is alive, and one look at it.
//!
//! **Invariants:** a handle is kept only as long as the library that gave it; a look that no call answered gives
//! no row, because a row of nulls would say that nobody holds the device.

mod reading;
mod refresh;

pub(super) use reading::Reading;

use super::Look;
use super::answers::{Answers, Ask};
use super::driver::{CallError, Driver, Handle, Meaning};
use super::events::{self, Before};
use super::gpm::{self, Gpm};
use super::held::Held;
use super::instance::Instance;
use super::number::Unwrapped;
use crate::metrics::Counters;
use crate::source::process::Processes;
use crate::source::{GpuIdentity, GpuRow, NodeIdentity, ProcessRow, Sample};
use std::sync::Arc;
use std::time::Duration;

/// A device that answered nothing in so many looks in a row is lost; fewer may be a driver that is busy.
const SILENT_LOOKS_MAX: u32 = 5;

/// A device as the driver lists it.
#[derive(Debug)]
pub(super) struct Found {
    pub handle: Handle,
    pub identity: Arc<GpuIdentity>,
}

#[derive(Debug)]
pub(super) struct Device {
    /// `None` while the loaded library has not given the device.
    pub handle: Option<Handle>,
    pub identity: Arc<GpuIdentity>,
    pub lost: bool,
    answers: Answers,
    ask_anew_at: Duration,
    silent_looks: u32,
    gpm: Option<Gpm>,
    /// Whether the device was cut into instances when it was last asked.
    mig: Option<bool>,
    instances: Vec<Instance>,
    /// What the PCIe link can carry at most.
    pcie_bytes_per_second: Option<f64>,
    pcie_receive: Unwrapped,
    pcie_transmit: Unwrapped,
    utilization_since: u64,
    before: Before,
    job_id: Option<Arc<str>>,
}

/// Asks the driver for the device of an index and for what it is called.
pub(super) fn find(driver: &Driver, node: &NodeIdentity, index: u32) -> Result<Found, CallError> {
    let handle = driver.by_index(index)?;
    let uuid = match driver.uuid(handle) {
        Ok(uuid) => uuid,
        Err(error) if error.meaning() == Meaning::Unsupported => String::new(),
        // Any other failure passes; under another name its history would break in two.
        Err(error) => return Err(error),
    };
    let gpu_uuid = match uuid.is_empty() {
        false => uuid,
        // A GPU without a UUID is named by its place on the bus, which each node has again.
        true => format!("{}/{}", node.node, driver.pci_bus_id(handle)?),
    };
    let identity = GpuIdentity {
        node: node.clone(),
        gpu_uuid: gpu_uuid.into(),
        gpu_index: i64::from(index),
        gpu_model: driver.name(handle)?.into(),
        parent_gpu_uuid: None,
        mig_profile: None,
    };
    Ok(Found { handle, identity: Arc::new(identity) })
}

impl Device {
    pub(super) fn new(found: Found) -> Self {
        Self {
            handle: Some(found.handle),
            identity: found.identity,
            lost: false,
            answers: Answers::default(),
            ask_anew_at: Duration::ZERO,
            silent_looks: 0,
            gpm: None,
            mig: None,
            instances: Vec::new(),
            pcie_bytes_per_second: None,
            pcie_receive: Unwrapped::default(),
            pcie_transmit: Unwrapped::default(),
            utilization_since: 0,
            before: Before::default(),
            job_id: None,
        }
    }

    pub(super) fn index(&self) -> u32 {
        u32::try_from(self.identity.gpu_index).unwrap_or(u32::MAX)
    }

    /// The device as a freshly loaded library gives it; a lost one is back only after a look that it answers.
    pub(super) fn renew(&mut self, found: Found) {
        self.handle = Some(found.handle);
        self.identity = found.identity;
        self.answers = Answers::default();
        self.pcie_bytes_per_second = None;
        self.pcie_receive = Unwrapped::default();
        self.pcie_transmit = Unwrapped::default();
    }

    /// A lost device may have another handle when it comes back.
    pub(super) fn seek(&mut self, driver: &Driver) {
        if let Ok(handle) = driver.by_uuid(&self.identity.gpu_uuid) {
            self.handle = Some(handle);
        }
        (self.answers.gone, self.answers.doubtful) = (None, None);
    }

    /// Gives the library's buffers back.
    fn release(&mut self, driver: &Driver) {
        let instances = self.instances.drain(..).filter_map(|instance| instance.gpm);
        for gpm in instances.chain(self.gpm.take()) {
            gpm::free(driver, &gpm);
        }
    }

    /// Forgets everything that is the library's, before it is unloaded.
    pub(super) fn part(&mut self, driver: &Driver) {
        self.release(driver);
        self.handle = None;
    }

    /// From now on the device is lost, which is told once.
    pub(super) fn lose(&mut self, error: CallError, now: i64, sample: &mut Sample) {
        self.silent_looks = 0;
        if !std::mem::replace(&mut self.lost, true) {
            sample.events.push(events::lost(&self.identity, self.job_id.take(), error, now));
        }
    }

    /// UUID and job of a MIG instance of this device, or of the device where there is no such instance.
    pub(super) fn named(&self, instance: u32) -> (Arc<str>, Option<Arc<str>>) {
        match self.instances.iter().find(|i| i.id == instance) {
            Some(instance) => (Arc::clone(&instance.identity.gpu_uuid), instance.job_id.clone()),
            None => (Arc::clone(&self.identity.gpu_uuid), self.job_id.clone()),
        }
    }

    /// Reads the device and its instances once.
    pub(super) fn look(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        look: Look,
        processes: &mut Processes,
        sample: &mut Sample,
    ) {
        let Some(handle) = self.handle else { return };
        let interval = look.interval;
        self.answers.begin();
        let reading = self.read(driver, counters, handle, interval.seconds);
        let mut process_rows = Vec::new();
        let mut instance_rows = Vec::with_capacity(self.instances.len());
        let mut held = self.holders(driver, counters, (handle, look), processes, &mut process_rows);
        for instance in &mut self.instances {
            let own = instance.look(driver, counters, handle, interval, processes, &mut process_rows);
            held.merge(&own.1);
            instance_rows.push(own.0);
        }
        if !self.is_alive(driver, handle, look, sample) {
            return;
        }
        if std::mem::replace(&mut self.lost, false) {
            sample.events.push(events::returned(&self.identity, look.now()));
        }
        let metrics = &reading.metrics;
        let busy = metrics.gpu_busy_ratio.or(metrics.sm_active_ratio);
        if self.answers.failure.is_some() && held.count.or(metrics.memory_used_bytes).is_none() && busy.is_none() {
            // What tells whether it is held failed; a row without it would say that it is free.
            return;
        }
        let noted = processes.job_of_gpu(&self.identity);
        self.job_id = held.job().or(noted);
        self.before.compare(&self.identity, self.job_id.as_ref(), &reading, look, &mut sample.events);
        sample.processes.extend(process_rows);
        sample.gpus.push(GpuRow {
            interval,
            gpu: Arc::clone(&self.identity),
            job_id: self.job_id.clone(),
            process_count: held.count,
            metrics: reading.metrics,
        });
        sample.gpus.extend(instance_rows);
    }

    /// Who holds the device itself; with instances they are the ones that are held.
    fn holders(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        (handle, look): (Handle, Look),
        processes: &mut Processes,
        rows: &mut Vec<ProcessRow>,
    ) -> Held {
        if !self.instances.is_empty() {
            return Held::default();
        }
        let busy = self.process_busy(driver, counters, handle, look);
        let listed = self.answers.ask(Ask::Processes, counters, || driver.processes(handle));
        Held::by(listed, &busy, &self.identity, look.interval, processes, rows)
    }

    /// Whether this look says anything of the device; loses it when its calls say that it is gone, or when it was
    /// silent for long enough.
    fn is_alive(&mut self, driver: &Driver, handle: Handle, look: Look, sample: &mut Sample) -> bool {
        let doubtful = self.answers.doubtful.take().filter(|_| {
            let named = driver.uuid(handle);
            named.is_err_and(|error| error.meaning() != Meaning::Unsupported)
        });
        if let Some(error) = self.answers.gone.take().or(doubtful) {
            self.release(driver);
            self.lose(error, look.now(), sample);
            return false;
        }
        if self.answers.answered > 0 {
            self.silent_looks = 0;
            return true;
        }
        self.silent_looks += 1;
        if let Some(error) = self.answers.failure.filter(|_| self.silent_looks >= SILENT_LOOKS_MAX) {
            self.release(driver);
            self.lose(error, look.now(), sample);
        }
        false
    }

    /// UUIDs of its MIG instances, by its index and their own number.
    pub(super) fn instances(&self) -> impl Iterator<Item = ((i64, u32), Arc<str>)> {
        let index = self.identity.gpu_index;
        self.instances.iter().map(move |instance| ((index, instance.id), Arc::clone(&instance.identity.gpu_uuid)))
    }

    /// Columns of `gpu_samples` that this device has shown not to support.
    pub(super) fn unsupported(&self) -> Vec<&'static str> {
        self.answers.unsupported_columns()
    }
}
