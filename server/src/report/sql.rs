//! The statements of a document: text only, run by whoever has the engine.
//!
//! **Invariant:** whatever came from outside stands in a statement as a quoted literal.

use super::ask::{Dimension, Kind, Period, Request};
use chrono::{DateTime, SecondsFormat};

/// A row of GPU time; the split into CPU and memory has rows of the same time.
const OF_GPU: &str = "l.unit = 'GPU-Hours' and l.category in ('gpu', 'idle')";
/// Of a row that no state was written for, its category says enough.
const IS_IDLE: &str = "coalesce(l.state, case when l.category = 'idle' then 'unallocated' end) in \
                       ('held_idle', 'held_empty', 'unallocated')";
/// What the ownership rules say where none matches.
const UNOWNED: &str = "l.team = 'unowned' and l.category <> 'idle'";
/// Time of an hour of use in which telemetry came.
const WATCHED: &str = "(l.active_seconds + l.held_idle_seconds + l.held_empty_seconds + l.unallocated_seconds)";

/// A literal of SQL.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

pub(super) fn instant(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    text(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// The ledger's rows of a period.
fn within(period: Period) -> String {
    match period {
        Period::Month { year, month } => format!("l.period = '{year:04}-{month:02}'"),
        Period::Range { .. } => arose(period),
    }
}

/// Rows by the time at which they arose.
pub(super) fn arose(period: Period) -> String {
    in_time("l.time", period)
}

/// Rows whose time, as SQL writes it, lies in a period.
pub(super) fn in_time(time: &str, period: Period) -> String {
    let (from, to) = period.bounds().unwrap_or_default();
    format!("{time} >= {} and {time} < {}", instant(from), instant(to))
}

fn label(name: &str) -> String {
    format!("j.labels[{}]", text(name))
}

fn ledger_of(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Named(_) => dimension.ledger().unwrap_or_default(),
        Dimension::Label(name) => label(name),
    }
}

pub(super) fn usage_of(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Named(_) => dimension.usage().unwrap_or_else(|| "cast(null as varchar)".to_owned()),
        Dimension::Label(name) => label(name),
    }
}

fn has_label(by: &[Dimension]) -> bool {
    by.iter().any(|dimension| matches!(dimension, Dimension::Label(_)))
}

fn ledger_rows(request: &Request) -> String {
    let jobs = " left join jobs j on j.cluster = l.cluster and j.job_id = l.job_id and j.attempt = l.attempt";
    format!("ledger l{}", if has_label(&request.by) { jobs } else { "" })
}

pub(super) fn grouped(names: impl Iterator<Item = String>) -> (String, String) {
    let columns: Vec<String> = names.enumerate().map(|(at, name)| format!("{name} as d{at}, ")).collect();
    let places: Vec<String> = (1..=columns.len()).map(|at| at.to_string()).collect();
    (columns.concat(), places.join(", "))
}

/// `d0…, gpu_hours, cost, unpriced_gpu_hours` of each group, and where they are asked for the energy in joules, its
/// grams of CO2e, and the energy whose grid has no factor.
pub(super) fn money_groups(request: &Request, bound: usize) -> String {
    let (columns, places) = grouped(request.by.iter().map(ledger_of));
    let (energy, factors) = match request.has_energy() {
        true => (format!(", {}", energy()), FACTORS),
        false => (String::new(), ""),
    };
    format!(
        "select {columns}coalesce(sum(case when {OF_GPU} then l.quantity end), 0.0) as gpu_hours, \
         sum(l.cost_micros) as cost, \
         coalesce(sum(case when {OF_GPU} and l.cost_micros is null then l.quantity end), 0.0) as unpriced_gpu_hours\
         {energy} from {}{factors} where {} group by {places} limit {}",
        ledger_rows(request),
        within(request.period),
        bound + 1
    )
}

/// The factor of each row's grid at its hour, null where there is none.
const FACTORS: &str = " left join grid_factors f on f.region = l.region and (f.valid_from is null or \
    l.time >= f.valid_from) and (f.valid_to is null or l.time < f.valid_to)";

