//! Storage, network and whatever else is stated rather than measured: quantities at rates, dated and owned.
//!
//! **Invariant:** the hours of a charge sum to its quantity × rate, rounded once.

use super::document::{Amount, Document, Fault, Faults, Format, Row, csv_rows, format_of, quoted};
use super::hours;
use super::money::Micros;
use super::ownership::UNOWNED;
use super::period::{DAY_MICROS, HOUR_MICROS};
use super::rows::{Category, Owner, PricedBy, Unit};
use rust_decimal::Decimal;
use std::sync::Arc;

const COLUMNS: [&str; 11] =
    ["from", "to", "kind", "name", "cluster", "team", "project", "cost_centre", "quantity", "currency", "rate"];
const REQUIRED: [&str; 6] = ["from", "to", "kind", "name", "quantity", "rate"];
/// Each is looked at in every hour.
const CHARGES_MAX: usize = 10_000;
/// Ten years; a longer one is a slip.
const DAYS_MAX: i64 = 3_660;
const QUANTITY_MOST: i64 = 1_000_000_000_000;
const RATE_MOST: i64 = 1_000_000_000;
const KINDS: [(&str, Category, Unit); 3] = [
    ("storage", Category::Storage, Unit::GibMonths),
    ("network", Category::Network, Unit::Gib),
    ("other", Category::Other, Unit::Units),
];

/// A quantity of something, for a time, at a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    pub name: Arc<str>,
    pub category: Category,
    pub unit: Unit,
    /// Unix microseconds, on full hours; the end does not belong to it.
    pub from_micros: i64,
    pub to_micros: i64,
    /// None where it is no cluster's.
    pub cluster: Option<Arc<str>>,
    pub owner: Owner,
    pub quantity: Decimal,
    /// Currency a unit.
    pub rate: Decimal,
    pub by: Arc<PricedBy>,
}

impl Charge {
    /// Reads CSV with the columns `from`, `to`, `kind` (`storage` in GiB-months, `network` in GiB, `other` in units),
    /// `name`, `quantity`, `rate` and maybe `cluster`, `team`, `project`, `cost_centre`, `currency`.
    pub fn parse(documents: &[Document], currency: &str) -> Result<Vec<Self>, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut charges = Vec::new();
        for document in documents {
            if format_of(document, &[Format::Csv], &mut faults).is_none() {
                continue;
            }
            for row in csv_rows(document, &COLUMNS, &REQUIRED, &mut faults) {
                charges.extend(read(&row, currency, &mut faults));
            }
            if charges.len() > CHARGES_MAX {
                faults.add(&document.name, 1, format!("there are more than {CHARGES_MAX} charges"));
                break;
            }
        }
        faults.or(charges)
    }

    /// Where its row of the day is that begins in an hour: from when to when it costs something; none in other hours.
    pub(super) fn day(&self, hour_micros: i64, known_to: i64) -> Option<(i64, i64)> {
        let within = (self.from_micros..self.to_micros).contains(&hour_micros);
        let first = hour_micros == self.from_micros || hour_micros.rem_euclid(DAY_MICROS) == 0;
        let midnight = (hour_micros.div_euclid(DAY_MICROS) + 1) * DAY_MICROS;
        let end = midnight.min(self.to_micros).min(known_to);
        (within && first && hour_micros < end).then_some((hour_micros, end))
    }

    /// What it costs from its beginning to an instant, rounded once.
    pub(super) fn cost_until(&self, micros: i64) -> Option<Micros> {
        let hours = |micros: i64| Decimal::from(micros / HOUR_MICROS);
        let all = hours(self.to_micros - self.from_micros);
        let part = self.quantity.checked_mul(hours(micros - self.from_micros))?.checked_div(all)?;
        // The reader has seen that the whole is an amount.
        Micros::of(self.rate, part).ok()
    }

    /// Which part of it lies between two instants.
    pub(super) fn part(&self, from: i64, to: i64) -> f64 {
        (to - from) as f64 / (self.to_micros - self.from_micros) as f64
    }
}

