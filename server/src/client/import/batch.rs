//! Rows to Arrow: builders in the contract's schema, and the stream that is posted.

use super::convert::Values;
use super::map::Value;
use arrow::array::{
    ArrayRef, Decimal128Builder, Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{DataType, Decimal128Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use contract::{Kind, Table};
use std::sync::Arc;

enum Builder {
    Time(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    List(ListBuilder<StringBuilder>),
    Pairs(MapBuilder<StringBuilder, StringBuilder>),
}

impl Builder {
    /// Without room: a command may have many files with a row or two to come.
    fn new(kind: Kind) -> Self {
        let texts = || StringBuilder::with_capacity(0, 0);
        match kind {
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC")),
            Kind::Text => Self::Text(texts()),
            Kind::Int => Self::Int(Int64Builder::with_capacity(0)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(0)),
            Kind::Decimal => {
                Self::Decimal(Decimal128Builder::with_capacity(0).with_data_type(contract::arrow_type(Kind::Decimal)))
            }
            Kind::TextList | Kind::IntList | Kind::FloatList => {
                let builder = ListBuilder::with_capacity(texts(), 0);
                Self::List(match contract::arrow_type(Kind::TextList) {
                    DataType::List(field) => builder.with_field(field),
                    _ => builder,
                })
            }
            Kind::TextMap => {
                let [entry, key, value] = ["key_value", "key", "value"].map(str::to_owned);
                let names = MapFieldNames { entry, key, value };
                Self::Pairs(MapBuilder::with_capacity(Some(names), texts(), texts(), 0))
            }
        }
    }

    /// A value of another kind than the column's cannot come from a checked map; it would be null.
    fn append(&mut self, value: Option<Value>) -> Result<(), ArrowError> {
        match (self, value) {
            (Self::Time(b), Some(Value::Time(v))) => b.append_value(v),
            (Self::Time(b), _) => b.append_null(),
            (Self::Text(b), Some(Value::Text(v))) => b.append_value(v),
            (Self::Text(b), _) => b.append_null(),
            (Self::Int(b), Some(Value::Int(v))) => b.append_value(v),
            (Self::Int(b), _) => b.append_null(),
            (Self::Float(b), Some(Value::Float(v))) => b.append_value(v),
            (Self::Float(b), _) => b.append_null(),
            (Self::Decimal(b), Some(Value::Text(v))) => b.append_value(parse_decimal::<Decimal128Type>(&v, 38, 18)?),
            (Self::Decimal(b), _) => b.append_null(),
            (Self::List(b), Some(Value::List(v))) => b.append_value(v.into_iter().map(Some)),
            (Self::List(b), _) => b.append_null(),
            (Self::Pairs(b), Some(Value::Pairs(pairs))) => {
                for (key, value) in pairs {
                    b.keys().append_value(key);
                    b.values().append_value(value);
                }
                b.append(true)?;
            }
            (Self::Pairs(b), _) => b.append(false)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Time(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Decimal(b) => Arc::new(b.finish()),
            Self::List(b) => Arc::new(b.finish()),
            Self::Pairs(b) => Arc::new(b.finish()),
        }
    }
}

/// Rows that wait to be posted.
pub(super) struct Batch {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl Batch {
    pub(super) fn new(table: &Table) -> Self {
        let builders = table.columns.iter().map(|c| Builder::new(c.kind)).collect();
        Self { schema: contract::schema(table), builders, rows: 0, bytes: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the texts so far, which is what differs from row to row.
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, values: Values) -> Result<(), ArrowError> {
        for (builder, value) in self.builders.iter_mut().zip(values) {
            self.bytes += value.as_ref().map_or(0, text_bytes);
            builder.append(value)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far; the builders start anew.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), self.builders.iter_mut().map(Builder::finish).collect())
    }
}

fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.iter().map(String::len).sum(),
        Value::Pairs(pairs) => pairs.iter().map(|(k, v)| k.len() + v.len()).sum(),
        Value::Time(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}

/// One Arrow IPC stream of one batch.
pub(super) fn stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(batch)?;
    writer.into_inner()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn every_kind_of_column_fits_the_contract() {
        let table = contract::table("job_events").unwrap();
        let mut batch = Batch::new(table);
        let of_kind = |kind: Kind| match kind {
            Kind::Time => Value::Time(1),
            Kind::Text => Value::Text("t".to_owned()),
            Kind::Int => Value::Int(3),
            Kind::Float => Value::Float(0.5),
            Kind::Decimal => Value::Text("0.5".to_owned()),
            Kind::TextList | Kind::IntList | Kind::FloatList => Value::List(vec!["a".to_owned(), "b".to_owned()]),
            Kind::TextMap => Value::Pairs(vec![("k".to_owned(), "v".to_owned())]),
        };
        batch.push(table.columns.iter().map(|c| Some(of_kind(c.kind))).collect()).unwrap();
        batch.push(table.columns.iter().map(|c| (!c.nullable).then(|| of_kind(c.kind))).collect()).unwrap();
        let rows = batch.take().unwrap();
        assert_eq!(rows.schema(), contract::schema(table));
        for (column, array) in table.columns.iter().zip(rows.columns()) {
            assert_eq!(array.null_count(), usize::from(column.nullable), "{}", column.name);
        }
        let bytes = stream(&rows).unwrap();
        let mut reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), rows);
        assert_eq!(batch.rows(), 0);
    }
}
