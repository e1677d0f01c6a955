//! The order in which rows are stored: by day, and within a day by the table's key.
//!
//! **Invariant:** rows of equal keys stay in the order in which they came; a null comes before every value. Files of
//! this order are merged by comparing keys (`sorted`), so both must agree.

use super::columns::DAY_MICROS;
use super::error::StoreError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use contract::Table;
use std::collections::{BTreeMap, HashMap};

/// Batch and row of each.
pub(super) type Rows = Vec<(usize, usize)>;

/// All rows, sorted, by days since the epoch; `batches` are in the read schema.
pub(super) fn by_day(table: &'static Table, batches: &[RecordBatch]) -> Result<Vec<(i64, Rows)>, StoreError> {
    let columns = |name: &str| {
        let parts = batches.iter().map(|batch| batch.column_by_name(name).cloned()).collect::<Option<Vec<ArrayRef>>>();
        parts.ok_or_else(|| StoreError::Internal(format!("rows of {} have no {name}", table.name)))
    };
    let mut days: BTreeMap<i64, Rows> = BTreeMap::new();
    for (part, times) in columns(table.time_column)?.iter().enumerate() {
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let mut row = 0;
        while row < times.len() {
            let day = times[row].div_euclid(DAY_MICROS);
            let same = times[row..].iter().take_while(|time| time.div_euclid(DAY_MICROS) == day).count();
            days.entry(day).or_default().extend((row..row + same).map(|row| (part, row)));
            row += same;
        }
    }
    let keys = table.sort_key.iter().map(|key| Codes::of(&columns(key)?)).collect::<Result<Vec<_>, _>>()?;
    let sorted = days.into_iter().map(|(day, rows)| (day, sort(rows, &keys)));
    Ok(sorted.collect())
}

/// Numbers in the order of a column's values, by batch and row; 0 for none.
struct Codes {
    parts: Vec<Vec<u64>>,
    /// All codes are below, where they are few.
    bound: Option<usize>,
}

impl Codes {
    fn of(parts: &[ArrayRef]) -> Result<Self, StoreError> {
        let Some(first) = parts.first() else { return Ok(Self { parts: Vec::new(), bound: None }) };
        match first.data_type() {
            DataType::Utf8View => Ok(Self::of_texts(parts.iter().map(|part| part.as_string_view()).collect())),
            DataType::Int64 => {
                let code = |part: &ArrayRef| {
                    let part = part.as_primitive::<Int64Type>();
                    numbers(part, part.values())
                };
                Ok(Self { parts: parts.iter().map(code).collect(), bound: None })
            }
            DataType::Timestamp(_, _) => {
                let code = |part: &ArrayRef| {
                    let part = part.as_primitive::<TimestampMicrosecondType>();
                    numbers(part, part.values())
                };
                Ok(Self { parts: parts.iter().map(code).collect(), bound: None })
            }
            other => Err(StoreError::Internal(format!("rows cannot be sorted by a column of {other}"))),
        }
    }

    /// Each text's place among the different ones, from 1 on: texts are compared once, and not with each other row.
    fn of_texts(parts: Vec<&StringViewArray>) -> Self {
        let mut places: HashMap<&str, u64> = HashMap::new();
        let mut codes = Vec::with_capacity(parts.len());
        for part in parts {
            let place = |row: usize| {
                let next = places.len() as u64 + 1;
                if part.is_valid(row) { *places.entry(part.value(row)).or_insert(next) } else { 0 }
            };
            codes.push((0..part.len()).map(place).collect::<Vec<_>>());
        }
        let mut texts: Vec<(&str, u64)> = places.into_iter().collect();
        texts.sort_unstable();
        let mut ranks = vec![0; texts.len() + 1];
        for (rank, (_, place)) in texts.iter().enumerate() {
            ranks[*place as usize] = rank as u64 + 1;
        }
        codes.iter_mut().flatten().for_each(|code| *code = ranks[*code as usize]);
        Self { parts: codes, bound: Some(ranks.len()) }
    }

    fn at(&self, (part, row): (usize, usize)) -> u64 {
        self.parts[part][row]
    }
}

fn numbers(part: &dyn Array, values: &[i64]) -> Vec<u64> {
    let code = |(row, value): (usize, &i64)| if part.is_valid(row) { (*value as u64) ^ (1 << 63) } else { 0 };
    values.iter().enumerate().map(code).collect()
}

