//! `date_trunc` of times in UTC, as all of ours are, by arithmetic.
//!
//! The engine looks a zone's rules up for every row, UTC's too, and is some ten times slower with that than without a
//! zone. **Invariant:** what it answers is what the engine's own function answers.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// Puts it in the place of the engine's function.
pub(super) fn quicken(state: &mut impl FunctionRegistry) -> Result<()> {
    let inner = state.udf("date_trunc")?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(InUtc { inner })))?;
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct InUtc {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for InUtc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Array(times)) = args.args.get(1) else { return self.inner.invoke_with_args(args) };
        let zone = match times.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => Arc::clone(zone),
            _ => return self.inner.invoke_with_args(args),
        };
        let without_zone = times.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<Arc<str>>);
        args.args[1] = ColumnarValue::Array(Arc::new(without_zone));
        let truncated = self.inner.invoke_with_args(args)?;
        Ok(match &truncated {
            ColumnarValue::Array(array) => match array.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(times) => ColumnarValue::Array(Arc::new(times.clone().with_timezone(zone))),
                None => truncated,
            },
            ColumnarValue::Scalar(_) => truncated,
        })
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.inner().output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
