//! Asks the kubelet which devices it gave to whom, each interval, over its socket.
//!
//! **Invariant:** a kubelet that is away, or is started again, is asked again; nothing else waits for it.

use super::claims::{Name, Slices};
use super::device::{self, Device};
use super::messages::{ClaimResource, ListPodResourcesRequest, ListPodResourcesResponse, PodResources};
use super::{Heard, chain};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

/// The kubelet allows a hundred lists a second for all that ask it together.
pub(super) const ASK_EVERY_MIN: Duration = Duration::from_secs(1);
/// The kubelet answers from memory; one that takes longer is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How soon a kubelet that is away is looked for.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// A thousand pods with their devices, NUMA nodes and memory are some megabytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const LIST: &str = "/v1.PodResourcesLister/List";

/// Jobs and what they hold.
pub(super) type Holdings = HashMap<Arc<str>, Vec<Device>>;

/// Asks until nobody listens.
pub(super) async fn follow(socket: PathBuf, node: Arc<str>, every: Duration, heard: Sender<Heard>) {
    let every = every.max(ASK_EVERY_MIN);
    let mut slices = Slices::default();
    let mut strangers = Strangers::default();
    let mut failing = false;
    loop {
        let mut channel = None;
        let failure = loop {
            match ask(&mut channel, &socket).await {
                Ok(listed) => {
                    if std::mem::replace(&mut failing, false) {
                        tracing::info!(?socket, "the kubelet answers again");
                    }
                    slices.learn(&claims(&listed), &node).await;
                    let held = holdings(&listed, &node, &slices, &mut strangers);
                    if heard.send(Heard::Held(held)).await.is_err() {
                        return;
                    }
                    sleep(every).await;
                }
                Err(failure) => break failure,
            }
        };
        if !std::mem::replace(&mut failing, true) {
            tracing::warn!(error = failure, ?socket, "the kubelet does not say who holds which GPU; it is asked again");
        }
        if heard.is_closed() {
            return;
        }
        sleep(TRY_AGAIN).await;
    }
}

async fn ask(channel: &mut Option<Channel>, socket: &std::path::Path) -> Result<Vec<PodResources>, String> {
    let open = match channel.take() {
        Some(open) => open,
        None => {
            let address = format!("unix:{}", socket.display());
            let endpoint = Endpoint::from_shared(address).map_err(|error| error.to_string())?;
            timeout(ANSWER_WITHIN, endpoint.connect()).await.map_err(|_| slow())?.map_err(|error| chain(&error))?
        }
    };
    let mut client = Grpc::new(open.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
    let call = async {
        client.ready().await.map_err(|error| chain(&error))?;
        let codec = tonic_prost::ProstCodec::<ListPodResourcesRequest, ListPodResourcesResponse>::default();
        let request = tonic::Request::new(ListPodResourcesRequest {});
        client
            .unary(request, PathAndQuery::from_static(LIST), codec)
            .await
            .map_err(|status| format!("{}: {}", status.code(), status.message()))
    };
    let answer = timeout(ANSWER_WITHIN, call).await.map_err(|_| slow())??;
    *channel = Some(open);
    Ok(answer.into_inner().pod_resources)
}

fn slow() -> String {
    format!("it did not answer within {} s", ANSWER_WITHIN.as_secs())
}

/// Claims on GPUs, by the names that slices have.
fn claims(listed: &[PodResources]) -> Vec<Name> {
    listed.iter().flat_map(of_claims).map(name).collect()
}

fn of_claims(pod: &PodResources) -> impl Iterator<Item = &ClaimResource> {
    let resources = pod.containers.iter().flat_map(|container| &container.dynamic_resources);
    let claimed = resources.flat_map(|resource| &resource.claim_resources);
    claimed.filter(|claim| device::is_gpu_driver(&claim.driver_name))
}

fn name(claim: &ClaimResource) -> Name {
    (claim.driver_name.clone(), claim.pool_name.clone(), claim.device_name.clone())
}

/// Forms of ids that are not known, so that each is said once.
#[derive(Debug, Default)]
struct Strangers {
    said: Vec<String>,
}

impl Strangers {
    /// A node has few kinds of devices; a flood of them is one fault.
    const SAID_MAX: usize = 8;

    fn meet(&mut self, resource: &str, id: &str) {
        if self.said.len() < Self::SAID_MAX && !self.said.iter().any(|said| said == resource) {
            tracing::warn!(resource, id, "a device of this resource is named in a form that is not known");
            self.said.push(resource.to_owned());
        }
    }
}

/// What each pod holds of GPUs; containers of a pod that share a claim hold it once.
fn holdings(listed: &[PodResources], node: &str, slices: &Slices, strangers: &mut Strangers) -> Holdings {
    let mut held = Holdings::new();
    for pod in listed {
        let mut devices = Vec::new();
        for given in pod.containers.iter().flat_map(|container| &container.devices) {
            for id in &given.device_ids {
                match device::of_plugin(&given.resource_name, id, node) {
                    Some(device) => devices.push(device),
                    None if device::is_gpu(&given.resource_name) => strangers.meet(&given.resource_name, id),
                    None => {}
                }
            }
        }
        for claim in of_claims(pod) {
            let cdi: Vec<String> = claim.cdi_devices.iter().map(|cdi| cdi.name.clone()).collect();
            let uuid = slices.uuid(&name(claim));
            match device::of_claim(uuid, &cdi, &claim.device_name, claim.share_id.as_deref()) {
                Some(device) if !devices.contains(&device) => devices.push(device),
                Some(_) => {}
                None => strangers.meet(&claim.driver_name, &claim.device_name),
            }
        }
        if !devices.is_empty() {
            held.insert(format!("{}/{}", pod.namespace, pod.name).into(), devices);
        }
    }
    held
}

#[cfg(test)]
mod tests;
