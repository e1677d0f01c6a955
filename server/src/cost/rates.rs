//! Exchange rates into the ledger's currency, by day.
//!
//! **Invariant:** a rate is used only in the direction in which it was given, and never before its day.

use super::document::{Amount, Document, Fault, Faults, Format, ROWS_MAX, csv_rows, format_of, quoted, rate_digits};
use super::hours;
use chrono::NaiveDate;
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

const COLUMNS: [&str; 4] = ["date", "from", "to", "rate"];
/// No two currencies are further apart.
const RATE_MOST: i64 = 1_000_000_000;

/// From, to.
type Pair = (Arc<str>, Arc<str>);

/// What one unit of a currency is in another, from each day on until the next is known.
#[derive(Debug, Clone, Default)]
pub struct ExchangeRates {
    /// By currencies, in order of days.
    by_pair: HashMap<Pair, Vec<(NaiveDate, Decimal)>>,
}

impl ExchangeRates {
    /// Reads CSV `date,from,to,rate`: on that day 1 `from` was `rate` `to`. Amounts in `from` are multiplied by it.
    pub fn parse(documents: &[Document]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut seen: HashMap<(Pair, NaiveDate), (String, usize)> = HashMap::new();
        let mut rates = Self::default();
        let mut total = 0;
        for document in documents {
            if format_of(document, &[Format::Csv], &mut faults).is_none() {
                continue;
            }
            let rows = csv_rows(document, &COLUMNS, &COLUMNS, &mut faults);
            total += rows.len();
            if total > ROWS_MAX {
                faults.add(&document.name, 1, format!("there are more than {ROWS_MAX} exchange rates"));
                break;
            }
            for row in rows {
                let before = faults.count();
                let (from, to) = (row.currency("from", &mut faults), row.currency("to", &mut faults));
                let rate = row.required_amount("rate", Amount::above_zero_up_to(RATE_MOST), &mut faults);
                let day = row.required("date", &mut faults).and_then(|text| {
                    hours::parse(text).ok().filter(|_| text.len() == "2025-01-31".len()).map(hours::day)
                });
                if day.is_none() && row.has("date") {
                    row.fault("date", &mut faults, "date is not a day like 2025-01-31".to_owned());
                }
                let (Some(from), Some(to), Some(rate), Some(day)) = (from, to, rate, day) else { continue };
                if from == to {
                    row.fault(
                        "to",
                        &mut faults,
                        format!("is from {from} to itself; give rates between two currencies"),
                    );
                }
                let place = (document.name.clone(), row.line);
                if let Some((name, line)) = seen.insert(((from.clone(), to.clone()), day), place) {
                    let text = format!("gives {from} to {to} on {day} again, after line {line} of {name}; keep one");
                    faults.add(&document.name, row.line, text);
                }
                if faults.count() == before {
                    rates.by_pair.entry((from, to)).or_default().push((day, rate));
                }
            }
        }
        rates.by_pair.values_mut().for_each(|days| days.sort());
        faults.or(rates)
    }

    /// The rate of a day: the latest at or before it, and the day on which the next begins. None before the first.
    pub fn on(&self, from: &str, to: &str, day: NaiveDate) -> Option<(Decimal, Option<NaiveDate>)> {
        let days = self.days(from, to)?;
        let next = days.partition_point(|(known, _)| *known <= day);
        let (_, rate) = days.get(next.checked_sub(1)?)?;
        Some((*rate, days.get(next).map(|(day, _)| *day)))
    }

    /// What an amount is in another currency at an hour, with the digits of a rate, and until when. Of the same
    /// currency itself.
    pub(super) fn convert(&self, amount: Decimal, from: &str, to: &str, hour_micros: i64) -> Option<(Decimal, i64)> {
        if from == to {
            return Some((amount, i64::MAX));
        }
        let (rate, next) = self.on(from, to, hours::day(hour_micros))?;
        Some((rate_digits(amount.checked_mul(rate)?), next.map_or(i64::MAX, hours::of_day)))
    }

