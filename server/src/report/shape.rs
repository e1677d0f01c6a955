//! Groups sorted, cut and summed, series pivoted: gathered rows become a document. Polars works here.

use super::ask::{Kind, Request};
use super::document::{Appendix, Chart, Document, Making, Series};
use super::gather::{Columns, Gathered, bucket};
use super::{ReportError, sql, summary, table, words};
use arrow::array::RecordBatch;
use chrono::{DateTime, Datelike, Days, Months};
use contract::GpuState;
use polars::prelude::*;

/// Groups that the appendix has a statement for; each is some lines.
const STATEMENTS_MAX: usize = 40;
/// The unit of money of an empty ledger.
pub(super) const NO_CURRENCY: &str = "USD";
/// Below the bars of a chart over time.
pub(super) const ALONG_TIME: &str = "Time";
/// Okabe and Ito's, in their order without black and yellow, which is too pale on paper.
pub(super) const COLOURS: [&str; 7] = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#5B5F97"];
pub(super) const REST_COLOUR: &str = "#B8BEC9";
/// Of the six states, in the order of [`GpuState::ALL`].
pub(super) const STATE_COLOURS: [&str; 6] = ["#1B998B", "#E0A526", "#D9722E", "#8A94A6", "#C13C37", "#D5D9E0"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Text,
    Int,
    Float,
}

/// The frame of what a statement answers; its names and types are told by position.
pub(super) fn frame(batches: &[RecordBatch], columns: &[(String, Of)]) -> Result<DataFrame, ReportError> {
    let batches = batches.iter().map(Columns::of).collect::<Result<Vec<_>, _>>()?;
    let height = batches.iter().map(|batch| batch.rows).sum();
    let cells = || batches.iter().flat_map(|batch| (0..batch.rows).map(move |row| (batch, row)));
    let column = |(at, (name, of)): (usize, &(String, Of))| {
        let name = PlSmallStr::from_str(name);
        match of {
            Of::Text => Column::new(name, cells().map(|(batch, row)| batch.text(at, row)).collect::<Vec<_>>()),
            Of::Int => Column::new(name, cells().map(|(batch, row)| batch.int(at, row)).collect::<Vec<_>>()),
            Of::Float => Column::new(name, cells().map(|(batch, row)| batch.float(at, row)).collect::<Vec<_>>()),
        }
    };
    Ok(DataFrame::new(height, columns.iter().enumerate().map(column).collect())?)
}

/// A document of what was gathered for the same request.
pub fn shape(request: &Request, gathered: Gathered, making: Making) -> Result<Document, ReportError> {
    let currency = gathered.totals.currency.clone().unwrap_or_else(|| NO_CURRENCY.to_owned());
    let sorted = table::sorted(request, &gathered)?;
    let shown = request.format.rows_shown_max();
    let table = table::table(request, &sorted, shown, gathered.totals.unpriced_gpu_hours > 0.0)?;
    let chart = if request.format.is_rich() { chart(request, &gathered, &currency)? } else { None };
    let mut notes = making.notes.clone();
    notes.extend(words::notes(request.kind, &gathered.totals, &gathered.corrections, &currency));
    notes.extend(gathered.carbon.as_ref().and_then(words::carbon_note));
    let statements = if request.format.is_rich() { statements(request, &sorted)? } else { Vec::new() };
    Ok(Document {
        title: words::title(request.kind),
        period: words::period(request.period),
        grouped: words::grouped(&request.by),
        basis: words::basis(request.kind, request.period),
        made: words::made(making.made_micros),
        made_micros: making.made_micros,
        disclaimer: words::disclaimer(request.kind),
        figures: summary::figures(request, &gathered, &sorted, &currency)?,
        chart,
        table,
        listing: None,
        notes,
        appendix: Appendix { prices: gathered.prices, policies: gathered.policies, statements },
        currency,
    })
}

fn statements(request: &Request, sorted: &DataFrame) -> Result<Vec<(String, String)>, ReportError> {
    let mut statements = vec![("All rows".to_owned(), sql::rows_of(request, &[]))];
    for row in 0..sorted.height().min(STATEMENTS_MAX) {
        let names = table::names(request, sorted, row)?;
        let shown: Vec<&str> = names.iter().map(|name| name.as_deref().unwrap_or(words::NAMELESS)).collect();
        statements.push((shown.join(" · "), sql::rows_of(request, &names)));
    }
    Ok(statements)
}

/// Every bar from the first to the last, whether or not there is a row in it.
pub(super) fn buckets(request: &Request) -> Vec<String> {
    let (from, to) = request.period.bounds().unwrap_or_default();
    let form = bucket(request.period);
    let day = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default().date_naive();
    let last = day(to - 1);
    let mut at = Some(day(from));
    let mut all: Vec<String> = Vec::new();
    while let Some(date) = at.filter(|date| *date <= last) {
        all.push(date.format(form).to_string());
        at = match form {
            "%Y-%m-%d" => date.checked_add_days(Days::new(1)),
            "%Y-%m" => date.with_day(1).and_then(|first| first.checked_add_months(Months::new(1))),
            _ => date.with_ordinal(1).and_then(|first| first.checked_add_months(Months::new(12))),
        };
    }
    all
}