/// Sums of energy, of its emissions, and of the energy without a factor; null where there is none.
fn energy() -> String {
    format!(
        "sum(case when {OF_GPU} then l.energy_joules end), \
         sum(case when {OF_GPU} then l.energy_joules * f.grams_co2e_per_joule end), \
         sum(case when {OF_GPU} and f.region is null then l.energy_joules end)"
    )
}

/// `source, energy, grams, energy without a factor`: of each source of factors, and of grids without one.
pub(super) fn carbon(period: Period, bound: usize) -> String {
    format!(
        "select f.source, {} from ledger l{FACTORS} where {} and l.energy_joules is not null \
         group by 1 order by 1 limit {bound}",
        energy(),
        within(period)
    )
}

/// `d0…, idle_cost, cost` of each group, for a document about use.
pub(super) fn idle_money(request: &Request, bound: usize) -> String {
    let (columns, places) = grouped(request.by.iter().map(ledger_of));
    format!(
        "select {columns}sum(case when {IS_IDLE} then l.cost_micros end) as idle_cost from {} where {} \
         group by {places} limit {}",
        ledger_rows(request),
        arose(request.period),
        bound + 1
    )
}

/// `d0…, the hours in six states, then busy, SM and tensor activity times hours, each with the hours that report`.
pub(super) fn usage_groups(request: &Request, bound: usize) -> String {
    let (columns, places) = grouped(request.by.iter().map(usage_of));
    let states = contract::GpuState::ALL.map(|s| format!("sum(l.{}_seconds) / 3600.0", s.as_str())).join(", ");
    let ratio = |name: &str| {
        let watched = format!("case when l.{name}_mean is not null then {WATCHED} end");
        format!("sum(l.{name}_mean * {WATCHED}) / 3600.0, sum({watched}) / 3600.0")
    };
    let ratios = ["gpu_busy_ratio", "sm_active_ratio", "tensor_active_ratio"].map(ratio).join(", ");
    let owners = if request.by.iter().any(Dimension::is_of_owner) { owners(request) } else { String::new() };
    // Of a job that ran more than once the latest attempt's labels count.
    let jobs = " left join (select a.cluster, a.job_id, a.labels from jobs a join (select cluster, job_id, \
                max(attempt) as attempt from jobs group by 1, 2) b on a.cluster = b.cluster and a.job_id = b.job_id \
                and a.attempt = b.attempt) j on j.cluster = l.cluster and j.job_id = l.job_id";
    let jobs = if has_label(&request.by) { jobs } else { "" };
    format!(
        "select {columns}{states}, {ratios} from usage_hourly l{owners}{jobs} where {} group by {places} limit {}",
        arose(request.period),
        bound + 1
    )
}

/// Who held each hour of use, as the ledger has it. Time that nobody held has a pool and no owner.
pub(super) fn owners(request: &Request) -> String {
    let held = ["\"user\"", "account", "project", "queue", "team", "cost_centre"]
        .map(|name| format!("max(case when l.category = 'gpu' then l.{name} end) as {name}"))
        .join(", ");
    format!(
        " left join (select l.time, l.cluster, l.gpu_uuid, l.job_id, max(l.pool) as pool, {held} from ledger l \
         where {} and l.category in ('gpu', 'idle') group by 1, 2, 3, 4) o on o.time = l.time \
         and o.cluster = l.cluster and o.gpu_uuid = l.gpu_uuid and coalesce(o.job_id, '') = coalesce(l.job_id, '')",
        arose(request.period)
    )
}

/// One row: sums of the whole period, and the currencies in it.
pub(super) fn totals(period: Period) -> String {
    format!(
        "select coalesce(sum(case when {OF_GPU} then l.quantity end), 0.0), sum(l.cost_micros), \
         coalesce(sum(case when {OF_GPU} and l.cost_micros is null then l.quantity end), 0.0), \
         coalesce(sum(case when {OF_GPU} and {IS_IDLE} then l.quantity end), 0.0), \
         sum(case when {OF_GPU} and {IS_IDLE} then l.cost_micros end), \
         sum(case when {UNOWNED} then l.cost_micros end), \
         sum(case when {OF_GPU} then l.energy_joules end), \
         count(*), min(l.currency), max(l.currency), \
         coalesce(sum(case when {OF_GPU} and {UNOWNED} then l.quantity end), 0.0), \
         sum(case when {OF_GPU} and {IS_IDLE} and l.category = 'idle' then l.cost_micros end) \
         from ledger l where {}",
        within(period)
    )
}