    /// Why amounts that begin to count at an hour (or at any time before) cannot be converted; none where they can.
    pub(super) fn missing(&self, from: &str, to: &str, valid_from: Option<i64>) -> Option<String> {
        if from == to {
            return None;
        }
        let Some((first, _)) = self.days(from, to).and_then(|days| days.first()) else {
            let inverse = if self.days(to, from).is_some() {
                format!("; there is one from {to} to {from}, but an inverse is never derived")
            } else {
                String::new()
            };
            let since = valid_from.map(|micros| format!(" on or before {}", hours::day(micros))).unwrap_or_default();
            return Some(format!("there is no exchange rate from {from} to {to}{since}{inverse}"));
        };
        match valid_from {
            None => Some(format!(
                "exchange rates from {from} to {to} begin on {first}, so a price in {} needs a valid_from from then on",
                quoted(from)
            )),
            Some(micros) if hours::day(micros) < *first => Some(format!(
                "there is no exchange rate from {from} to {to} on or before {}; the first is of {first}",
                hours::day(micros)
            )),
            Some(_) => None,
        }
    }

    fn days(&self, from: &str, to: &str) -> Option<&Vec<(NaiveDate, Decimal)>> {
        self.by_pair.get(&(Arc::from(from), Arc::from(to)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(text: &str) -> Document {
        Document { name: "rates.csv".to_owned(), version: "1".to_owned(), text: text.to_owned() }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn the_latest_rate_at_or_before_the_day_counts() {
        let text = "date,from,to,rate\n2025-02-01,EUR,USD,1.05\n2025-01-01,EUR,USD,1.03\n";
        let rates = ExchangeRates::parse(&[document(text)]).expect("rates");
        let on = |text| rates.on("EUR", "USD", day(text));
        assert_eq!(on("2024-12-31"), None);
        assert_eq!(on("2025-01-31"), Some((Decimal::new(103, 2), Some(day("2025-02-01")))));
        assert_eq!(on("2025-03-31"), Some((Decimal::new(105, 2), None)));
        assert_eq!(rates.on("USD", "EUR", day("2025-03-31")), None, "an inverse is not derived");
        let hour = hours::parse("2025-01-31T23:00:00Z").expect("an hour");
        let next = hours::parse("2025-02-01").expect("an hour");
        assert_eq!(rates.convert(Decimal::new(200, 2), "EUR", "USD", hour), Some((Decimal::new(206, 2), next)));
    }

    #[test]
    fn what_is_missing_names_currencies_and_day() {
        let rates = ExchangeRates::parse(&[document("date,from,to,rate\n2025-01-01,EUR,USD,1.03\n")]).expect("rates");
        let at = |text| hours::parse(text).ok();
        assert_eq!(rates.missing("EUR", "USD", at("2025-01-01")), None);
        assert_eq!(rates.missing("USD", "USD", None), None);
        let missing = |from, to, hour| rates.missing(from, to, hour).expect("it is missing");
        assert_eq!(
            missing("EUR", "USD", at("2024-12-31")),
            "there is no exchange rate from EUR to USD on or before 2024-12-31; the first is of 2025-01-01"
        );
        assert!(missing("USD", "EUR", at("2025-06-01")).ends_with(
            "from USD to EUR on or before 2025-06-01; there is one from EUR to USD, but an inverse is never derived"
        ));
        assert!(missing("EUR", "USD", None).contains("needs a valid_from"));
        assert!(missing("GBP", "USD", None).starts_with("there is no exchange rate from GBP to USD"));
    }

    #[test]
    fn each_mistake_has_its_line() {
        let text = "date,from,to,rate\n2025-13-01,EUR,USD,1\n2025-01-01,eur,USD,0\n2025-01-01,EUR,EUR,1\n\
                    2025-01-02,EUR,USD,1\n2025-01-02,EUR,USD,2\n2025-01-01T01:00:00Z,EUR,USD,1\n";
        let faults = ExchangeRates::parse(&[document(text)]).expect_err("faults");
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "rates.csv line 2: date is not a day like 2025-01-31",
                "rates.csv line 3: from \"eur\" is not a code of three capital letters like EUR",
                "rates.csv line 3: rate \"0\" must be more than 0",
                "rates.csv line 4: is from EUR to itself; give rates between two currencies",
                "rates.csv line 6: gives EUR to USD on 2025-01-02 again, after line 5 of rates.csv; keep one",
                "rates.csv line 7: date is not a day like 2025-01-31",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(date,from,to,rate\n)?[-0-9A-Z,.\"\n\r]{0,80}|.{0,60}") {
            match ExchangeRates::parse(&[document(&text)]) {
                Ok(rates) => drop(rates.on("EUR", "USD", day("2025-01-01"))),
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
