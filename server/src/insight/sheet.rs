//! Findings and incidents as tables for SQL.

use super::facts::Text;
use super::findings::{Finding, per_month};
use super::incidents::Incident;
use super::{InsightError, Look};
use crate::cost::Micros;
use crate::query::severity_word;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use std::sync::Arc;

/// A column of a table, and whether it may be null.
type Column = (&'static str, ArrayRef, bool);

fn texts<T>(of: &[T], pick: impl Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(of.iter().map(pick)))
}

fn maybe_texts<T>(of: &[T], pick: impl Fn(&T) -> Option<Text>) -> ArrayRef {
    Arc::new(of.iter().map(|one| pick(one).map(|text| text.to_string())).collect::<StringArray>())
}

fn times<T>(of: &[T], pick: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(of.iter().map(pick)).with_timezone("UTC"))
}

fn floats<T>(of: &[T], pick: impl Fn(&T) -> Option<f64>) -> ArrayRef {
    Arc::new(of.iter().map(pick).collect::<Float64Array>())
}

fn ints<T>(of: &[T], pick: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(of.iter().map(pick).collect::<Int64Array>())
}

fn bools<T>(of: &[T], pick: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(of.iter().map(|one| Some(pick(one))).collect::<BooleanArray>())
}

fn batch(columns: Vec<Column>) -> Result<RecordBatch, InsightError> {
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| InsightError::Internal(error.to_string()))
}

/// `gpus=8 held_idle_ratio=0.52`.
fn evidence(finding: &Finding) -> String {
    let known = finding.evidence.iter().filter(|(_, value)| value.is_finite());
    known.map(|(name, value)| format!("{name}={value:.4}")).collect::<Vec<_>>().join(" ")
}

/// Rows of each table, the worst or the latest: they stand in memory for all who ask.
const ROWS_MAX: usize = 20_000;

fn first<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(ROWS_MAX)]
}

/// The table `findings`, the worst first.
pub(super) fn findings(look: &Look) -> Result<RecordBatch, InsightError> {
    let all = first(&look.findings);
    let month = |finding: &Finding| finding.cost.and_then(|cost| per_month(cost, look.window)).map(|cost| cost.0);
    batch(vec![
        ("id", texts(all, Finding::id), false),
        ("kind", texts(all, |f| f.kind.to_owned()), false),
        ("severity", texts(all, |f| severity_word(f.severity).to_owned()), false),
        ("title", texts(all, |f| f.title.clone()), false),
        ("detail", texts(all, |f| f.detail.clone()), false),
        ("action", texts(all, |f| f.action.clone()), false),
        ("cluster", texts(all, |f| f.place.cluster.to_string()), false),
        ("node", maybe_texts(all, |f| f.place.node.clone()), true),
        ("gpu_uuid", maybe_texts(all, |f| f.place.gpu_uuid.clone()), true),
        ("job_id", maybe_texts(all, |f| f.place.job_id.clone()), true),
        ("team", maybe_texts(all, |f| f.owner.team.clone()), true),
        ("user", maybe_texts(all, |f| f.owner.user.clone()), true),
        ("since", times(all, |f| f.seen.from_micros), false),
        ("until", times(all, |f| f.seen.to_micros), false),
        ("is_ongoing", bools(all, |f| f.is_ongoing(look.window)), false),
        ("confidence", floats(all, |f| Some(f.confidence)), false),
        ("confidence_reason", texts(all, |f| f.why.to_owned()), false),
        ("is_waste", bools(all, |f| f.is_waste), false),
        ("gpu_hours", floats(all, |f| f.gpu_hours), true),
        ("cost_micros", ints(all, |f| f.cost.map(|cost| cost.0)), true),
        ("cost_micros_per_month", ints(all, month), true),
        ("currency", texts(all, |_| look.currency.to_string()), false),
        ("evidence", texts(all, evidence), false),
        ("window_from", times(all, |_| look.window.from_micros), false),
        ("window_to", times(all, |_| look.window.to_micros), false),
    ])
}

fn joined<'a>(parts: impl Iterator<Item = &'a Text>) -> String {
    parts.map(|part| part.as_ref()).collect::<Vec<&str>>().join(" ")
}

/// The table `incidents`, the latest first.
pub(super) fn incidents(look: &Look) -> Result<RecordBatch, InsightError> {
    let all = first(&look.failures.incidents);
    let micros = |cost: Option<Micros>| cost.map(|cost| cost.0);
    let count = |incident: &Incident| incident.events.iter().map(|event| event.count as i64).sum();
    let code = |incident: &Incident| incident.events.iter().find_map(|event| event.code);
    batch(vec![
        ("id", texts(all, Incident::id), false),
        ("category", texts(all, |i| i.category.as_str().to_owned()), false),
        ("severity", texts(all, |i| severity_word(i.severity).to_owned()), false),
        ("title", texts(all, |i| i.title.clone()), false),
        ("meaning", texts(all, |i| i.meaning.clone()), false),
        ("action", texts(all, |i| i.action.clone()), false),
        ("cluster", texts(all, |i| i.cluster.to_string()), false),
        ("node", maybe_texts(all, |i| i.node.clone()), true),
        ("gpu_uuids", texts(all, |i| joined(i.gpu_uuids.iter())), false),
        ("since", times(all, |i| i.seen.from_micros), false),
        ("until", times(all, |i| i.seen.to_micros), false),
        ("is_ongoing", bools(all, |i| i.is_ongoing), false),
        ("code", ints(all, code), true),
        ("event_count", ints(all, |i| Some(count(i))), false),
        ("job_count", ints(all, |i| Some(i.jobs.len() as i64)), false),
        ("job_ids", texts(all, |i| joined(i.jobs.iter().map(|job| &job.job_id))), false),
        ("users", texts(all, |i| joined(i.jobs.iter().filter_map(|job| job.user.as_ref()))), false),
        ("gpu_hours_lost", floats(all, |i| Some(i.gpu_hours_lost())), false),
        ("down_gpu_hours", floats(all, |i| Some(i.down_gpu_hours)), false),
        ("cost_micros", ints(all, |i| micros(i.cost())), true),
        ("down_cost_micros", ints(all, |i| micros(i.down_cost)), true),
        ("currency", texts(all, |_| look.currency.to_string()), false),
        ("confidence", floats(all, |i| Some(i.confidence)), false),
        ("confidence_reason", texts(all, |i| i.why.to_owned()), false),
    ])
}
