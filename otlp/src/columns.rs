//! Rows of a table while they are made, column by column in the contract's order.
//!
//! **Invariant:** each row names every column of its table; one that the contract adds ends the first test.

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field};
use contract::{Kind, Table};
use std::sync::Arc;

enum Builder {
    Time(TimestampMicrosecondBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    TextMap(MapBuilder<StringBuilder, StringBuilder>),
    FloatList(ListBuilder<Float64Builder>),
    IntList(ListBuilder<Int64Builder>),
}

impl Builder {
    fn of(kind: Kind) -> Self {
        let element = |of: DataType| Arc::new(Field::new("element", of, true));
        match kind {
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::TextMap => {
                let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
                Self::TextMap(MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()))
            }
            Kind::FloatList => {
                Self::FloatList(ListBuilder::new(Float64Builder::new()).with_field(element(DataType::Float64)))
            }
            Kind::IntList => Self::IntList(ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64))),
            Kind::TextList | Kind::Decimal => unreachable!("no table of OTLP has a column of this kind"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::TextMap(builder) => Arc::new(builder.finish()),
            Self::FloatList(builder) => Arc::new(builder.finish()),
            Self::IntList(builder) => Arc::new(builder.finish()),
        }
    }
}

pub(crate) struct Columns {
    table: &'static Table,
    builders: Vec<Builder>,
    /// The column that comes next.
    at: usize,
    rows: u64,
}

macro_rules! next {
    ($self:ident, $name:ident, $kind:ident) => {{
        assert_eq!($self.table.columns[$self.at].name, $name, "columns come in the contract's order");
        $self.at += 1;
        match &mut $self.builders[$self.at - 1] {
            Builder::$kind(builder) => builder,
            _ => unreachable!("{} is of another kind", $name),
        }
    }};
}

impl Columns {
    pub(crate) fn new(table: &'static str) -> Self {
        let table = contract::table(table).expect("the contract has the tables of OTLP");
        Self { table, builders: table.columns.iter().map(|c| Builder::of(c.kind)).collect(), at: 0, rows: 0 }
    }

    pub(crate) fn time(&mut self, name: &str, micros: impl Into<Option<i64>>) -> &mut Self {
        next!(self, name, Time).append_option(micros.into());
        self
    }

    pub(crate) fn int(&mut self, name: &str, value: impl Into<Option<i64>>) -> &mut Self {
        next!(self, name, Int).append_option(value.into());
        self
    }

    /// What is no number is unknown.
    pub(crate) fn float(&mut self, name: &str, value: impl Into<Option<f64>>) -> &mut Self {
        next!(self, name, Float).append_option(value.into().filter(|value| value.is_finite()));
        self
    }

    pub(crate) fn text<'a>(&mut self, name: &str, text: impl Into<Option<&'a str>>) -> &mut Self {
        next!(self, name, Text).append_option(text.into());
        self
    }

    /// Without pairs there is no map.
    pub(crate) fn map<'a>(
        &mut self,
        name: &str,
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> &mut Self {
        let builder = next!(self, name, TextMap);
        let mut some = false;
        for (key, value) in pairs {
            builder.keys().append_value(key);
            builder.values().append_option(value);
            some = true;
        }
        builder.append(some).expect("keys and values come in pairs");
        self
    }

    pub(crate) fn floats(&mut self, name: &str, values: Option<&[f64]>) -> &mut Self {
        next!(self, name, FloatList).append_option(values.map(|values| values.iter().copied().map(Some)));
        self
    }

    pub(crate) fn ints(&mut self, name: &str, values: Option<&[i64]>) -> &mut Self {
        next!(self, name, IntList).append_option(values.map(|values| values.iter().copied().map(Some)));
        self
    }

    pub(crate) fn end_row(&mut self) {
        assert_eq!(self.at, self.table.columns.len(), "a row names every column of {}", self.table.name);
        (self.at, self.rows) = (0, self.rows + 1);
    }

    /// Nothing when there is no row.
    pub(crate) fn finish(mut self) -> Option<(&'static Table, RecordBatch)> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(contract::schema(self.table), columns);
        (self.rows > 0).then(|| (self.table, batch.expect("columns are of the contract's kinds, and of one length")))
    }
}

/// A map's texts, borrowed.
pub(crate) fn pairs<'a>(texts: &'a [(&'a str, Option<String>)]) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    texts.iter().map(|(key, value)| (*key, value.as_deref()))
}
