//! One GPU and its MIG instances: what it is, what it reports, and one reading of it.
//!
//! **Invariants:** a metric that is unsupported once is not asked for again until the device is new; no reading
//! holds a value that the device did not give.

use super::driver::{CallError, DeviceProcess, Driver, GpmSample, Handle, Meaning};
use super::events::{self, Before};
use super::number::{self, Unwrapped};
use crate::metrics::Counters;
use crate::source::process::Processes;
use crate::source::{GpuIdentity, GpuMetrics, GpuRow, Interval, NodeIdentity, ProcessRow, Sample};
use std::collections::HashMap;
use std::sync::Arc;

/// Field ids with their scopes, read in one call; all ones sums over the links.
const FIELDS: [(u32, u32); 9] = [
    (82, 0),         // memory temperature
    (198, 0),        // PCIe bytes received
    (197, 0),        // PCIe bytes sent
    (139, u32::MAX), // NVLink KiB received, up to the fourth generation
    (138, u32::MAX), // NVLink KiB sent
    (204, u32::MAX), // NVLink bytes received, from the fifth generation on
    (202, u32::MAX), // NVLink bytes sent
    (142, 0),        // rows remapped after corrected errors
    (143, 0),        // rows remapped after uncorrected errors
];
/// GPM metrics: SM, occupancy, any tensor pipe, memory bandwidth, PCIe MiB/s sent and received.
const GPM: [u32; 6] = [2, 3, 5, 10, 20, 21];
/// NVIDIA: two GPM samples must lie more than 100 ms apart.
const GPM_SECONDS_MIN: f64 = 0.1;
/// The most links of any generation so far.
const LINKS_MAX: u32 = 18;

/// Things to ask a device for; a bit each of what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Utilization,
    Memory,
    Power,
    PowerLimit,
    Energy,
    Temperature,
    SmClock,
    MemoryClock,
    Throttle,
    EccCorrected,
    EccUncorrected,
    Fields,
    RemappedRows,
    Processes,
    ProcessUtilization,
    Mig,
    Gpm,
    Links,
}

/// What a device does not know, and what its calls said in this look.
#[derive(Debug, Default)]
struct Answers {
    unsupported: u32,
    fields_unsupported: u32,
    /// The first failure of this look that speaks of the device itself.
    gone: Option<CallError>,
    doubtful: Option<CallError>,
}

impl Answers {
    fn ask<T>(&mut self, what: Ask, counters: &Counters, call: impl FnOnce() -> Result<T, CallError>) -> Option<T> {
        let bit = 1 << what as u32;
        if self.unsupported & bit != 0 || self.gone.is_some() {
            return None;
        }
        match call() {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed(error, counters);
                if error.meaning() == Meaning::Unsupported {
                    self.unsupported |= bit;
                }
                None
            }
        }
    }

    fn failed(&mut self, error: CallError, counters: &Counters) {
        match error.meaning() {
            Meaning::Unsupported => return,
            Meaning::Lost => self.gone = Some(error),
            Meaning::Handle => self.doubtful = Some(error),
            Meaning::Passing => {}
        }
        counters.nvml_error(error.call);
    }

    /// The values of [`FIELDS`]; the unsupported ones are not asked for again.
    fn fields(&mut self, driver: &Driver, device: Handle, counters: &Counters) -> [Option<(u64, bool)>; 9] {
        let mut out = [None; 9];
        let wanted: Vec<usize> = (0..FIELDS.len()).filter(|i| self.fields_unsupported & (1 << i) == 0).collect();
        if wanted.is_empty() {
            return out;
        }
        let ids: Vec<(u32, u32)> = wanted.iter().map(|i| FIELDS[*i]).collect();
        let values = self.ask(Ask::Fields, counters, || driver.fields(device, &ids));
        for (at, value) in wanted.into_iter().zip(values.unwrap_or_default()) {
            match value {
                Ok(value) => out[at] = Some((value.number, value.is_32_bit)),
                // 2: a driver that does not know the id calls it an invalid argument.
                Err(CallError { code: 2, .. }) => self.fields_unsupported |= 1 << at,
                Err(error) => {
                    self.failed(error, counters);
                    if error.meaning() == Meaning::Unsupported {
                        self.fields_unsupported |= 1 << at;
                    }
                }
            }
        }
        out
    }
}

