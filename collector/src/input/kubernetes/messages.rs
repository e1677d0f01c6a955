//! The messages of the kubelet's pod-resources service, version 1, as far as they are read here.

use prost::Message;

/// `List` of the service `v1.PodResourcesLister`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListPodResourcesRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListPodResourcesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) pod_resources: Vec<PodResources>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodResources {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) namespace: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) containers: Vec<ContainerResources>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerResources {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) devices: Vec<ContainerDevices>,
    #[prost(message, repeated, tag = "5")]
    pub(super) dynamic_resources: Vec<DynamicResource>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerDevices {
    #[prost(string, tag = "1")]
    pub(super) resource_name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) device_ids: Vec<String>,
}

/// What a container has of a claim; 1 was the name of a class and is used no more.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DynamicResource {
    #[prost(string, tag = "2")]
    pub(super) claim_name: String,
    #[prost(string, tag = "3")]
    pub(super) claim_namespace: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) claim_resources: Vec<ClaimResource>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ClaimResource {
    #[prost(message, repeated, tag = "1")]
    pub(super) cdi_devices: Vec<CdiDevice>,
    #[prost(string, tag = "2")]
    pub(super) driver_name: String,
    #[prost(string, tag = "3")]
    pub(super) pool_name: String,
    #[prost(string, tag = "4")]
    pub(super) device_name: String,
    #[prost(string, optional, tag = "5")]
    pub(super) share_id: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CdiDevice {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}
