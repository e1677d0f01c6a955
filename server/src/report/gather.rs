//! From the engine's rows to plain values: what a document is shaped from.

use super::ask::{Dimension, Format, Kind, Period, Request};
use super::document::{Carbon, PolicyUse, PriceUse};
use super::{ReportError, sql};
use crate::query::{Engine, QueryError};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::future::Future;
use std::sync::Arc;

/// Groups of a document: what a sheet holds, and some hundred megabytes of names at worst.
const GROUPS_MAX: usize = 1_000_000;
/// Versions of prices and policies, and corrected periods, that a document lists.
const VERSIONS_MAX: usize = 200;
/// Values that a chart tells apart; the eye does no more.
pub(super) const SERIES_MAX: usize = 7;
const DAY_MICROS: i64 = 86_400_000_000;
/// Bars that fit on a page side by side.
const DAYS_MAX: i64 = 100;
const MONTHS_MAX: i64 = 100;

/// Answers statements; the narrow door to the engine.
pub trait Source: Sync {
    fn rows(&self, sql: String) -> impl Future<Output = Result<Vec<RecordBatch>, QueryError>> + Send;
}

impl Source for Engine {
    async fn rows(&self, sql: String) -> Result<Vec<RecordBatch>, QueryError> {
        self.sql(&sql, Vec::new()).await?.collect().await
    }
}

/// Everything that a document is made of.
pub struct Gathered {
    /// Of money: `d0…, gpu_hours, cost, unpriced_gpu_hours`. Of use: as [`sql::usage_groups`] says.
    pub(super) groups: Vec<RecordBatch>,
    /// Of use only: `d0…, idle_cost`.
    pub(super) idle_money: Vec<RecordBatch>,
    pub(super) totals: Totals,
    pub(super) before: Totals,
    /// `bucket, name or null, cost`, or `bucket` and the hours in six states.
    pub(super) series: Vec<RecordBatch>,
    /// The values that have a series of their own, the most costly first; null is empty.
    pub(super) top: Vec<String>,
    pub(super) prices: Vec<PriceUse>,
    pub(super) policies: Vec<PolicyUse>,
    pub(super) corrections: Vec<Correction>,
    pub(super) carbon: Option<Carbon>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) gpu_hours: f64,
    pub(super) cost_micros: Option<i64>,
    pub(super) unpriced_gpu_hours: f64,
    pub(super) idle_gpu_hours: f64,
    pub(super) idle_cost_micros: Option<i64>,
    /// The part of it that no job held.
    pub(super) unallocated_cost_micros: Option<i64>,
    pub(super) unowned_cost_micros: Option<i64>,
    pub(super) unowned_gpu_hours: f64,
    pub(super) energy_joules: Option<f64>,
    pub(super) rows: i64,
    pub(super) currency: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Correction {
    pub(super) period: String,
    pub(super) rows: i64,
    pub(super) cost_micros: Option<i64>,
}

/// Format of the time of a chart's bars.
pub(super) fn bucket(period: Period) -> &'static str {
    let (from, to) = period.bounds().unwrap_or_default();
    match to.saturating_sub(from) / DAY_MICROS {
        days if days <= DAYS_MAX => "%Y-%m-%d",
        days if days <= MONTHS_MAX * 31 => "%Y-%m",
        _ => "%Y",
    }
}

/// Asks what the request's format shows.
pub async fn gather(source: &impl Source, request: &Request) -> Result<Gathered, ReportError> {
    let of_use = request.kind == Kind::Utilization;
    let totals = totals(source, request.period).await?;
    let groups = match of_use {
        true => sql::usage_groups(request, GROUPS_MAX),
        false => sql::money_groups(request, GROUPS_MAX),
    };
    let groups = bounded(source.rows(groups).await?)?;
    let idle_money = match of_use {
        true => bounded(source.rows(sql::idle_money(request, GROUPS_MAX)).await?)?,
        false => Vec::new(),
    };
    let mut gathered = Gathered {
        groups,
        idle_money,
        totals,
        before: Totals::default(),
        series: Vec::new(),
        top: Vec::new(),
        prices: Vec::new(),
        policies: Vec::new(),
        corrections: Vec::new(),
        carbon: None,
    };
    if request.has_energy() {
        gathered.carbon = carbon(source, request.period).await?;
    }
    if matches!(request.format, Format::Xlsx | Format::Html | Format::Pdf) {
        gather_rich(source, request, &mut gathered).await?;
    }
    Ok(gathered)
}

async fn gather_rich(source: &impl Source, request: &Request, gathered: &mut Gathered) -> Result<(), ReportError> {
    let period = request.period;
    if let Some(before) = period.before() {
        gathered.before = totals(source, before).await?;
    }
    if request.kind == Kind::Utilization {
        gathered.series = source.rows(sql::states_over_time(request, bucket(period))).await?;
    } else {
        let stacked: Option<&Dimension> = request.stacked().map(|at| &request.by[at]);
        if let Some(stacked) = stacked {
            let rows = source.rows(sql::top(request, stacked, SERIES_MAX)).await?;
            gathered.top = each(&rows)?.iter().map(|row| row.text(0).unwrap_or_default()).collect();
        }
        gathered.series = source.rows(sql::series(request, stacked, &gathered.top, bucket(period))).await?;
    }
    let prices = source.rows(sql::prices(period, VERSIONS_MAX)).await?;
    gathered.prices = each(&prices)?
        .iter()
        .map(|row| PriceUse {
            version: row.text(0).unwrap_or_default(),
            kind: row.text(1).unwrap_or_default(),
            lines: row.int(2).zip(row.int(3)),
            gpu_hours: row.float(4).unwrap_or_default(),
            cost_micros: row.int(5),
        })
        .collect();
    let policies = source.rows(sql::policies(period, VERSIONS_MAX)).await?;
    gathered.policies = each(&policies)?
        .iter()
        .map(|row| PolicyUse {
            version: row.text(0).unwrap_or_default(),
            rows: row.int(1).unwrap_or_default(),
            cost_micros: row.int(2),
        })
        .collect();
    let corrections = source.rows(sql::corrections(period, VERSIONS_MAX)).await?;
    gathered.corrections = each(&corrections)?
        .iter()
        .map(|row| Correction {
            period: row.text(0).unwrap_or_default(),
            rows: row.int(1).unwrap_or_default(),
            cost_micros: row.int(2),
        })
        .collect();
    Ok(())
}

