//! The GPUs of this node through NVML.
//!
//! Owns the devices: finding them, reading each once a look, noticing that one is lost or back. NVML's units end
//! here. Must not know batches. **Invariants:** a device that fails takes only its own rows with it; without a
//! driver there are no rows and no errors, and it is said once.

mod answers;
mod device;
mod driver;
mod events;
mod gpm;
mod held;
mod instance;
mod number;

pub(crate) use events::xid;

use super::process::Processes;
use super::{DeviceEventRow, GpuIdentity, Interval, NodeIdentity, Sample};
use crate::metrics::Counters;
use device::{Device, Found};
use driver::{CallError, Driver, EventSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// MIG instances and links change by hand; ten seconds late is early enough.
const REFRESH: Duration = Duration::from_secs(10);
/// A driver that is not there yet is looked for this often. One that has lost a device is loaded anew after as
/// long, and then after twice as long each time: a device that was reset may show itself only to a fresh library,
/// but loading it breaks the measuring of the others.
const RELOAD_MIN: Duration = Duration::from_secs(60);
const RELOAD_MAX: Duration = Duration::from_secs(15 * 60);
/// Xids that are taken in one look; more would be one broken device repeating itself.
const XIDS_PER_LOOK: usize = 64;

/// A device and the columns that it does not report.
pub(crate) type Described = (Arc<GpuIdentity>, Vec<&'static str>);

/// When a look happens: the stretch that its rows stand for, and the time since the program began, which no
/// setting of the clock moves.
#[derive(Debug, Clone, Copy)]
struct Look {
    interval: Interval,
    up: Duration,
}

impl Look {
    /// The end of the interval, for what happens now.
    fn now(&self) -> i64 {
        self.interval.time_unix_micros.saturating_add((self.interval.seconds * 1e6) as i64)
    }
}

#[derive(Debug)]
pub(crate) struct Gpus {
    node: NodeIdentity,
    library: Option<PathBuf>,
    counters: Arc<Counters>,
    driver: Option<Driver>,
    devices: Vec<Device>,
    xids: Option<EventSet>,
    /// The last thing said about the driver, so that it is said once.
    said: String,
    /// Indices that had no handle when the driver was loaded.
    missing: Vec<u32>,
    up: Duration,
    refresh_at: Duration,
    reload_at: Duration,
    reload_pause: Duration,
}

impl Gpus {
    pub(crate) fn new(node: NodeIdentity, library: Option<PathBuf>, counters: Arc<Counters>) -> Self {
        Self {
            node,
            library,
            counters,
            driver: None,
            devices: Vec::new(),
            xids: None,
            said: String::new(),
            missing: Vec::new(),
            up: Duration::ZERO,
            refresh_at: Duration::ZERO,
            reload_at: Duration::ZERO,
            reload_pause: RELOAD_MIN,
        }
    }

    /// Whether the driver tells of errors (Xids) itself.
    pub(crate) fn tells_xids(&self) -> bool {
        self.xids.is_some()
    }

    /// Reads every device once and adds its rows and events.
    pub(crate) fn look(&mut self, interval: Interval, processes: &mut Processes, sample: &mut Sample) {
        self.up += Duration::try_from_secs_f64(interval.seconds).unwrap_or_default();
        let look = Look { interval, up: self.up };
        self.reload_when_due(look, sample);
        let refresh = look.up >= self.refresh_at;
        if refresh {
            self.refresh_at = look.up + REFRESH;
        }
        let Some(driver) = &mut self.driver else { return };
        for device in &mut self.devices {
            let was_lost = device.lost;
            if was_lost {
                device.seek(driver);
            } else if refresh {
                device.refresh(driver, &self.counters, look, sample);
            }
            device.look(driver, &self.counters, look, processes, sample);
            if was_lost && !device.lost {
                // Its instances and links are looked for at once, and its events come again.
                self.refresh_at = look.up;
                if let (Some(set), Some(handle)) = (&self.xids, device.handle) {
                    driver.watch_xid(set, handle);
                }
            }
        }
        self.take_xids(look.now(), sample);
    }

    fn reload_when_due(&mut self, look: Look, sample: &mut Sample) {
        let is_loaded = self.driver.is_some();
        if is_loaded && self.missing.is_empty() && self.devices.iter().all(|d| !d.lost) {
            self.reload_pause = RELOAD_MIN;
            self.reload_at = look.up + RELOAD_MIN;
        } else if look.up >= self.reload_at {
            if is_loaded {
                self.reload_pause = (self.reload_pause * 2).min(RELOAD_MAX);
            }
            self.reload_at = look.up + self.reload_pause;
            self.unload(look.now(), sample);
            let said = self.load(look.now(), sample).unwrap_or_else(|failure| failure);
            self.say(said);
            for device in self.devices.iter_mut().filter(|device| device.handle.is_none()) {
                // 6 is NVML_ERROR_NOT_FOUND.
                device.lose(CallError { call: "nvmlDeviceGetHandleByIndex_v2", code: 6 }, look.now(), sample);
            }
        }
    }

    /// Gives up the library, after everything that it still has to tell.
    fn unload(&mut self, now: i64, sample: &mut Sample) {
        self.take_xids(now, sample);
        let Some(driver) = self.driver.take() else { return };
        for device in &mut self.devices {
            device.part(&driver);
        }
        if let Some(Err(error)) = self.xids.take().map(|set| driver.forget_xid(&set)) {
            tracing::debug!(%error, "an event set was not released");
        }
    }

    /// Loads the library and finds the devices; those known before keep what is known of them. Either result is
    /// what is to be said of the driver.
    fn load(&mut self, now: i64, sample: &mut Sample) -> Result<String, String> {
        let driver = Driver::load(self.library.as_deref())
            .map_err(|error| format!("no GPUs through NVML: {error}; measuring the host only"))?;
        let count = driver.count().map_err(|error| format!("the driver does not list its GPUs: {error}"))?;
        self.missing.retain(|index| *index < count);
        for index in 0..count {
            match device::find(&driver, &self.node, index) {
                Ok(found) => {
                    self.missing.retain(|missing| *missing != index);
                    self.admit(found);
                }
                Err(error) => self.miss(index, error, now, sample),
            }
        }
        match driver.xid_set() {
            Ok(set) => {
                self.devices.iter().filter_map(|d| d.handle).for_each(|handle| driver.watch_xid(&set, handle));
                self.xids = Some(set);
            }
            Err(error) => tracing::info!(%error, "this driver does not report xid events"),
        }
        let version = driver.version().unwrap_or_else(|_| "of unknown version".to_owned());
        self.driver = Some(driver);
        self.refresh_at = Duration::ZERO;
        Ok(format!("NVIDIA driver {version} with {count} GPUs"))
    }

    fn admit(&mut self, found: Found) {
        match self.devices.iter_mut().find(|d| d.identity.gpu_uuid == found.identity.gpu_uuid) {
            Some(known) => known.renew(found),
            None => self.devices.push(Device::new(found)),
        }
    }

    /// A device that the driver counts but does not give: one that is known by its index, or one without a name.
    fn miss(&mut self, index: u32, error: CallError, now: i64, sample: &mut Sample) {
        if let Some(known) = self.devices.iter_mut().find(|d| d.index() == index && d.handle.is_none()) {
            known.lose(error, now, sample);
        } else if !self.missing.contains(&index) {
            self.missing.push(index);
            sample.events.push(events::lost_without_name(&self.node, index, error, now));
        }
    }

    fn say(&mut self, text: String) {
        if text != self.said {
            tracing::info!("{text}");
            self.said = text;
        }
    }

    fn take_xids(&mut self, now: i64, sample: &mut Sample) {
        let (Some(driver), Some(set)) = (&self.driver, &self.xids) else { return };
        for _ in 0..XIDS_PER_LOOK {
            let Some((handle, code, instance)) = driver.next_xid(set) else { return };
            let device = self.devices.iter().find(|d| d.handle == Some(handle));
            sample.events.push(match device {
                Some(device) => {
                    let (gpu_uuid, job_id) = device.named(instance);
                    events::xid(&self.node, Some(gpu_uuid), job_id, code, now)
                }
                None => events::xid(&self.node, None, None, code, now),
            });
        }
    }

    /// The GPUs that the driver has given, lost ones too; MIG instances are told by their GPU.
    pub(crate) fn uuids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.devices.iter().map(|device| &device.identity.gpu_uuid)
    }

    /// UUIDs of MIG instances, by the index of their GPU and their own number.
    pub(crate) fn instances(&self) -> impl Iterator<Item = ((i64, u32), Arc<str>)> {
        self.devices.iter().flat_map(Device::instances)
    }

    /// The driver's state in words, and each device with the metrics that it does not report.
    pub(crate) fn describe(&self) -> (&str, Vec<Described>) {
        let devices = self.devices.iter().filter(|d| !d.lost);
        (&self.said, devices.map(|d| (Arc::clone(&d.identity), d.unsupported())).collect())
    }
}

/// An event of a device or, without one, of its node.
fn event(
    node: &NodeIdentity,
    gpu_uuid: Option<Arc<str>>,
    kind: &'static str,
    severity: &'static str,
    code: Option<i64>,
    message: String,
    now: i64,
) -> DeviceEventRow {
    DeviceEventRow { time_unix_micros: now, node: node.clone(), gpu_uuid, kind, code, job_id: None, severity, message }
}

/// The event of an error that the kernel tells of.
pub(crate) fn xid_row(node: &NodeIdentity, code: u64, now_unix_micros: i64) -> DeviceEventRow {
    events::xid(node, None, None, code, now_unix_micros)
}

#[cfg(test)]
mod tests;
