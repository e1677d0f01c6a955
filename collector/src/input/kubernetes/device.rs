//! The ids under which device plugins and drivers give out GPUs. Pure.

use crate::source::Unit;
use std::sync::Arc;

/// A share is a number of at most six digits behind `::`.
const SHARES: u32 = 1_000_000;

/// What a pod was given of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Device {
    pub place: Place,
    /// The number of the share, where others may have shares of the same GPU.
    pub share: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Unit(Unit),
    /// A MIG instance by the index of its GPU and its own number.
    Instance(i64, u32),
}

/// `GPU-…`, `MIG-…`, either with `::2` (time-slicing, MPS) or `/vgpu2` (GKE) behind it, GKE's `nvidia0`,
/// `nvidia0/gi3` and `nvidia0/gi3/vgpu1`, and the place on the bus of an AMD or Intel GPU; `None` for the rest.
pub(super) fn of_plugin(resource: &str, id: &str, node: &str) -> Option<Device> {
    let (id, share) = split_share(id)?;
    let place = match id.strip_prefix("nvidia") {
        Some(numbers) => of_gke(numbers)?,
        None if is_uuid(id) => Place::Unit(Unit::Uuid(id.into())),
        // A GPU without a UUID is named by its node and its place on the bus, as in telemetry.
        None if is_gpu(resource) && is_bus_id(id) => Place::Unit(Unit::Uuid(format!("{node}/{id}").into())),
        None => return None,
    };
    Some(Device { place, share })
}

/// Splits `::2` or `/vgpu2` off; `None` where what follows is no number.
fn split_share(id: &str) -> Option<(&str, Option<u32>)> {
    match id.rsplit_once("::").or_else(|| id.rsplit_once("/vgpu")) {
        Some((id, share)) => Some((id, Some(number(share)?))),
        None => Some((id, None)),
    }
}

fn of_gke(numbers: &str) -> Option<Place> {
    match numbers.split_once("/gi") {
        Some((gpu, instance)) => Some(Place::Instance(i64::from(number(gpu)?), number(instance)?)),
        None => Some(Place::Unit(Unit::Index(i64::from(number(numbers)?)))),
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// `GPU-` or `MIG-` and 36 digits and dashes.
pub(super) fn is_uuid(id: &str) -> bool {
    let uuid = id.strip_prefix("GPU-").or_else(|| id.strip_prefix("MIG-"));
    uuid.is_some_and(|uuid| uuid.len() == 36 && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

/// `0000:c1:00.0`
fn is_bus_id(id: &str) -> bool {
    let parts: Vec<&str> = id.split([':', '.']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hexadecimal = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal && matches!(lengths[..], [4 | 8, 2, 2, 1])
}

/// Whether a resource is GPUs or parts of them: `nvidia.com/gpu`, `nvidia.com/gpu.shared`, `nvidia.com/mig-1g.10gb`,
/// `amd.com/gpu`, `gpu.intel.com/xe`.
pub(super) fn is_gpu(resource: &str) -> bool {
    match resource.split_once('/') {
        Some(("nvidia.com", name)) => name.starts_with("gpu") || name.starts_with("mig-"),
        Some(("amd.com", name)) => name.starts_with("gpu"),
        Some((domain, _)) => domain.starts_with("gpu."),
        None => false,
    }
}

/// Whether a driver of dynamic resources gives out GPUs; others give out networks and domains of them.
pub(super) fn is_gpu_driver(driver: &str) -> bool {
    driver.starts_with("gpu.")
}

/// A GPU of a claim: by the UUID that its slice states, or else by what its CDI device or its own name says.
pub(super) fn of_claim(uuid: Option<&str>, cdi: &[String], name: &str, share_id: Option<&str>) -> Option<Device> {
    let share = share_id.filter(|id| !id.is_empty()).map(|id| crc32fast::hash(id.as_bytes()) % SHARES);
    let named = cdi.iter().filter_map(|cdi| cdi.rsplit_once('=')).map(|(_, device)| device);
    let place = match uuid.or_else(|| named.clone().find(|device| is_uuid(device))) {
        Some(uuid) => Place::Unit(Unit::Uuid(uuid.into())),
        // NVIDIA's driver names whole GPUs by their number; an instance has a longer name.
        None => match name.strip_prefix("gpu-").and_then(number) {
            Some(index) => Place::Unit(Unit::Index(i64::from(index))),
            None => Place::Unit(Unit::Uuid(cdi.first().map(String::as_str).filter(|cdi| !cdi.is_empty())?.into())),
        },
    };
    Some(Device { place, share })
}

impl Device {
    /// As the tables name it; `None` for an instance that the driver does not list.
    pub(super) fn element(&self, node: &str, instance: impl Fn(i64, u32) -> Option<Arc<str>>) -> Option<String> {
        let name = match self.unit(instance)? {
            Unit::Uuid(uuid) => uuid.to_string(),
            Unit::Index(index) => format!("{node}/{index}"),
        };
        Some(match self.share {
            Some(share) => format!("{name}::{share}"),
            None => name,
        })
    }

    /// The GPU or instance, without the share.
    pub(super) fn unit(&self, instance: impl Fn(i64, u32) -> Option<Arc<str>>) -> Option<Unit> {
        match &self.place {
            Place::Unit(unit) => Some(unit.clone()),
            Place::Instance(gpu, number) => instance(*gpu, *number).map(Unit::Uuid),
        }
    }
}

#[cfg(test)]
mod tests;
