//! A kubelet's pod-resources socket, served by tonic.

#[path = "../../../collector/src/input/kubernetes/messages.rs"]
mod messages;

use futures::stream;
use messages::{
    CdiDevice, ClaimResource, ContainerDevices, ContainerResources, DynamicResource, ListPodResourcesRequest,
    ListPodResourcesResponse, PodResources,
};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

/// What a container holds.
#[derive(Clone)]
pub enum Given {
    /// Ids of a resource, by a device plugin.
    Devices(&'static str, Vec<String>),
    /// A device of NVIDIA's driver, by a claim.
    Claim(&'static str),
}

type Held = Arc<Mutex<Vec<PodResources>>>;

/// Answers until it is dropped, which removes its socket.
pub struct Kubelet {
    held: Held,
    runtime: Option<Runtime>,
    socket: std::path::PathBuf,
}

impl Kubelet {
    pub fn start(socket: &Path) -> Self {
        let held = Held::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let service = Lister(Arc::clone(&held));
        let listener = runtime.block_on(async { UnixListener::bind(socket) }).expect("the socket is free");
        let incoming = stream::unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        runtime.spawn(async move {
            let serving = tonic::transport::Server::builder().add_service(service);
            serving.serve_with_incoming(incoming).await.expect("the kubelet serves");
        });
        Self { held, runtime: Some(runtime), socket: socket.to_owned() }
    }

    /// From now on these pods hold this and no others hold anything.
    pub fn hold(&self, pods: &[(&str, &[Given])]) {
        let listed = pods.iter().map(|(job, given)| {
            let (namespace, name) = job.split_once('/').expect("namespace/pod");
            PodResources {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                containers: given.iter().map(container).collect(),
            }
        });
        *self.held.lock().expect("no lister panics") = listed.collect();
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        std::fs::remove_file(&self.socket).expect("the socket was ours");
    }
}

fn container(given: &Given) -> ContainerResources {
    let mut container = ContainerResources { name: "main".to_owned(), ..ContainerResources::default() };
    match given {
        Given::Devices(resource, ids) => {
            container.devices.push(ContainerDevices { resource_name: (*resource).to_owned(), device_ids: ids.clone() });
        }
        Given::Claim(device) => {
            let claim = ClaimResource {
                cdi_devices: vec![CdiDevice { name: format!("k8s.gpu.nvidia.com/device=claim-{device}") }],
                driver_name: "gpu.nvidia.com".to_owned(),
                pool_name: "n1".to_owned(),
                device_name: (*device).to_owned(),
                share_id: None,
            };
            container.dynamic_resources.push(DynamicResource {
                claim_name: "one-gpu".to_owned(),
                claim_namespace: "research".to_owned(),
                claim_resources: vec![claim],
            });
        }
    }
    container
}

#[derive(Clone)]
struct Lister(Held);

impl NamedService for Lister {
    const NAME: &'static str = "v1.PodResourcesLister";
}

impl Service<http::Request<Body>> for Lister {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let lister = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/v1.PodResourcesLister/List" {
                return Ok(Status::unimplemented("only List is").into_http());
            }
            let codec = tonic_prost::ProstCodec::<ListPodResourcesResponse, ListPodResourcesRequest>::default();
            Ok(Grpc::new(codec).unary(lister, request).await)
        })
    }
}

impl UnaryService<ListPodResourcesRequest> for Lister {
    type Response = ListPodResourcesResponse;
    type Future = BoxFuture<Response<ListPodResourcesResponse>, Status>;

    fn call(&mut self, _: Request<ListPodResourcesRequest>) -> Self::Future {
        let pod_resources = self.0.lock().expect("no test panics meanwhile").clone();
        Box::pin(async move { Ok(Response::new(ListPodResourcesResponse { pod_resources })) })
    }
}