/// Two GPM samples, used in turn.
#[derive(Debug)]
struct Gpm {
    earlier: GpmSample,
    later: GpmSample,
    has_earlier: bool,
}

/// What GPM measured over an interval.
#[derive(Debug, Clone, Copy, Default)]
struct GpmReading {
    sm_active_ratio: Option<f64>,
    sm_occupancy_ratio: Option<f64>,
    tensor_active_ratio: Option<f64>,
    dram_active_ratio: Option<f64>,
    pcie_transmit_bytes: Option<f64>,
    pcie_receive_bytes: Option<f64>,
}

impl Gpm {
    fn open(driver: &Driver) -> Result<Self, CallError> {
        let earlier = driver.gpm_alloc()?;
        let later = driver.gpm_alloc()?;
        Ok(Self { earlier, later, has_earlier: false })
    }

    fn look(
        &mut self,
        driver: &Driver,
        device: Handle,
        instance: Option<u32>,
        seconds: f64,
    ) -> Result<GpmReading, CallError> {
        if self.has_earlier && seconds <= GPM_SECONDS_MIN {
            return Ok(GpmReading::default());
        }
        driver.gpm_take(device, instance, self.later)?;
        let values = match self.has_earlier {
            true => driver.gpm_metrics(self.earlier, self.later, GPM)?,
            false => [None; 6],
        };
        std::mem::swap(&mut self.earlier, &mut self.later);
        self.has_earlier = true;
        let [sm, occupancy, tensor, dram, sent, received] = values;
        let bytes = |mib: Option<f64>| mib.filter(|v| v.is_finite() && *v >= 0.0).map(|v| v * 1_048_576.0 * seconds);
        Ok(GpmReading {
            sm_active_ratio: sm.and_then(number::ratio_of_float),
            sm_occupancy_ratio: occupancy.and_then(number::ratio_of_float),
            tensor_active_ratio: tensor.and_then(number::ratio_of_float),
            dram_active_ratio: dram.and_then(number::ratio_of_float),
            pcie_transmit_bytes: bytes(sent),
            pcie_receive_bytes: bytes(received),
        })
    }
}

#[derive(Debug)]
struct Instance {
    handle: Handle,
    identity: Arc<GpuIdentity>,
    id: u32,
    answers: Answers,
    gpm: Option<Gpm>,
    job_id: Option<Arc<str>>,
}

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
            free(driver, &gpm);
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
                Some(at) => kept.push(Instance { handle: instance_handle, ..self.instances.swap_remove(at) }),
                None => kept.extend(instance(driver, &self.identity, instance_handle, &uuid)),
            }
        }
        for gone in std::mem::replace(&mut self.instances, kept) {
            if let Some(gpm) = gone.gpm {
                free(driver, &gpm);
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
        let gpm = gpm_look(answers, &mut self.gpm, driver, counters, (device, device, None), seconds);
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
        let asks = [
            (Ask::Utilization, "gpu_busy_ratio"),
            (Ask::Utilization, "memory_busy_ratio"),
            (Ask::Gpm, "sm_active_ratio"),
            (Ask::Gpm, "sm_occupancy_ratio"),
            (Ask::Gpm, "tensor_active_ratio"),
            (Ask::Gpm, "dram_active_ratio"),
            (Ask::Memory, "memory_used_bytes"),
            (Ask::Power, "power_watts"),
            (Ask::PowerLimit, "power_limit_watts"),
            (Ask::Energy, "energy_joules_total"),
            (Ask::Temperature, "temperature_celsius"),
            (Ask::SmClock, "sm_clock_hertz"),
            (Ask::MemoryClock, "memory_clock_hertz"),
            (Ask::Throttle, "throttle_reasons"),
            (Ask::EccCorrected, "ecc_corrected_total"),
            (Ask::EccUncorrected, "ecc_uncorrected_total"),
            (Ask::RemappedRows, "remapped_rows_total"),
            (Ask::Processes, "process_count"),
        ];
        let has = |bits: u32, at: u32| bits & (1 << at) != 0;
        let unknown = |ask: Ask| has(self.answers.unsupported, ask as u32);
        let mut names: Vec<&'static str> =
            asks.iter().filter(|(ask, _)| unknown(*ask)).map(|(_, name)| *name).collect();
        let field = |at: u32| unknown(Ask::Fields) || has(self.answers.fields_unsupported, at);
        let fields = [
            (field(0), "memory_temperature_celsius"),
            (field(1), "pcie_receive_bytes_total"),
            (field(2), "pcie_transmit_bytes_total"),
            (field(3) && field(5), "nvlink_receive_bytes_total"),
            (field(4) && field(6), "nvlink_transmit_bytes_total"),
        ];
        names.extend(fields.iter().filter(|(absent, _)| *absent).map(|(_, name)| *name));
        names
    }
}

