//! Aggregation by what stays the same from row to row: a GPU, a node, a job, an hour.
//!
//! Files are sorted by device and time, so rows of one group follow each other. Each run of equal keys is aggregated
//! without looking its key up, and only one row a run goes on to be looked up by the engine. **Invariant:** the answer
//! is the engine's own in whatever order the rows come; order only makes it quick, and nothing relies on it.

mod fold;
mod sums;

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
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
use fold::Folding;
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