/// `version, kind, first line, last line, gpu_hours, cost`.
pub(super) fn prices(period: Period, bound: usize) -> String {
    format!(
        "select l.price_version, l.price_kind, min(l.price_line), max(l.price_line), \
         coalesce(sum(case when {OF_GPU} then l.quantity end), 0.0), sum(l.cost_micros) from ledger l \
         where {} and l.price_version is not null group by 1, 2 order by 1, 2 limit {bound}",
        within(period)
    )
}

/// `version, rows, cost`.
pub(super) fn policies(period: Period, bound: usize) -> String {
    format!(
        "select l.policy_version, count(*), sum(l.cost_micros) from ledger l where {} \
         group by 1 order by 1 limit {bound}",
        within(period)
    )
}

/// `corrected period, rows, cost`.
pub(super) fn corrections(period: Period, bound: usize) -> String {
    format!(
        "select l.corrects, count(*), sum(l.cost_micros) from ledger l where {} and l.corrects is not null \
         group by 1 order by 1 limit {bound}",
        within(period)
    )
}

/// `name`, null being empty, of the values of the stacked dimension that cost most.
pub(super) fn top(request: &Request, stacked: &Dimension, bound: usize) -> String {
    let rows = ledger_rows(request);
    format!(
        "select coalesce({}, '') as name, sum(l.cost_micros) as cost from {rows} where {} group by 1 \
         order by 2 desc nulls last, 1 limit {bound}",
        ledger_of(stacked),
        within(request.period)
    )
}

/// `bucket, name or null for the rest, cost` over time.
pub(super) fn series(request: &Request, stacked: Option<&Dimension>, top: &[String], bucket: &str) -> String {
    let name = match stacked {
        Some(stacked) if !top.is_empty() => {
            let known: Vec<String> = top.iter().map(|name| text(name)).collect();
            let value = format!("coalesce({}, '')", ledger_of(stacked));
            format!("case when {value} in ({}) then {value} end", known.join(", "))
        }
        _ => "cast(null as varchar)".to_owned(),
    };
    format!(
        "select to_char(l.time, {}) as bucket, {name} as name, sum(l.cost_micros) as cost from {} \
         where {} and {} group by 1, 2 order by 1, 2",
        text(bucket),
        ledger_rows(request),
        within(request.period),
        arose(request.period)
    )
}

/// `bucket, hours in six states` over time.
pub(super) fn states_over_time(request: &Request, bucket: &str) -> String {
    let states = contract::GpuState::ALL.map(|s| format!("sum(l.{}_seconds) / 3600.0", s.as_str())).join(", ");
    format!(
        "select to_char(l.time, {}) as bucket, {states} from usage_hourly l where {} group by 1 order by 1",
        text(bucket),
        arose(request.period)
    )
}

/// The statement that shows the rows behind a document, or behind one of its groups.
pub(super) fn rows_of(request: &Request, names: &[Option<String>]) -> String {
    let (table, period) = match request.kind {
        Kind::Utilization | Kind::Capacity => ("usage_hourly", arose(request.period)),
        _ => ("ledger", within(request.period)),
    };
    let conditions = request.by.iter().zip(names).filter_map(|(dimension, value)| {
        let expression = match (dimension, request.kind) {
            (Dimension::Label(name), _) => {
                let job = "(select job_id from jobs where labels[";
                let value = value.as_ref().map_or(" is null".to_owned(), |value| format!(" = {}", text(value)));
                return Some(format!("l.job_id in {job}{}]{value})", text(name)));
            }
            // Whose an hour of use is, only the ledger knows.
            (dimension, Kind::Utilization | Kind::Capacity) if dimension.is_of_owner() => return None,
            (dimension, _) => ledger_of(dimension),
        };
        Some(match value {
            Some(value) => format!("{expression} = {}", text(value)),
            None => format!("{expression} is null"),
        })
    });
    let conditions: Vec<String> = std::iter::once(period).chain(conditions).collect();
    format!("select * from {table} l where {} order by time", conditions.join(" and "))
}
