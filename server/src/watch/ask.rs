//! What a rule asks, and the rows of its answer.

use super::WatchError;
use crate::alert::{Asks, Labels, Rule, Seen};
use crate::query::promql::{self, NAME, Outcome, Steps};
use crate::query::{Engine, Parameter, Rows, Statement};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Things that a rule may speak of at once.
const SEEN_MAX: usize = 10_000;
/// The column that a threshold is held against.
const VALUE: &str = "value";
const MICROS_PER_MILLI: i64 = 1000;

/// What the rule sees at an instant; nothing if no value is one that `matters`, where the answer can be asked that.
pub(super) async fn ask(
    engine: &Engine,
    rule: &Rule,
    now_micros: i64,
    matters: impl Fn(Option<f64>) -> bool,
) -> Result<Vec<Seen>, WatchError> {
    let seen = match &rule.asks {
        Asks::Sql(sql) => {
            let statement = Statement::new(sql);
            let range = [Parameter::Time(now_micros - rule.over_micros), Parameter::Time(now_micros)];
            let batches = engine.sql_beside_others(&statement.sql, statement.values(&range)).await?.collect().await?;
            many(batches.iter().map(RecordBatch::num_rows).sum())?;
            let mut seen = Vec::new();
            let values = batches.iter().map(value_of).collect::<Result<Vec<_>, _>>()?;
            if values.iter().any(|values| values.iter().any(&matters)) {
                batches.iter().try_for_each(|batch| rows(batch, &mut seen))?;
            }
            seen
        }
        Asks::PromQl(query) => {
            let limit = Duration::from_micros(rule.every_micros.unsigned_abs());
            vector(engine.promql(query, now_micros.div_euclid(MICROS_PER_MILLI), Some(limit)).await?.outcome)
        }
    };
    many(seen.len())?;
    Ok(seen)
}

fn many(rows: usize) -> Result<(), WatchError> {
    match rows {
        0..=SEEN_MAX => Ok(()),
        many => Err(WatchError::Refused(format!("it answers {many} rows, more than {SEEN_MAX}; group or filter them"))),
    }
}

/// What a rule in PromQL sees at times that are equally far apart, by one query over all of them.
pub(super) async fn range(
    engine: &Engine,
    rule: &Rule,
    times: &[i64],
    limit: Duration,
) -> Result<Vec<Option<Vec<Seen>>>, WatchError> {
    let millis = |at: usize| times.get(at).map_or(0, |micros| micros.div_euclid(MICROS_PER_MILLI));
    let step = (millis(1) - millis(0)).max(1);
    let end = millis(0) + step * (times.len() as i64 - 1).max(0);
    let steps = Steps { start: millis(0), end, step };
    let outcome = engine.promql_range(rule.asks.text(), steps, Some(limit)).await?.outcome;
    let mut looks: Vec<Vec<Seen>> = times.iter().map(|_| Vec::new()).collect();
    match outcome {
        Outcome::Vector(lines) => {
            for line in lines {
                let labels = labels(&line.labels);
                for (look, value) in looks.iter_mut().zip(&line.values).filter(|(_, value)| value.is_some()) {
                    look.push(Seen { labels: labels.clone(), value: *value, numbers: BTreeMap::new() });
                }
            }
        }
        Outcome::Scalar(values) => {
            for (look, value) in looks.iter_mut().zip(values) {
                look.push(Seen { value: Some(value), ..Seen::default() });
            }
        }
        Outcome::Text(_) | Outcome::Matrix(_) => {}
    }
    Ok(looks.into_iter().map(Some).collect())
}

fn labels(labels: &promql::Labels) -> Labels {
    labels.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| (name.into(), value.into())).collect()
}

