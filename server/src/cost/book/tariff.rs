//! Electricity tariffs, flat or by time of use.
//!
//! **Invariant:** an hour of the ledger has one price: windows begin and end on full hours of local time, and the local
//! time at which the hour begins decides.

use super::super::document::{Amount, Faults, Row, any_of, quoted};
use super::super::hours;
use super::super::rates::ExchangeRates;
use chrono::{Datelike, TimeZone, Timelike};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use std::sync::Arc;

pub(super) const TARIFF_KEYS: [&str; 5] = ["name", "currency", "price_per_kwh", "timezone", "window"];
const WINDOW_KEYS: [&str; 4] = ["weekdays", "from", "to", "price_per_kwh"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEK_HOURS: usize = 7 * 24;
/// Much more than electricity costs in any currency.
const PER_KWH_MOST: i64 = 1_000_000;

/// What a kilowatt-hour costs.
#[derive(Debug, Clone)]
pub(super) struct Tariff {
    pub(super) name: Arc<str>,
    pub(super) currency: Arc<str>,
    per_kwh: Decimal,
    by_time_of_use: Option<TimeOfUse>,
}

#[derive(Debug, Clone)]
struct TimeOfUse {
    timezone: Tz,
    /// From Monday 0:00 local time; none where the flat price counts.
    hours: Vec<Option<Decimal>>,
}

impl Tariff {
    pub(super) fn read(row: &Row, faults: &mut Faults) -> Option<Self> {
        let before = faults.count();
        row.only(&TARIFF_KEYS, faults);
        row.required("name", faults);
        let currency = row.currency("currency", faults);
        let per_kwh = row.required_amount("price_per_kwh", Amount::up_to(PER_KWH_MOST), faults);
        let windows = row.tables("window", faults);
        let timezone = timezone(row, !windows.is_empty(), faults);
        let mut hours = vec![None; WEEK_HOURS];
        for window in &windows {
            fill(window, &mut hours, faults);
        }
        let by_time_of_use = timezone.filter(|_| !windows.is_empty()).map(|timezone| TimeOfUse { timezone, hours });
        let (name, currency, per_kwh) = (row.name("name", faults)?, currency?, per_kwh?);
        (faults.count() == before).then_some(Self { name, currency, per_kwh, by_time_of_use })
    }

    /// The price in an hour and until when it holds at least, in the tariff's currency.
    fn at(&self, hour_micros: i64) -> (Decimal, i64) {
        let Some(time_of_use) = &self.by_time_of_use else { return (self.per_kwh, i64::MAX) };
        let local = time_of_use.timezone.from_utc_datetime(&hours::time(hour_micros));
        let at = local.weekday().num_days_from_monday() as usize * 24 + local.hour() as usize;
        let price = time_of_use.hours.get(at).copied().flatten().unwrap_or(self.per_kwh);
        (price, hours::floor(hour_micros).saturating_add(hours::HOUR_MICROS))
    }

    /// Likewise in the ledger's currency, times the PUE; none without an exchange rate.
    pub(super) fn per_kwh(
        &self,
        pue: Decimal,
        hour_micros: i64,
        ledger_currency: &str,
        rates: &ExchangeRates,
    ) -> Option<(Decimal, i64)> {
        let (price, until) = self.at(hour_micros);
        let with_pue = price.checked_mul(pue)?;
        let (price, rate_until) = rates.convert(with_pue, &self.currency, ledger_currency, hour_micros)?;
        Some((super::super::document::rate_digits(price), until.min(rate_until)))
    }
}

fn timezone(row: &Row, needed: bool, faults: &mut Faults) -> Option<Tz> {
    let text = if needed { row.required("timezone", faults)? } else { row.text("timezone", faults)? };
    let timezone = text.parse().ok();
    if timezone.is_none() {
        let text = format!("timezone {} is none; give a name such as UTC or Europe/Berlin", quoted(text));
        row.fault("timezone", faults, text);
    }
    timezone
}

/// Puts the price of a window into the hours of the week that it covers.
fn fill(row: &Row, week: &mut [Option<Decimal>], faults: &mut Faults) {
    row.only(&WINDOW_KEYS, faults);
    let price = row.required_amount("price_per_kwh", Amount::up_to(PER_KWH_MOST), faults);
    let mut days = Vec::new();
    for (text, _) in row.texts("weekdays", faults) {
        match WEEKDAYS.iter().position(|day| *day == text) {
            Some(day) => days.push(day),
            None => {
                let text = format!("weekdays: {} is none; a day is {}", quoted(text), any_of(&WEEKDAYS));
                row.fault("weekdays", faults, text);
            }
        }
    }
    if !row.has("weekdays") {
        days = (0..7).collect();
    }
    days.sort_unstable();
    days.dedup();
    let (from, to) = (local_hour(row, "from", faults), local_hour(row, "to", faults));
    let (Some(price), Some(from), Some(to)) = (price, from, to) else { return };
    // A window that ends at or before its beginning goes over midnight.
    let length = if to > from { to - from } else { to + 24 - from };
    let mut twice = false;
    for at in days.into_iter().flat_map(|day| (from..from + length).map(move |hour| (day * 24 + hour) % WEEK_HOURS)) {
        twice |= week[at].replace(price).is_some();
    }
    if twice {
        let text = "covers hours that another window of the tariff covers; an hour may be in one window only";
        faults.add(&row.origin.document, row.line, text.to_owned());
    }
}

/// `07:00` to `24:00` as hours.
fn local_hour(row: &Row, key: &str, faults: &mut Faults) -> Option<usize> {
    let text = row.required(key, faults)?;
    let hour = text.strip_suffix(":00").filter(|hour| hour.len() == 2).and_then(|hour| hour.parse::<u8>().ok());
    let hour = hour.map(usize::from).filter(|hour| *hour < 24 || (*hour == 24 && key == "to"));
    if hour.is_none() {
        row.fault(key, faults, format!("{key} {} is not a full hour of the day like 07:00", quoted(text)));
    }
    hour
}
