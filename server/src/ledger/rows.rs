//! Rows of the ledger as Arrow, in [`crate::store::LEDGER_COLUMNS`].

use super::LedgerError;
use super::activity::{Activity, Ratios};
use super::read::{Names, Rows};
use super::statements::Statements;
use crate::cost::{Category, GpuPlace, JobRun, LedgerRow, Micros, Owner, Period, PriceRow, PricedBy, Unit};
use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use contract::{GpuState, Kind, Table};
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

/// Digits after the point of a rate.
const RATE_SCALE: u32 = 18;

/// What all rows of a day have in common.
pub(super) struct Common<'a> {
    pub(super) policy_version: &'a str,
    pub(super) currency: &'a str,
    pub(super) inputs: &'a str,
    pub(super) activity: &'a Activity,
}

/// A row, the month in which it is billed, and the closed month that it corrects.
pub(super) struct Posted {
    pub(super) row: LedgerRow,
    pub(super) period: Period,
    pub(super) corrects: Option<Period>,
}

/// In [`contract::schema`] of a table of the ledger's columns.
pub(super) fn batch(table: &Table, posted: &[Posted], common: &Common<'_>) -> Result<RecordBatch, LedgerError> {
    let columns = table.columns.iter().map(|column| array(column.name, posted, common));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(contract::schema(table), columns).map_err(internal)
}

fn internal(error: impl ToString) -> LedgerError {
    LedgerError::Internal(error.to_string())
}

fn array(name: &str, posted: &[Posted], common: &Common<'_>) -> Result<ArrayRef, LedgerError> {
    let rows = || posted.iter().map(|p| &p.row);
    let same = |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(posted.iter().map(|_| value))) };
    let place =
        |pick: fn(&LedgerRow) -> Option<&str>| -> ArrayRef { Arc::new(rows().map(pick).collect::<StringArray>()) };
    let of_job = |pick: fn(&crate::cost::JobRun) -> Option<&str>| -> ArrayRef {
        Arc::new(rows().map(|row| row.job.as_deref().and_then(pick)).collect::<StringArray>())
    };
    let ratio = |pick: fn(Ratios) -> Option<f64>| -> ArrayRef {
        Arc::new(rows().map(|row| pick(common.activity.of(row))).collect::<Float64Array>())
    };
    let periods = |pick: fn(&Posted) -> Option<Period>| -> ArrayRef {
        Arc::new(posted.iter().map(|p| pick(p).map(|period| period.to_string())).collect::<StringArray>())
    };
    Ok(match name {
        "time" => {
            Arc::new(TimestampMicrosecondArray::from_iter_values(rows().map(|r| r.hour_micros)).with_timezone("UTC"))
        }
        "period" => periods(|p| Some(p.period)),
        "corrects" => periods(|p| p.corrects),
        "cluster" => place(|row| Some(&row.place.cluster)),
        "node" => place(|row| row.place.node.as_deref()),
        "gpu_uuid" => place(|row| row.gpu_uuid.as_deref()),
        "parent_gpu_uuid" => place(|row| row.parent_gpu_uuid.as_deref()),
        "overhead" => place(|row| row.overhead.as_deref()),
        "electricity_micros" => Arc::new(rows().map(|row| row.electricity.map(|cost| cost.0)).collect::<Int64Array>()),
        "gpu_model" => place(|row| row.place.gpu_model.as_deref()),
        "provider" => place(|row| row.place.provider.as_deref()),
        "region" => place(|row| row.place.region.as_deref()),
        "pool" => place(|row| row.place.pool.as_deref()),
        "job_id" => of_job(|job| Some(&job.job_id)),
        "attempt" => Arc::new(rows().map(|row| row.job.as_ref().map(|job| job.attempt)).collect::<Int64Array>()),
        "job_name" => of_job(|job| job.name.as_deref()),
        "user" => of_job(|job| job.user.as_deref()),
        "account" => of_job(|job| job.account.as_deref()),
        "queue" => of_job(|job| job.queue.as_deref()),
        "project" => place(|row| row.owner.project.as_deref()),
        "team" => place(|row| Some(&row.owner.team)),
        "cost_centre" => place(|row| Some(&row.owner.cost_centre)),
        "state" => place(|row| row.state.map(|state| state.as_str())),
        "category" => place(|row| Some(row.category.as_str())),
        "quantity" => Arc::new(Float64Array::from_iter_values(rows().map(|row| row.quantity))),
        "unit" => place(|row| Some(row.unit.as_str())),
        "rate" => rates(rows().map(|row| row.rate))?,
        "price_kind" => place(|row| row.priced_by.as_ref().map(|by| by.kind.as_ref())),
        "price_version" => place(|row| row.priced_by.as_ref().map(|by| by.version.as_ref())),
        "price_line" => Arc::new(rows().map(|row| row.priced_by.as_ref().map(|by| by.line)).collect::<Int64Array>()),
        "policy_version" => same(common.policy_version),
        "cost_micros" => Arc::new(rows().map(|row| row.cost.map(|cost| cost.0)).collect::<Int64Array>()),
        "currency" => same(common.currency),
        "energy_joules" => Arc::new(rows().map(|row| row.energy_joules).collect::<Float64Array>()),
        "sm_active_ratio" => ratio(|ratios| ratios.sm_active),
        "tensor_active_ratio" => ratio(|ratios| ratios.tensor_active),
        "inputs" => same(common.inputs),
        "closing" => Arc::new(posted.iter().map(|_| None::<&str>).collect::<StringArray>()),
        name => return Err(internal(format!("nobody knows the column {name}"))),
    })
}

