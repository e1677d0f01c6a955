//! Which GPU a dynamic resource is: the attributes that its driver states in ResourceSlices.

use super::chain;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const GROUP: &str = "resource.k8s.io";
/// Newest first; a cluster serves at least one where it has such resources.
const VERSIONS: [&str; 3] = ["v1", "v1beta2", "v1beta1"];
/// Slices change when a driver starts or a GPU is cut anew.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// After a failure; until then claims are named less well.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// The kubelet is not asked meanwhile.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// Devices that are remembered; a node has some dozens, its MIG profiles included.
const DEVICES_MAX: usize = 4_096;

/// Driver, pool and device.
pub(super) type Name = (String, String, String);

/// UUIDs by name, as the API server last listed them.
#[derive(Debug, Default)]
pub(super) struct Slices {
    uuids: HashMap<Name, String>,
    asked: Option<Instant>,
    failing: bool,
}

impl Slices {
    pub(super) fn uuid(&self, name: &Name) -> Option<&str> {
        self.uuids.get(name).map(String::as_str)
    }

    /// Asks the API server, where a name is not known and it was not asked just now.
    pub(super) async fn learn(&mut self, names: &[Name], node: &str) {
        let pause = if self.failing { TRY_AGAIN } else { ASK_EVERY };
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= pause);
        if !is_due || names.iter().all(|name| self.uuids.contains_key(name)) {
            return;
        }
        self.asked = Some(Instant::now());
        let answer = timeout(ASK_WITHIN, list(node)).await;
        match answer.unwrap_or_else(|_| Err(format!("it did not answer within {} s", ASK_WITHIN.as_secs()))) {
            Ok(slices) => {
                self.failing = false;
                self.uuids = slices.iter().flat_map(devices).take(DEVICES_MAX).collect();
            }
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!(error, "resource slices cannot be listed; claims are named by their CDI devices");
            }
            Err(_) => {} // said before
        }
    }
}

async fn list(node: &str) -> Result<Vec<Value>, String> {
    let client = Client::try_default().await.map_err(|error| chain(&error))?;
    let mut last = String::new();
    for version in VERSIONS {
        let resource = ApiResource {
            group: GROUP.to_owned(),
            version: version.to_owned(),
            api_version: format!("{GROUP}/{version}"),
            kind: "ResourceSlice".to_owned(),
            plural: "resourceslices".to_owned(),
        };
        let slices: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        match slices.list(&ListParams::default().fields(&format!("spec.nodeName={node}"))).await {
            Ok(found) => return Ok(found.items.into_iter().map(|slice| slice.data).collect()),
            Err(error) => last = chain(&error),
        }
    }
    Err(last)
}

/// The devices of a slice that state a UUID. Before version 1 attributes stood in `basic`, and may do so still.
fn devices(slice: &Value) -> Vec<(Name, String)> {
    let spec = &slice["spec"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (Some(driver), Some(pool)) = (text(&spec["driver"]), text(&spec["pool"]["name"])) else { return Vec::new() };
    let listed = spec["devices"].as_array().into_iter().flatten();
    let stated = listed.filter_map(|device| {
        let uuid = [&device["attributes"], &device["basic"]["attributes"]]
            .into_iter()
            .find_map(|attributes| attributes["uuid"]["string"].as_str())?;
        Some(((driver.clone(), pool.clone(), text(&device["name"])?), uuid.to_owned()))
    });
    stated.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_slice_tells_the_uuids_of_its_devices_in_each_version() {
        let new = json!({"spec": {"driver": "gpu.nvidia.com", "nodeName": "n1", "pool": {"name": "n1"}, "devices": [
            {"name": "gpu-0", "attributes": {"uuid": {"string": "GPU-a"}, "index": {"int": 0}}},
            {"name": "gpu-1", "attributes": {"type": {"string": "gpu"}}},
        ]}});
        let old = json!({"spec": {"driver": "gpu.nvidia.com", "pool": {"name": "n1"}, "devices": [
            {"name": "gpu-0", "basic": {"attributes": {"uuid": {"string": "GPU-a"}}}},
        ]}});
        let name = ("gpu.nvidia.com".to_owned(), "n1".to_owned(), "gpu-0".to_owned());
        let expected = vec![(name, "GPU-a".to_owned())];
        assert_eq!(devices(&new), expected);
        assert_eq!(devices(&old), expected);
        for odd in [json!(null), json!({}), json!({"spec": 1}), json!({"spec": {"driver": "x", "pool": {"name": 1}}})] {
            assert_eq!(devices(&odd), Vec::new());
        }
    }
}
