//! GPUs of a page as rows and events. Pure.

use crate::source::{self, DeviceEventRow, GpuIdentity, GpuMetrics, GpuRow, Interval, NodeIdentity};
use contract::checked_id;
use coulomb_exposition::{GpuKey, GpuRows, lifted, value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last Xid of a GPU, before and since DCGM 4.6.
const XIDS: [&str; 2] = ["DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_XID_ERROR"];
/// Profiling counters are read one after the other, so a ratio may be a little over 1; more is a fault.
const RATIO_MAX: f64 = 1.05;

/// The last Xid of each GPU at the scrape before.
pub(super) type Xids = BTreeMap<String, i64>;

/// Whose page it is, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub cluster: &'a Arc<str>,
    /// Where the page names no node.
    pub node: &'a str,
    pub now_micros: i64,
    /// The scrape before, and the seconds since; without one nothing is known of what went before.
    pub before: Option<(i64, f64)>,
}

#[derive(Debug, Default)]
pub(super) struct Made {
    pub rows: Vec<GpuRow>,
    pub events: Vec<DeviceEventRow>,
    /// GPUs that the collector measures itself.
    pub measured: u64,
    /// GPUs without an index or a model.
    pub nameless: u64,
}

pub(super) fn rows(gpus: &GpuRows, look: &Look<'_>, xids: &mut Xids, is_measured: impl Fn(&str) -> bool) -> Made {
    let mut made = Made::default();
    let mut known = Xids::new();
    for (key, row) in gpus {
        if is_measured(&key.gpu_uuid) {
            made.measured += 1;
            continue;
        }
        let Some(gpu) = identity(key, row, look) else {
            made.nameless += 1;
            continue;
        };
        let job_id: Option<Arc<str>> = job(|name| label(row, name)).map(Into::into);
        if let Some(now) = XIDS.iter().find_map(|name| row.get(*name)?.parse::<f64>().ok()).map(|code| code as i64) {
            let before = xids.get(gpu.gpu_uuid.as_ref());
            // The gauge keeps the last one: the first look cannot say when that was.
            if before.is_some_and(|before| *before != now)
                && let Ok(code) = u64::try_from(now)
                && code > 0
            {
                let uuid = Some(Arc::clone(&gpu.gpu_uuid));
                made.events.push(source::xid(&gpu.node, uuid, job_id.clone(), code, look.now_micros));
            }
            known.insert(gpu.gpu_uuid.to_string(), now);
        }
        if let Some((time_unix_micros, seconds)) = look.before {
            let interval = Interval { time_unix_micros, seconds };
            let metrics = metrics(row);
            made.rows.push(GpuRow { interval, gpu: Arc::new(gpu), job_id, process_count: None, metrics });
        }
    }
    *xids = known;
    made
}

fn label<'a>(row: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    row.get(&format!("label:{name}")).map(String::as_str).filter(|text| !text.is_empty())
}

/// A job as exporters label it: of a scheduler, or the pod that holds the GPU.
pub(super) fn job<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let first = |names: [&str; 2]| names.into_iter().find_map(&label);
    let pod = || Some(format!("{}/{}", first(["namespace", "pod_namespace"])?, first(["pod", "pod_name"])?));
    let job = label("hpc_job").map(str::to_owned).or_else(pod)?;
    checked_id("job", &job).ok() // what cannot be an id stays a label only
}

fn identity(key: &GpuKey, row: &BTreeMap<String, String>, look: &Look<'_>) -> Option<GpuIdentity> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| label(row, name));
    let gpu_uuid = checked_id("gpu", &key.device_uuid()).ok()?; // such a GPU is counted by the caller
    let index = first(["gpu", "index"]).or(row.get("nvidia_smi_index").map(String::as_str))?;
    let node = first(["Hostname", "hostname"]).and_then(|name| checked_id("node", name).ok());
    let node = node.as_deref().unwrap_or(look.node);
    Some(GpuIdentity {
        node: NodeIdentity { cluster: Arc::clone(look.cluster), node: node.into() },
        gpu_uuid: gpu_uuid.into(),
        gpu_index: index.parse().ok()?,
        gpu_model: first(["modelName", "name"])?.into(),
        parent_gpu_uuid: key.parent_uuid().map(Into::into),
        mig_profile: label(row, "GPU_I_PROFILE").map(Into::into),
    })
}

fn metrics(row: &BTreeMap<String, String>) -> GpuMetrics {
    let mut metrics = GpuMetrics::default();
    for column in lifted() {
        if let Some(value) = value(column, row) {
            set(&mut metrics, column.column, value);
        }
    }
    metrics
}

