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

use super::process::Processes;
use super::{DeviceEventRow, GpuIdentity, Interval, NodeIdentity, Sample};
use crate::metrics::Counters;
use device::{Device, Found};
use driver::{Driver, EventSet, Handle};
use std::path::PathBuf;
use std::sync::Arc;

/// MIG instances and links change by hand; ten seconds late is early enough.
const REFRESH_MICROS: i64 = 10_000_000;
/// A driver that is not there yet, or has lost a device, is loaded anew this often: a device that was reset
/// shows itself only to a fresh library.
const RELOAD_MICROS: i64 = 60_000_000;
/// Xids that are taken in one look; more would be one broken device repeating itself.
const XIDS_PER_LOOK: usize = 64;

/// A device and the columns that it does not report.
pub(crate) type Described = (Arc<GpuIdentity>, Vec<&'static str>);

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
    refresh_at: i64,
    reload_at: i64,
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
            refresh_at: i64::MIN,
            reload_at: i64::MIN,
        }
    }

    /// Reads every device once and adds its rows and events.
    pub(crate) fn look(&mut self, interval: Interval, processes: &mut Processes, sample: &mut Sample) {
        let now = interval.time_unix_micros.saturating_add((interval.seconds * 1e6) as i64);
        let wanting = self.driver.is_none() || !self.missing.is_empty() || self.devices.iter().any(|d| d.lost);
        if wanting && now >= self.reload_at {
            self.reload_at = now + RELOAD_MICROS;
            self.reload(now, sample);
        }
        let refresh = now >= self.refresh_at;
        if refresh {
            self.refresh_at = now + REFRESH_MICROS;
        }
        let Some(driver) = &mut self.driver else { return };
        for device in &mut self.devices {
            if device.lost {
                device.try_return(driver, now, sample);
            }
            if !device.lost {
                if refresh {
                    device.refresh(driver, &self.counters, now, sample);
                }
                device.look(driver, &self.counters, interval, processes, sample);
            }
        }
        self.take_xids(now, sample);
    }

    /// Loads the library, anew if need be, and finds the devices; those known before keep what is known of them.
    fn reload(&mut self, now: i64, sample: &mut Sample) {
        if let Some(driver) = self.driver.take() {
            for device in &mut self.devices {
                device.release(&driver);
            }
            if let Some(Err(error)) = self.xids.take().map(|set| driver.forget_xid(&set)) {
                tracing::debug!(%error, "an event set was not released");
            }
        }
        let driver = match Driver::load(self.library.as_deref()) {
            Ok(driver) => driver,
            Err(error) => return self.say(format!("no GPUs through NVML: {error}; measuring the host only")),
        };
        let count = match driver.count() {
            Ok(count) => count,
            Err(error) => return self.say(format!("the driver does not list its GPUs: {error}")),
        };
        self.missing.retain(|index| *index < count);
        for index in 0..count {
            match device::find(&driver, &self.node, index) {
                Ok(found) => {
                    self.missing.retain(|missing| *missing != index);
                    self.admit(&driver, found, now, sample);
                }
                Err(error) if !self.missing.contains(&index) && self.devices.iter().all(|d| d.index() != index) => {
                    self.missing.push(index);
                    sample.events.push(events::lost_without_name(&self.node, index, error, now));
                }
                Err(_) => {} // known to be missing, or a lost device that has said so
            }
        }
        let handles: Vec<Handle> = self.devices.iter().filter(|d| !d.lost).map(|d| d.handle).collect();
        match driver.watch_xid(&handles) {
            Ok(set) => self.xids = Some(set),
            Err(error) => tracing::info!(%error, "this driver does not report xid events"),
        }
        let version = driver.version().unwrap_or_else(|_| "of unknown version".to_owned());
        self.driver = Some(driver);
        self.say(format!("NVIDIA driver {version} with {count} GPUs"));
        self.refresh_at = i64::MIN;
    }

    fn admit(&mut self, driver: &Driver, found: Found, now: i64, sample: &mut Sample) {
        match self.devices.iter_mut().find(|d| d.identity.gpu_uuid == found.identity.gpu_uuid) {
            Some(known) => known.renew(found.handle, driver, now, sample),
            None => self.devices.push(Device::new(found)),
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
            let device = self.devices.iter().find(|d| d.handle == handle);
            sample.events.push(match device {
                Some(device) => {
                    let (gpu_uuid, job_id) = device.named(instance);
                    events::xid(&self.node, Some(gpu_uuid), job_id, code, now)
                }
                None => events::xid(&self.node, None, None, code, now),
            });
        }
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
