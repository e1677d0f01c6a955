//! Carbon beside money: what the electricity of a region emits, by source and date.
//!
//! **Invariant:** a region without a factor has unknown emissions, and every factor names its source.

use super::document::{Amount, Document, Fault, Faults, Format, ROWS_MAX, Row, csv_rows, format_of, quoted};
use super::hours;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;
use std::sync::Arc;

const COLUMNS: [&str; 6] = ["region", "valid_from", "valid_to", "grams_co2e_per_kwh", "source", "pue"];
const REQUIRED: [&str; 3] = ["region", "grams_co2e_per_kwh", "source"];
/// Twice what burning lignite emits.
const GRAMS_MOST: i64 = 3000;
/// No site takes ten times what its machines do.
const PUE_MOST: i64 = 10;
const JOULES_PER_KWH: f64 = 3_600_000.0;

/// What a kilowatt-hour from a grid emits.
#[derive(Debug, Clone, PartialEq)]
pub struct GridFactor {
    pub grams_co2e_per_kwh: f64,
    /// What a site there takes for each kWh that its GPUs take; 1 where nobody says.
    pub pue: f64,
    /// Who says so.
    pub source: Arc<str>,
    /// Unix microseconds; none where it is open.
    pub valid_from_micros: Option<i64>,
    pub valid_to_micros: Option<i64>,
    pub document: Arc<str>,
    /// Of the document.
    pub version: Arc<str>,
    /// From 1.
    pub line: usize,
}

/// Factors by region and time.
#[derive(Debug, Clone, Default)]
pub struct GridFactors {
    /// In order of their beginnings.
    by_region: BTreeMap<Arc<str>, Vec<GridFactor>>,
}

impl GridFactor {
    /// Grams of CO2e of a joule at the GPU, with what cooling and supply add.
    pub fn grams_per_joule(&self) -> f64 {
        self.grams_co2e_per_kwh * self.pue / JOULES_PER_KWH
    }
}

/// Grams of CO2e of measured energy; unknown where the energy was not measured or the grid has no factor.
pub fn grams(energy_joules: Option<f64>, factor: Option<&GridFactor>) -> Option<f64> {
    let grams = energy_joules? * factor?.grams_per_joule();
    grams.is_finite().then_some(grams)
}

impl GridFactors {
    /// Reads CSV `region,valid_from,valid_to,grams_co2e_per_kwh,source`, maybe with `pue`.
    pub fn parse(documents: &[Document]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut factors = Self::default();
        let mut total = 0;
        for document in documents {
            if format_of(document, &[Format::Csv], &mut faults).is_none() {
                continue;
            }
            let rows = csv_rows(document, &COLUMNS, &REQUIRED, &mut faults);
            total += rows.len();
            if total > ROWS_MAX {
                faults.add(&document.name, 1, format!("there are more than {ROWS_MAX} factors"));
                break;
            }
            for row in rows {
                if let Some((region, factor)) = read(&row, &mut faults) {
                    factors.by_region.entry(region).or_default().push(factor);
                }
            }
        }
        for (region, factors) in &mut factors.by_region {
            factors.sort_by(|a, b| (from(a), &a.document, a.line).cmp(&(from(b), &b.document, b.line)));
            find_overlaps(region, factors, &mut faults);
        }
        faults.or(factors)
    }

    /// The factor of a region at an instant, Unix microseconds.
    pub fn factor(&self, region: &str, at_micros: i64) -> Option<&GridFactor> {
        let factors = self.by_region.get(region)?;
        let next = factors.partition_point(|factor| from(factor) <= at_micros);
        factors.get(next.checked_sub(1)?).filter(|factor| at_micros < to(factor))
    }

    /// All of them by region and time.
    pub fn rows(&self) -> impl Iterator<Item = (&Arc<str>, &GridFactor)> {
        self.by_region.iter().flat_map(|(region, factors)| factors.iter().map(move |factor| (region, factor)))
    }
}

fn from(factor: &GridFactor) -> i64 {
    factor.valid_from_micros.unwrap_or(i64::MIN)
}

fn to(factor: &GridFactor) -> i64 {
    factor.valid_to_micros.unwrap_or(i64::MAX)
}

