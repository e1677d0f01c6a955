//! Groups as rows of a derived table.

use super::super::QueryError;
use super::fold::{Gauge, Group, Keys};
use crate::store::{Rollup, is_number};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use std::sync::Arc;

pub(super) fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

pub(super) fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

pub(super) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// In [`contract::schema`] of the rollup's table; groups name their keys by their place.
pub(super) fn rows(rollup: &'static Rollup, groups: &[Group], keys: &[Keys]) -> Result<RecordBatch, QueryError> {
    let mut columns = vec![times(groups.iter().map(|group| group.step))];
    let mut text = 0;
    for key in &rollup.keys {
        if is_number(key) {
            let indices = groups.iter().map(|group| keys[group.keys].index.unwrap_or_default());
            columns.push(Arc::new(Int64Array::from_iter_values(indices)));
        } else {
            columns.push(texts(groups.iter().map(|group| keys[group.keys].texts[text].as_deref())));
            text += 1;
        }
    }
    columns.push(times(groups.iter().map(|group| group.last_time)));
    columns.push(Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| group.samples))));
    columns.push(floats(groups.iter().map(|group| Some(group.covered))));
    columns.push(floats(groups.iter().map(|group| Some(group.longest))));
    for at in 0..rollup.gauges.len() {
        let of = |pick: fn(&Gauge) -> f64| {
            floats(groups.iter().map(|group| (group.gauges[at].count > 0).then(|| pick(&group.gauges[at]))))
        };
        columns.push(Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| group.gauges[at].count))));
        columns.push(of(|gauge| gauge.sum));
        columns.push(of(|gauge| gauge.min));
        columns.push(of(|gauge| gauge.max));
        columns.push(of(|gauge| gauge.last));
        let integrals = groups.iter().map(|g| (g.gauges[at].seconds > 0.0).then_some(g.gauges[at].integral));
        columns.push(floats(integrals));
        columns.push(floats(groups.iter().map(|group| Some(group.gauges[at].seconds))));
    }
    for at in 0..rollup.counters.len() {
        columns.push(floats(groups.iter().map(|group| group.counters[at].0)));
        columns.push(floats(groups.iter().map(|group| group.counters[at].1)));
    }
    RecordBatch::try_new(contract::schema(&rollup.table), columns).map_err(|e| QueryError::Internal(e.to_string()))
}