fn read(row: &Row, currency: &str, faults: &mut Faults) -> Option<Charge> {
    let before = faults.count();
    let required = ["from", "to", "kind", "name"].map(|key| row.required(key, faults).is_some());
    let kind = row.text("kind", faults).and_then(|text| {
        let found = KINDS.iter().find(|(word, ..)| *word == text);
        if found.is_none() {
            row.fault("kind", faults, format!("kind {} is none of storage, network, other", quoted(text)));
        }
        found
    });
    if let Some(text) = row.text("currency", faults).filter(|text| *text != currency) {
        let text = format!("currency {} is not the ledger's, which is {currency}; exchange it first", quoted(text));
        row.fault("currency", faults, text);
    }
    let quantity = row.required_amount("quantity", Amount::up_to(QUANTITY_MOST), faults);
    let rate = row.required_amount("rate", Amount::up_to(RATE_MOST), faults);
    let (from, to) = (row.hour("from", faults), row.hour("to", faults));
    if let (Some(from), Some(to)) = (from, to) {
        let text = match to - from {
            span if span <= 0 => Some("must be after from; it is the first hour that no longer counts".to_owned()),
            span if span > DAYS_MAX * DAY_MICROS => Some(format!("is more than {DAYS_MAX} days after from")),
            _ => None,
        };
        let text = text.map(|text| format!("to {} {text}", hours::format(to)));
        text.into_iter().for_each(|text| row.fault("to", faults, text));
    }
    if let (Some(quantity), Some(rate)) = (quantity, rate)
        && Micros::of(rate, quantity).is_err()
    {
        row.fault("rate", faults, "quantity × rate is beyond what a ledger can hold".to_owned());
    }
    let name = row.name("name", faults);
    let (cluster, project) = (row.name("cluster", faults), row.name("project", faults));
    let (team, cost_centre) = (row.name("team", faults), row.name("cost_centre", faults));
    if faults.count() != before || required.contains(&false) {
        return None;
    }
    let (_, category, unit) = *kind?;
    let or_unowned = |name: Option<Arc<str>>| name.unwrap_or_else(|| UNOWNED.into());
    // A document has fewer lines than there are integers.
    let line = i64::try_from(row.line).unwrap_or(i64::MAX);
    Some(Charge {
        name: name?,
        category,
        unit,
        from_micros: from?,
        to_micros: to?,
        cluster,
        owner: Owner { team: or_unowned(team), project, cost_centre: or_unowned(cost_centre) },
        quantity: quantity?,
        rate: rate?,
        by: Arc::new(PricedBy { kind: "charge".into(), version: row.origin.version.clone(), line }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Vec<Charge>, Vec<String>> {
        let document = Document { name: "march.csv".to_owned(), version: "v".to_owned(), text: text.to_owned() };
        Charge::parse(&[document], "USD").map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_charge_is_read_as_it_is_written() {
        let text = "from,to,kind,name,team,cost_centre,quantity,rate\n\
                    2026-03-01,2026-04-01,storage,scratch,vision,4711,51200,0.08\n\
                    2026-03-01T06:00:00Z,2026-03-01T07:00:00Z,other,visit,,,1,250\n";
        let charges = parse(text).expect("good charges");
        assert_eq!((charges[0].category, charges[0].unit), (Category::Storage, Unit::GibMonths));
        assert_eq!(charges[0].cost_until(charges[0].to_micros), Some(Micros(4_096_000_000)));
        assert_eq!((&*charges[0].owner.team, &*charges[1].owner.team), ("vision", UNOWNED));
        assert_eq!((charges[1].by.line, charges[1].to_micros - charges[1].from_micros), (3, HOUR_MICROS));
    }

    #[test]
    fn each_mistake_has_its_line() {
        let text = "from,to,kind,name,quantity,rate,currency\n2026-03-01,2026-03-01,disk,,1,2,USD\n\
                    2026-03-01,2046-03-01,other,a,1,-2,EUR\n2026-03-01,2026-03-02,other,a,1000000000000,1000000000,\n";
        let expected = [
            "march.csv line 2: has no name",
            "march.csv line 2: kind \"disk\" is none of storage, network, other",
            "march.csv line 2: to 2026-03-01 must be after from; it is the first hour that no longer counts",
            "march.csv line 3: currency \"EUR\" is not the ledger's, which is USD; exchange it first",
            "march.csv line 3: rate \"-2\" must not be negative",
            "march.csv line 3: to 2046-03-01 is more than 3660 days after from",
            "march.csv line 4: quantity × rate is beyond what a ledger can hold",
        ];
        assert_eq!(parse(text).expect_err("faults"), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(rows in "([0-9T:Z-]{0,12},2026-0[1-5]-0[1-5],(storage|other|x),[a-z]{0,3},[-0-9.e]{0,6},[0-9.]{0,6}\n){0,6}|.{0,60}") {
            match parse(&format!("from,to,kind,name,quantity,rate\n{rows}")) {
                Ok(charges) => prop_assert!(charges.iter().all(|charge| charge.cost_until(charge.to_micros).is_some())),
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }

        #[test]
        fn the_days_of_a_charge_sum_to_it(from in 0_i64..50, hours in 1_i64..2_000, quantity in 0_u32..9_999_999, rate in 0_u32..9_999_999) {
            let (from_micros, to_micros) = (from * HOUR_MICROS, (from + hours) * HOUR_MICROS);
            let mut charge = parse("from,to,kind,name,quantity,rate\n2026-03-01,2026-04-01,network,x,1,1\n").expect("good").remove(0);
            (charge.from_micros, charge.to_micros) = (from_micros, to_micros);
            (charge.quantity, charge.rate) = (Decimal::new(quantity.into(), 3), Decimal::new(rate.into(), 6));
            let (mut at, mut sum, mut part) = (from_micros, 0, 0.0);
            for hour in (0..to_micros + DAY_MICROS).step_by(HOUR_MICROS as usize) {
                if let Some((open, close)) = charge.day(hour, i64::MAX) {
                    prop_assert_eq!(open, at);
                    let cost = |micros| charge.cost_until(micros).expect("an amount").0;
                    prop_assert!(cost(close) >= cost(open));
                    sum += cost(close) - cost(open);
                    part += charge.part(open, close);
                    at = close;
                }
            }
            prop_assert_eq!((at, sum), (to_micros, Micros::of(charge.rate, charge.quantity).expect("an amount").0));
            prop_assert!((part - 1.0).abs() < 1e-9);
        }
    }
}
