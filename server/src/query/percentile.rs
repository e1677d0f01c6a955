//! `percentile_cont` with its interpolation in full precision.
//!
//! The engine's own one cuts the weight between two values to a millionth, which shows in the eighth digit of a
//! queue wait. Everything else about the function is the engine's.

use arrow::array::{ArrayRef, AsArray, ListArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::percentile_cont::PercentileCont;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Signature};
use std::mem::size_of_val;
use std::sync::Arc;

pub(super) fn percentile_cont() -> AggregateUDF {
    AggregateUDF::new_from_impl(ExactPercentile { engines: PercentileCont::new() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactPercentile {
    engines: PercentileCont,
}

impl AggregateUDFImpl for ExactPercentile {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn aliases(&self) -> &[String] {
        self.engines.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engines.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.engines.return_type(arg_types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.engines.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        // Checks the percentile, too.
        let engines = self.engines.accumulator(args.clone())?;
        if args.is_distinct || args.expr_fields[0].data_type() != &DataType::Float64 {
            return Ok(engines);
        }
        let share = args.exprs[1].evaluate(&RecordBatch::new_empty(Arc::new(args.schema.clone())))?;
        let ColumnarValue::Scalar(ScalarValue::Float64(Some(share))) = share else {
            return Err(exec_datafusion_err!("the percentile is not a number"));
        };
        let descending = args.order_bys.first().is_some_and(|o| o.options.descending);
        Ok(Box::new(Values { share: if descending { 1.0 - share } else { share }, values: Vec::new() }))
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.engines.simplify()
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

/// All values of a group; as many as the engine's own function keeps.
#[derive(Debug)]
struct Values {
    share: f64,
    values: Vec<f64>,
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(values[0].as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for list in lists.iter().flatten() {
            self.values.extend(list.as_primitive::<Float64Type>().iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = std::mem::take(&mut self.values).into_iter().map(Some);
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(values)]);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(interpolated(&mut self.values, self.share)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }
}

/// The value at `share` of the way from the least to the greatest, linear between neighbours.
fn interpolated(values: &mut [f64], share: f64) -> Option<f64> {
    let place = share * (values.len().checked_sub(1)? as f64);
    let below = place.floor();
    let (_, lower, above) = values.select_nth_unstable_by(below as usize, f64::total_cmp);
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*lower);
    Some(*lower + (upper - *lower) * (place - below))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::Array;
    use arrow::compute::concat;
    use datafusion::prelude::SessionContext;

    async fn ask(sql: &str) -> Vec<Option<f64>> {
        let context = SessionContext::new();
        context.register_udaf(percentile_cont());
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let columns: Vec<&dyn Array> = batches.iter().map(|b| b.column(0).as_ref()).collect();
        concat(&columns).unwrap().as_primitive::<Float64Type>().iter().collect()
    }

    #[tokio::test]
    async fn the_weight_between_two_values_is_not_rounded() {
        // 1/3 of the way, which a millionth cannot say.
        let sql =
            "SELECT percentile_cont(0.3333333333333333) WITHIN GROUP (ORDER BY x) FROM (VALUES (0.0), (3e9)) t(x)";
        assert!((ask(sql).await[0].unwrap() - 1e9).abs() < 1.0);
    }

    #[tokio::test]
    async fn it_is_called_as_before() {
        let rows = "(VALUES (1, 4.0), (2, 1.0), (3, 3.0), (4, NULL)) t(i, x)";
        for (call, expected) in [
            ("percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", Some(3.0)),
            ("percentile_cont(0.25) WITHIN GROUP (ORDER BY x DESC)", Some(3.5)),
            ("percentile_cont(0.5) WITHIN GROUP (ORDER BY i)", Some(2.5)),
            ("percentile_cont(x, 0.0)", Some(1.0)),
            ("quantile_cont(x, 1.0)", Some(4.0)),
            ("percentile_cont(DISTINCT x, 0.5)", Some(3.0)),
            ("percentile_cont(x, 0.5) FILTER (WHERE i > 9)", None),
        ] {
            assert_eq!(ask(&format!("SELECT {call} FROM {rows}")).await, [expected], "{call}");
        }
    }

    #[tokio::test]
    async fn groups_and_partitions_have_their_own() {
        let rows = "(VALUES (1, 1.0), (1, 2.0), (2, 10.0), (2, 40.0)) t(i, x)";
        let sql = format!("SELECT percentile_cont(x, 0.5) FROM {rows} GROUP BY i ORDER BY i");
        assert_eq!(ask(&sql).await, [Some(1.5), Some(25.0)]);
        let sql = format!("SELECT percentile_cont(x, 0.5) OVER (PARTITION BY i) FROM {rows} ORDER BY x");
        assert_eq!(ask(&sql).await, [Some(1.5), Some(1.5), Some(25.0), Some(25.0)]);
    }
}
