//! A row of the book: for which GPUs and when it holds, and what it says.

use super::super::document::{Amount, Faults, Row, Validity, any_of, quoted};
use super::super::rates::ExchangeRates;
use super::super::rows::PricedBy;
use super::owned::Owned;
use super::tariff::Tariff;
use super::{PRICE_MOST, SELECTORS};
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

/// Columns of a CSV book, keys of `[[price]]`.
pub(super) const COLUMNS: [&str; 13] = [
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
    "price_per_cpu_hour",
    "price_per_memory_gib_hour",
];
pub(super) const REQUIRED: [&str; 3] = ["kind", "currency", "price_per_gpu_hour"];
const KINDS: [&str; 5] = ["on_demand", "spot", "reserved", "capacity_block", "owned"];

/// A row as it was written; a table of prices lists these.
#[derive(Debug, Clone)]
pub struct PriceRow {
    pub document: Arc<str>,
    /// Kind, version of the document and line.
    pub by: Arc<PricedBy>,
    /// First hour that counts, Unix microseconds; none where it is open.
    pub valid_from_micros: Option<i64>,
    /// First hour that no longer counts.
    pub valid_to_micros: Option<i64>,
    /// Names or patterns in the order of [`SELECTORS`], most specific first.
    pub(super) selectors: [Option<Arc<str>>; 6],
    /// Of the amounts.
    pub currency: Arc<str>,
    pub(super) rate: Rate,
}

/// What a row says, in its own currency.
#[derive(Debug, Clone)]
pub(super) enum Rate {
    Listed { per_gpu_hour: Decimal, per_cpu_hour: Option<Decimal>, per_memory_gib_hour: Option<Decimal> },
    Owned(Owned),
}

impl PriceRow {
    /// A row of a CSV book or a `[[price]]`.
    pub(super) fn read_price(row: &Row, faults: &mut Faults) -> Option<Self> {
        let before = faults.count();
        row.only(&COLUMNS, faults);
        let most = Amount::up_to(PRICE_MOST);
        let per_gpu_hour = row.required_amount("price_per_gpu_hour", most, faults);
        let per_cpu_hour = row.amount("price_per_cpu_hour", most, faults);
        let per_memory_gib_hour = row.amount("price_per_memory_gib_hour", most, faults);
        let kind = row.required("kind", faults).unwrap_or_default();
        if !kind.is_empty() && !KINDS.contains(&kind) {
            row.fault("kind", faults, format!("kind {} is none; a kind is {}", quoted(kind), any_of(&KINDS)));
        }
        let validity = row.validity(faults);
        let mut read = Self::read(row, kind, validity, faults)?;
        read.rate = Rate::Listed { per_gpu_hour: per_gpu_hour?, per_cpu_hour, per_memory_gib_hour };
        (faults.count() == before).then_some(read)
    }

    /// An `[[owned]]`.
    pub(super) fn read_owned(row: &Row, tariffs: &HashMap<Arc<str>, Arc<Tariff>>, faults: &mut Faults) -> Option<Self> {
        let owned = Owned::read(row, tariffs, faults);
        let (owned, validity) = owned.unzip();
        let mut read = Self::read(row, "owned", validity.unwrap_or_default(), faults)?;
        read.rate = Rate::Owned(owned?);
        Some(read)
    }

    fn read(row: &Row, kind: &str, (from, to): Validity, faults: &mut Faults) -> Option<Self> {
        let selectors = SELECTORS.map(|key| row.name(key, faults));
        let by = PricedBy { kind: kind.into(), version: row.origin.version.clone(), line: row.line as i64 };
        Some(Self {
            document: row.origin.document.clone(),
            by: Arc::new(by),
            valid_from_micros: from,
            valid_to_micros: to,
            selectors,
            currency: row.currency("currency", faults)?,
            rate: Rate::Listed { per_gpu_hour: Decimal::ZERO, per_cpu_hour: None, per_memory_gib_hour: None },
        })
    }

    /// Finds fault where an exchange rate is missing.
    pub(super) fn check_rates(&self, ledger_currency: &str, rates: &ExchangeRates, faults: &mut Faults) {
        let tariff = match &self.rate {
            Rate::Owned(owned) => owned.electricity.as_ref().map(|(_, tariff)| &tariff.currency),
            Rate::Listed { .. } => None,
        };
        let tariff = tariff.filter(|currency| **currency != self.currency);
        for currency in std::iter::once(&self.currency).chain(tariff) {
            if let Some(why) = rates.missing(currency, ledger_currency, self.valid_from_micros) {
                faults.add(&self.document, self.line(), why);
            }
        }
    }

    pub(super) fn line(&self) -> usize {
        usize::try_from(self.by.line).unwrap_or_default()
    }

    pub(super) fn from(&self) -> i64 {
        self.valid_from_micros.unwrap_or(i64::MIN)
    }

    pub(super) fn to(&self) -> i64 {
        self.valid_to_micros.unwrap_or(i64::MAX)
    }

    pub fn node(&self) -> Option<&Arc<str>> {
        self.selectors[0].as_ref()
    }

    pub fn pool(&self) -> Option<&Arc<str>> {
        self.selectors[1].as_ref()
    }

    pub fn gpu_model(&self) -> Option<&Arc<str>> {
        self.selectors[2].as_ref()
    }

    pub fn region(&self) -> Option<&Arc<str>> {
        self.selectors[3].as_ref()
    }

    pub fn provider(&self) -> Option<&Arc<str>> {
        self.selectors[4].as_ref()
    }

    pub fn cluster(&self) -> Option<&Arc<str>> {
        self.selectors[5].as_ref()
    }

    /// In the row's currency; none where it is computed month by month.
    pub fn price_per_gpu_hour(&self) -> Option<Decimal> {
        match &self.rate {
            Rate::Listed { per_gpu_hour, .. } => Some(*per_gpu_hour),
            Rate::Owned(_) => None,
        }
    }

    pub fn price_per_cpu_hour(&self) -> Option<Decimal> {
        match &self.rate {
            Rate::Listed { per_cpu_hour, .. } => *per_cpu_hour,
            Rate::Owned(_) => None,
        }
    }

    pub fn price_per_memory_gib_hour(&self) -> Option<Decimal> {
        match &self.rate {
            Rate::Listed { per_memory_gib_hour, .. } => *per_memory_gib_hour,
            Rate::Owned(_) => None,
        }
    }
}