impl Instance {
    fn look(
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
        let place = (parent, handle, Some(self.id));
        let gpm = gpm_look(&mut self.answers, &mut self.gpm, driver, counters, place, interval.seconds);
        let listed = self.answers.ask(Ask::Processes, counters, || driver.processes(handle));
        let held = Held::by(listed, &HashMap::new(), &self.identity, interval, processes, rows);
        let noted = processes.job_of_gpu(&self.identity.gpu_uuid, -1);
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

/// Who holds a device.
#[derive(Debug, Default)]
struct Held {
    count: Option<i64>,
    jobs: Vec<Arc<str>>,
}

impl Held {
    /// Names the processes of a device and adds their rows.
    fn by(
        listed: Option<Vec<DeviceProcess>>,
        busy: &HashMap<u32, f64>,
        gpu: &GpuIdentity,
        interval: Interval,
        processes: &mut Processes,
        rows: &mut Vec<ProcessRow>,
    ) -> Self {
        let Some(listed) = listed else { return Self::default() };
        let mut held = Self { count: i64::try_from(listed.len()).ok(), jobs: Vec::new() }; // at most 2^16 were asked for
        for process in listed {
            let owned = processes.owner(process.pid);
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
                sm_busy_ratio: busy.get(&process.pid).copied(),
            });
        }
        held
    }

    fn merge(&mut self, other: &Self) {
        self.count = match (self.count, other.count) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.jobs.extend(other.jobs.iter().cloned());
    }

    /// The job that holds the device; `None` when there is none, or more than one.
    fn job(&self) -> Option<Arc<str>> {
        let first = self.jobs.first()?;
        self.jobs.iter().all(|job| job == first).then(|| Arc::clone(first))
    }
}

/// One GPM reading; `place` is the device that samples, the one whose support is asked, and the MIG instance.
fn gpm_look(
    answers: &mut Answers,
    gpm: &mut Option<Gpm>,
    driver: &Driver,
    counters: &Counters,
    place: (Handle, Handle, Option<u32>),
    seconds: f64,
) -> GpmReading {
    let (device, asked, instance) = place;
    let reading = answers.ask(Ask::Gpm, counters, || {
        if gpm.is_none() {
            let supported = driver.gpm_is_supported(if instance.is_some() { device } else { asked })?;
            // 3 is NVML_ERROR_NOT_SUPPORTED.
            let opened = supported.then(|| Gpm::open(driver));
            *gpm = Some(opened.unwrap_or(Err(CallError { call: "nvmlGpmQueryDeviceSupport", code: 3 }))?);
        }
        match gpm {
            Some(gpm) => gpm.look(driver, device, instance, seconds),
            None => Ok(GpmReading::default()),
        }
    });
    reading.unwrap_or_default()
}

fn free(driver: &Driver, gpm: &Gpm) {
    for sample in [gpm.earlier, gpm.later] {
        if let Err(error) = driver.gpm_free(sample) {
            tracing::debug!(%error, "a GPM sample was not released");
        }
    }
}

/// What a MIG instance is called; `None` when it vanished again.
fn instance(driver: &Driver, parent: &GpuIdentity, handle: Handle, uuid: &str) -> Option<Instance> {
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
