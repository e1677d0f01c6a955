//! `matches(text, 'words')` in SQL: the search of logs as a function. It reads what people type.

mod plain;
mod terms;

pub(super) use terms::Terms;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

pub(super) const NAME: &str = "matches";

pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Matches { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Matches {
    signature: Signature,
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, ColumnarValue::Scalar(asked)] = &args.args[..] else {
            return plan_err!("matches(text, words) needs the words as one text, not as a column");
        };
        let Some(asked) = text_of(asked) else { return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None))) };
        let terms = match Terms::parse(asked) {
            Ok(terms) => terms,
            Err(why) => return plan_err!("matches(text, words): {why}"),
        };
        let texts: ArrayRef = cast(&texts.to_array(args.number_rows)?, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let mut lowered = String::new();
        let found =
            (0..texts.len()).map(|row| texts.is_valid(row).then(|| terms.match_text(texts.value(row), &mut lowered)));
        Ok(ColumnarValue::Array(Arc::new(found.collect::<BooleanArray>())))
    }
}

/// The text of a value that is one.
pub(super) fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.as_deref(),
        _ => None,
    }
}
