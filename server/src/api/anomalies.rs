//! `GET /api/v1/anomalies`.

use super::error::Refusal;
use super::money::Answer;
use super::range::parse_range;
use super::serve::State;
use crate::answers::{CostAnomalies, CostAnomaly, CostDriver, DriverJob, UnpricedDay};
use crate::cost::{Driver, Micros};
use crate::ledger::Explained;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

const DEFAULT_FROM: &str = "now-30d";
const DEFAULT_BY: &str = "team";
/// Part of a difference from which on it is what the sentence names.
const MOST: f64 = 0.8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
}

pub(super) async fn anomalies(asked: web::Query<Asked>, state: web::Data<State>) -> Answer {
    let from = asked.from.as_deref().unwrap_or(DEFAULT_FROM);
    let range = parse_range(Some(from), asked.to.as_deref(), (state.clock)()).map_err(Refusal::invalid)?;
    let by = asked.by.as_deref().unwrap_or(DEFAULT_BY);
    let found = state.ledger.anomalies(range, by).await?;
    let currency = state.ledger.statements().currency.to_string();
    let unpriced = found.unpriced.iter().map(|day| UnpricedDay {
        day_unix_micros: day.day_micros,
        gpu_hours: day.gpu_hours,
        unpriced_gpu_hours: day.unpriced_gpu_hours,
    });
    Ok(HttpResponse::Ok().json(CostAnomalies {
        from_unix_micros: range.from_unix_micros,
        to_unix_micros: range.to_unix_micros,
        by: by.to_owned(),
        days: found.days as u64,
        left_out: found.left_out as u64,
        unpriced_days: unpriced.collect(),
        anomalies: found.found.iter().map(|explained| one(explained, by, &currency)).collect(),
        currency,
    }))
}

fn one(explained: &Explained, by: &str, currency: &str) -> CostAnomaly {
    let Explained { anomaly, jobs } = explained;
    let jobs: Vec<DriverJob> = jobs
        .iter()
        .map(|(job_id, user, cost)| DriverJob { job_id: job_id.clone(), user: user.clone(), cost_micros: cost.0 })
        .collect();
    CostAnomaly {
        day_unix_micros: anomaly.day_micros,
        cost_micros: anomaly.cost.0,
        expected_micros: anomaly.expected.0,
        score: anomaly.score.is_finite().then_some(anomaly.score),
        text: sentence(explained, by, currency),
        drivers: anomaly.drivers.iter().map(driver).collect(),
        jobs,
    }
}

fn driver(driver: &Driver) -> CostDriver {
    CostDriver {
        name: driver.name.to_string(),
        cost_micros: driver.cost.0,
        expected_micros: driver.expected.0,
        difference_micros: driver.difference().0,
        gpu_hours: driver.gpu_hours,
        expected_gpu_hours: driver.expected_gpu_hours,
        by_quantity_micros: driver.by_quantity.map(|part| part.0),
        by_price_micros: driver.by_price().map(|part| part.0),
    }
}

/// `250.00 USD, 190.00 more than usual on this weekday; mostly team "speech" (+100.00, by use: 150.0 instead of 50.0
/// GPU-hours; job "7" of ann).`
fn sentence(explained: &Explained, by: &str, currency: &str) -> String {
    let Explained { anomaly, jobs } = explained;
    let difference = anomaly.cost - anomaly.expected;
    let more = if difference > Micros::ZERO { "more" } else { "less" };
    let mut text = format!(
        "{} {currency}, {} {more} than usual on this weekday",
        amount(anomaly.cost),
        amount(Micros(difference.0.abs()))
    );
    let Some(first) = anomaly.drivers.first() else { return text };
    let sign = if first.difference() > Micros::ZERO { "+" } else { "" };
    let name = if first.name.is_empty() { format!("no {by}") } else { format!("{by} {:?}", &*first.name) };
    text.push_str(&format!("; mostly {name} ({sign}{}{}", amount(first.difference()), reason(first)));
    if let Some(job) = jobs.first() {
        let user = job.1.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
        text.push_str(&format!("; its most costly job {:?}{user}", job.0));
    }
    text.push(')');
    text
}

fn reason(driver: &Driver) -> String {
    let Some(quantity) = driver.by_quantity else { return String::new() };
    let hours = format!("{:.1} instead of {:.1} GPU-hours", driver.gpu_hours, driver.expected_gpu_hours);
    match quantity.0 as f64 / driver.difference().0 as f64 {
        part if part >= MOST => format!(", by use: {hours}"),
        part if part <= 1.0 - MOST => format!(", by price, for {hours}"),
        _ => format!(", {} of it by use and the rest by price: {hours}", amount(quantity)),
    }
}

/// To the cent.
fn amount(micros: Micros) -> String {
    format!("{:.2}", micros.decimal().round_dp(2))
}
