//! Rows of the engine's answers by the position of their columns.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use rust_decimal::Decimal;

/// A batch of an answer.
pub struct Rows<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    pub fn new(batch: &'a RecordBatch) -> Self {
        Self { batch }
    }

    fn valid(&self, at: usize, row: usize) -> Option<&'a dyn Array> {
        let column = self.batch.column(at).as_ref();
        column.is_valid(row).then_some(column)
    }

    pub fn text(&self, at: usize, row: usize) -> Option<&'a str> {
        text(self.valid(at, row)?, row)
    }

    /// An integer, or a time in Unix microseconds.
    pub fn int(&self, at: usize, row: usize) -> Option<i64> {
        let column = self.valid(at, row)?;
        if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            return Some(times.value(row));
        }
        Some(column.as_primitive_opt::<Int64Type>()?.value(row))
    }

    pub fn bool(&self, at: usize, row: usize) -> Option<bool> {
        Some(self.valid(at, row)?.as_boolean_opt()?.value(row))
    }

    pub fn float(&self, at: usize, row: usize) -> Option<f64> {
        Some(self.valid(at, row)?.as_primitive_opt::<Float64Type>()?.value(row))
    }

    /// With as many digits as it needs.
    pub fn decimal(&self, at: usize, row: usize) -> Option<Decimal> {
        let column = self.valid(at, row)?.as_primitive_opt::<Decimal128Type>()?;
        let (mut digits, mut scale) = (column.value(row), u32::try_from(column.scale()).ok()?);
        // A column has more digits than a number of its own may have.
        while scale > 0 && digits % 10 == 0 {
            (digits, scale) = (digits / 10, scale - 1);
        }
        Decimal::try_from_i128_with_scale(digits, scale).ok().map(|value| value.normalize())
    }

    /// The texts of a list.
    pub fn texts(&self, at: usize, row: usize) -> Vec<&'a str> {
        let Some(list) = self.valid(at, row).and_then(|column| column.as_list_opt::<i32>()) else { return Vec::new() };
        let range = list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize;
        let values = list.values();
        range.filter(|i| values.is_valid(*i)).filter_map(|i| text(values.as_ref(), i)).collect()
    }

    /// The pairs of a map, in order of their names.
    pub fn pairs(&self, at: usize, row: usize) -> Vec<(&'a str, &'a str)> {
        let Some(map) = self.valid(at, row).and_then(|column| column.as_map_opt()) else { return Vec::new() };
        let range = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
        let (keys, values) = (map.keys(), map.values());
        let pair = |i: usize| values.is_valid(i).then(|| Some((text(keys.as_ref(), i)?, text(values.as_ref(), i)?)));
        let mut pairs: Vec<_> = range.filter_map(pair).flatten().collect();
        pairs.sort_unstable();
        pairs
    }
}

fn text(column: &dyn Array, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => column.as_string_opt::<i32>().map(|array| array.value(row)),
    }
}
