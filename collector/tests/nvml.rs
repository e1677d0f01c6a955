//! NVML over the real FFI: the real program against a library that exports NVML's symbols with scripted values.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Driver, Recorded, Rows, healthy, replace, stub};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

fn two_healthy() -> String {
    format!("system count 2\n{}{}", healthy(0), healthy(1))
}

/// A script with some lines of GPU 0 put in the place of the healthy ones.
fn with(facts: &str) -> String {
    format!("system count 2\n{facts}{}{}", healthy(0), healthy(1))
}

#[test]
fn values_arrive_in_the_units_of_the_contract() {
    let Some(recorded) = Recorded::start(Driver::Current, &two_healthy(), 1.0) else { return };
    let recorded = recorded.finish();
    let rows = recorded.rows("gpu_samples");
    assert!(rows.len() >= 4, "{}", recorded.log);
    let row = *rows.of("gpu_uuid", "GPU-1").last().unwrap();
    assert_eq!(rows.int(row, "gpu_index"), Some(1));
    assert_eq!(rows.text(row, "gpu_model").as_deref(), Some("NVIDIA H100 80GB HBM3"));
    let floats = [
        ("gpu_busy_ratio", 0.97),
        ("memory_busy_ratio", 0.4),
        ("sm_active_ratio", 0.505),
        ("sm_occupancy_ratio", 0.25),
        ("tensor_active_ratio", 0.125),
        ("dram_active_ratio", 0.75),
        ("power_watts", 300.5),
        ("power_limit_watts", 700.0),
        ("energy_joules_total", 123_456.789),
        ("temperature_celsius", 55.0),
        ("memory_temperature_celsius", 61.0),
    ];
    for (name, value) in floats {
        assert_eq!(rows.float(row, name), Some(value), "{name}");
    }
    let ints = [
        ("process_count", 0),
        ("memory_used_bytes", 1 << 30),
        ("memory_total_bytes", 80 << 30),
        ("sm_clock_hertz", 1_980_000_000),
        ("memory_clock_hertz", 2_619_000_000),
        ("throttle_reasons", 4),
        ("pcie_receive_bytes_total", 2000),
        ("pcie_transmit_bytes_total", 1000),
        ("nvlink_receive_bytes_total", 20 * 1024),
        ("nvlink_transmit_bytes_total", 10 * 1024),
        ("ecc_corrected_total", 3),
        ("ecc_uncorrected_total", 0),
        ("remapped_rows_total", 3),
    ];
    for (name, value) in ints {
        assert_eq!(rows.int(row, name), Some(value), "{name}");
    }
    assert!(rows.is_all_null("mig_profile") && rows.is_all_null("parent_gpu_uuid") && rows.is_all_null("job_id"));
    let seconds = rows.float(row, "interval_seconds").unwrap();
    assert!((0.1..1.0).contains(&seconds), "{seconds}");
    assert!(recorded.rows("host_samples").len() >= 2);
    assert_eq!(recorded.rows("device_events").len(), 0);
}

#[test]
fn sentinels_and_errors_are_null_and_never_numbers() {
    let facts = "0 power 4294967295\n0 energy 18446744073709551615\n0 memory_used 9223372036854775794\n\
                 0 gpu_busy 255\n0 temperature 4294967295\n0 sm_clock 4294967295\n0 ecc_corrected 18446744073709551615\n\
                 0 memory_clock !999\n0 field_82 0\n0 gpm_2 nan\n0 gpm_3 250\n0 field32_197 4294967295\n\
                 0 field_139 9223372036854775794\n0 throttle !21\n";
    let Some(recorded) = Recorded::start(Driver::Current, &with(facts), 1.0) else { return };
    let rows = recorded.finish().rows("gpu_samples");
    let blank = rows.of("gpu_uuid", "GPU-0");
    assert!(blank.len() >= 2);
    for row in blank {
        for name in ["power_watts", "energy_joules_total", "gpu_busy_ratio", "temperature_celsius", "sm_active_ratio"] {
            assert_eq!(rows.float(row, name), None, "{name}");
        }
        for name in ["sm_occupancy_ratio", "memory_temperature_celsius"] {
            assert_eq!(rows.float(row, name), None, "{name}");
        }
        let ints =
            ["memory_used_bytes", "sm_clock_hertz", "memory_clock_hertz", "ecc_corrected_total", "throttle_reasons"];
        for name in ints.into_iter().chain(["pcie_transmit_bytes_total", "nvlink_receive_bytes_total"]) {
            assert_eq!(rows.int(row, name), None, "{name}");
        }
        assert_eq!(rows.float(row, "memory_busy_ratio"), Some(0.4), "its neighbours are not touched");
        assert_eq!(rows.int(row, "memory_total_bytes"), Some(80 << 30));
    }
}

