//! The last look at all services as the table `inference_scaling`, for SQL and for rules of alerts.

use super::Inference;
use super::error::InferenceError;
use super::observe::Scaling;
use super::sizing::Objective;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use std::sync::Arc;

const NAME: &str = "inference_scaling";

impl Inference {
    /// Shows what is known now.
    pub(super) fn show(&self) -> Result<(), InferenceError> {
        let rows =
            rows(&self.scalings(&Objective::DEFAULT)).map_err(|error| InferenceError::Internal(error.to_string()))?;
        self.inner.engine.set_sheet(NAME, rows);
        Ok(())
    }
}

fn rows(all: &[Scaling]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let float =
        |of: &dyn Fn(&Scaling) -> Option<f64>| -> ArrayRef { Arc::new(all.iter().map(of).collect::<Float64Array>()) };
    let int = |of: &dyn Fn(&Scaling) -> Option<u64>| -> ArrayRef {
        Arc::new(all.iter().map(|one| of(one).and_then(|n| i64::try_from(n).ok())).collect::<Int64Array>())
    };
    let text =
        |of: &dyn Fn(&Scaling) -> Option<String>| -> ArrayRef { Arc::new(all.iter().map(of).collect::<StringArray>()) };
    let times: TimestampMicrosecondArray = all.iter().map(|one| Some(one.at_micros)).collect();
    let active: BooleanArray = all.iter().map(|one| Some(one.is_active)).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("time", Arc::new(times.with_timezone("UTC")), false),
        ("service", text(&|one| Some(one.service.clone())), false),
        ("replicas", int(&|one| one.sizing.replicas), true),
        ("replicas_wanted", int(&|one| one.sizing.wanted), true),
        ("confidence", text(&|one| one.sizing.confidence.map(|c| c.as_str().to_owned())), true),
        ("is_active", Arc::new(active), false),
        ("requests_per_second", float(&|one| Some(one.sizing.requests_per_second)), false),
        ("work_tokens_per_second", float(&|one| Some(one.sizing.work_per_second)), false),
        ("capacity_tokens_per_second", float(&|one| one.sizing.capacity), true),
        ("utilisation_ratio", float(&|one| one.sizing.utilisation_ratio), true),
        ("time_to_first_token_p95_seconds", float(&|one| one.first_token_p95), true),
        ("queue_p95_seconds", float(&|one| one.queue_p95), true),
        ("requests_waiting", float(&|one| one.waiting), true),
        ("reason", text(&|one| Some(one.sizing.text.clone())), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
}