/// Emissions of a period, with whose factors they are; none where no energy was measured.
async fn carbon(source: &impl Source, period: Period) -> Result<Option<Carbon>, ReportError> {
    let rows = source.rows(sql::carbon(period, VERSIONS_MAX)).await?;
    let mut carbon: Option<Carbon> = None;
    for row in each(&rows)? {
        let sum = carbon.get_or_insert_default();
        sum.without_factor_joules += row.float(3).unwrap_or_default();
        if let (Some(source), Some(grams)) = (row.text(0), row.float(2)) {
            sum.grams = Some(sum.grams.unwrap_or_default() + grams);
            sum.sources.push(source);
        }
    }
    Ok(carbon)
}

/// What a period costs; none where nothing has a price.
pub async fn whole_cost(source: &impl Source, period: Period) -> Result<Option<i64>, ReportError> {
    Ok(totals(source, period).await?.cost_micros)
}

async fn totals(source: &impl Source, period: Period) -> Result<Totals, ReportError> {
    let rows = source.rows(sql::totals(period)).await?;
    let rows = each(&rows)?;
    let Some(row) = rows.first() else { return Ok(Totals::default()) };
    let (least, greatest) = (row.text(8), row.text(9));
    if least != greatest {
        let (a, b) = (least.unwrap_or_default(), greatest.unwrap_or_default());
        return Err(ReportError::Invalid(format!("the ledger holds amounts in {a} and in {b}, they have no sum")));
    }
    Ok(Totals {
        gpu_hours: row.float(0).unwrap_or_default(),
        cost_micros: row.int(1),
        unpriced_gpu_hours: row.float(2).unwrap_or_default(),
        idle_gpu_hours: row.float(3).unwrap_or_default(),
        idle_cost_micros: row.int(4),
        unallocated_cost_micros: row.int(11),
        unowned_cost_micros: row.int(5),
        energy_joules: row.float(6),
        rows: row.int(7).unwrap_or_default(),
        currency: least,
        unowned_gpu_hours: row.float(10).unwrap_or_default(),
    })
}

fn bounded(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ReportError> {
    match batches.iter().map(RecordBatch::num_rows).sum::<usize>() {
        rows if rows > GROUPS_MAX => Err(ReportError::TooManyGroups { bound: GROUPS_MAX }),
        _ => Ok(batches),
    }
}

/// Columns of a batch in the three types that documents know, by position.
pub(super) struct Columns {
    columns: Vec<ArrayRef>,
    pub(super) rows: usize,
}

impl Columns {
    pub(super) fn of(batch: &RecordBatch) -> Result<Self, ReportError> {
        let plain = |column: &ArrayRef| match column.data_type() {
            DataType::Int64 | DataType::Float64 | DataType::Utf8 => Ok(column.clone()),
            kind if kind.is_integer() => cast(column, &DataType::Int64),
            kind if kind.is_floating() => cast(column, &DataType::Float64),
            _ => cast(column, &DataType::Utf8),
        };
        let columns = batch.columns().iter().map(plain).collect::<Result<_, _>>();
        Ok(Self { columns: columns.map_err(ReportError::internal)?, rows: batch.num_rows() })
    }

    fn valid(&self, at: usize, row: usize) -> Option<&ArrayRef> {
        self.columns.get(at).filter(|column| column.is_valid(row))
    }

    pub(super) fn text(&self, at: usize, row: usize) -> Option<&str> {
        Some(self.valid(at, row)?.as_string_opt::<i32>()?.value(row))
    }

    pub(super) fn int(&self, at: usize, row: usize) -> Option<i64> {
        Some(self.valid(at, row)?.as_primitive_opt::<Int64Type>()?.value(row))
    }

    pub(super) fn float(&self, at: usize, row: usize) -> Option<f64> {
        Some(self.valid(at, row)?.as_primitive_opt::<Float64Type>()?.value(row))
    }
}

/// A row of a small answer.
struct Row {
    columns: Arc<Columns>,
    row: usize,
}

fn each(batches: &[RecordBatch]) -> Result<Vec<Row>, ReportError> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = Arc::new(Columns::of(batch)?);
        rows.extend((0..columns.rows).map(|row| Row { columns: columns.clone(), row }));
    }
    Ok(rows)
}

impl Row {
    fn text(&self, at: usize) -> Option<String> {
        self.columns.text(at, self.row).map(str::to_owned)
    }

    fn int(&self, at: usize) -> Option<i64> {
        self.columns.int(at, self.row)
    }

    fn float(&self, at: usize) -> Option<f64> {
        self.columns.float(at, self.row)
    }
}