/// Whole numbers of the contract are whole here; one that is none is not known.
fn set(metrics: &mut GpuMetrics, column: &str, value: f64) {
    let whole = Some(value.round()).filter(|v| (0.0..i64::MAX as f64).contains(v)).map(|v| v as i64);
    let ratio = (0.0..=RATIO_MAX).contains(&value).then_some(value.min(1.0));
    match column {
        "gpu_busy_ratio" => metrics.gpu_busy_ratio = ratio,
        "memory_busy_ratio" => metrics.memory_busy_ratio = ratio,
        "sm_active_ratio" => metrics.sm_active_ratio = ratio,
        "sm_occupancy_ratio" => metrics.sm_occupancy_ratio = ratio,
        "tensor_active_ratio" => metrics.tensor_active_ratio = ratio,
        "dram_active_ratio" => metrics.dram_active_ratio = ratio,
        "memory_used_bytes" => metrics.memory_used_bytes = whole,
        "memory_total_bytes" => metrics.memory_total_bytes = whole,
        "power_watts" => metrics.power_watts = Some(value),
        "power_limit_watts" => metrics.power_limit_watts = Some(value),
        "energy_joules_total" => metrics.energy_joules_total = Some(value),
        "temperature_celsius" => metrics.temperature_celsius = Some(value),
        "memory_temperature_celsius" => metrics.memory_temperature_celsius = Some(value),
        "sm_clock_hertz" => metrics.sm_clock_hertz = whole,
        "memory_clock_hertz" => metrics.memory_clock_hertz = whole,
        "throttle_reasons" => metrics.throttle_reasons = whole,
        "ecc_corrected_total" => metrics.ecc_corrected_total = whole,
        "ecc_uncorrected_total" => metrics.ecc_uncorrected_total = whole,
        "remapped_rows_total" => metrics.remapped_rows_total = whole,
        other => unreachable!("{other} is lifted and is no field"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use coulomb_exposition::{Gpus, Line, lines};

    const NOW: i64 = 1_700_000_000_000_000;

    fn gpus(page: &str) -> GpuRows {
        let mut gpus = Gpus::default();
        for (_, line) in lines(page) {
            match line {
                Line::Sample(sample) => gpus.add(&sample, NOW),
                line => gpus.said(&line),
            }
        }
        gpus.finish()
    }

    fn page(xid: u32) -> GpuRows {
        gpus(&format!(
            "DCGM_FI_DEV_GPU_UTIL{{gpu=\"0\",UUID=\"GPU-a\",modelName=\"H100\",Hostname=\"n7\",namespace=\"ml\",pod=\"train-0\"}} 50\n\
             DCGM_FI_DEV_XID_ERRORS{{gpu=\"0\",UUID=\"GPU-a\",modelName=\"H100\",Hostname=\"n7\",namespace=\"ml\",pod=\"train-0\"}} {xid}\n\
             DCGM_FI_PROF_SM_ACTIVE{{gpu=\"1\",UUID=\"GPU-b\",modelName=\"H100\",GPU_I_ID=\"2\",GPU_I_PROFILE=\"1g.10gb\"}} 1.01\n\
             DCGM_FI_DEV_GPU_UTIL{{UUID=\"GPU-c\",modelName=\"H100\"}} 50\n"
        ))
    }

    fn look(cluster: &Arc<str>, before: Option<(i64, f64)>) -> Look<'_> {
        Look { cluster, node: "here", now_micros: NOW, before }
    }

    #[test]
    fn rows_stand_for_the_time_between_two_scrapes() {
        let cluster: Arc<str> = "c".into();
        let mut xids = Xids::new();
        let first = rows(&page(0), &look(&cluster, None), &mut xids, |_| false);
        assert!(first.rows.is_empty() && first.events.is_empty());
        let made = rows(&page(0), &look(&cluster, Some((NOW - 15, 15e-6))), &mut xids, |_| false);
        assert_eq!((made.rows.len(), made.events.len(), made.nameless, made.measured), (2, 0, 1, 0));
        let [whole, part] = &made.rows[..] else { panic!("two rows") };
        assert_eq!((whole.gpu.node.node.as_ref(), whole.job_id.as_deref()), ("n7", Some("ml/train-0")));
        assert_eq!((whole.interval.time_unix_micros, whole.metrics.gpu_busy_ratio), (NOW - 15, Some(0.5)));
        assert_eq!((part.gpu.gpu_uuid.as_ref(), part.gpu.parent_gpu_uuid.as_deref()), ("GPU-b/gi2", Some("GPU-b")));
        assert_eq!((part.gpu.node.node.as_ref(), part.gpu.mig_profile.as_deref()), ("here", Some("1g.10gb")));
        assert_eq!(part.metrics.sm_active_ratio, Some(1.0));
    }

    #[test]
    fn an_xid_is_told_when_it_changes_and_not_at_the_first_look() {
        let cluster: Arc<str> = "c".into();
        let mut xids = Xids::new();
        let mut told = |xid| {
            let made = rows(&page(xid), &look(&cluster, None), &mut xids, |_| false);
            made.events.iter().map(|event| event.code).collect::<Vec<_>>()
        };
        for (xid, expected) in [(43, None), (43, None), (79, Some(79)), (79, None), (0, None), (31, Some(31))] {
            assert_eq!(told(xid), expected.map(Some).into_iter().collect::<Vec<_>>(), "{xid}");
        }
    }

    #[test]
    fn a_gpu_that_is_measured_here_has_no_second_row() {
        let cluster: Arc<str> = "c".into();
        let made =
            rows(&page(0), &look(&cluster, Some((NOW - 15, 15e-6))), &mut Xids::new(), |gpu_uuid| gpu_uuid == "GPU-b");
        assert_eq!((made.rows.len(), made.measured), (1, 1));
    }

    #[test]
    fn each_lifted_column_is_a_field() {
        for column in lifted() {
            let mut metrics = GpuMetrics::default();
            set(&mut metrics, column.column, 1.0);
            assert_ne!(metrics, GpuMetrics::default(), "{}", column.column);
        }
    }
}
