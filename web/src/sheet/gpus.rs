//! Rows of the pictures of GPUs: what they did over time, node by node, GPU by GPU. Pure.

use super::{Field, Head, Sheet, amount, count, measured, micros, named, number, ratio, text, time};
use crate::charts::series;
use crate::costs::{Dimension, share};
use crate::format::{Unit, state_label};
use crate::metric::Metric;
use contract::answers::{Costs, Fleet, FleetGpu, JobDetail, Overview, Series};
use contract::{ByState, GpuState};

fn states<T>(values: &ByState<T>, field: impl Fn(&T) -> Field) -> Vec<Field> {
    GpuState::ALL.map(|state| field(values.get(state))).into()
}

fn state_heads(key: impl Fn(&str) -> String) -> Vec<Head> {
    GpuState::ALL.map(|state| number(state_label(state), key(state.as_str()))).into()
}

/// A row a bucket, a column a state.
pub(crate) fn by_state(found: &Overview) -> Sheet {
    let mut heads = vec![text("Time, UTC", "time")];
    heads.extend(state_heads(|state| format!("gpus_{state}")));
    let row = |bucket: &contract::answers::StateBucket| {
        let counts = states(&bucket.gpus, |count| amount(Some(*count)));
        [vec![time(bucket.time_unix_micros)], counts].concat()
    };
    Sheet { name: "gpus-by-state".to_owned(), heads, rows: found.over_time.iter().map(row).collect() }
}

/// A row a node, a column a state.
pub(crate) fn nodes(found: &Overview) -> Sheet {
    let mut heads = vec![text("Cluster", "cluster"), text("Rack", "rack"), text("Node", "node")];
    heads.extend(state_heads(|state| format!("gpus_{state}")));
    let row = |node: &contract::answers::NodeCell| {
        let rack = node.rack.clone().unwrap_or_default();
        let counts = states(&node.gpus, |n| count(*n));
        [vec![named(&node.cluster), named(rack), named(&node.node)], counts].concat()
    };
    Sheet { name: "nodes-by-state".to_owned(), heads, rows: found.nodes.iter().map(row).collect() }
}

/// A row a group of this dimension.
pub(crate) fn spenders(found: &Costs, by: &Dimension) -> Sheet {
    let heads = vec![
        text(by.label, by.name),
        number(format!("Cost, {}", found.currency), "cost_micros"),
        number("Of all", "share_ratio"),
        number("GPU-hours", "gpu_hours"),
    ];
    let row = |group: &contract::answers::CostGroup| {
        let part = ratio(share(group.cost_micros, found.cost_micros));
        let name = named(by.label_of(group.name.as_deref()));
        vec![name, micros(Some(group.cost_micros)), part, super::hours(Some(group.gpu_hours))]
    };
    Sheet { name: "costs-by-team".to_owned(), heads, rows: found.groups.iter().map(row).collect() }
}

/// A row a GPU of these nodes: its cells summed up.
pub(crate) fn heat(found: &Fleet, metric: &Metric, shown: &[usize]) -> Sheet {
    let mut heads: Vec<Head> = [("Cluster", "cluster"), ("Node", "node")].map(|(label, key)| text(label, key)).into();
    heads.extend([number("GPU", "gpu_index"), text("UUID", "gpu_uuid"), text("Model", "gpu_model")]);
    heads.extend(match metric.unit {
        None => state_heads(|state| format!("{state}_ratio")),
        Some(_) => summary_heads(metric.name),
    });
    let nodes = shown.iter().filter_map(|at| found.nodes.get(*at));
    let row = |(node, gpu): (&contract::answers::FleetNode, &FleetGpu)| {
        let who = vec![named(&node.cluster), named(&node.node), named(gpu.gpu_index.to_string())];
        let what = vec![named(&gpu.gpu_uuid), named(&gpu.gpu_model)];
        let cells = match metric.unit {
            None => states(&parts(&gpu.cells), |part| ratio(Some(*part))),
            Some(unit) => summary(unit, &gpu.cells),
        };
        [who, what, cells].concat()
    };
    let rows = nodes.flat_map(|node| node.gpus.iter().map(move |gpu| (node, gpu))).map(row).collect();
    Sheet { name: format!("gpus-{}", metric.name.replace('_', "-")), heads, rows }
}

/// Which part of the cells each state has; what is missing is unknown.
fn parts(cells: &[Option<f64>]) -> ByState<f64> {
    let mut parts = ByState::<f64>::default();
    for cell in cells {
        let state = cell.and_then(|at| GpuState::ALL.get(at as usize).copied()).unwrap_or(GpuState::Unknown);
        *parts.get_mut(state) += 1.0 / cells.len() as f64;
    }
    parts
}

