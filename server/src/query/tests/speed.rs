//! A measurement, run by hand: `cargo nextest run -p coulomb --run-ignored only a_month_of_a_fleet --no-capture`.

use super::{SECOND, Scene, T0};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use contract::answers::Range;
use std::sync::Arc;
use std::time::Instant;

const GPUS: i64 = 256;
const DAYS: i64 = 30;
/// Rows of a GPU and day at five minutes.
const ROWS: i64 = 288;

fn day(day: i64) -> RecordBatch {
    let schema = contract::schema(contract::table("gpu_samples").unwrap());
    let places: Vec<(i64, i64)> = (0..GPUS).flat_map(|gpu| (0..ROWS).map(move |row| (gpu, row))).collect();
    let noise = |gpu: i64, row: i64| ((gpu * 7919 + (day * ROWS + row) * 104_729) % 1000) as f64 / 1000.0;
    let text = |of: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(places.iter().map(|(gpu, _)| of(*gpu))))
    };
    let held = |gpu: i64, row: i64| (gpu / 8 + (day * ROWS + row) / 100) % 5 != 0;
    let column = |name: &str| -> ArrayRef {
        match name {
            "time" => {
                let times = places.iter().map(|(_, row)| T0 + (day * ROWS + row) * 300 * SECOND);
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "interval_seconds" => Arc::new(Float64Array::from(vec![300.0; places.len()])),
            "cluster" => text(&|_| "demo".to_owned()),
            "node" => text(&|gpu| format!("r{:02}-n{:02}", gpu / 64, gpu / 8 % 8)),
            "gpu_uuid" => {
                text(&|gpu| format!("GPU-{:08x}-1111-2222-3333-{gpu:012}", gpu * 2_654_435_761 % 4_294_967_296))
            }
            "gpu_model" => text(&|_| "NVIDIA H100 80GB HBM3".to_owned()),
            "gpu_index" => Arc::new(Int64Array::from_iter_values(places.iter().map(|(gpu, _)| gpu % 8))),
            "job_id" => Arc::new(StringArray::from_iter(places.iter().map(|(gpu, row)| {
                held(*gpu, *row).then(|| (1000 + gpu / 8 + (day * ROWS + row) / 100 * 32).to_string())
            }))),
            "process_count" => {
                Arc::new(Int64Array::from_iter_values(places.iter().map(|(g, r)| i64::from(held(*g, *r)))))
            }
            "memory_total_bytes" => Arc::new(Int64Array::from(vec![80 << 30; places.len()])),
            "throttle_reasons" => Arc::new(Int64Array::from(vec![1; places.len()])),
            name if name.ends_with("_ratio") || name.ends_with("_watts") || name.ends_with("_celsius") => {
                let scale = if name.ends_with("_ratio") { 1.0 } else { 80.0 };
                Arc::new(Float64Array::from_iter_values(places.iter().map(|(g, r)| noise(*g, *r) * scale)))
            }
            "energy_joules_total" => {
                Arc::new(Float64Array::from_iter_values(places.iter().map(|(_, r)| (day * ROWS + r) as f64 * 9e4)))
            }
            name if name.ends_with("_bytes") || name.ends_with("_total") || name.ends_with("_hertz") => {
                Arc::new(Int64Array::from_iter_values(places.iter().map(|(g, r)| (noise(*g, *r) * 8e10) as i64)))
            }
            name => new_null_array(schema.field_with_name(name).unwrap().data_type(), places.len()),
        }
    };
    let columns = schema.fields().iter().map(|f| column(f.name())).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

#[tokio::test]
#[ignore = "a measurement of half a minute"]
async fn a_month_of_a_fleet() {
    let mut scene = Scene::new();
    for number in 0..DAYS {
        scene.append("gpu_samples", day(number)).await;
    }
    let range = Range { from_unix_micros: T0, to_unix_micros: T0 + DAYS * 86_400 * SECOND };
    for place in ["hot rows", "files", "files again"] {
        if place == "files" {
            scene = scene.reopen();
        }
        let started = Instant::now();
        let overview = scene.engine.overview(range, None).await.unwrap();
        println!("{place}: overview {:?}, {} to look at", started.elapsed(), overview.attention.len());
        for metric in ["state", "gpu_busy_ratio"] {
            let started = Instant::now();
            let fleet = scene.engine.fleet(range, None, metric).await.unwrap();
            println!("{place}: fleet by {metric} {:?}, {} nodes", started.elapsed(), fleet.nodes.len());
        }
        let fleet = scene.engine.fleet(range, None, "state").await.unwrap();
        let node = &fleet.nodes[5];
        let started = Instant::now();
        scene.engine.node(&node.cluster, &node.node, range).await.unwrap();
        println!("{place}: node {:?}", started.elapsed());
        let started = Instant::now();
        scene.engine.gpu(&node.gpus[3].gpu_uuid, range).await.unwrap();
        println!("{place}: gpu {:?}", started.elapsed());
        let hour = Range { from_unix_micros: range.to_unix_micros - 3600 * SECOND, ..range };
        let started = Instant::now();
        scene.engine.overview(hour, None).await.unwrap();
        println!("{place}: overview of an hour {:?}", started.elapsed());
    }
}