fn read(row: &Row, faults: &mut Faults) -> Option<(Arc<str>, GridFactor)> {
    let before = faults.count();
    row.required("region", faults);
    row.required("source", faults);
    let grams = row.required_amount("grams_co2e_per_kwh", Amount::up_to(GRAMS_MOST), faults);
    let pue = row.amount("pue", Amount::up_to(PUE_MOST), faults);
    if pue.is_some_and(|pue| pue < Decimal::ONE) {
        row.fault("pue", faults, "pue is below 1, and no site takes less than its GPUs do".to_owned());
    }
    let (valid_from_micros, valid_to_micros) = row.validity(faults);
    let (region, source) = (row.name("region", faults)?, row.name("source", faults)?);
    let factor = GridFactor {
        grams_co2e_per_kwh: grams?.to_f64()?,
        pue: pue.map_or(Some(1.0), |pue| pue.to_f64())?,
        source,
        valid_from_micros,
        valid_to_micros,
        document: row.origin.document.clone(),
        version: row.origin.version.clone(),
        line: row.line,
    };
    (faults.count() == before).then_some((region, factor))
}

fn find_overlaps(region: &str, factors: &[GridFactor], faults: &mut Faults) {
    let mut longest: Option<&GridFactor> = None;
    for factor in factors {
        if let Some(before) = longest.filter(|before| from(factor) < to(before)) {
            let pair = [(before, factor), (factor, before)];
            let [(first, second), _] = if (&before.document, before.line) <= (&factor.document, factor.line) {
                pair
            } else {
                [pair[1], pair[0]]
            };
            let when = hours::format_range(second.valid_from_micros, second.valid_to_micros);
            let text = format!(
                "gives region {} a factor {when}, which overlaps line {} of {}; end one of them with valid_to",
                quoted(region),
                first.line,
                first.document
            );
            faults.add(&second.document, second.line, text);
        }
        if longest.is_none_or(|before| to(before) < to(factor)) {
            longest = Some(factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<GridFactors, Vec<Fault>> {
        GridFactors::parse(&[Document { name: "grid.csv".to_owned(), version: "1".to_owned(), text: text.to_owned() }])
    }

    const HEADER: &str = "region,valid_from,valid_to,grams_co2e_per_kwh,source\n";

    #[test]
    fn emissions_are_energy_times_pue_times_the_factor_of_the_day() {
        let rows = "eu,2025-01-01,2026-01-01,400,agency 2025,1.5\neu,2026-01-01,,380.5,agency 2026,\n";
        let header = HEADER.replace("source", "source,pue");
        let factors = parse(&format!("{header}{rows}")).expect("factors");
        let at = |text| factors.factor("eu", hours::parse(text).expect("an hour"));
        assert_eq!(at("2024-12-31"), None);
        assert_eq!(at("2025-12-31T23:00:00Z").map(|factor| &*factor.source), Some("agency 2025"));
        assert_eq!(at("2026-01-01").map(|factor| factor.grams_co2e_per_kwh), Some(380.5));
        assert_eq!(grams(Some(7_200_000.0), at("2025-06-01")), Some(1200.0));
        assert_eq!(grams(None, at("2025-06-01")), None, "what was not measured is unknown");
        assert_eq!(grams(Some(1.0), factors.factor("us", 0)), None, "without a factor it is unknown");
    }

    #[test]
    fn each_mistake_has_its_line() {
        let rows = "eu,,,400,\n,,,1,x\neu,2025-01-01,2024-01-01,5000,x\nus,,2025-06-01,1,x\nus,2025-01-01,,2,x\n";
        let said: Vec<String> =
            parse(&format!("{HEADER}{rows}")).expect_err("faults").iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "grid.csv line 2: has no source",
                "grid.csv line 3: has no region",
                "grid.csv line 4: grams_co2e_per_kwh \"5000\" is more than 3000, which looks like a slip",
                "grid.csv line 4: valid_to 2024-01-01 must be after valid_from 2025-01-01; it is the first hour that \
                 no longer counts",
                "grid.csv line 6: gives region \"us\" a factor from 2025-01-01, which overlaps line 5 of grid.csv; end \
                 one of them with valid_to",
            ]
        );
    }

    #[test]
    fn a_site_takes_no_less_than_its_gpus() {
        let header = HEADER.replace("source", "source,pue");
        let said = parse(&format!("{header}eu,,,400,x,0.9\nus,,,400,x,11\n")).expect_err("faults");
        assert_eq!(said.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3]);
        assert!(said[0].text.contains("pue is below 1"), "{}", said[0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(rows in "[-0-9a-z,.\"\n\r]{0,80}|.{0,60}", headed in any::<bool>()) {
            let text = if headed { format!("{HEADER}{rows}") } else { rows };
            match parse(&text) {
                Ok(factors) => drop(factors.factor("a", 0).cloned()),
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
