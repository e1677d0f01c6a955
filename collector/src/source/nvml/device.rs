//! One GPU and its MIG instances: what it is, what it reports, and one reading of it.
//!
//! **Invariants:** a metric that is unsupported once is not asked for again until the device is new; no reading
//! holds a value that the device did not give.

use super::answers::{Answers, Ask};
use super::driver::{CallError, Driver, Handle, Meaning};
use super::events::{self, Before};
use super::gpm::{self, Gpm};
use super::held::Held;
use super::instance::{self, Instance};
use super::number::{self, Unwrapped};
use crate::metrics::Counters;
use crate::source::process::Processes;
use crate::source::{GpuIdentity, GpuMetrics, GpuRow, Interval, NodeIdentity, Sample};
use std::collections::HashMap;
use std::sync::Arc;

/// The most links of any generation so far.
const LINKS_MAX: u32 = 18;

/// A device as the driver lists it.
#[derive(Debug)]
pub(super) struct Found {
    pub handle: Handle,
    pub identity: Arc<GpuIdentity>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub handle: Handle,
    pub identity: Arc<GpuIdentity>,
    pub lost: bool,
    answers: Answers,
    gpm: Option<Gpm>,
    instances: Vec<Instance>,
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
        Ok(uuid) if !uuid.is_empty() => uuid,
        Err(error) if error.meaning() == Meaning::Lost => return Err(error),
        // A GPU without a UUID is named by its place on the bus.
        _ => driver.pci_bus_id(handle)?,
    };
    let identity = GpuIdentity {
        node: node.clone(),
        gpu_uuid: uuid.into(),
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
            handle: found.handle,
            identity: found.identity,
            lost: false,
            answers: Answers::default(),
            gpm: None,
            instances: Vec::new(),
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

    /// The device under a handle of a freshly loaded library.
    pub(super) fn renew(&mut self, handle: Handle, driver: &Driver, now: i64, sample: &mut Sample) {
        self.handle = handle;
        self.answers = Answers::default();
        if self.lost && driver.memory(handle).is_ok() {
            self.lost = false;
            sample.events.push(events::returned(&self.identity, now));
        }
    }

    /// A lost device may come back under its UUID.
    pub(super) fn try_return(&mut self, driver: &Driver, now: i64, sample: &mut Sample) {
        if let Ok(handle) = driver.by_uuid(&self.identity.gpu_uuid) {
            self.renew(handle, driver, now, sample);
        }
    }

    /// Gives the library's buffers back before it is unloaded.
    pub(super) fn release(&mut self, driver: &Driver) {
        let instances = self.instances.drain(..).filter_map(|instance| instance.gpm);
        for gpm in instances.chain(self.gpm.take()) {
            gpm::free(driver, &gpm);
        }
    }

    /// UUID and job of a MIG instance of this device, or of the device where there is no such instance.
    pub(super) fn named(&self, instance: u32) -> (Arc<str>, Option<Arc<str>>) {
        match self.instances.iter().find(|i| i.id == instance) {
            Some(instance) => (Arc::clone(&instance.identity.gpu_uuid), instance.job_id.clone()),
            None => (Arc::clone(&self.identity.gpu_uuid), self.job_id.clone()),
        }
    }

    /// Finds the MIG instances and the links that are up.
    pub(super) fn refresh(&mut self, driver: &mut Driver, counters: &Counters, now: i64, sample: &mut Sample) {
        let handle = self.handle;
        let on = self.answers.ask(Ask::Mig, counters, || driver.mig_is_on(handle));
        let listed = match on {
            Some(true) => self.answers.ask(Ask::Mig, counters, || driver.mig_devices(handle)).unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut kept = Vec::new();
        for instance_handle in listed {
            let Ok(uuid) = driver.uuid(instance_handle) else { continue };
            match self.instances.iter().position(|i| *i.identity.gpu_uuid == *uuid) {
                Some(at) => {
                    let mut known = self.instances.swap_remove(at);
                    known.handle = instance_handle;
                    kept.push(known);
                }
                None => kept.extend(instance::find(driver, &self.identity, instance_handle, &uuid)),
            }
        }
        for gone in std::mem::replace(&mut self.instances, kept) {
            if let Some(gpm) = gone.gpm {
                gpm::free(driver, &gpm);
            }
        }
        self.compare_links(driver, counters, now, sample);
    }

    fn compare_links(&mut self, driver: &Driver, counters: &Counters, now: i64, sample: &mut Sample) {
        let mut up = 0_u64;
        for link in 0..LINKS_MAX {
            let handle = self.handle;
            match self.answers.ask(Ask::Links, counters, || match driver.nvlink_is_up(handle, link) {
                // Beyond the last link the library calls the number invalid.
                Err(CallError { code: 2, .. }) => Ok(None),
                // Some devices know a link and call it unsupported when it is not wired.
                Err(error) if link > 0 && error.meaning() == Meaning::Unsupported => Ok(Some(false)),
                result => result.map(Some),
            }) {
                Some(Some(is_up)) => up |= u64::from(is_up) << link,
                _ => break,
            }
        }
        if self.answers.gone.is_some() {
            return;
        }
        let went_down = self.before.links_up & !up;
        for link in (0..LINKS_MAX).filter(|link| went_down & (1 << link) != 0) {
            sample.events.push(events::link_down(&self.identity, self.job_id.clone(), link, now));
        }
        self.before.links_up = up;
    }

    /// Reads the device and its instances once.
    pub(super) fn look(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        interval: Interval,
        processes: &mut Processes,
        sample: &mut Sample,
    ) {
        let now = interval.time_unix_micros.saturating_add((interval.seconds * 1e6) as i64);
        let metrics = self.metrics(driver, counters, interval.seconds);
        let mut held = Held::default();
        let mut instance_rows = Vec::with_capacity(self.instances.len());
        if self.instances.is_empty() {
            let busy = self.process_busy(driver, counters);
            let listed = self.answers.ask(Ask::Processes, counters, || driver.processes(self.handle));
            held = Held::by(listed, &busy, &self.identity, interval, processes, &mut sample.processes);
        }
        for instance in &mut self.instances {
            let own = instance.look(driver, counters, self.handle, interval, processes, &mut sample.processes);
            held.merge(&own.1);
            instance_rows.push(own.0);
        }
        if self.is_gone(driver) {
            let error = self.answers.gone.take().or(self.answers.doubtful.take());
            let error = error.unwrap_or(CallError { call: "nvmlDeviceGetUUID", code: 15 });
            self.lost = true;
            self.release(driver);
            let gone = Arc::clone(&self.identity.gpu_uuid);
            sample.processes.retain(|p| p.gpu_uuid != gone || p.interval != interval);
            sample.events.push(events::lost(&self.identity, self.job_id.take(), error, now));
            return;
        }
        self.answers.doubtful = None;
        let noted = processes.job_of_gpu(&self.identity.gpu_uuid, self.identity.gpu_index);
        self.job_id = held.job().or(noted);
        self.before.compare(&self.identity, self.job_id.as_ref(), &metrics, now, &mut sample.events);
        sample.gpus.push(GpuRow {
            interval,
            gpu: Arc::clone(&self.identity),
            job_id: self.job_id.clone(),
            process_count: held.count,
            metrics,
        });
        sample.gpus.extend(instance_rows);
    }

    fn is_gone(&self, driver: &Driver) -> bool {
        self.answers.gone.is_some() || (self.answers.doubtful.is_some() && driver.uuid(self.handle).is_err())
    }

    fn metrics(&mut self, driver: &mut Driver, counters: &Counters, seconds: f64) -> GpuMetrics {
        let device = self.handle;
        let answers = &mut self.answers;
        let hertz = |megahertz: u32| number::reading(megahertz).map(|mhz| i64::from(mhz) * 1_000_000);
        let watts = |milliwatts: u32| number::reading(milliwatts).map(|mw| f64::from(mw) / 1e3);
        let busy = answers.ask(Ask::Utilization, counters, || driver.utilization(device));
        let memory = answers.ask(Ask::Memory, counters, || driver.memory(device));
        let power = answers.ask(Ask::Power, counters, || driver.power_milliwatts(device));
        let limit = answers.ask(Ask::PowerLimit, counters, || driver.power_limit_milliwatts(device));
        let energy = answers.ask(Ask::Energy, counters, || driver.energy_millijoules(device));
        let temperature = answers.ask(Ask::Temperature, counters, || driver.temperature_celsius(device));
        let sm_clock = answers.ask(Ask::SmClock, counters, || driver.clock_megahertz(device, 1));
        let memory_clock = answers.ask(Ask::MemoryClock, counters, || driver.clock_megahertz(device, 2));
        let throttle = answers.ask(Ask::Throttle, counters, || driver.throttle_reasons(device));
        let corrected = answers.ask(Ask::EccCorrected, counters, || driver.ecc_errors(device, 0));
        let uncorrected = answers.ask(Ask::EccUncorrected, counters, || driver.ecc_errors(device, 1));
        let gpm = gpm::look(answers, &mut self.gpm, driver, counters, (device, None), seconds);
        let fields = answers.fields(driver, device, counters);
        let count = |at: usize| fields[at].and_then(|(value, _)| number::count(value));
        let kib = |at: usize| count(at).and_then(|kib| kib.checked_mul(1024));
        let remapped = match (count(7), count(8)) {
            (Some(after_corrected), Some(after_uncorrected)) => after_corrected.checked_add(after_uncorrected),
            _ => answers
                .ask(Ask::RemappedRows, counters, || driver.remapped_rows(device))
                .and_then(|(c, u)| Some(i64::from(number::reading(c)?) + i64::from(number::reading(u)?))),
        };
        let pcie = |counter: &mut Unwrapped, at: usize, expected| {
            fields[at].and_then(|(value, is_32_bit)| {
                let blank = is_32_bit && value == u64::from(u32::MAX);
                if blank { None } else { counter.next(value, expected) }
            })
        };
        GpuMetrics {
            gpu_busy_ratio: busy.and_then(|(gpu, _)| number::ratio(gpu)),
            memory_busy_ratio: busy.and_then(|(_, memory)| number::ratio(memory)),
            sm_active_ratio: gpm.sm_active_ratio,
            sm_occupancy_ratio: gpm.sm_occupancy_ratio,
            tensor_active_ratio: gpm.tensor_active_ratio,
            dram_active_ratio: gpm.dram_active_ratio,
            memory_used_bytes: memory.and_then(|(used, _)| number::count(used)),
            memory_total_bytes: memory.and_then(|(_, total)| number::count(total)),
            power_watts: power.and_then(watts),
            power_limit_watts: limit.and_then(watts),
            energy_joules_total: energy.and_then(number::count).map(|mj| mj as f64 / 1e3),
            temperature_celsius: temperature.and_then(|t| number::celsius(u64::from(t))),
            // Memory at 0 °C is a device without the sensor.
            memory_temperature_celsius: fields[0].and_then(|(t, _)| number::celsius(t)).filter(|t| *t > 0.0),
            sm_clock_hertz: sm_clock.and_then(hertz),
            memory_clock_hertz: memory_clock.and_then(hertz),
            throttle_reasons: throttle.and_then(number::count),
            pcie_receive_bytes_total: pcie(&mut self.pcie_receive, 1, gpm.pcie_receive_bytes),
            pcie_transmit_bytes_total: pcie(&mut self.pcie_transmit, 2, gpm.pcie_transmit_bytes),
            nvlink_receive_bytes_total: kib(3).or(count(5)),
            nvlink_transmit_bytes_total: kib(4).or(count(6)),
            ecc_corrected_total: corrected.and_then(number::count),
            ecc_uncorrected_total: uncorrected.and_then(number::count),
            remapped_rows_total: remapped,
        }
    }

    /// Mean SM share of each process since the last look.
    fn process_busy(&mut self, driver: &mut Driver, counters: &Counters) -> HashMap<u32, f64> {
        let since = self.utilization_since;
        let call = || driver.process_utilization(self.handle, since);
        let samples = self.answers.ask(Ask::ProcessUtilization, counters, call).unwrap_or_default();
        let mut sums: HashMap<u32, (f64, u32)> = HashMap::new();
        for (pid, time, percent) in samples {
            // Older drivers give samples from before `since` too.
            if let Some(ratio) = number::ratio(percent).filter(|_| time > since) {
                let sum = sums.entry(pid).or_default();
                *sum = (sum.0 + ratio, sum.1 + 1);
                self.utilization_since = self.utilization_since.max(time);
            }
        }
        sums.into_iter().map(|(pid, (sum, count))| (pid, sum / f64::from(count))).collect()
    }

    /// Columns of `gpu_samples` that this device has shown not to support.
    pub(super) fn unsupported(&self) -> Vec<&'static str> {
        self.answers.unsupported_columns()
    }
}
