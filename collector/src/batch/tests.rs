#![allow(clippy::unwrap_used)]
use super::*;
use crate::source::{GpuIdentity, GpuMetrics, Interval, NodeIdentity};

fn node() -> NodeIdentity {
    NodeIdentity { cluster: "c".into(), node: "n".into() }
}

fn sample() -> Sample {
    let interval = Interval { time_unix_micros: 1_700_000_000_000_000, seconds: 1.0 };
    let gpu = Arc::new(GpuIdentity {
        node: node(),
        gpu_uuid: "GPU-1".into(),
        gpu_index: 0,
        gpu_model: "H100".into(),
        parent_gpu_uuid: None,
        mig_profile: None,
    });
    let metrics = GpuMetrics { power_watts: Some(f64::NAN), gpu_busy_ratio: Some(0.5), ..GpuMetrics::default() };
    Sample {
        gpus: vec![GpuRow { interval, gpu, job_id: Some("7".into()), process_count: Some(1), metrics }],
        hosts: vec![HostRow {
            interval,
            node: node(),
            cpu_busy_ratio: 0.25,
            load_1m: 3.0,
            memory_used_bytes: 1,
            memory_total_bytes: 2,
            disk_read_bytes_total: 3,
            disk_write_bytes_total: 4,
            network_receive_bytes_total: 5,
            network_transmit_bytes_total: 6,
            rdma_receive_bytes_total: None,
            rdma_transmit_bytes_total: None,
            power_watts: None,
        }],
        processes: vec![ProcessRow {
            interval,
            node: node(),
            gpu_uuid: "GPU-1".into(),
            pid: 42,
            user: Some("ada".into()),
            command: Some("python".into()),
            job_id: Some("7".into()),
            memory_used_bytes: Some(1 << 30),
            sm_busy_ratio: None,
        }],
        jobs: vec![JobEventRow {
            time_unix_micros: 1,
            cluster: "c".into(),
            job_id: "7".into(),
            kind: "started",
            nodes: Some(vec!["n".into(), "m".into()]),
            labels: vec![("team".into(), "vision".into())],
            ..JobEventRow::default()
        }],
        events: vec![DeviceEventRow {
            time_unix_micros: 1,
            node: node(),
            gpu_uuid: None,
            kind: "dropped",
            code: Some(9),
            job_id: None,
            severity: "error",
            message: "9 rows".to_owned(),
        }],
    }
}

#[test]
fn every_column_of_the_contract_is_filled() {
    let batches = batches(&sample()).unwrap();
    let names: Vec<&str> = batches.iter().map(|(table, _)| table.name).collect();
    assert_eq!(names, ["gpu_samples", "host_samples", "process_samples", "job_events", "device_events"]);
    for (table, batch) in &batches {
        assert_eq!(batch.num_columns(), table.columns.len());
        assert_eq!(batch.num_rows(), 1);
    }
    let power = batches[0].1.column_by_name("power_watts").unwrap();
    assert_eq!(power.null_count(), 1, "a NaN is not a measurement");
}

#[test]
fn the_wire_keeps_the_rows() {
    for (table, batch) in batches(&sample()).unwrap() {
        let bytes = crate::wire::encode(&batch).unwrap();
        let mut reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        let read = reader.next().unwrap().unwrap();
        for (field, sent) in batch.schema().fields().iter().zip(batch.columns()) {
            match read.column_by_name(field.name()) {
                Some(column) => {
                    let back = arrow::compute::cast(column, field.data_type()).unwrap();
                    assert_eq!(&back, sent, "{}.{}", table.name, field.name());
                }
                None => assert_eq!(sent.null_count(), 1, "{}.{} was left out", table.name, field.name()),
            }
        }
    }
}

#[test]
fn many_rows_are_cut_into_batches() {
    let one = sample();
    let many = Sample { events: vec![one.events[0].clone(); BATCH_ROWS_MAX + 1], ..Sample::default() };
    let rows: Vec<usize> = batches(&many).unwrap().iter().map(|(_, batch)| batch.num_rows()).collect();
    assert_eq!(rows, [BATCH_ROWS_MAX, 1]);
}
