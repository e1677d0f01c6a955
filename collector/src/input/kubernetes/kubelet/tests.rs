#![allow(clippy::unwrap_used)]
use super::*;
use crate::input::kubernetes::messages::{CdiDevice, ContainerDevices, ContainerResources, DynamicResource};
use proptest::prelude::*;
use prost::Message as _;

/// A list as the protocol's field numbers have it, put together without these messages: two GPUs with their NUMA
/// nodes, CPUs, memory and a claim of one pod, and another pod that holds nothing.
const LIST: &str = "\
0a9e020a07747261696e2d30120872657365617263681aee010a046d61696e126a0a0e6e76696469612e636f6d2f6770\
7512284750552d30663165326433632d346235612d363937382d383739362d6135623463336432653166301228475055\
2d30663165326433632d346235612d363937382d383739362d6135623463336432653166311a040a0208011a0300ac02\
22140a066d656d6f72791080808080201a040a0208012a5f12076f6e652d6770751a087265736561726368224a0a230a\
216b38732e6770752e6e76696469612e636f6d2f6465766963653d372d6770752d32120e6770752e6e76696469612e63\
6f6d1a066e6f6465303722056770752d322a0438663263220201022a140a066d656d6f72791080808080201a040a0208\
010a180a057765622d31120764656661756c741a060a046d61696e";

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_list_is_read_by_the_field_numbers_of_the_protocol() {
    let listed = ListPodResourcesResponse::decode(&*bytes(LIST)).unwrap().pod_resources;
    let gpus = ContainerDevices {
        resource_name: text("nvidia.com/gpu"),
        device_ids: vec![
            text("GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
            text("GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1"),
        ],
    };
    let claim = ClaimResource {
        cdi_devices: vec![CdiDevice { name: text("k8s.gpu.nvidia.com/device=7-gpu-2") }],
        driver_name: text("gpu.nvidia.com"),
        pool_name: text("node07"),
        device_name: text("gpu-2"),
        share_id: Some(text("8f2c")),
    };
    let claims = DynamicResource {
        claim_name: text("one-gpu"),
        claim_namespace: text("research"),
        claim_resources: vec![claim],
    };
    let main = ContainerResources { name: text("main"), devices: vec![gpus], dynamic_resources: vec![claims] };
    let idle = ContainerResources { name: text("main"), ..ContainerResources::default() };
    let expected = [
        PodResources { name: text("train-0"), namespace: text("research"), containers: vec![main] },
        PodResources { name: text("web-1"), namespace: text("default"), containers: vec![idle] },
    ];
    assert_eq!(listed, expected);
}

fn pod(name: &str, containers: Vec<ContainerResources>) -> PodResources {
    PodResources { name: text(name), namespace: text("a"), containers }
}

fn given(resource: &str, ids: &[&str]) -> ContainerResources {
    let device_ids = ids.iter().map(|id| text(id)).collect();
    let devices = vec![ContainerDevices { resource_name: text(resource), device_ids }];
    ContainerResources { devices, ..ContainerResources::default() }
}

fn claiming(driver: &str, device: &str) -> ContainerResources {
    let claim = ClaimResource {
        driver_name: text(driver),
        pool_name: text("n1"),
        device_name: text(device),
        ..ClaimResource::default()
    };
    let resource = DynamicResource { claim_resources: vec![claim], ..DynamicResource::default() };
    ContainerResources { dynamic_resources: vec![resource], ..ContainerResources::default() }
}

#[test]
fn pods_hold_gpus_by_plugin_and_by_claim_and_nothing_else() {
    let gpu = "GPU-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    let listed = [
        pod("two", vec![given("nvidia.com/gpu", &[gpu]), given("nvidia.com/gpu", &["nvidia3"])]),
        // Both containers use the one GPU of a claim of their pod.
        pod("claim", vec![claiming("gpu.nvidia.com", "gpu-2"), claiming("gpu.nvidia.com", "gpu-2")]),
        pod("network", vec![given("rdma/hca", &["mlx5_0"]), claiming("dra.net", "eth1")]),
        pod("odd", vec![given("nvidia.com/gpu", &["something else"])]),
    ];
    let mut strangers = Strangers::default();
    let held = holdings(&listed, "n1", &Slices::default(), &mut strangers);
    let elements = |job: &str| -> Vec<String> {
        held.get(job).into_iter().flatten().map(|device| device.element("n1", |_, _| None).unwrap()).collect()
    };
    assert_eq!(elements("a/two"), [gpu, "n1/3"]);
    assert_eq!(elements("a/claim"), ["n1/2"]);
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(strangers.said, ["nvidia.com/gpu"]);
    assert_eq!(claims(&listed).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_bytes_panic(cut in 0_usize..315, at in 0_usize..315, byte in any::<u8>()) {
        let mut bytes = bytes(LIST);
        bytes[at] = byte;
        bytes.truncate(cut);
        if let Ok(listed) = ListPodResourcesResponse::decode(&*bytes) {
            holdings(&listed.pod_resources, "n1", &Slices::default(), &mut Strangers::default());
        }
    }
}
