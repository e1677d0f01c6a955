//! The price book: what an hour of a GPU costs, by when and where it is.
//!
//! **Invariant:** the most specific row that holds counts, whatever the order of rows and documents; a place without
//! a row has no price, and rows that contradict each other give none either.

mod index;
mod overlap;
mod owned;
mod row;
mod tariff;
#[cfg(test)]
mod tests;

pub use row::PriceRow;

use super::document::{
    Document, Fault, Faults, Format, ROWS_MAX, Row, csv_rows, format_of, is_currency, quoted, rate_digits, toml_rows,
};
use super::money::{Micros, MoneyError};
use super::rates::ExchangeRates;
use super::rows::{Electricity, Elsewhen, GpuPlace, Price, Priced, PricedBy, Prices};
use index::Index;
use row::Rate;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tariff::Tariff;

/// Columns that say which GPUs a row is about, the most specific first.
const SELECTORS: [&str; 6] = ["node", "pool", "gpu_model", "region", "provider", "cluster"];
/// Of any currency for an hour of a GPU; more is a slip.
const PRICE_MOST: i64 = 10_000_000;
const JOULES_PER_KWH: f64 = 3_600_000.0;

/// All price rows that hold together.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// By document and line.
    rows: Vec<PriceRow>,
    index: Index,
    rates: ExchangeRates,
    ledger_currency: Arc<str>,
}

/// A stretch of time in which a place has no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub place: GpuPlace,
    /// First hour, Unix microseconds.
    pub from_micros: i64,
    /// First hour after it.
    pub to_micros: i64,
    /// Rows that contradict each other; empty where there is none.
    pub ambiguous: Vec<PricedBy>,
}

impl Electricity {
    /// What energy costs; unknown where it was not measured.
    pub fn cost(&self, energy_joules: Option<f64>) -> Result<Option<Micros>, MoneyError> {
        let Some(joules) = energy_joules.filter(|joules| joules.is_finite()) else { return Ok(None) };
        let kwh = Decimal::from_f64(joules / JOULES_PER_KWH).ok_or(MoneyError::TooLarge)?;
        Micros::of(self.per_kwh, rate_digits(kwh)).map(Some)
    }
}

impl Prices for Book {
    fn price(&self, place: &GpuPlace, hour_micros: i64) -> Priced {
        self.price_span(place, hour_micros).0
    }

    fn elsewhen(&self, place: &GpuPlace, hour_micros: i64) -> Option<Elsewhen> {
        match self.index.around(&self.rows, place, hour_micros) {
            (Some(ended), _) => Some(Elsewhen::Ended(ended)),
            (None, begins) => begins.map(Elsewhen::Begins),
        }
    }
}

