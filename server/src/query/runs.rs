//! Aggregation by what stays the same from row to row: a GPU, a node, a job, an hour.
//!
//! Files are sorted by device and time, so rows of one group follow each other. Each run of equal keys is aggregated
//! without looking its key up, and only one row a run goes on to be looked up by the engine. **Invariant:** the answer
//! is the engine's own in whatever order the rows come; order only makes it quick, and nothing relies on it.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNanoType, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{ColumnarValue, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;

/// Spans of time that hold many rows of one device.
const SPANS: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];
/// The least span of `date_bin`: 60 samples of ten seconds.
const BIN_NANOS_MIN: i64 = 600_000_000_000;
/// Aggregates whose states add up in any order.
const AGGREGATES: [&str; 7] = ["avg", "count", "first_value", "last_value", "max", "min", "sum"];

/// Puts [`RunsExec`] below aggregations that it makes quicker.
#[derive(Debug)]
pub(super) struct ByRuns;

impl PhysicalOptimizerRule for ByRuns {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let visit = |node: Arc<dyn ExecutionPlan>| {
            let by_runs = node.downcast_ref::<AggregateExec>().map(by_runs).transpose()?.flatten();
            Ok(by_runs.map_or(Transformed::no(node), Transformed::yes))
        };
        Ok(plan.transform_up(visit)?.data)
    }

    fn name(&self) -> &str {
        "aggregation by runs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What takes the place of an aggregation, if anything does.
fn by_runs(node: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let group = node.group_expr();
    let has_keys = !group.is_empty()
        && group.is_single()
        && group.expr().iter().all(|(key, _)| is_steady(key, &node.input().schema()));
    let adds_up = |of: &Arc<AggregateFunctionExpr>| {
        AGGREGATES.contains(&of.fun().name()) && !of.is_distinct() && of.groups_accumulator_supported()
    };
    let adds_up = node.aggr_expr().iter().all(adds_up);
    if !has_keys || !adds_up || node.limit_options().is_some() || !keeps_runs(node.input()) {
        return Ok(None);
    }
    let (aggregates, filters) = (node.aggr_expr().to_vec(), node.filter_expr().to_vec());
    let partial = AggregateExec::try_new(
        AggregateMode::Partial,
        group.clone(),
        aggregates,
        filters,
        Arc::clone(node.input()),
        node.input_schema(),
    )?;
    let runs = Arc::new(RunsExec::new(partial));
    let plan: Arc<dyn ExecutionPlan> = match node.mode() {
        AggregateMode::Partial => runs,
        AggregateMode::Single => {
            let aggregates = runs.partial.aggr_expr().to_vec();
            let no_filters = vec![None; aggregates.len()];
            let group = group.as_final();
            Arc::new(AggregateExec::try_new(
                AggregateMode::Final,
                group,
                aggregates,
                no_filters,
                runs,
                node.input_schema(),
            )?)
        }
        _ => return Ok(None),
    };
    // Names may follow from how an aggregate is carried out.
    Ok((plan.schema() == node.schema()).then_some(plan))
}

/// Whether an expression mostly has the value that it had in the row before: a text of a device, or a long span of
/// time.
fn is_steady(key: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    if key.is::<Column>() {
        return key.data_type(schema).is_ok_and(|of| of == DataType::Utf8View);
    }
    let Some(function) = key.downcast_ref::<ScalarFunctionExpr>() else { return false };
    let [span, time, ..] = function.args() else { return false };
    let Some(span) = span.downcast_ref::<Literal>() else { return false };
    let is_long = match (function.name(), span.value()) {
        ("date_trunc", ScalarValue::Utf8(Some(unit)) | ScalarValue::Utf8View(Some(unit))) => {
            SPANS.contains(&unit.to_ascii_lowercase().as_str())
        }
        ("date_bin", ScalarValue::IntervalMonthDayNano(Some(bin))) => {
            let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(*bin);
            months > 0 || days > 0 || nanos >= BIN_NANOS_MIN
        }
        _ => false,
    };
    let time = time.downcast_ref::<CastExpr>().map_or(time, CastExpr::expr);
    is_long && time.is::<Column>()
}

/// Whether rows come from files as they lie there, or some of them left out.
fn keeps_runs(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<DataSourceExec>() {
        return true;
    }
    let round_robin = plan
        .downcast_ref::<RepartitionExec>()
        .is_some_and(|repartition| matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_)));
    let keeps = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<CooperativeExec>();
    (keeps || round_robin || plan.is::<UnionExec>()) && plan.children().into_iter().all(keeps_runs)
}