fn summary_heads(name: &str) -> Vec<Head> {
    let of = |label: &str, what: &str| number(label, format!("{name}_{what}"));
    vec![
        of("Mean", "mean"),
        of("Lowest", "min"),
        of("Highest", "max"),
        number("Of the time reported", "reported_ratio"),
    ]
}

/// Mean, extremes and how much of it there is.
fn summary(unit: Unit, cells: &[Option<f64>]) -> Vec<Field> {
    let values: Vec<f64> = cells.iter().flatten().copied().collect();
    let of = |value: f64| measured(unit, (!values.is_empty()).then_some(value));
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let reported = (!cells.is_empty()).then(|| values.len() as f64 / cells.len() as f64);
    vec![of(mean), of(low), of(high), ratio(reported)]
}

/// A row a GPU of a job.
pub(crate) fn of_job(found: &JobDetail) -> Sheet {
    let mut heads = vec![text("Node", "node"), number("GPU", "gpu_index")];
    heads.extend([text("UUID", "gpu_uuid"), text("Model", "gpu_model")]);
    heads.extend(summary_heads("gpu_busy_ratio"));
    let row = |(gpu, node): (&FleetGpu, &String)| {
        let who = vec![named(node), named(gpu.gpu_index.to_string()), named(&gpu.gpu_uuid), named(&gpu.gpu_model)];
        [who, summary(Unit::Ratio, &gpu.cells)].concat()
    };
    let rows = found.gpus.iter().zip(&found.gpu_nodes).map(row).collect();
    Sheet { name: format!("job-{}-gpus", found.job.job_id), heads, rows }
}

/// A row a time, a column a series that reported.
pub(crate) fn telemetry(found: &JobDetail) -> Sheet {
    let shown = series::arrange(&found.series).shown;
    let mut heads = vec![text("Time, UTC", "time")];
    heads.extend(shown.iter().map(|one| number(series::label(&one.name), one.name.clone())));
    let row = |(at, start): (usize, &i64)| {
        let value = |one: &&Series| measured(Unit::of_series(&one.unit), one.values.get(at).copied().flatten());
        std::iter::once(time(*start)).chain(shown.iter().map(value)).collect()
    };
    let rows = found.times_unix_micros.iter().enumerate().map(row).collect();
    Sheet { name: format!("job-{}-telemetry", found.job.job_id), heads, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(cells: Vec<Option<f64>>) -> FleetGpu {
        FleetGpu {
            gpu_uuid: "GPU-1".to_owned(),
            gpu_index: 3,
            gpu_model: "H100".to_owned(),
            mig_profile: None,
            state: GpuState::Active,
            job_id: None,
            user: None,
            gpu_busy_ratio: None,
            power_watts: None,
            temperature_celsius: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            cells,
            jobs: vec![],
        }
    }

    #[test]
    fn a_gpu_without_a_value_is_not_reported_and_not_zero() {
        let found = JobDetail {
            gpus: vec![gpu(vec![None, None]), gpu(vec![Some(0.25), None])],
            gpu_nodes: vec!["n7".to_owned(), "n8".to_owned()],
            ..JobDetail::default()
        };
        let sheet = of_job(&found);
        let lines: Vec<String> = sheet.csv().lines().map(str::to_owned).collect();
        assert_eq!(lines[0].split(',').next_back(), Some("reported_ratio"));
        assert_eq!(lines[1], "n7,3,GPU-1,H100,,,,0");
        assert_eq!(lines[2], "n8,3,GPU-1,H100,0.25,0.25,0.25,0.5");
        assert_eq!(sheet.rows[0][4].shown, "not reported");
    }

    #[test]
    fn parts_of_the_states_are_one_and_gaps_are_unknown() {
        let parts = parts(&[Some(0.0), Some(0.0), Some(4.0), None]);
        assert_eq!((parts.active, parts.down, parts.unknown), (0.5, 0.25, 0.25));
    }

    #[test]
    fn telemetry_has_a_column_a_series_that_reported() {
        let series = |name: &str, values| Series { name: name.to_owned(), unit: "watts".to_owned(), values };
        let found = JobDetail {
            times_unix_micros: vec![0, 60_000_000],
            series: vec![series("gpu_power_watts", vec![Some(1.5), None]), series("sm_clock_hertz", vec![None, None])],
            ..JobDetail::default()
        };
        let text = telemetry(&found).csv();
        assert_eq!(text, "time,gpu_power_watts\n1970-01-01T00:00:00Z,1.5\n1970-01-01T00:01:00Z,\n");
    }
}
