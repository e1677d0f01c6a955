//! Which series, label names and label values there are, by distinct values of label columns.

use super::super::QueryError;
use super::super::ask::{Asking, Row, each_row};
use super::catalog::{Metric, SAMPLED, Sampled, metrics};
use super::labels::{Labels, NAME};
use super::selector::{Conditions, Selector};
use contract::{Column, Kind};
use std::collections::BTreeSet;

/// Series of one answer; a client that asks for more wants to narrow its selector.
const SERIES_MAX: usize = 1_000_000;

/// Rows between two times, Unix milliseconds, both included.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    pub from: i64,
    pub to: i64,
}

/// The series that match any of the selectors; of each only the label `only` and the name, if it is given.
pub(super) async fn series(
    asking: &Asking,
    selectors: &[Selector],
    times: Between,
    only: Option<&str>,
) -> Result<BTreeSet<Labels>, QueryError> {
    let mut found = BTreeSet::new();
    for selector in selectors {
        for metrics in selector.metrics().chunk_by(|a, b| a.sampled == b.sampled) {
            series_of_table(asking, selector, metrics, times, only, &mut found).await?;
        }
    }
    Ok(found)
}

async fn series_of_table(
    asking: &Asking,
    selector: &Selector,
    metrics: &[Metric],
    times: Between,
    only: Option<&str>,
    found: &mut BTreeSet<Labels>,
) -> Result<(), QueryError> {
    let sampled = metrics[0].sampled;
    let needed = |c: &&Column| only.is_none_or(|only| c.name == only || selector.names(c.name));
    let columns: Vec<&Column> = sampled.labels().into_iter().filter(needed).collect();
    let mut conditions = Conditions::between(times.from, times.to);
    selector.conditions(&columns, &mut conditions);
    if let [metric] = metrics {
        // The scan may leave out what has no sample at all.
        conditions.not_null(metric.column);
    }
    let names: String = columns.iter().map(|c| format!("{}, ", c.name)).collect();
    let groups = (1..=columns.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let group_by = if columns.is_empty() { String::new() } else { format!(" group by {groups}") };
    let counts: Vec<String> = metrics.iter().map(|m| format!("count({})", m.column.name)).collect();
    let (table, counts) = (sampled.table, counts.join(", "));
    let sql = format!("select {names}{counts} from {table} where {}{group_by}", conditions.sql());
    let sql = format!("{sql} limit {}", SERIES_MAX + 1);
    let rows = asking.rows(&sql, conditions.values()).await?;
    for row in each_row(&rows) {
        let values: Vec<Option<String>> = (0..columns.len()).map(|at| label_value(row, at, columns[at])).collect();
        if !selector.matches(&columns, values.iter().map(Option::as_deref)) {
            continue;
        }
        let pairs = columns.iter().zip(&values).filter(|(column, _)| only.is_none_or(|only| column.name == only));
        let pairs = pairs.map(|(column, value)| (column.name.into(), value.as_deref().unwrap_or("").into()));
        let labels = Labels::of(pairs);
        for (at, metric) in metrics.iter().enumerate() {
            if row.int(columns.len() + at).is_some_and(|count| count > 0) {
                let mut labels = labels.clone();
                labels.set(NAME, &metric.name);
                found.insert(labels);
            }
        }
        if found.len() > SERIES_MAX {
            let message = format!("there are more than {SERIES_MAX} series; ask for fewer or for a shorter time");
            return Err(QueryError::Evaluation(message));
        }
    }
    Ok(())
}

fn label_value(row: Row, at: usize, column: &Column) -> Option<String> {
    match column.kind {
        Kind::Int => row.int(at).map(|number| number.to_string()),
        _ => row.owned(at),
    }
}

/// The names of the metrics that have a sample.
pub(super) async fn metric_names(asking: &Asking, times: Between) -> Result<BTreeSet<String>, QueryError> {
    let metrics = metrics();
    let mut names = BTreeSet::new();
    for metrics in metrics.chunk_by(|a, b| a.sampled == b.sampled) {
        let columns: Vec<&Column> = metrics.iter().map(|metric| metric.column).collect();
        let reported = reported(asking, metrics[0].sampled, &columns, times).await?;
        names.extend(reported.into_iter().map(|at| metrics[at].name.clone()));
    }
    Ok(names)
}

/// The names of the labels that any row has.
pub(super) async fn label_names(asking: &Asking, times: Between) -> Result<BTreeSet<String>, QueryError> {
    let mut names = BTreeSet::new();
    for sampled in &SAMPLED {
        let columns = sampled.labels();
        let reported = reported(asking, sampled, &columns, times).await?;
        names.extend(reported.into_iter().map(|at| columns[at].name.to_owned()));
    }
    if !names.is_empty() {
        names.insert(NAME.to_owned());
    }
    Ok(names)
}

/// The values that any row has of a label.
pub(super) async fn label_values(asking: &Asking, label: &str, times: Between) -> Result<BTreeSet<String>, QueryError> {
    let mut values = BTreeSet::new();
    for sampled in &SAMPLED {
        let Some(column) = sampled.label(label) else { continue };
        let mut conditions = Conditions::between(times.from, times.to);
        conditions.not_null(column);
        let sql = format!("select distinct {} from {} where {}", column.name, sampled.table, conditions.sql());
        let rows = asking.rows(&sql, conditions.values()).await?;
        values.extend(each_row(&rows).filter_map(|row| label_value(row, 0, column)).filter(|value| !value.is_empty()));
    }
    Ok(values)
}

/// The places of the columns that have a value. One row of each is looked for, and no more.
async fn reported(
    asking: &Asking,
    sampled: &Sampled,
    columns: &[&Column],
    times: Between,
) -> Result<Vec<usize>, QueryError> {
    let base = Conditions::between(times.from, times.to);
    let of = |(at, column): (usize, &&Column)| {
        let mut conditions = base.clone();
        conditions.not_null(column);
        format!("(select cast({at} as bigint) from {} where {} limit 1)", sampled.table, conditions.sql())
    };
    let parts: Vec<String> = columns.iter().enumerate().map(of).collect();
    let rows = asking.rows(&parts.join(" union all "), base.values()).await?;
    Ok(each_row(&rows).filter_map(|row| usize::try_from(row.int(0)?).ok()).collect())
}