/// Rows mostly come in the order of time, so that those of one device are in order once they stand together.
fn sort(rows: Rows, keys: &[Codes]) -> Rows {
    let (mut rows, ends, rest) = match keys {
        [Codes { bound: Some(bound), .. }, rest @ ..] if *bound <= rows.len() => {
            let (rows, ends) = together(&rows, &keys[0], *bound);
            (rows, ends, rest)
        }
        _ => {
            let ends = vec![rows.len()];
            (rows, ends, keys)
        }
    };
    let mut start = 0;
    for end in ends {
        let of = |row: (usize, usize)| rest.iter().map(move |codes| codes.at(row));
        rows[start..end].sort_by(|a, b| of(*a).cmp(of(*b)));
        start = end;
    }
    rows
}

/// Puts rows of one code side by side, in order of codes; where each code's rows end.
fn together(rows: &[(usize, usize)], codes: &Codes, bound: usize) -> (Rows, Vec<usize>) {
    let mut ends = vec![0; bound];
    rows.iter().for_each(|row| ends[codes.at(*row) as usize] += 1);
    let mut before = 0;
    for end in &mut ends {
        (before, *end) = (before + *end, before);
    }
    let mut sorted = vec![(0, 0); rows.len()];
    for row in rows {
        // What was the start of the code's rows has become their end when all are there.
        let place = &mut ends[codes.at(*row) as usize];
        sorted[*place] = *row;
        *place += 1;
    }
    (sorted, ends)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::columns::to_read_schema;
    use super::*;
    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array};
    use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Job, attempt and microseconds, in the columns of `job_events`; `exit_code` is the row's identity.
    type Row = (u8, i64, i64);

    fn table() -> &'static Table {
        contract::table("job_events").unwrap()
    }

    fn batch(rows: &[Row], first: usize) -> RecordBatch {
        let schema = contract::schema(table());
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "time" => Arc::new(
                    TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.2)).with_timezone("UTC"),
                ),
                "job_id" => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("{:03}", row.0)))),
                "attempt" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
                "exit_code" => Arc::new(Int64Array::from_iter_values((first..first + rows.len()).map(|i| i as i64))),
                _ if field.is_nullable() => new_null_array(field.data_type(), rows.len()),
                _ => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "x"))),
            }
        });
        let columns = columns.collect();
        to_read_schema(table(), &RecordBatch::try_new(schema, columns).unwrap()).unwrap()
    }

    /// The places of the rows in the order of the engine's own sort, which does not keep the order of equal rows.
    fn expected(all: &RecordBatch, day: i64) -> Vec<(String, i64, i64)> {
        let key = |name: &str| SortColumn { values: all.column_by_name(name).unwrap().clone(), options: None };
        let order: UInt32Array =
            lexsort_to_indices(&table().sort_key.iter().map(|name| key(name)).collect::<Vec<_>>(), None).unwrap();
        let keys = order.values().iter().map(|row| key_of(all, *row as usize));
        keys.filter(|(_, _, time)| time.div_euclid(DAY_MICROS) == day).collect()
    }

    fn key_of(batch: &RecordBatch, row: usize) -> (String, i64, i64) {
        let time = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().value(row);
        let attempt = batch.column_by_name("attempt").unwrap().as_primitive::<Int64Type>().value(row);
        (batch.column_by_name("job_id").unwrap().as_string_view().value(row).to_owned(), attempt, time)
    }

    proptest! {
        #[test]
        fn rows_are_in_the_order_of_their_key_and_equal_ones_as_they_came(
            parts in proptest::collection::vec(proptest::collection::vec(
                (0_u8..5, -2_i64..3, prop_oneof![-9_i64..9, DAY_MICROS - 5..DAY_MICROS + 5]), 0..40), 0..6),
        ) {
            let mut first = 0;
            let batches: Vec<_> = parts.iter().map(|rows| {
                first += rows.len();
                batch(rows, first - rows.len())
            }).collect();
            let all = concat_batches(&contract::read_schema(table()), &batches).unwrap();
            let days = by_day(table(), &batches).unwrap();
            prop_assert!(days.is_sorted_by_key(|(day, _)| *day));
            prop_assert_eq!(days.iter().map(|(_, rows)| rows.len()).sum::<usize>(), first);
            for (day, rows) in days {
                let keys: Vec<_> = rows.iter().map(|(part, row)| key_of(&batches[*part], *row)).collect();
                prop_assert_eq!(&keys, &expected(&all, day));
                let places: Vec<_> = keys.into_iter().zip(rows).collect();
                prop_assert!(places.is_sorted());
            }
        }
    }
}
