//! `coulomb budgets`, `coulomb anomalies`, `coulomb prices`: what was stated, held against the ledger.

use super::ClientError;
use super::books::amount;
use super::connection::Connection;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{BudgetState, Budgets, CostAnomalies, CostAnomaly, PriceLine, PricesAt};
use crate::config::ClientFlags;
use clap::Args;
use serde::Serialize;
use std::io::Write;

#[derive(Debug, Args)]
pub struct BudgetsCommand {
    /// As of when: a date, RFC 3339, or a form like now-7d (default now).
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
pub struct AnomaliesCommand {
    /// First day: a date, RFC 3339, or a form like now-90d (default now-30d).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the days, itself not included (default now).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// What may have driven them: team, user, queue, pool, gpu_model or another dimension of costs.
    #[arg(long, default_value = "team", value_name = "DIMENSION")]
    by: String,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
pub struct PricesCommand {
    /// When: a date, RFC 3339, or a form like now+30d (default now).
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

/// A path with what was told of its parameters.
pub(super) fn path(path: &str, told: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in told {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

pub(super) fn write_json(answer: &impl Serialize, out: &mut impl Write) -> Result<(), ClientError> {
    let text = serde_json::to_string(answer).map_err(std::io::Error::other)?;
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// The day of an instant.
fn day(unix_micros: i64) -> String {
    instant_text(unix_micros).chars().take(10).collect()
}

/// How each budget stands.
pub fn budgets(command: &BudgetsCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let path = path("/api/v1/budgets", &[("at", command.at.as_deref())]);
    let answer: Budgets = Connection::open(&command.client)?.get(&path)?;
    if command.format == Format::Json {
        return write_json(&answer, out);
    }
    if answer.budgets.is_empty() && command.format == Format::Table {
        writeln!(out, "no budgets were stated; `coulomb import budgets FILE` states them")?;
        return Ok(out.flush()?);
    }
    let names = [
        "budget",
        "from",
        "to",
        "amount",
        "spent",
        "left",
        "expected",
        "low",
        "high",
        "thresholds",
        "exceeded",
        "unpriced_gpu_hours",
        "currency",
    ];
    let rows = answer.budgets.iter().map(|budget| budget_row(budget, &answer.currency)).collect();
    write_rows(command.format, &names.map(str::to_owned), rows, out)?;
    Ok(out.flush()?)
}

fn budget_row(budget: &BudgetState, currency: &str) -> [String; 13] {
    let forecast = |pick: fn(&crate::answers::BudgetForecast) -> i64| {
        budget.forecast.as_ref().map(|forecast| amount(pick(forecast))).unwrap_or_default()
    };
    let when = |state: &str, at: Option<i64>| match (state, at) {
        ("crossed", Some(at)) => format!("on {}", day(at)),
        ("expected", Some(at)) => format!("expected {}", day(at)),
        _ => "not expected".to_owned(),
    };
    let threshold = |t: &crate::answers::BudgetThreshold| format!("{} {}", t.part, when(&t.state, t.day_unix_micros));
    let thresholds: Vec<String> = budget.thresholds.iter().map(threshold).collect();
    [
        budget.name.clone(),
        day(budget.from_unix_micros),
        day(budget.to_unix_micros),
        amount(budget.amount_micros),
        amount(budget.spent_micros),
        amount(budget.left_micros),
        forecast(|forecast| forecast.expected_micros),
        forecast(|forecast| forecast.low_micros),
        forecast(|forecast| forecast.high_micros),
        thresholds.join("; "),
        when(&budget.exceeds, budget.exceeds_unix_micros),
        format!("{:.3}", budget.unpriced_gpu_hours),
        currency.to_owned(),
    ]
}

/// Days that stand out, and why.
pub fn anomalies(command: &AnomaliesCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let AnomaliesCommand { from, to, by, format, client } = command;
    let told = [("from", from.as_deref()), ("to", to.as_deref()), ("by", Some(by.as_str()))];
    let answer: CostAnomalies = Connection::open(client)?.get(&path("/api/v1/anomalies", &told))?;
    match format {
        Format::Json => return write_json(&answer, out),
        Format::Table => {
            for anomaly in &answer.anomalies {
                writeln!(out, "{}: {}", day(anomaly.day_unix_micros), anomaly.text.replace(char::is_control, " "))?;
            }
            writeln!(out, "{} of {} days stand out", answer.anomalies.len() as u64 + answer.left_out, answer.days)?;
            for unpriced in &answer.unpriced_days {
                let (hours, all) = (unpriced.unpriced_gpu_hours, unpriced.gpu_hours);
                let day = day(unpriced.day_unix_micros);
                writeln!(out, "{day} was not judged: {hours:.1} of {all:.1} GPU-hours have no price")?;
            }
        }
        Format::Csv => {
            let names =
                ["day", by, "cost", "expected", "difference", "by_quantity", "by_price", "currency"].map(str::to_owned);
            let rows = answer.anomalies.iter().flat_map(|anomaly| driver_rows(anomaly, &answer.currency)).collect();
            write_rows(*format, &names, rows, out)?;
        }
    }
    Ok(out.flush()?)
}

fn driver_rows(anomaly: &CostAnomaly, currency: &str) -> Vec<[String; 8]> {
    let maybe = |micros: Option<i64>| micros.map(amount).unwrap_or_default();
    let row = |driver: &crate::answers::CostDriver| {
        [
            day(anomaly.day_unix_micros),
            driver.name.clone(),
            amount(driver.cost_micros),
            amount(driver.expected_micros),
            amount(driver.difference_micros),
            maybe(driver.by_quantity_micros),
            maybe(driver.by_price_micros),
            currency.to_owned(),
        ]
    };
    anomaly.drivers.iter().map(row).collect()
}

/// The prices that hold, and what has none.
pub fn prices(command: &PricesCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let path = path("/api/v1/prices", &[("at", command.at.as_deref())]);
    let answer: PricesAt = Connection::open(&command.client)?.get(&path)?;
    if command.format == Format::Json {
        return write_json(&answer, out);
    }
    let names = [
        "valid_from",
        "valid_to",
        "cluster",
        "pool",
        "node",
        "gpu_model",
        "provider",
        "region",
        "kind",
        "currency",
        "price_per_gpu_hour",
        "document",
        "version",
        "line",
    ];
    write_rows(
        command.format,
        &names.map(str::to_owned),
        answer.rows.iter().map(|row| price_row(row, &answer.currency)).collect(),
        out,
    )?;
    if command.format == Format::Table {
        if answer.rows_left_out > 0 {
            writeln!(out, "and {} more rows; SQL has all of them in the table prices", answer.rows_left_out)?;
        }
        for gap in &answer.gaps {
            writeln!(out, "{}", gap.text.replace(char::is_control, " "))?;
        }
        if answer.gaps_left_out > 0 {
            writeln!(out, "and {} more gaps", answer.gaps_left_out)?;
        }
    }
    Ok(out.flush()?)
}

/// In the ledger's currency, at that hour.
fn price_row(row: &PriceLine, currency: &str) -> [String; 14] {
    let text = |name: &Option<String>| name.clone().unwrap_or_default();
    let time = |micros: Option<i64>| micros.map(instant_text).unwrap_or_default();
    let place = &row.place;
    [
        time(row.valid_from_unix_micros),
        time(row.valid_to_unix_micros),
        text(&place.cluster),
        text(&place.pool),
        text(&place.node),
        text(&place.gpu_model),
        text(&place.provider),
        text(&place.region),
        row.kind.clone(),
        currency.to_owned(),
        text(&row.rate_per_gpu_hour),
        row.document.clone(),
        row.version.clone(),
        row.line.to_string(),
    ]
}
