//! Times and statements in words. Pure.

use super::ask::{Dimension, Kind, Period};
use super::document::{Carbon, Note};
use super::figures::{hours, money, number};
use super::gather::{Correction, Totals};
use chrono::{DateTime, NaiveDate};

const JOULES_PER_KWH: f64 = 3_600_000.0;
/// What stands for a group without a name.
pub(super) const NAMELESS: &str = "(none)";

pub(super) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Chargeback => "GPU chargeback",
        Kind::Showback => "GPU showback",
        Kind::Utilization => "GPU utilization",
        Kind::Capacity => "GPU capacity",
        Kind::Waste => "GPU waste",
        Kind::Incidents => "GPU incidents",
    }
}

pub(super) fn disclaimer(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Showback => Some("For information only. This is not an invoice, and nothing is booked because of it."),
        Kind::Chargeback | Kind::Utilization | Kind::Capacity | Kind::Waste | Kind::Incidents => None,
    }
}

/// How much time a bar of a chart is, by the format of its name.
pub(super) fn every(bucket: &str) -> &'static str {
    match bucket {
        "%Y-%m-%d" => "day",
        "%Y-%m" => "month",
        _ => "year",
    }
}

/// `November 2026`, or two days, both within.
pub fn period(period: Period) -> String {
    if let Period::Month { year, month } = period {
        let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        return first.format("%B %Y").to_string();
    }
    let (from, to) = period.bounds().unwrap_or_default();
    let time = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let whole_days = [from, to].iter().all(|micros| micros.rem_euclid(86_400_000_000) == 0);
    if !whole_days {
        let text = |micros| time(micros).format("%-d %B %Y %H:%M").to_string();
        return format!("{} to {} UTC", text(from), text(to));
    }
    let text = |micros| time(micros).format("%-d %B %Y").to_string();
    let (first, last) = (text(from), text(to - 1));
    if first == last { first } else { format!("{first} to {last}") }
}

/// Which rows count, in one sentence.
pub(super) fn basis(kind: Kind, period: Period) -> String {
    match (kind, period) {
        (Kind::Utilization | Kind::Capacity, _) => "Hours of use that were measured in the period, UTC.".to_owned(),
        (Kind::Waste, _) => "What was found in the hours of the period, UTC, as the ledger has them.".to_owned(),
        (Kind::Incidents, _) => "What failed or went on in the hours of the period, UTC.".to_owned(),
        (_, Period::Month { year, month }) => {
            format!("Ledger rows billed in {year:04}-{month:02}, with adjustments of closed months that land in it.")
        }
        (_, Period::Range { .. }) => "Ledger rows whose cost arose in the period, UTC, start of the hour.".to_owned(),
    }
}

pub(super) fn made(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// `by team and project`.
pub(super) fn grouped(by: &[Dimension]) -> String {
    let names: Vec<String> = by
        .iter()
        .map(|dimension| match dimension {
            Dimension::Named(named) if named.title.starts_with("GPU") => named.title.to_owned(),
            Dimension::Named(named) => named.title.to_lowercase(),
            Dimension::Label(label) => format!("label {label}"),
        })
        .collect();
    match names.split_last() {
        Some((last, [])) => format!("by {last}"),
        Some((last, first)) => format!("by {} and {last}", first.join(", ")),
        None => String::new(),
    }
}

fn rows_text(rows: i64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// What the rows themselves give reason to say.
pub(super) fn notes(kind: Kind, totals: &Totals, corrections: &[Correction], currency: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |title: &str, text: String| notes.push(Note { title: title.to_owned(), text });
    if totals.rows == 0 && kind.is_of_money() {
        say("No rows", "The ledger has no rows in this period.".to_owned());
    }
    if totals.unpriced_gpu_hours > 0.0 {
        let text = format!(
            "{} GPU-hours have no price. Their cost is not in any amount of this document; \
             it is neither zero nor estimated.",
            hours(totals.unpriced_gpu_hours)
        );
        say("Hours without a price", text);
    }
    if let Some(cost) = totals.unowned_cost_micros.filter(|cost| *cost != 0 && kind.is_of_money()) {
        let text = format!(
            "{} {currency} for {} GPU-hours belong to jobs that no ownership rule matches. \
             They stand under “unowned”.",
            money(cost),
            hours(totals.unowned_gpu_hours)
        );
        say("Cost without an owner", text);
    }
    for correction in corrections {
        let text = format!(
            "{} correct the closed month {} by {} {currency} in total. That month's own document does not change.",
            rows_text(correction.rows),
            correction.period,
            money(correction.cost_micros.unwrap_or_default())
        );
        say(&format!("Adjustments of {}", correction.period), text);
    }
    if kind.is_of_money() {
        let text = "Amounts are shown to the cent and kept to the millionth, so shown amounts may differ from \
                    their shown sum by a cent; the CSV and Parquet forms have every digit.";
        say("Rounding", text.to_owned());
    }
    notes
}

/// Which part of the energy has no emissions, and whose factors the others have.
pub(super) fn carbon_note(carbon: &Carbon) -> Option<Note> {
    let without = number(carbon.without_factor_joules / JOULES_PER_KWH, 1);
    let text = match (carbon.grams.is_some(), carbon.without_factor_joules > 0.0) {
        (false, false) => return None,
        (false, true) => {
            format!("{without} kWh come from grids without a carbon factor: emissions are not reported, and not zero.")
        }
        (true, false) => format!("Emissions are measured energy times factors of {}.", carbon.sources.join(", ")),
        (true, true) => format!(
            "Emissions are measured energy times factors of {}. {without} kWh come from grids without a factor; their \
             emissions are in no number here.",
            carbon.sources.join(", ")
        ),
    };
    Some(Note { title: "Carbon".to_owned(), text })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_well() {
        let day = 86_400_000_000;
        let range = |from: i64, to: i64| Period::Range { from_micros: from, to_micros: to };
        assert_eq!(period(Period::month("2026-11").unwrap()), "November 2026");
        assert_eq!(period(range(0, 31 * day)), "1 January 1970 to 31 January 1970");
        assert_eq!(period(range(0, day)), "1 January 1970");
        assert_eq!(period(range(0, day / 2)), "1 January 1970 00:00 to 1 January 1970 12:00 UTC");
    }

    #[test]
    fn the_period_before_has_the_same_length() {
        let month = |text: &str| Period::month(text).unwrap();
        assert_eq!(month("2026-01").before(), Some(month("2025-12")));
        let (from, _) = month("2017-09").bounds().unwrap();
        let (to, _) = month("2018-01").bounds().unwrap();
        let (earlier, _) = month("2017-05").bounds().unwrap();
        let before = Period::Range { from_micros: from, to_micros: to }.before();
        assert_eq!(before, Some(Period::Range { from_micros: earlier, to_micros: from }));
        let hours = Period::Range { from_micros: 1_000, to_micros: 4_000 }.before();
        assert_eq!(hours, Some(Period::Range { from_micros: -2_000, to_micros: 1_000 }));
        for bad in ["2026-13", "2026-1", "26-01", "2026-01-01", "", "+2026-1"] {
            assert!(Period::month(bad).is_err(), "{bad:?}");
        }
    }
}
