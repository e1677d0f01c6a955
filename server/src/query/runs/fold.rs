//! One batch after the other, by runs of equal keys.

use super::sums::Quick;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray, UInt32Array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::sync::Arc;

/// An aggregate with what it is computed of.
enum Aggregate {
    /// Added up run by run.
    Quick(Quick),
    /// By the engine's own accumulator, row by row.
    Engine { of: Vec<Arc<dyn PhysicalExpr>>, filter: Option<Arc<dyn PhysicalExpr>>, states: Box<dyn GroupsAccumulator> },
}

/// The aggregation of one batch after the other.
pub(super) struct Folding {
    schema: SchemaRef,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Aggregate>,
    /// By what rows are ordered of which only each run's last one is asked for.
    last_by: Option<Arc<dyn PhysicalExpr>>,
    groups: Vec<usize>,
}

impl Folding {
    pub(super) fn new(partial: &AggregateExec) -> Result<Self> {
        let aggregate = |(of, filter): (&Arc<AggregateFunctionExpr>, &Option<Arc<dyn PhysicalExpr>>)| {
            if let Some(quick) = Quick::of(of, &partial.input().schema()).filter(|_| filter.is_none()) {
                return Ok(Aggregate::Quick(quick));
            }
            let ordering = of.order_bys().iter().map(|by| Arc::clone(&by.expr));
            Ok(Aggregate::Engine {
                of: of.expressions().into_iter().chain(ordering).collect(),
                filter: filter.clone(),
                states: of.create_groups_accumulator()?,
            })
        };
        let aggregates = partial.aggr_expr().iter().zip(partial.filter_expr()).map(aggregate);
        Ok(Self {
            schema: partial.schema(),
            keys: partial.group_expr().input_exprs(),
            aggregates: aggregates.collect::<Result<_>>()?,
            last_by: last_by(partial),
            groups: Vec::new(),
        })
    }

    /// `None` for a batch without rows.
    pub(super) fn fold(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let keys = self.keys.iter().map(|key| array(key, batch)).collect::<Result<Vec<_>>>()?;
        let mut begins = vec![false; batch.num_rows()];
        begins[0] = true;
        for key in &keys {
            mark_changes(key, &mut begins)?;
        }
        let starts =
            UInt32Array::from_iter_values((0_u32..).zip(&begins).filter(|(_, begins)| **begins).map(|(i, _)| i));
        let runs = starts.len();
        let last_rows = self.last_rows(batch, &begins)?;
        self.groups.clear();
        if last_rows.is_some() {
            self.groups.extend(0..runs);
        } else if self.aggregates.iter().any(|of| matches!(of, Aggregate::Engine { .. })) {
            self.groups.extend(begins.iter().scan(0, |run, begins| {
                *run += usize::from(*begins);
                Some(*run - 1)
            }));
        }
        let batch = last_rows.as_ref().unwrap_or(batch);
        let mut columns = keys.iter().map(|key| Ok(take(key, &starts, None)?)).collect::<Result<Vec<_>>>()?;
        for aggregate in &mut self.aggregates {
            match aggregate {
                Aggregate::Quick(quick) => columns.extend(quick.states(batch, starts.values())?),
                Aggregate::Engine { of, filter, states } => {
                    let values = of.iter().map(|of| array(of, batch)).collect::<Result<Vec<_>>>()?;
                    let filter = filter.as_ref().map(|filter| array(filter, batch)).transpose()?;
                    let filter: Option<&BooleanArray> = filter.as_ref().map(|filter| filter.as_boolean());
                    states.update_batch(&values, &self.groups, filter, runs)?;
                    columns.extend(states.state(EmitTo::All)?);
                }
            }
        }
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }

    /// Each run's last row, where no other can matter.
    fn last_rows(&self, batch: &RecordBatch, begins: &[bool]) -> Result<Option<RecordBatch>> {
        let Some(by) = &self.last_by else { return Ok(None) };
        let by = array(by, batch)?;
        let Some(times) = by.as_primitive_opt::<TimestampMicrosecondType>().filter(|times| times.null_count() == 0)
        else {
            return Ok(None);
        };
        let rises = |(times, begins): (&[i64], &bool)| *begins || times[0] <= times[1];
        if !times.values().windows(2).zip(&begins[1..]).all(rises) {
            return Ok(None);
        }
        let ends = (0_u32..).zip(begins[1..].iter().chain([&true])).filter(|(_, ends)| **ends).map(|(i, _)| i);
        let ends = UInt32Array::from_iter_values(ends);
        Ok(Some(arrow::compute::take_record_batch(batch, &ends)?))
    }
}

/// What all aggregates take the last value by, if that is all they do.
fn last_by(partial: &AggregateExec) -> Option<Arc<dyn PhysicalExpr>> {
    let mut by: Option<Arc<dyn PhysicalExpr>> = None;
    for (of, filter) in partial.aggr_expr().iter().zip(partial.filter_expr()) {
        let [order] = of.order_bys() else { return None };
        let is_last = match of.fun().name() {
            "last_value" => !order.options.descending,
            "first_value" => order.options.descending,
            _ => false,
        };
        if !is_last || of.ignore_nulls() || filter.is_some() || by.as_ref().is_some_and(|by| !by.eq(&order.expr)) {
            return None;
        }
        by = Some(Arc::clone(&order.expr));
    }
    by
}

pub(super) fn array(of: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    match of.evaluate(batch)? {
        ColumnarValue::Array(array) => Ok(array),
        scalar => scalar.into_array(batch.num_rows()),
    }
}

/// Marks the rows whose value is not the one before.
fn mark_changes(key: &ArrayRef, begins: &mut [bool]) -> Result<()> {
    let later = &mut begins[1..];
    if let Some(texts) = key.as_string_view_opt() {
        mark_changes_of_texts(texts, later);
        return Ok(());
    }
    if key.null_count() == 0 {
        let numbers = match key.data_type() {
            DataType::Int64 => Some(key.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Some(key.as_primitive::<TimestampMicrosecondType>().values())
            }
            _ => None,
        };
        if let Some(numbers) = numbers {
            for (begins, pair) in later.iter_mut().zip(numbers.windows(2)) {
                *begins |= pair[0] != pair[1];
            }
            return Ok(());
        }
    }
    let length = key.len() - 1;
    let changes = distinct(&key.slice(0, length), &key.slice(1, length))?;
    for (begins, changes) in later.iter_mut().zip(changes.values()) {
        *begins |= changes;
    }
    Ok(())
}

/// `later` are all rows but the first.
fn mark_changes_of_texts(texts: &StringViewArray, later: &mut [bool]) {
    let views = texts.views();
    let Some(nulls) = texts.nulls().filter(|nulls| nulls.null_count() > 0) else {
        for (i, (begins, views)) in later.iter_mut().zip(views.windows(2)).enumerate() {
            // Texts of one dictionary have equal views; only others are compared.
            *begins |= views[0] != views[1] && texts.value(i) != texts.value(i + 1);
        }
        return;
    };
    for (i, (begins, views)) in later.iter_mut().zip(views.windows(2)).enumerate() {
        *begins |=
            views[0] != views[1] && nulls.is_valid(i) && nulls.is_valid(i + 1) && texts.value(i) != texts.value(i + 1);
    }
    // Whatever the view of a null is: it differs from every text.
    for row in nulls.valid_slices().flat_map(|(start, end)| [start, end]) {
        if let Some(begins) = row.checked_sub(1).and_then(|at| later.get_mut(at)) {
            *begins = true;
        }
    }
}
