//! Pages of metrics in Prometheus' text format and in OpenMetrics: lines, whole metrics, and rows of GPUs.
//!
//! Owns the syntax, what belongs to one histogram or summary, and how GPU exporters name devices and quantities.
//! Must not know how a page arrives or where its values go. **Invariant:** no I/O, no clock, no async; any bytes are
//! values or are counted as none. **Invariant:** what an exporter writes for "no value" is none.

mod families;
mod gpus;
mod histogram;
mod lift;
mod line;
mod points;
mod time;

pub use families::{Bounds, Families, PageError};
pub use gpus::{GpuKey, GpuRows, Gpus, PERCENT, is_blank};
pub use lift::{Lift, Lifted, Scale, is_gpu_metric, is_lifted, lifted, value};
pub use line::{Kind, Line, Sample, lines, said, sample};
pub use points::{Page, Point, PointKind, Value};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