#[test]
fn what_a_device_does_not_support_is_asked_for_once() {
    let script = "system count 1\n0 uuid GPU-0\n0 name Tesla\n0 gpu_busy 1\n0 memory_busy 1\n";
    let Some(recorded) = Recorded::start(Driver::Current, script, 1.0) else { return };
    let recorded = recorded.finish();
    let rows = recorded.rows("gpu_samples");
    assert!(rows.len() >= 3);
    for name in
        ["power_watts", "energy_joules_total", "sm_active_ratio", "memory_used_bytes", "nvlink_receive_bytes_total"]
    {
        assert!(rows.is_all_null(name), "{name}");
    }
    assert_eq!(recorded.calls("nvmlDeviceGetPowerUsage"), 1);
    assert_eq!(recorded.calls("nvmlDeviceGetFieldValues"), 1);
    assert_eq!(recorded.calls("nvmlGpmQueryDeviceSupport"), 1);
    assert!(recorded.calls("nvmlDeviceGetUtilizationRates") >= 4);
}

#[test]
fn a_lost_gpu_is_one_event_and_the_others_go_on_until_it_is_back() {
    let Some(recorded) = Recorded::start(Driver::Current, &two_healthy(), 4.0) else { return };
    sleep(Duration::from_millis(1000));
    recorded.script(&with("0 all !15\n"));
    sleep(Duration::from_millis(1500));
    recorded.script(&two_healthy());
    let recorded = recorded.finish();
    let events = recorded.rows("device_events");
    let kinds: Vec<_> =
        (0..events.len()).map(|r| (events.text(r, "kind").unwrap(), events.text(r, "gpu_uuid").unwrap())).collect();
    let expected = [("lost", "GPU-0"), ("reset", "GPU-0")].map(|(kind, gpu)| (kind.to_owned(), gpu.to_owned()));
    assert_eq!(kinds, expected, "{}", recorded.log);
    assert_eq!(events.text(0, "severity").as_deref(), Some("critical"));
    assert_eq!(events.int(0, "code"), Some(15));
    let rows = recorded.rows("gpu_samples");
    let (broken, whole) = (rows.of("gpu_uuid", "GPU-0").len(), rows.of("gpu_uuid", "GPU-1").len());
    assert!(broken + 5 <= whole, "{broken} rows of the lost GPU, {whole} of the other");
    assert!(broken >= 6, "it gave rows before and after: {broken}");
    let last = *rows.of("gpu_uuid", "GPU-0").last().unwrap();
    assert_eq!(rows.float(last, "power_watts"), Some(300.5));
}

#[test]
fn mig_instances_are_rows_of_their_own() {
    let facts = "0 mig 1\n0 gpu_busy !3\n0.0 uuid MIG-a\n0.0 name NVIDIA H100 80GB HBM3 MIG 1g.10gb\n\
                 0.0 memory_used 100\n0.0 memory_total 10000\n0.0 gpm_2 90\n0.0 process 1 64\n\
                 0.2 uuid MIG-b\n0.2 name NVIDIA H100 80GB HBM3 MIG 3g.40gb\n0.2 memory_used 7\n0.2 memory_total 40000\n";
    let Some(recorded) = Recorded::start(Driver::Current, &with(facts), 1.0) else { return };
    let recorded = recorded.finish();
    let rows = recorded.rows("gpu_samples");
    let first = *rows.of("gpu_uuid", "MIG-a").last().unwrap();
    assert_eq!(rows.text(first, "parent_gpu_uuid").as_deref(), Some("GPU-0"));
    assert_eq!(rows.text(first, "mig_profile").as_deref(), Some("1g.10gb"));
    assert_eq!(rows.int(first, "gpu_index"), Some(0));
    assert_eq!(rows.int(first, "memory_total_bytes"), Some(10_000));
    assert_eq!(rows.int(first, "process_count"), Some(1));
    assert_eq!(rows.float(first, "sm_active_ratio"), Some(0.9));
    assert_eq!(rows.float(first, "power_watts"), None, "power is measured for the whole board");
    let second = *rows.of("gpu_uuid", "MIG-b").last().unwrap();
    assert_eq!(rows.text(second, "mig_profile").as_deref(), Some("3g.40gb"));
    assert_eq!(rows.float(second, "sm_active_ratio"), None);
    let parent = *rows.of("gpu_uuid", "GPU-0").last().unwrap();
    assert_eq!(rows.float(parent, "power_watts"), Some(300.5));
    assert_eq!(rows.float(parent, "gpu_busy_ratio"), None);
    assert_eq!(rows.int(parent, "process_count"), Some(1));
    let processes = recorded.rows("process_samples");
    assert_eq!(processes.of("gpu_uuid", "MIG-a").len(), processes.len(), "each process stands once, on its instance");
    assert!(!rows.of("gpu_uuid", "GPU-1").is_empty());
}