fn chart(request: &Request, gathered: &Gathered, currency: &str) -> Result<Option<Chart>, ReportError> {
    let buckets = buckets(request);
    let of_use = request.kind == Kind::Utilization;
    let long = if of_use { states_long(gathered)? } else { money_long(gathered)? };
    if long.height() == 0 {
        return Ok(None);
    }
    let wide = pivot(&long, &buckets)?;
    let every = words::every(bucket(request.period));
    let series = |key: &str, name: String, colour| -> Result<Option<Series>, ReportError> {
        let Some(column) = wide.get_column_names().iter().find(|name| name.as_str() == key).copied() else {
            return Ok(None);
        };
        let values = wide.column(column)?.f64()?.iter().map(Option::unwrap_or_default).collect();
        Ok(Some(Series { name, colour, values }))
    };
    let mut all = Vec::new();
    if of_use {
        for (state, colour) in GpuState::ALL.into_iter().zip(STATE_COLOURS) {
            all.extend(series(state.as_str(), state.as_str().replace('_', " "), colour)?);
        }
    } else {
        for (at, name) in gathered.top.iter().enumerate() {
            let shown = if name.is_empty() { words::NAMELESS.to_owned() } else { name.clone() };
            all.extend(series(&key_of(at), shown, COLOURS[at % COLOURS.len()])?);
        }
        let rest = if gathered.top.is_empty() { "cost" } else { "other" };
        let colour = if gathered.top.is_empty() { COLOURS[0] } else { REST_COLOUR };
        all.extend(series(REST_KEY, rest.to_owned(), colour)?);
    }
    let stacked = request.stacked().map(|at| request.by[at].title().to_lowercase());
    let (title, unit) = match (of_use, stacked) {
        (true, _) => (format!("GPU-hours by {every} and state"), "GPU-hours".to_owned()),
        (false, Some(stacked)) => {
            (format!("Cost by {every} and {}", stacked.replace("gpu", "GPU")), currency.to_owned())
        }
        (false, None) => (format!("Cost by {every}"), currency.to_owned()),
    };
    let is_month = matches!(request.period, super::Period::Month { .. });
    let adjusted =
        (is_month && !gathered.corrections.is_empty()).then_some("Without the adjustments of closed months.");
    Ok(Some(Chart { title, unit, along: ALONG_TIME, remark: adjusted, buckets, series: all }))
}

const REST_KEY: &str = "rest";

/// A name that no value of a user can be.
fn key_of(at: usize) -> String {
    format!("top{at}")
}

/// `bucket, key, value` of money.
fn money_long(gathered: &Gathered) -> Result<DataFrame, ReportError> {
    let columns = [("bucket".to_owned(), Of::Text), ("name".to_owned(), Of::Text), ("cost".to_owned(), Of::Int)];
    let rows = frame(&gathered.series, &columns)?;
    let keys: Vec<String> = rows
        .column("name")?
        .str()?
        .iter()
        .map(|name| {
            let at = name.and_then(|name| gathered.top.iter().position(|top| top == name));
            at.map_or(REST_KEY.to_owned(), key_of)
        })
        .collect();
    let cost = (col("cost").fill_null(lit(0)).cast(DataType::Float64) / lit(1e6)).alias("value");
    let keyed = DataFrame::new(
        keys.len(),
        vec![rows.column("bucket")?.clone(), rows.column("cost")?.clone(), Column::new("key".into(), keys)],
    )?;
    Ok(keyed.lazy().select([col("bucket"), col("key"), cost]).collect()?)
}

/// The same of hours in states.
fn states_long(gathered: &Gathered) -> Result<DataFrame, ReportError> {
    let states = GpuState::ALL.map(|state| (state.as_str().to_owned(), Of::Float));
    let columns: Vec<(String, Of)> = [("bucket".to_owned(), Of::Text)].into_iter().chain(states).collect();
    let wide = frame(&gathered.series, &columns)?.lazy();
    let of_state = |state: GpuState| {
        let name = state.as_str();
        wide.clone().select([col("bucket"), lit(name).alias("key"), col(name).fill_null(lit(0.0)).alias("value")])
    };
    Ok(concat(GpuState::ALL.map(of_state), UnionArgs::default())?.collect()?)
}

/// One row a bucket and one column a key, without gaps.
fn pivot(long: &DataFrame, buckets: &[String]) -> Result<DataFrame, ReportError> {
    let keys = long.column("key")?.unique()?;
    let keys = DataFrame::new(keys.len(), vec![keys])?;
    let wide = long.clone().lazy().pivot(
        by_name(["key"], true, false),
        std::sync::Arc::new(keys),
        by_name(["bucket"], true, false),
        by_name(["value"], true, false),
        element().sum(),
        true,
        "_".into(),
        polars::frame::PivotColumnNaming::Auto,
    );
    let all = DataFrame::new(buckets.len(), vec![Column::new("bucket".into(), buckets.to_vec())])?;
    let args = JoinArgs::new(JoinType::Left);
    Ok(all.lazy().join(wide, [col("bucket")], [col("bucket")], args).sort(["bucket"], Default::default()).collect()?)
}
