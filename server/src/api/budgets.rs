//! `GET /api/v1/budgets`.

use super::error::Refusal;
use super::money::Answer;
use super::range::parse_instant;
use super::serve::State;
use crate::answers::{BudgetForecast, BudgetSelector, BudgetState, BudgetThreshold, Budgets, BurnDownDay};
use crate::cost::{Crossing, DAY_MICROS, Every, Forecast};
use crate::ledger::BudgetNow;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

/// Of a question about one instant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    at: Option<String>,
}

impl At {
    /// Unix microseconds; now unless it is told.
    pub(super) fn micros(&self, now_micros: i64) -> Result<i64, Refusal> {
        let told = self.at.as_deref().map(|text| parse_instant("at", text, now_micros));
        told.transpose().map_err(Refusal::invalid).map(|told| told.unwrap_or(now_micros))
    }
}

pub(super) async fn budgets(asked: web::Query<At>, state: web::Data<State>) -> Answer {
    let at = asked.micros((state.clock)())?;
    let budgets = state.ledger.budgets(at).await?;
    Ok(HttpResponse::Ok().json(Budgets {
        at_unix_micros: at,
        currency: state.ledger.statements().currency.to_string(),
        budgets: budgets.into_iter().map(one).collect(),
    }))
}

fn one(now: BudgetNow) -> BudgetState {
    let BudgetNow { budget, burn_down: burn, unpriced_gpu_hours } = now;
    let covers = budget.selectors().map(|(dimension, values)| BudgetSelector {
        dimension: dimension.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
    });
    let thresholds = burn.crossings.iter().map(|(part, crossing)| {
        let (state, day_unix_micros) = words(*crossing);
        BudgetThreshold { part: part.normalize().to_string(), state: state.to_owned(), day_unix_micros }
    });
    let (exceeds, exceeds_unix_micros) = words(burn.exceeds);
    let to = burn.to_micros;
    BudgetState {
        name: budget.name.to_string(),
        period: if budget.every == Every::Month { "monthly" } else { "quarterly" }.to_owned(),
        from_unix_micros: burn.from_micros,
        to_unix_micros: to,
        covers: covers.collect(),
        amount_micros: budget.amount.0,
        spent_micros: burn.spent.0,
        left_micros: burn.left.0,
        unpriced_gpu_hours,
        thresholds: thresholds.collect(),
        burn_down: burn
            .days
            .iter()
            .map(|(day, left)| BurnDownDay { day_unix_micros: *day, left_micros: left.0 })
            .collect(),
        forecast: burn.forecast.map(|forecast| expected(&forecast, to)),
        exceeds: exceeds.to_owned(),
        exceeds_unix_micros,
    }
}

fn expected(forecast: &Forecast, to_micros: i64) -> BudgetForecast {
    BudgetForecast {
        low_micros: forecast.low.0,
        expected_micros: forecast.expected.0,
        high_micros: forecast.high.0,
        days_micros: forecast.days.iter().map(|day| day.0).collect(),
        days_from_unix_micros: to_micros - forecast.days.len() as i64 * DAY_MICROS,
        method: forecast.method.to_owned(),
    }
}

/// The state and its day.
fn words(crossing: Crossing) -> (&'static str, Option<i64>) {
    match crossing {
        Crossing::Crossed(day) => ("crossed", Some(day)),
        Crossing::Expected(day) => ("expected", Some(day)),
        Crossing::NotExpected => ("not_expected", None),
    }
}
