use super::*;
use contract::answers::FleetGpu;

fn gpu(state: GpuState, user: Option<&str>, busy: Option<f64>) -> FleetGpu {
    FleetGpu {
        gpu_uuid: "GPU-abc".to_owned(),
        gpu_index: 0,
        gpu_model: "NVIDIA H100".to_owned(),
        mig_profile: None,
        state,
        job_id: user.map(|u| format!("job-of-{u}")),
        user: user.map(str::to_owned),
        gpu_busy_ratio: busy,
        power_watts: busy.map(|b| b * 700.0),
        temperature_celsius: None,
        memory_used_bytes: Some(40),
        memory_total_bytes: Some(80),
        cells: vec![],
        jobs: vec![],
    }
}

fn node(name: &str, rack: Option<&str>, gpus: Vec<FleetGpu>) -> FleetNode {
    FleetNode { cluster: "west".to_owned(), node: name.to_owned(), rack: rack.map(str::to_owned), gpus }
}

fn fleet() -> Vec<FleetNode> {
    use GpuState::{Active, Down, Unknown};
    vec![
        node("gpu-10", Some("r2"), vec![gpu(Active, Some("ada"), Some(0.9)), gpu(Active, Some("ada"), Some(0.7))]),
        node("gpu-9", None, vec![gpu(Down, None, None)]),
        node("gpu-1", Some("r1"), vec![gpu(Unknown, Some("bob"), Some(0.1))]),
    ]
}

fn order(by: &str) -> Vec<String> {
    let mut rows: Vec<NodeRow> = fleet().iter().enumerate().map(|(i, n)| NodeRow::of(i, n)).collect();
    sort(&mut rows, by);
    rows.into_iter().map(|r| r.node).collect()
}

#[test]
fn a_row_sums_its_gpus_and_null_stays_null() {
    let nodes = fleet();
    let row = NodeRow::of(0, &nodes[0]);
    assert_eq!(row.gpu_count(), 2);
    assert_eq!(row.users, ["ada"]);
    assert!(row.busy_ratio.is_some_and(|b| (b - 0.8).abs() < 1e-9));
    assert!(row.power_watts.is_some_and(|p| (p - 1120.0).abs() < 1e-9));
    assert_eq!(row.memory_ratio, Some(0.5));
    assert_eq!(row.temperature_celsius_max, None);
    assert_eq!(NodeRow::of(1, &nodes[1]).busy_ratio, None);
}

#[test]
fn sorting_is_natural_and_null_is_last_both_ways() {
    assert_eq!(order("node"), ["gpu-1", "gpu-9", "gpu-10"]);
    assert_eq!(order("-node"), ["gpu-10", "gpu-9", "gpu-1"]);
    assert_eq!(order("busy"), ["gpu-1", "gpu-10", "gpu-9"]);
    assert_eq!(order("-busy"), ["gpu-10", "gpu-1", "gpu-9"]);
    assert_eq!(order("rack"), ["gpu-1", "gpu-10", "gpu-9"]);
    assert_eq!(order("-state"), ["gpu-9", "gpu-1", "gpu-10"]);
    assert_eq!(order("nope"), ["gpu-10", "gpu-9", "gpu-1"]);
    assert_eq!(order(""), ["gpu-10", "gpu-9", "gpu-1"]);
    for column in COLUMNS {
        assert_eq!(order(column.key).len(), 3, "{}", column.key);
    }
}

#[test]
fn natural_order() {
    assert_eq!(natural("a2b", "a10b"), Ordering::Less);
    assert_eq!(natural("a02", "a2"), Ordering::Less);
    assert_eq!(natural("a", "a1"), Ordering::Less);
    assert_eq!(natural("n99999999999999999999999", "n100000000000000000000000"), Ordering::Less);
    assert_eq!(natural("x", "x"), Ordering::Equal);
}

#[test]
fn every_word_of_the_filter_must_match() {
    let names =
        |filter: &str| fleet().iter().filter(|n| matches(n, filter)).map(|n| n.node.clone()).collect::<Vec<_>>();
    assert_eq!(names("").len(), 3);
    assert_eq!(names("ADA"), ["gpu-10"]);
    assert_eq!(names("r1"), ["gpu-1"]);
    assert_eq!(names("down"), ["gpu-9"]);
    assert_eq!(names("h100 bob"), ["gpu-1"]);
    assert_eq!(names("job-of-ada west"), ["gpu-10"]);
    assert!(names("ada bob").is_empty());
}
