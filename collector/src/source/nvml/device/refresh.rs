//! What changes by hand and rarely: the cut into MIG instances, the links, what the device supports.

use super::Device;
use crate::metrics::Counters;
use crate::source::Sample;
use crate::source::nvml::answers::Ask;
use crate::source::nvml::driver::{CallError, Driver, Handle, Meaning};
use crate::source::nvml::{Look, events, gpm, instance};
use std::time::Duration;

/// The most links of any generation so far.
const LINKS_MAX: u32 = 18;
/// What was unsupported is asked for again this often: a permission or a mode may have been given meanwhile.
const ASK_ANEW: Duration = Duration::from_secs(3600);

impl Device {
    /// Finds the MIG instances and the links that are up.
    pub(in crate::source::nvml) fn refresh(
        &mut self,
        driver: &mut Driver,
        counters: &Counters,
        look: Look,
        sample: &mut Sample,
    ) {
        let Some(handle) = self.handle else { return };
        if look.up >= self.ask_anew_at {
            self.ask_anew_at = look.up + ASK_ANEW;
            self.answers.ask_anew();
            self.instances.iter_mut().for_each(|instance| instance.answers.ask_anew());
        }
        self.find_instances(driver, counters, handle);
        self.compare_links(driver, counters, (handle, look), sample);
        if self.pcie_bytes_per_second.is_none() {
            let link = self.answers.ask(Ask::PcieLink, counters, || driver.pcie_link(handle));
            // 250 MB/s a lane in the first generation, and not more than twice as much in each later one.
            self.pcie_bytes_per_second = link.map(|(generation, lanes)| {
                250e6 * f64::from(lanes) * f64::from(generation.saturating_sub(1).min(10)).exp2()
            });
        }
    }

    /// A question that fails leaves the instances as they are: they do not vanish because a driver is busy.
    fn find_instances(&mut self, driver: &mut Driver, counters: &Counters, handle: Handle) {
        let on = match self.answers.ask(Ask::Mig, counters, || driver.mig_is_on(handle)) {
            Some(on) => on,
            None if self.answers.is_unsupported(Ask::Mig) => false,
            None => return,
        };
        if self.mig.replace(on).is_some_and(|before| before != on) {
            // A GPU that is cut reports less, and one that is whole again reports all of it.
            self.answers.ask_anew();
        }
        let listed = match on {
            false => Vec::new(),
            true => match self.answers.ask(Ask::Mig, counters, || driver.mig_devices(handle)) {
                Some(listed) => listed,
                None => return,
            },
        };
        let mut kept = Vec::new();
        for instance_handle in listed {
            let uuid = driver.uuid(instance_handle);
            let known = self.instances.iter().position(|i| match &uuid {
                Ok(uuid) => *i.identity.gpu_uuid == **uuid,
                Err(_) => i.handle == instance_handle,
            });
            match (known, uuid) {
                (Some(at), _) => {
                    let mut known = self.instances.swap_remove(at);
                    known.handle = instance_handle;
                    kept.push(known);
                }
                (None, Ok(uuid)) => kept.extend(instance::find(driver, &self.identity, instance_handle, &uuid)),
                (None, Err(_)) => {} // it has no name yet, the next refresh asks again
            }
        }
        for gone in std::mem::replace(&mut self.instances, kept) {
            if let Some(gpm) = gone.gpm {
                gpm::free(driver, &gpm);
            }
        }
    }

    fn compare_links(
        &mut self,
        driver: &Driver,
        counters: &Counters,
        (handle, look): (Handle, Look),
        sample: &mut Sample,
    ) {
        let mut up = 0_u64;
        for link in 0..LINKS_MAX {
            match self.answers.ask(Ask::Links, counters, || match driver.nvlink_is_up(handle, link) {
                // Beyond the last link the library calls the number invalid.
                Err(CallError { code: 2, .. }) => Ok(None),
                // Some devices know a link and call it unsupported when it is not wired.
                Err(error) if link > 0 && error.meaning() == Meaning::Unsupported => Ok(Some(false)),
                result => result.map(Some),
            }) {
                Some(Some(is_up)) => up |= u64::from(is_up) << link,
                Some(None) => break,
                // A question that failed says nothing of a link.
                None => return,
            }
        }
        let went_down = self.before.links_up & !up;
        for link in (0..LINKS_MAX).filter(|link| went_down & (1 << link) != 0) {
            sample.events.push(events::link_down(&self.identity, self.job_id.clone(), link, look.now()));
        }
        self.before.links_up = up;
    }
}