#[test]
fn processes_have_their_job_and_an_xid_names_it() {
    let mut job = Command::new("sleep").arg("60").env("SLURM_JOB_ID", "4711").stdout(Stdio::null()).spawn().unwrap();
    let held = format!("0 process {} 2048\n0 process_busy {} 80\n", job.id(), job.id());
    let Some(recorded) = Recorded::start(Driver::Current, &with(&held), 2.0) else {
        job.kill().unwrap();
        job.wait().unwrap();
        return;
    };
    sleep(Duration::from_millis(1000));
    recorded.script(&with(&format!("{held}xid 1 0 48\nxid 2 0 79\nxid 3 1 13\n")));
    let recorded = recorded.finish();
    job.kill().unwrap();
    job.wait().unwrap();
    let processes = recorded.rows("process_samples");
    assert!(processes.len() >= 3);
    let last = processes.len() - 1;
    assert_eq!(processes.int(last, "pid"), Some(i64::from(job.id())));
    assert_eq!(processes.text(last, "job_id").as_deref(), Some("4711"));
    assert_eq!(processes.text(last, "command").as_deref(), Some("sleep"));
    assert!(processes.text(last, "user").is_some());
    assert_eq!(processes.int(last, "memory_used_bytes"), Some(2048));
    assert_eq!(processes.float(last, "sm_busy_ratio"), Some(0.8));
    let gpus = recorded.rows("gpu_samples");
    let row = *gpus.of("gpu_uuid", "GPU-0").last().unwrap();
    assert_eq!(gpus.text(row, "job_id").as_deref(), Some("4711"));
    assert_eq!(gpus.int(row, "process_count"), Some(1));
    let events = recorded.rows("device_events");
    assert_eq!(events.of("kind", "xid").len(), 3, "each is told once");
    assert_eq!((events.int(1, "code"), events.text(1, "severity")), (Some(79), Some("critical".to_owned())));
    assert_eq!(events.text(1, "job_id").as_deref(), Some("4711"));
    assert!(events.text(1, "message").unwrap().contains("fallen off the bus"));
    assert_eq!(events.text(2, "gpu_uuid").as_deref(), Some("GPU-1"));
    assert_eq!(events.text(2, "job_id"), None);
}

#[test]
fn many_processes_are_all_listed() {
    let many: String = (0..300).map(|n| format!("0 process {} 1\n", 4_000_000 + n)).collect();
    let Some(recorded) = Recorded::start(Driver::Current, &with(&many), 0.6) else { return };
    let recorded = recorded.finish();
    let gpus = recorded.rows("gpu_samples");
    let row = *gpus.of("gpu_uuid", "GPU-0").last().unwrap();
    assert_eq!(gpus.int(row, "process_count"), Some(300));
    let processes = recorded.rows("process_samples");
    assert_eq!(processes.len() % 300, 0);
    assert!(processes.is_all_null("command"), "processes that are gone are unknown, and no error");
}

