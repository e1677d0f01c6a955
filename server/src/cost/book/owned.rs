//! What an hour of owned GPUs costs: what was paid for them over their life, what they cost each month, electricity.

use super::super::document::{Amount, Faults, Row, Validity, rate_digits};
use super::super::hours;
use super::tariff::Tariff;
use super::{PRICE_MOST, SELECTORS};
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

/// Beside those that say what the row is for.
const KEYS: [&str; 14] = [
    "valid_from",
    "valid_to",
    "in_service",
    "currency",
    "capital",
    "residual",
    "life_months",
    "gpus",
    "staff_per_month",
    "space_per_month",
    "network_per_month",
    "availability",
    "pue",
    "tariff",
];
const MONTHLY: [&str; 3] = ["staff_per_month", "space_per_month", "network_per_month"];
/// A trillion, of any currency.
const MONEY_MOST: i64 = 1_000_000_000_000;
const LIFE_MONTHS_MAX: u32 = 600;
const GPUS_MAX: u32 = 1_000_000;
/// Nothing spends ten times on cooling what it spends on computing.
const PUE_MOST: i64 = 10;
/// Of the shortest month.
const MONTH_HOURS_MIN: u32 = 28 * 24;

/// GPUs that were bought.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    /// Over the whole life: capital less residual, and the monthly costs of all its months.
    lifetime_cost: Decimal,
    /// Months × GPUs × availability.
    available_gpu_months: Decimal,
    pub(super) electricity: Option<(Decimal, Arc<Tariff>)>,
}

impl Owned {
    /// Also how long it holds: from `valid_from`, or else from `in_service`, for at most its life.
    pub(super) fn read(
        row: &Row,
        tariffs: &HashMap<Arc<str>, Arc<Tariff>>,
        faults: &mut Faults,
    ) -> Option<(Self, Validity)> {
        let before = faults.count();
        let known: Vec<&str> = KEYS.iter().chain(&SELECTORS).copied().collect();
        row.only(&known, faults);
        let money = Amount::up_to(MONEY_MOST);
        let capital = row.required_amount("capital", money, faults);
        let residual = row.amount("residual", money, faults).unwrap_or_default();
        let life = row.whole("life_months", LIFE_MONTHS_MAX, faults);
        let gpus = row.whole("gpus", GPUS_MAX, faults);
        let monthly: Decimal = MONTHLY.iter().filter_map(|key| row.amount(key, money, faults)).sum();
        let availability = match row.has("availability") {
            true => row.amount("availability", Amount::above_zero_up_to(1), faults),
            false => Some(Decimal::ONE),
        };
        let electricity = electricity(row, tariffs, faults);
        let (capital, life, gpus, availability) = (capital?, life?, gpus?, availability?);
        if residual > capital {
            row.fault("residual", faults, format!("residual {residual} is more than capital {capital}"));
        }
        let validity = validity(row, life, faults);
        let depreciated = capital.checked_sub(residual)?;
        let lifetime_cost = monthly.checked_mul(Decimal::from(life)).and_then(|m| m.checked_add(depreciated));
        let available = Decimal::from(life).checked_mul(Decimal::from(gpus)).and_then(|m| m.checked_mul(availability));
        let (Some(lifetime_cost), Some(available_gpu_months)) = (lifetime_cost, available) else {
            row.fault("capital", faults, "costs more than can be computed".to_owned());
            return None;
        };
        let owned = Self { lifetime_cost, available_gpu_months, electricity };
        if owned.rate(MONTH_HOURS_MIN).is_none_or(|rate| rate > Decimal::from(PRICE_MOST)) {
            let text = format!("comes to more than {PRICE_MOST} per GPU-hour, which looks like a slip");
            row.fault("capital", faults, text);
        }
        (faults.count() == before).then_some((owned, validity))
    }

    /// Per GPU-hour in a month of so many hours, without electricity, with the digits of a rate.
    fn rate(&self, month_hours: u32) -> Option<Decimal> {
        let hours = self.available_gpu_months.checked_mul(Decimal::from(month_hours))?;
        self.lifetime_cost.checked_div(hours).map(rate_digits)
    }

    /// Per GPU-hour in the row's currency without electricity, and until when that holds: each month has its hours.
    pub(super) fn per_gpu_hour(&self, hour_micros: i64) -> Option<(Decimal, i64)> {
        let (hours, until) = hours::month(hour_micros);
        Some((self.rate(hours)?, until))
    }
}

fn electricity(
    row: &Row,
    tariffs: &HashMap<Arc<str>, Arc<Tariff>>,
    faults: &mut Faults,
) -> Option<(Decimal, Arc<Tariff>)> {
    let pue = row.amount("pue", Amount::above_zero_up_to(PUE_MOST), faults);
    if pue.is_some_and(|pue| pue < Decimal::ONE) {
        row.fault("pue", faults, "pue is less than 1, but a site takes at least what its computers take".to_owned());
    }
    let Some(name) = row.text("tariff", faults) else {
        if pue.is_some() {
            row.fault("pue", faults, "pue without a tariff prices nothing; name a [[tariff]], too".to_owned());
        }
        return None;
    };
    if !row.has("pue") {
        row.fault("tariff", faults, "a tariff needs the site's pue, too; 1 where nothing is added".to_owned());
    }
    let tariff = tariffs.get(name);
    if tariff.is_none() {
        row.fault("tariff", faults, format!("there is no [[tariff]] of the name {name:?}"));
    }
    Some((pue?, tariff?.clone()))
}

/// From when to when the row holds: within the life of what it is about.
fn validity(row: &Row, life_months: u32, faults: &mut Faults) -> Validity {
    let (from, to) = row.validity(faults);
    let Some(in_service) = row.hour("in_service", faults).or(from) else {
        if !row.has("in_service") && !row.has("valid_from") {
            row.fault("valid_from", faults, "has no valid_from, with which the life of owned GPUs begins".to_owned());
        }
        return (from, to);
    };
    let end = hours::add_months(in_service, life_months);
    if from.is_some_and(|from| from < in_service || from >= end) || to.is_some_and(|to| to > end) {
        let (begin, end) = (hours::format(in_service), hours::format(end));
        let text = format!(
            "holds for longer than the life of {life_months} months from {begin} to {end}; \
             what the GPUs cost at other times needs a row of its own"
        );
        row.fault(if row.has("valid_to") { "valid_to" } else { "valid_from" }, faults, text);
    }
    (Some(from.unwrap_or(in_service)), Some(to.unwrap_or(end)))
}