/// Whether any of the tables that the rule needs has a row within the time that it looks at.
pub(super) async fn has_rows(engine: &Engine, rule: &Rule, now_micros: i64) -> Result<bool, WatchError> {
    for table in &rule.needs {
        check_name(table)?;
        let sql = format!("select 1 from {table} where time > $1 and time <= $2 limit 1");
        let range = vec![Parameter::Time(now_micros - rule.over_micros), Parameter::Time(now_micros)];
        let found = engine.sql_beside_others(&sql, range).await?.collect().await?;
        if found.iter().any(|batch| batch.num_rows() > 0) {
            return Ok(true);
        }
    }
    Ok(rule.needs.is_empty())
}

/// When the first row came of what the rule needs, of all that it would look at; none where there is none.
pub(super) async fn first_row(
    engine: &Engine,
    rule: &Rule,
    from_micros: i64,
    to_micros: i64,
) -> Result<Option<i64>, WatchError> {
    let mut first: Option<i64> = None;
    for table in &rule.needs {
        check_name(table)?;
        let sql = format!("select min(time) from {table} where time > $1 and time <= $2");
        let range = vec![Parameter::Time(from_micros - rule.over_micros), Parameter::Time(to_micros)];
        for batch in engine.sql(&sql, range).await?.collect().await? {
            let rows = Rows::new(&batch);
            let found = (0..batch.num_rows()).filter_map(|row| rows.int(0, row)).min();
            first = [first, found].into_iter().flatten().min();
        }
    }
    Ok(first)
}

/// Names of tables are bound nowhere; one that is no plain name is a table that does not exist.
fn check_name(table: &str) -> Result<(), WatchError> {
    match table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => Ok(()),
        false => Err(WatchError::Refused(format!("it needs {table:?}, which is no name of a table"))),
    }
}

/// The values of rows; null where there are none.
fn value_of(batch: &RecordBatch) -> Result<Float64Array, WatchError> {
    let columns = batch.schema();
    let is_value = |field: &Arc<Field>| field.name() == VALUE && is_number(field.data_type());
    match columns.fields().iter().position(is_value) {
        Some(at) => numbers(batch.column(at)),
        None => Ok(Float64Array::new_null(batch.num_rows())),
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type == &DataType::Null
}

fn numbers(column: &ArrayRef) -> Result<Float64Array, WatchError> {
    Ok(cast(column, &DataType::Float64).map_err(WatchError::internal)?.as_primitive::<Float64Type>().clone())
}

/// Texts are labels, `value` is the value, other numbers are for the sentences.
fn rows(batch: &RecordBatch, seen: &mut Vec<Seen>) -> Result<(), WatchError> {
    let from = seen.len();
    seen.resize_with(from + batch.num_rows(), Seen::default);
    let rows = &mut seen[from..];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let name: Arc<str> = field.name().as_str().into();
        if is_number(field.data_type()) {
            let numbers = numbers(column)?;
            for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| numbers.is_valid(*at)) {
                match &*name {
                    VALUE => row.value = Some(numbers.value(at)),
                    _ => drop(row.numbers.insert(Arc::clone(&name), numbers.value(at))),
                }
            }
        } else {
            let texts = cast(column, &DataType::Utf8).map_err(WatchError::internal)?;
            let texts = texts.as_string::<i32>();
            for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| texts.is_valid(*at)) {
                row.labels.insert(Arc::clone(&name), texts.value(at).into());
            }
        }
    }
    Ok(())
}

/// Series with their values; a scalar is a value without labels.
fn vector(outcome: Outcome) -> Vec<Seen> {
    let seen = |labels: Labels, value: Option<f64>| Seen { labels, value, numbers: BTreeMap::new() };
    match outcome {
        Outcome::Vector(lines) => {
            lines.into_iter().map(|line| seen(labels(&line.labels), line.values.first().copied().flatten())).collect()
        }
        Outcome::Scalar(values) => values.first().map(|value| seen(Labels::new(), Some(*value))).into_iter().collect(),
        Outcome::Text(_) | Outcome::Matrix(_) => Vec::new(),
    }
}