#[test]
fn errors_throttling_and_links_are_events_when_they_begin() {
    let links = "0 link_0 1\n0 link_1 1\n";
    let Some(recorded) = Recorded::start(Driver::Current, &with(links), 13.0) else { return };
    sleep(Duration::from_millis(800));
    let worse = "0 link_0 1\n0 link_1 0\n0 ecc_uncorrected 2\n0 ecc_corrected 13\n0 field32_143 3\n0 throttle 72\n";
    recorded.script(&with(worse));
    let events = recorded.finish().rows("device_events");
    let told: Vec<_> =
        (0..events.len()).map(|r| (events.text(r, "kind").unwrap(), events.int(r, "code").unwrap())).collect();
    let expected = [("ecc", 2), ("ecc", 10), ("remap", 1), ("throttle", 72), ("link", 1)];
    assert_eq!(told, expected.map(|(kind, code)| (kind.to_owned(), code)));
}

#[test]
fn a_wrapped_pcie_counter_goes_on_rising() {
    // The link cannot carry 2^32 bytes from one look to the next.
    let slow = "0 pcie_generation 1\n0 pcie_width 4\n";
    let Some(recorded) = Recorded::start(Driver::Current, &with(&format!("0 field32_197 4294967000\n{slow}")), 2.0)
    else {
        return;
    };
    sleep(Duration::from_millis(1000));
    recorded.script(&with(&format!("0 field32_197 704\n{slow}")));
    let rows = recorded.finish().rows("gpu_samples");
    let seen: Vec<i64> =
        rows.of("gpu_uuid", "GPU-0").iter().filter_map(|r| rows.int(*r, "pcie_transmit_bytes_total")).collect();
    assert!(seen.is_sorted());
    assert_eq!((seen.first(), seen.last()), (Some(&4_294_967_000), Some(&4_294_968_000)));
}

#[test]
fn an_old_driver_degrades_metric_by_metric() {
    let Some(recorded) = Recorded::start(Driver::Old, &two_healthy(), 1.0) else { return };
    let recorded = recorded.finish();
    let rows = recorded.rows("gpu_samples");
    let row = *rows.of("gpu_uuid", "GPU-0").last().unwrap();
    assert_eq!(rows.float(row, "power_watts"), Some(300.5));
    assert_eq!(rows.int(row, "memory_used_bytes"), Some(1 << 30), "through the first version of the call");
    assert_eq!(rows.int(row, "throttle_reasons"), Some(4), "under the old name");
    for name in
        ["sm_active_ratio", "pcie_receive_bytes_total", "memory_temperature_celsius", "nvlink_transmit_bytes_total"]
    {
        assert!(rows.is_all_null(name), "{name}");
    }
}

#[test]
fn a_gpu_that_is_missing_from_the_start_is_told_and_the_others_are_measured() {
    let Some(recorded) = Recorded::start(Driver::Current, &with("0 handle !15\n"), 1.0) else { return };
    let recorded = recorded.finish();
    let events = recorded.rows("device_events");
    assert_eq!(events.len(), 1);
    assert_eq!(events.text(0, "kind").as_deref(), Some("lost"));
    assert_eq!(events.text(0, "gpu_uuid"), None);
    assert!(!recorded.rows("gpu_samples").of("gpu_uuid", "GPU-1").is_empty());
}

#[test]
fn without_a_driver_the_host_is_measured_and_it_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"))
        .args(["record", "--interval", "200ms", "--duration", "1s", "--nvml-library", "/nonexistent/libnvidia-ml.so"])
        .arg(dir.path().join("out"))
        .output()
        .unwrap();
    assert!(output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(log.matches("measuring the host only").count(), 1, "{log}");
    assert!(Rows::read(&dir.path().join("out"), "host_samples").len() >= 3);
    assert_eq!(Rows::read(&dir.path().join("out"), "gpu_samples").len(), 0);
}

#[test]
fn check_says_what_is_seen_and_what_is_not_reported() {
    let dir = tempfile::tempdir().unwrap();
    let Some(library) = stub(Driver::Current, dir.path()) else { return };
    let script = dir.path().join("script");
    replace(&script, "system count 1\nsystem driver 575.51\n0 uuid GPU-0\n0 name Tesla T4\n0 power 70000\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"));
    command.args(["check", "--node", "n1", "--nvml-library"]).arg(library).env("NVML_STUB", script);
    let output = command.arg("--local").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for part in ["driver 575.51 with 1 GPUs", "Tesla T4 GPU-0", "now 70 W", "energy_joules_total", "sm_active_ratio"] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(!said.contains("power_watts"), "{said}");
    let output = Command::new(env!("CARGO_BIN_EXE_coulomb-collector"))
        .args(["check", "--server", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("http://127.0.0.1:1"));
}
