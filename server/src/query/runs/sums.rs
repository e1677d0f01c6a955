//! Sums, means and counts of runs, as states of a partial aggregation.
//!
//! The engine's accumulators look a group up for each row and add to it, each addition after the one before; a run is
//! added up in several lanes. **Invariant:** a state is what the engine's own would be, but for the order of adding.

use super::fold::array;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Schema};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use std::sync::Arc;

/// Additions under way at once: what four registers of four numbers hold.
const LANES: usize = 16;

enum Kind {
    Sum,
    Mean,
    Count,
}

/// An aggregate whose states are made here.
pub(super) struct Quick {
    kind: Kind,
    of: Arc<dyn PhysicalExpr>,
}

impl Quick {
    /// `None` for aggregates of other kinds and types.
    pub(super) fn of(of: &AggregateFunctionExpr, schema: &Schema) -> Option<Self> {
        let [value] = <[_; 1]>::try_from(of.expressions()).ok()?;
        if !of.order_bys().is_empty() {
            return None;
        }
        let fields = of.state_fields().ok()?;
        let states: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
        let is_float = value.data_type(schema).is_ok_and(|of| of == DataType::Float64);
        let kind = match (of.fun().name(), &states[..]) {
            ("sum", [DataType::Float64]) if is_float => Kind::Sum,
            ("avg", [DataType::UInt64, DataType::Float64]) if is_float => Kind::Mean,
            ("count", [DataType::Int64]) => Kind::Count,
            _ => return None,
        };
        Some(Self { kind, of: value })
    }

    /// The columns of the state of each run; `starts` are their first rows.
    pub(super) fn states(&self, batch: &RecordBatch, starts: &[u32]) -> Result<Vec<ArrayRef>> {
        let ends = starts.iter().skip(1).map(|start| *start as usize).chain([batch.num_rows()]);
        let runs = starts.iter().map(|start| *start as usize).zip(ends);
        if let Kind::Count = self.kind {
            let all = self.of.downcast_ref::<Literal>().is_some_and(|value| !value.value().is_null());
            let nulls = if all { None } else { array(&self.of, batch)?.logical_nulls() };
            let counts = runs.map(|(start, end)| valid(nulls.as_ref(), start, end) as i64);
            return Ok(vec![Arc::new(Int64Array::from_iter_values(counts))]);
        }
        let values = array(&self.of, batch)?;
        let values = values.as_primitive::<Float64Type>();
        let (mut counts, mut sums) = (Vec::with_capacity(starts.len()), Vec::with_capacity(starts.len()));
        for (start, end) in runs {
            counts.push(valid(values.nulls(), start, end) as u64);
            sums.push(sum(values, start, end));
        }
        // Of a run without values there is no sum.
        let nulls = values.nulls().map(|_| NullBuffer::from_iter(counts.iter().map(|count| *count > 0)));
        let sums: ArrayRef = Arc::new(Float64Array::new(sums.into(), nulls.clone()));
        Ok(match self.kind {
            Kind::Mean => vec![Arc::new(UInt64Array::new(counts.into(), nulls)), sums],
            _ => vec![sums],
        })
    }
}

fn valid(nulls: Option<&NullBuffer>, start: usize, end: usize) -> usize {
    nulls.map_or(end - start, |nulls| end - start - nulls.slice(start, end - start).null_count())
}

fn sum(values: &Float64Array, start: usize, end: usize) -> f64 {
    let run = &values.values()[start..end];
    if let Some(nulls) = values.nulls() {
        return (start..end).zip(run).map(|(row, value)| if nulls.is_valid(row) { *value } else { 0.0 }).sum();
    }
    let mut lanes = [0.0; LANES];
    let chunks = run.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f64>() + rest
}
