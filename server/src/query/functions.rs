//! Scalar functions whose answer can be far larger than what they are given.
//!
//! The engine counts the memory of operators against its pool, and not that of a function's answer. **Invariant:**
//! no call of a function makes more than [`CALL_BYTES_MAX`] from its arguments: those that could are wrapped in a
//! bound, or taken away.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use std::sync::Arc;

/// Answer of one call, that is of one batch of rows: 8 KiB a row of a full batch.
const CALL_BYTES_MAX: u64 = 64 * 1024 * 1024;
const REMOVED: [&str; 2] = ["array_repeat", "array_resize"];

/// An upper bound of the answer's bytes.
type Bound = fn(&Call) -> Result<u64>;

const BOUNDED: [(&str, Bound); 8] = [
    ("range", Call::series_bytes),
    ("generate_series", Call::series_bytes),
    ("repeat", |call| Ok(call.text_bytes(0)?.saturating_mul(call.greatest(1)?))),
    // A character takes up to four bytes.
    ("lpad", |call| Ok(call.rows.saturating_mul(call.greatest(1)?).saturating_mul(4))),
    ("rpad", |call| Ok(call.rows.saturating_mul(call.greatest(1)?).saturating_mul(4))),
    ("replace", |call| {
        let growth = call.longest(2)? / call.shortest(1)?.max(1);
        Ok(call.text_bytes(0)?.saturating_add(call.rows).saturating_mul(1 + growth))
    }),
    // A pattern matches between any two characters, and the replacement may repeat what was matched.
    ("regexp_replace", |call| {
        let pieces = call.text_bytes(0)?.saturating_add(call.rows);
        Ok(pieces.saturating_mul(1 + call.longest(2)?))
    }),
    ("array_to_string", |call| {
        let bytes = call.args.first().map_or(0, |list| list.get_array_memory_size() as u64);
        let rows = if call.args.first().is_some_and(|list| list.len() == 1) { call.rows } else { 1 };
        Ok(bytes.saturating_mul(rows).saturating_mul(1 + call.longest(1)?.max(call.longest(2)?)))
    }),
];

/// Puts the bounds around the functions of a state.
pub(super) fn bound(state: &mut impl FunctionRegistry) -> Result<()> {
    for name in REMOVED {
        state.deregister_udf(name)?;
    }
    for (name, bound) in BOUNDED {
        let inner = state.udf(name)?;
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, bound })))?;
    }
    Ok(())
}

#[derive(Debug, Clone)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bound: Bound,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
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

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = (self.bound)(&Call::new(&args.args)?)?;
        if bytes > CALL_BYTES_MAX {
            return Err(resources_datafusion_err!(
                "{} could make {bytes} bytes at once, at most {CALL_BYTES_MAX} are allowed",
                self.name()
            ));
        }
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// The arguments of one call; those that are the same in all rows have one value.
struct Call {
    args: Vec<ArrayRef>,
    rows: u64,
}

impl Call {
    fn new(args: &[ColumnarValue]) -> Result<Self> {
        let rows = args.iter().find_map(|arg| match arg {
            ColumnarValue::Array(array) => Some(array.len()),
            ColumnarValue::Scalar(_) => None,
        });
        let array = |arg: &ColumnarValue| match arg {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(value) => value.to_array(),
        };
        Ok(Self { args: args.iter().map(array).collect::<Result<_>>()?, rows: rows.unwrap_or(1) as u64 })
    }

    /// The greatest of an argument's numbers, at least 1.
    fn greatest(&self, at: usize) -> Result<u64> {
        let Some(array) = self.args.get(at) else { return Ok(1) };
        let numbers = cast(array, &DataType::Int64)?;
        Ok(max(numbers.as_primitive::<Int64Type>()).unwrap_or(1).max(1).unsigned_abs())
    }

    /// The bytes of the lists from a first to a last value, in steps: of numbers, days or times.
    fn series_bytes(&self) -> Result<u64> {
        let (first, last) = if self.args.len() == 1 { (None, 0) } else { (Some(0), 1) };
        let first = first.map(|at| self.places(at)).transpose()?.unwrap_or_else(|| vec![Some(0)]);
        let (last, step) = (self.places(last)?, self.places(2)?);
        let at = |values: &[Option<i64>], row: usize| *values.get(if values.len() == 1 { 0 } else { row })?;
        let mut values: u64 = 0;
        for row in 0..self.rows as usize {
            let (Some(first), Some(last)) = (at(&first, row), at(&last, row)) else { continue };
            let step = at(&step, row).map_or(1, i64::unsigned_abs).max(1);
            values = values.saturating_add(first.abs_diff(last) / step).saturating_add(1);
        }
        Ok(values.saturating_mul(8))
    }

    /// Numbers as they are, and days, times and intervals in microseconds. A month has 28 days at least.
    fn places(&self, at: usize) -> Result<Vec<Option<i64>>> {
        let Some(array) = self.args.get(at) else { return Ok(vec![None]) };
        let array = match array.data_type() {
            DataType::Interval(_) => {
                let spans = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
                let micros = |span: IntervalMonthDayNano| {
                    let days = i64::from(span.months) * 28 + i64::from(span.days);
                    days.saturating_mul(86_400_000_000).saturating_add(span.nanoseconds / 1000)
                };
                let spans = spans.as_primitive::<IntervalMonthDayNanoType>().iter();
                return Ok(spans.map(|span| span.map(micros)).collect());
            }
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => {
                &cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?
            }
            _ => array,
        };
        let numbers = cast(array, &DataType::Int64)?;
        Ok(numbers.as_primitive::<Int64Type>().iter().collect())
    }

    fn lengths(&self, at: usize) -> Result<Vec<u64>> {
        let Some(array) = self.args.get(at) else { return Ok(Vec::new()) };
        let texts = cast(array, &DataType::Utf8View)?;
        Ok(texts.as_string_view().iter().flatten().map(|text| text.len() as u64).collect())
    }

    fn longest(&self, at: usize) -> Result<u64> {
        Ok(self.lengths(at)?.into_iter().max().unwrap_or(0))
    }

    fn shortest(&self, at: usize) -> Result<u64> {
        Ok(self.lengths(at)?.into_iter().min().unwrap_or(0))
    }

    /// The bytes of an argument's texts in all rows.
    fn text_bytes(&self, at: usize) -> Result<u64> {
        let lengths = self.lengths(at)?;
        let each = if lengths.len() == 1 { self.rows } else { 1 };
        Ok(lengths.iter().sum::<u64>().saturating_mul(each))
    }
}