impl Book {
    /// Reads CSV and TOML documents, whose prices hold together, and finds rows that overlap and exchange rates that
    /// are missing. Says all that is wrong, with document and line.
    pub fn parse(documents: &[Document], ledger_currency: &str, rates: &ExchangeRates) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        if !is_currency(ledger_currency) {
            let text = format!("the ledger's currency {} is not a code like EUR", quoted(ledger_currency));
            faults.add("", 1, text);
        }
        let mut names = BTreeSet::new();
        for document in documents.iter().filter(|document| !names.insert(&document.name)) {
            faults.add(&document.name, 1, "is given twice; keep one document of a name".to_owned());
        }
        let mut rows = read_rows(documents, &mut faults);
        rows.sort_by(|a, b| (&a.document, a.by.line).cmp(&(&b.document, b.by.line)));
        for row in &rows {
            row.check_rates(ledger_currency, rates, &mut faults);
        }
        overlap::find_overlaps(&rows, &mut faults);
        let index = Index::new(&rows);
        faults.or(Self { rows, index, rates: rates.clone(), ledger_currency: ledger_currency.into() })
    }

    /// The price at a place in the hour that begins at `hour_micros` (Unix microseconds), and an instant until which
    /// all hours from this one on have the same answer.
    pub fn price_span(&self, place: &GpuPlace, hour_micros: i64) -> (Priced, i64) {
        let found = self.index.find(&self.rows, place, hour_micros);
        match found.rows.as_slice() {
            [] => (Priced::Unpriced, found.until),
            [at] => match self.price_of(&self.rows[*at], hour_micros) {
                Some((price, until)) => (Priced::Price(price), until.min(found.until)),
                // Parsing has made sure that rates exist and amounts are small.
                None => (Priced::Unpriced, found.until),
            },
            several => (Priced::Ambiguous(self.priced_by(several)), found.until),
        }
    }

    /// When the places have no price between two instants, in order of places and times.
    pub fn gaps<'a>(
        &self,
        places: impl IntoIterator<Item = &'a GpuPlace>,
        from_micros: i64,
        to_micros: i64,
    ) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        let places: BTreeSet<&GpuPlace> = places.into_iter().collect();
        for place in places {
            let mut at = from_micros;
            while at < to_micros {
                let found = self.index.find(&self.rows, place, at);
                let until = found.until.min(to_micros);
                if found.rows.len() != 1 {
                    let ambiguous = self.priced_by(&found.rows);
                    match gaps.last_mut() {
                        Some(gap) if gap.place == *place && gap.to_micros == at && gap.ambiguous == ambiguous => {
                            gap.to_micros = until;
                        }
                        _ => gaps.push(Gap { place: place.clone(), from_micros: at, to_micros: until, ambiguous }),
                    }
                }
                at = until;
            }
        }
        gaps
    }

    /// Every row as it was written, by document and line.
    pub fn rows(&self) -> impl Iterator<Item = &PriceRow> {
        self.rows.iter()
    }

    /// The rows that hold in the hour that begins at `hour_micros` (Unix microseconds), by document and line, each with
    /// what it says in the ledger's currency. Which of them counts depends on the place.
    pub fn holding(&self, hour_micros: i64) -> impl Iterator<Item = (&PriceRow, Option<Price>)> {
        let holds = move |row: &&PriceRow| (row.from()..row.to()).contains(&hour_micros);
        self.rows.iter().filter(holds).map(move |row| (row, self.price_of(row, hour_micros).map(|(price, _)| price)))
    }

    /// Whether any row names a node, so that places have to be told apart by theirs.
    pub fn names_nodes(&self) -> bool {
        self.rows.iter().any(|row| row.node().is_some())
    }

    /// The currency of every price.
    pub fn currency(&self) -> &Arc<str> {
        &self.ledger_currency
    }

    fn priced_by(&self, rows: &[usize]) -> Vec<PricedBy> {
        rows.iter().map(|at| PricedBy::clone(&self.rows[*at].by)).collect()
    }

    /// What a row says in an hour, in the ledger's currency, and until when.
    fn price_of(&self, row: &PriceRow, hour_micros: i64) -> Option<(Price, i64)> {
        let mut until = i64::MAX;
        let mut convert = |amount: Decimal| {
            let (amount, rate_until) = self.rates.convert(amount, &row.currency, &self.ledger_currency, hour_micros)?;
            until = until.min(rate_until);
            Some(amount)
        };
        let mut convert_if = |amount: Option<Decimal>| match amount {
            Some(amount) => convert(amount).map(Some),
            None => Some(None),
        };
        let by = row.by.clone();
        match &row.rate {
            Rate::Listed { per_gpu_hour, per_cpu_hour, per_memory_gib_hour } => {
                let per_cpu_hour = convert_if(*per_cpu_hour)?;
                let per_memory_gib_hour = convert_if(*per_memory_gib_hour)?;
                let per_gpu_hour = convert(*per_gpu_hour)?;
                let price = Price { per_gpu_hour, per_cpu_hour, per_memory_gib_hour, electricity: None, by };
                Some((price, until))
            }
            Rate::Owned(owned) => {
                let (own, month_until) = owned.per_gpu_hour(hour_micros)?;
                let per_gpu_hour = convert(own)?;
                let mut until = until.min(month_until);
                let mut electricity = None;
                if let Some((pue, tariff)) = &owned.electricity {
                    let (per_kwh, tariff_until) =
                        tariff.per_kwh(*pue, hour_micros, &self.ledger_currency, &self.rates)?;
                    until = until.min(tariff_until);
                    electricity = Some(Electricity { per_kwh });
                }
                let price = Price { per_gpu_hour, per_cpu_hour: None, per_memory_gib_hour: None, electricity, by };
                Some((price, until))
            }
        }
    }
}

/// The rows of all documents. Tariffs of one may be named in another.
fn read_rows(documents: &[Document], faults: &mut Faults) -> Vec<PriceRow> {
    let (mut rows, mut owned) = (Vec::new(), Vec::new());
    let mut tariffs: HashMap<Arc<str>, Arc<Tariff>> = HashMap::new();
    for document in documents {
        match format_of(document, &[Format::Csv, Format::Toml], faults) {
            Some(Format::Csv) => {
                let read = csv_rows(document, &row::COLUMNS, &row::REQUIRED, faults);
                rows.extend(read.iter().filter_map(|row| PriceRow::read_price(row, faults)));
            }
            Some(Format::Toml) => {
                for (table, row) in toml_rows(document, &["price", "owned", "tariff"], faults) {
                    match table {
                        0 => rows.extend(PriceRow::read_price(&row, faults)),
                        1 => owned.push(row),
                        _ => read_tariff(&row, &mut tariffs, faults),
                    }
                }
            }
            Some(Format::Json) | None => {}
        }
        if rows.len() + owned.len() > ROWS_MAX {
            faults.add(&document.name, 1, format!("there are more than {ROWS_MAX} prices"));
            return Vec::new();
        }
    }
    rows.extend(owned.iter().filter_map(|row| PriceRow::read_owned(row, &tariffs, faults)));
    rows
}

fn read_tariff(row: &Row, tariffs: &mut HashMap<Arc<str>, Arc<Tariff>>, faults: &mut Faults) {
    let Some(tariff) = Tariff::read(row, faults) else { return };
    if tariffs.contains_key(&tariff.name) {
        row.fault("name", faults, format!("there is another [[tariff]] of the name {}", quoted(&tariff.name)));
        return;
    }
    tariffs.insert(tariff.name.clone(), Arc::new(tariff));
}