fn rates(rates: impl Iterator<Item = Option<Decimal>>) -> Result<ArrayRef, LedgerError> {
    let scaled = |rate: Decimal| {
        let rate = rate.round_dp(RATE_SCALE);
        rate.mantissa().checked_mul(10_i128.pow(RATE_SCALE - rate.scale()))
    };
    let array: Decimal128Array = rates.map(|rate| rate.and_then(scaled)).collect();
    Ok(Arc::new(array.with_data_type(contract::arrow_type(Kind::Decimal))))
}

/// A row as [`read`] gives it back.
pub(super) fn as_kept(row: LedgerRow) -> LedgerRow {
    let kept = |job: Arc<JobRun>| JobRun {
        cluster: Arc::clone(&job.cluster),
        job_id: Arc::clone(&job.job_id),
        attempt: job.attempt,
        name: job.name.clone(),
        user: job.user.clone(),
        account: job.account.clone(),
        queue: job.queue.clone(),
        ..JobRun::default()
    };
    LedgerRow { job: row.job.map(kept).map(Arc::new), ..row }
}

/// The prices that hold, one row each.
pub(super) fn prices(statements: &Statements) -> Result<RecordBatch, LedgerError> {
    let rows: Vec<&PriceRow> = statements.book.rows().collect();
    let text = |name: &str, pick: &dyn Fn(&PriceRow) -> Option<String>| {
        let array: ArrayRef = Arc::new(rows.iter().map(|row| pick(row)).collect::<StringArray>());
        (name.to_owned(), array, true)
    };
    let time = |name: &str, pick: fn(&PriceRow) -> Option<i64>| {
        let array = rows.iter().map(|row| pick(row)).collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        (name.to_owned(), Arc::new(array) as ArrayRef, true)
    };
    let rate = |name: &str, pick: fn(&PriceRow) -> Option<Decimal>| -> Result<_, LedgerError> {
        Ok((name.to_owned(), rates(rows.iter().map(|row| pick(row)))?, true))
    };
    let owned = |name: Option<&Arc<str>>| name.map(ToString::to_string);
    let lines: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.by.line)));
    let columns = vec![
        time("valid_from", |row| row.valid_from_micros),
        time("valid_to", |row| row.valid_to_micros),
        text("cluster", &|row| owned(row.cluster())),
        text("pool", &|row| owned(row.pool())),
        text("node", &|row| owned(row.node())),
        text("gpu_model", &|row| owned(row.gpu_model())),
        text("provider", &|row| owned(row.provider())),
        text("region", &|row| owned(row.region())),
        text("kind", &|row| Some(row.by.kind.to_string())),
        text("currency", &|row| Some(row.currency.to_string())),
        rate("price_per_gpu_hour", PriceRow::price_per_gpu_hour)?,
        rate("price_per_cpu_hour", PriceRow::price_per_cpu_hour)?,
        rate("price_per_memory_gib_hour", PriceRow::price_per_memory_gib_hour)?,
        text("document", &|row| Some(row.document.to_string())),
        text("version", &|row| Some(row.by.version.to_string())),
        ("line".to_owned(), lines, true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(internal)
}

/// Rows of a table of the ledger's columns, as far as corrections need them.
pub(super) fn read(batch: &RecordBatch) -> Result<Vec<LedgerRow>, LedgerError> {
    let schema = batch.schema();
    let place = |name: &str| schema.index_of(name).map_err(internal);
    let mut at = HashMap::new();
    for column in crate::store::LEDGER_COLUMNS {
        at.insert(column.name, place(column.name)?);
    }
    let (rows, mut names) = (Rows::new(batch), Names::default());
    (0..batch.num_rows()).map(|row| one(&rows, &at, row, &mut names)).collect()
}

fn one(rows: &Rows<'_>, at: &HashMap<&str, usize>, row: usize, names: &mut Names) -> Result<LedgerRow, LedgerError> {
    let mut text = |name: &str| names.maybe(rows.text(at[name], row));
    let must = |value: Option<Arc<str>>| value.ok_or_else(|| internal("a row of the ledger lacks a value"));
    let cluster = must(text("cluster"))?;
    let job = text("job_id").map(|job_id| JobRun {
        cluster: Arc::clone(&cluster),
        job_id,
        attempt: rows.int(at["attempt"], row).unwrap_or_default(),
        name: text("job_name"),
        user: text("user"),
        account: text("account"),
        queue: text("queue"),
        ..JobRun::default()
    });
    let owner = Owner { team: must(text("team"))?, project: text("project"), cost_centre: must(text("cost_centre"))? };
    let price = (text("price_kind"), text("price_version"), rows.int(at["price_line"], row));
    let priced_by = match price {
        (Some(kind), Some(version), Some(line)) => Some(Arc::new(PricedBy { kind, version, line })),
        _ => None,
    };
    let category = must(text("category"))?;
    let unit = must(text("unit"))?;
    Ok(LedgerRow {
        hour_micros: rows.int(at["time"], row).ok_or_else(|| internal("a row of the ledger has no time"))?,
        place: Arc::new(GpuPlace {
            cluster,
            node: text("node"),
            gpu_model: text("gpu_model"),
            pool: text("pool"),
            provider: text("provider"),
            region: text("region"),
        }),
        gpu_uuid: text("gpu_uuid"),
        parent_gpu_uuid: text("parent_gpu_uuid"),
        job: job.map(Arc::new),
        owner: Arc::new(owner),
        state: text("state").and_then(|name| GpuState::ALL.into_iter().find(|state| state.as_str() == &*name)),
        category: Category::ALL.into_iter().find(|c| c.as_str() == &*category).ok_or_else(|| internal("a category"))?,
        quantity: rows.float(at["quantity"], row).unwrap_or_default(),
        unit: Unit::ALL.into_iter().find(|u| u.as_str() == &*unit).ok_or_else(|| internal("a unit"))?,
        rate: rows.decimal(at["rate"], row),
        priced_by,
        cost: rows.int(at["cost_micros"], row).map(Micros),
        electricity: rows.int(at["electricity_micros"], row).map(Micros),
        energy_joules: rows.float(at["energy_joules"], row),
        overhead: text("overhead"),
    })
}
