//! Samples of GPUs as rows: one a GPU or MIG instance and time, with all that its series say.
//!
//! **Invariant:** a blank that DCGM writes for "no value" is none; a label that two series of one device disagree on
//! is none.

use crate::line::{Line, Sample};
use std::collections::{BTreeMap, BTreeSet};

/// What a metric that is called a ratio but is a percent is called here.
pub const PERCENT: &str = ":percent";
const LABEL: &str = "label:";

/// Which device, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GpuKey {
    pub time_micros: i64,
    /// Of the physical GPU.
    pub gpu_uuid: String,
    /// `GPU_I_ID` of a MIG instance, else empty.
    pub instance: String,
}

impl GpuKey {
    /// The device's own name: of a MIG instance its GPU's with the instance behind it.
    pub fn device_uuid(&self) -> String {
        let Self { gpu_uuid, instance, .. } = self;
        if instance.is_empty() { gpu_uuid.clone() } else { format!("{gpu_uuid}/gi{instance}") }
    }

    /// Of a MIG instance the GPU that it is cut from.
    pub fn parent_uuid(&self) -> Option<&str> {
        (!self.instance.is_empty()).then_some(self.gpu_uuid.as_str())
    }
}

/// Values by metric, and labels under `label:` and their name, as they stand on the page.
pub type GpuRows = BTreeMap<GpuKey, BTreeMap<String, String>>;

/// Rows in the making.
#[derive(Debug, Default)]
pub struct Gpus {
    rows: GpuRows,
    /// Labels on which series of one row disagree.
    disputed: BTreeSet<(GpuKey, String)>,
    values: usize,
    needs_time: bool,
    /// Metrics that are called ratios but are percents, by their help or by a value above 1.
    percents: BTreeSet<String>,
}

/// DCGM names fields of whole percents a ratio; its profiling fields are ratios.
fn may_be_percent(name: &str) -> bool {
    name.starts_with("DCGM_FI_DEV_") && name.ends_with("_RATIO")
}

impl Gpus {
    /// What a comment says.
    pub fn said(&mut self, line: &Line<'_>) {
        let Line::Help { name, text } = line else { return };
        if may_be_percent(name) && (text.contains('%') || text.to_lowercase().contains("percent")) {
            self.percents.insert(name.to_string());
        }
    }

    /// Takes a sample if it names a GPU; without a time of its own it gets `time_micros`.
    pub fn add(&mut self, sample: &Sample<'_>, time_micros: i64) {
        let label = |names: [&str; 2]| names.iter().find_map(|n| sample.label(n)).filter(|v| !v.is_empty());
        // Metrics of the exporter itself and of the node name no GPU.
        let Some(uuid) = label(["UUID", "uuid"]) else { return };
        let key = GpuKey {
            time_micros: sample.time_micros.unwrap_or(time_micros),
            gpu_uuid: gpu_uuid(uuid),
            instance: sample.label("GPU_I_ID").unwrap_or_default().to_owned(),
        };
        self.needs_time |= sample.time_micros.is_none();
        let is_blank = is_blank(sample.value);
        if may_be_percent(&sample.name) && sample.value > 1.0 && !is_blank {
            self.percents.insert(sample.name.to_string());
        }
        let row = self.rows.entry(key.clone()).or_default();
        for (name, value) in &sample.labels {
            let column = format!("{LABEL}{name}");
            match row.get(&column) {
                Some(before) if before != value => {
                    self.disputed.insert((key.clone(), column));
                }
                Some(_) => {}
                None => {
                    row.insert(column, value.to_string());
                    self.values += 1;
                }
            }
        }
        if !is_blank && !row.contains_key(sample.name.as_ref()) {
            row.insert(sample.name.to_string(), sample.text.to_owned());
            self.values += 1;
        }
    }

    /// Values and labels that are held.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Whether a sample had no time of its own.
    pub fn needs_time(&self) -> bool {
        self.needs_time
    }

    pub fn finish(mut self) -> GpuRows {
        for (key, column) in &self.disputed {
            if let Some(row) = self.rows.get_mut(key) {
                row.remove(column);
            }
        }
        for name in &self.percents {
            for row in self.rows.values_mut() {
                if let Some(value) = row.remove(name) {
                    row.insert(format!("{name}{PERCENT}"), value);
                }
            }
        }
        self.rows
    }
}

/// nvidia_gpu_exporter cuts the prefix that NVML and the collector have.
fn gpu_uuid(text: &str) -> String {
    let is_bare = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_bare { format!("GPU-{text}") } else { text.to_owned() }
}

/// DCGM's "blank", "not found", "not supported" and "not permissioned" in its three number types, and what is no
/// number.
pub fn is_blank(value: f64) -> bool {
    /// As a double the 64-bit blanks are all 2^63.
    const INT64: f64 = 9_223_372_036_854_775_808.0;
    const BLANKS: [f64; 2] = [0x7fff_fff0_u32 as f64, (1_u64 << 47) as f64];
    let rounded = value.round();
    !value.is_finite() || rounded.abs() >= INT64 || BLANKS.iter().any(|b| (0.0..4.0).contains(&(rounded - b)))
}