/// One row for each run of equal keys in a batch, with the aggregates' states as a partial aggregation has them.
#[derive(Debug)]
struct RunsExec {
    /// What it does in the place of; never executed.
    partial: AggregateExec,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunsExec {
    fn new(partial: AggregateExec) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(partial.schema()),
            partial.properties().partitioning.clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { partial, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RunsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.partial.group_expr().expr().iter().map(|(_, name)| name.as_str()).collect();
        let aggregates: Vec<&str> = self.partial.aggr_expr().iter().map(|of| of.name()).collect();
        write!(f, "RunsExec: keys=[{}], aggregates=[{}]", keys.join(", "), aggregates.join(", "))
    }
}

impl ExecutionPlan for RunsExec {
    fn name(&self) -> &str {
        "RunsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.partial.children()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.partial.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(self.partial.input()));
        let of = &self.partial;
        Ok(Arc::new(Self::new(AggregateExec::try_new(
            AggregateMode::Partial,
            of.group_expr().clone(),
            of.aggr_expr().to_vec(),
            of.filter_expr().to_vec(),
            input,
            of.input_schema(),
        )?)))
    }

    // The trait still asks for it.
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut folding = Folding::new(&self.partial)?;
        let input = self.partial.input().execute(partition, context)?;
        let folded = input.filter_map(move |batch| {
            let timer = metrics.elapsed_compute().timer();
            let folded = batch.and_then(|batch| folding.fold(&batch)).transpose();
            timer.done();
            std::future::ready(folded.map(|folded| folded.record_output(&metrics)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), folded)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// An aggregate with what it is computed of.
struct Aggregate {
    of: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    states: Box<dyn GroupsAccumulator>,
}

/// The aggregation of one batch after the other.
struct Folding {
    schema: SchemaRef,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Aggregate>,
    /// By what rows are ordered of which only each run's last one is asked for.
    last_by: Option<Arc<dyn PhysicalExpr>>,
    groups: Vec<usize>,
}

impl Folding {
    fn new(partial: &AggregateExec) -> Result<Self> {
        let aggregate = |(of, filter): (&Arc<AggregateFunctionExpr>, &Option<Arc<dyn PhysicalExpr>>)| {
            let ordering = of.order_bys().iter().map(|by| Arc::clone(&by.expr));
            Ok(Aggregate {
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
    fn fold(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
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
        match last_rows {
            Some(_) => self.groups.extend(0..runs),
            None => self.groups.extend(begins.iter().scan(0, |run, begins| {
                *run += usize::from(*begins);
                Some(*run - 1)
            })),
        }
        let batch = last_rows.as_ref().unwrap_or(batch);
        let mut columns = keys.iter().map(|key| Ok(take(key, &starts, None)?)).collect::<Result<Vec<_>>>()?;
        for aggregate in &mut self.aggregates {
            let values = aggregate.of.iter().map(|of| array(of, batch)).collect::<Result<Vec<_>>>()?;
            let filter = aggregate.filter.as_ref().map(|filter| array(filter, batch)).transpose()?;
            let filter: Option<&BooleanArray> = filter.as_ref().map(|filter| filter.as_boolean());
            aggregate.states.update_batch(&values, &self.groups, filter, runs)?;
            columns.extend(aggregate.states.state(EmitTo::All)?);
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

fn array(of: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    match of.evaluate(batch)? {
        ColumnarValue::Array(array) => Ok(array),
        scalar => scalar.into_array(batch.num_rows()),
    }
}

/// Marks the rows whose value is not the one before.
fn mark_changes(key: &ArrayRef, begins: &mut [bool]) -> Result<()> {
    let later = &mut begins[1..];
    if key.null_count() == 0 {
        if let Some(texts) = key.as_string_view_opt() {
            for (i, (begins, views)) in later.iter_mut().zip(texts.views().windows(2)).enumerate() {
                // Texts of one dictionary have equal views; only others are compared.
                *begins |= views[0] != views[1] && texts.value(i) != texts.value(i + 1);
            }
            return Ok(());
        }
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
