#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

fn check(resource: &str, id: &str, expected: Option<&str>) {
    let known = |gpu, instance| ((gpu, instance) == (0, 3)).then(|| Arc::from("MIG-of-0-3"));
    let element = of_plugin(resource, id, "n1").and_then(|device| device.element("n1", known));
    assert_eq!(element.as_deref(), expected, "{resource} {id}");
}

#[test]
fn ids_of_plugins_become_the_elements_of_the_tables() {
    let gpu = "nvidia.com/gpu";
    let (whole, part) = (format!("GPU-{UUID}"), format!("MIG-{UUID}"));
    check(gpu, &whole, Some(&whole));
    check("example.com/a100", &whole, Some(&whole));
    check("nvidia.com/mig-3g.20gb", &part, Some(&part));
    check("nvidia.com/gpu.shared", &format!("{whole}::7"), Some(&format!("{whole}::7")));
    check(gpu, &format!("{part}::12"), Some(&format!("{part}::12")));
    check(gpu, &format!("{whole}/vgpu0"), Some(&format!("{whole}::0")));
    check(gpu, "nvidia0", Some("n1/0"));
    check(gpu, "nvidia12/vgpu3", Some("n1/12::3"));
    check(gpu, "nvidia0/gi3", Some("MIG-of-0-3"));
    check(gpu, "nvidia0/gi3/vgpu1", Some("MIG-of-0-3::1"));
    check(gpu, "nvidia1/gi3", None);
    check("amd.com/gpu", "0000:c1:00.0", Some("n1/0000:c1:00.0"));
    check("gpu.intel.com/xe", "0000:c1:00.0", Some("n1/0000:c1:00.0"));
    check("example.com/nic", "0000:c1:00.0", None);
    for bad in ["", "::", "::1", "nvidia", "nvidiax", "nvidia0/gi", "nvidia0/vgpu", "nvidia1234567", "GPU-", "GPU-1"] {
        check(gpu, bad, None);
    }
    check(gpu, &format!("{whole}::"), None);
    check(gpu, &format!("{whole}::x"), None);
    check(gpu, &format!("MIG-GPU-{UUID}/1/0"), None);
}

#[test]
fn gpus_are_told_from_other_resources() {
    for gpu in
        ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb", "amd.com/gpu", "gpu.intel.com/i915"]
    {
        assert!(is_gpu(gpu), "{gpu}");
    }
    for other in ["cpu", "memory", "nvidia.com/sharedgpu-memory", "google.com/tpu", "rdma/hca", "hugepages-2Mi"] {
        assert!(!is_gpu(other), "{other}");
    }
    assert!(is_gpu_driver("gpu.nvidia.com"));
    assert!(!is_gpu_driver("compute-domain.nvidia.com"));
}

#[test]
fn a_claim_is_named_by_its_slice_or_by_its_cdi_device() {
    let element = |device: Option<Device>| device.and_then(|device| device.element("n1", |_, _| None));
    let cdi = |name: &str| vec![format!("k8s.gpu.nvidia.com/device={name}")];
    let whole = format!("GPU-{UUID}");
    assert_eq!(element(of_claim(Some(&whole), &cdi("x"), "gpu-0", None)), Some(whole.clone()));
    assert_eq!(element(of_claim(None, &cdi(&whole), "gpu-0", None)), Some(whole.clone()));
    assert_eq!(element(of_claim(None, &cdi("7-gpu-2"), "gpu-2", None)).as_deref(), Some("n1/2"));
    let partly = element(of_claim(None, &cdi("7-gpu-0-mig-1g"), "gpu-0-mig-1g", None));
    assert_eq!(partly.as_deref(), Some("k8s.gpu.nvidia.com/device=7-gpu-0-mig-1g"));
    assert_eq!(element(of_claim(None, &[], "card", None)), None);
    let shared = element(of_claim(Some(&whole), &[], "gpu-0", Some("8f2c"))).unwrap();
    let digits = shared.strip_prefix(&format!("{whole}::")).unwrap();
    assert!(digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit()), "{shared}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_id_panics_and_each_element_has_a_share_or_none(
        id in "(nvidia|GPU-|MIG-|/gi|/vgpu|::|[0-9]{1,8}|[0-9a-f-]{36}|[.:/]|\\PC){0,8}",
    ) {
        let device = of_plugin("nvidia.com/gpu", &id, "n1");
        if let Some(element) = device.as_ref().and_then(|device| device.element("n1", |_, _| Some("MIG-x".into()))) {
            let shared = element.rsplit_once("::").is_some();
            prop_assert_eq!(shared, device.unwrap().share.is_some());
        }
        of_claim(None, std::slice::from_ref(&id), &id, Some(&id));
        is_gpu(&id);
    }
}
