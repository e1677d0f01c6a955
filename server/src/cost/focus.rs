//! Charges in the shape of FOCUS 1.4's Cost and Usage, from rows of the ledger, with a projection to 1.2.
//!
//! Must not know where rows come from nor which file they land in. **Invariants:** the effective cost of the charges is
//! that of the rows, to the micro; charges split from one origin sum to it, their ratios to 1; a unit price times its
//! quantity is the contracted cost, exactly; what has no price is told in the note and is no charge.

mod charges;
mod columns;
mod document;
mod text;

pub use charges::{FocusExport, FocusNote, UnpricedUse};
pub use columns::{FocusColumn, FocusType, FocusValue};
pub use document::FocusCsv;

use super::bill::Period;
use super::money::Micros;
use super::rows::Category;
use rust_decimal::{Decimal, RoundingStrategy};
use std::sync::Arc;

/// Digits after the point of quantities and of unit prices; their product has twice as many.
pub const QUANTITY_DIGITS: u32 = 9;
/// Digits after the point that hold any decimal of a file without rounding, as in `decimal128(38, 18)`.
pub const DECIMAL_DIGITS: u32 = 2 * QUANTITY_DIGITS;

/// Why a row cannot become a charge.
#[derive(Debug, thiserror::Error)]
pub enum FocusError {
    #[error("a charge of {0} is beyond what a file can hold exactly")]
    TooLarge(String),
    #[error("{0:?} is no version that can be written (known: 1.4, 1.2)")]
    Version(String),
    #[error("one GPU has more than {0} different charges in one period")]
    TooManyCharges(usize),
    #[error("cannot write the file: {0}")]
    Write(#[source] std::io::Error),
}

/// Which columns a file has. A validator that can be run offline exists for 1.2 only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FocusVersion {
    V1_2,
    V1_4,
}

impl FocusVersion {
    /// # Errors
    /// The text is neither `1.4` nor `1.2`.
    pub fn parse(text: &str) -> Result<Self, FocusError> {
        [Self::V1_2, Self::V1_4]
            .into_iter()
            .find(|v| v.as_str() == text)
            .ok_or_else(|| FocusError::Version(text.chars().take(20).collect()))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_4 => "1.4",
        }
    }

    /// Its columns in the order of a file: those of FOCUS by name, then ours, which start with `x_`.
    pub fn columns(self) -> Vec<&'static FocusColumn> {
        columns::COLUMNS.iter().filter(|column| column.is_in(self)).collect()
    }
}

/// How long one charge lasts at most. Longer ones make smaller files and lose the states of the GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FocusGrain {
    /// As the rows have it.
    Hour,
    Day,
    Month,
}

/// Names that every charge of a file carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FocusNames {
    pub billing_account_id: String,
    pub billing_account_name: String,
    /// Who sells the use and accounts for it: the team that runs the clusters.
    pub issuer: String,
    /// Of our documented method of splitting, with its version.
    pub allocated_method_id: String,
}

impl FocusNames {
    /// Where nobody says more.
    pub fn plain() -> Self {
        Self {
            billing_account_id: "coulomb".to_owned(),
            billing_account_name: "coulomb".to_owned(),
            issuer: "GPU Platform".to_owned(),
            // Of the way in which the hours of a GPU are split over its jobs and its idle time.
            allocated_method_id: "gpu-time-v1".to_owned(),
        }
    }
}

/// A row of the ledger, with the words of the ledger. Amounts are in `currency`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FocusSource {
    /// The month that it is billed in; that of a correction is the open one.
    pub billing_period: Period,
    /// When the cost arose: an hour, or the time that a job ran where only accounting knows of it.
    pub charge_period: Period,
    pub cluster: Arc<str>,
    pub node: Option<Arc<str>>,
    pub gpu_uuid: Option<Arc<str>>,
    pub gpu_model: Option<Arc<str>>,
    pub pool: Option<Arc<str>>,
    pub region: Option<Arc<str>>,
    pub provider: Option<Arc<str>>,
    pub job_id: Option<Arc<str>>,
    pub job_name: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    pub project: Option<Arc<str>>,
    pub queue: Option<Arc<str>>,
    pub team: Option<Arc<str>>,
    pub cost_centre: Option<Arc<str>>,
    pub state: Option<Arc<str>>,
    pub category: Category,
    /// In `unit`s; see [`focus_quantity`].
    pub quantity: Decimal,
    pub unit: Arc<str>,
    /// Currency a unit.
    pub rate: Option<Decimal>,
    /// `on_demand`, `spot`, `reserved`, `capacity_block` or `owned`.
    pub price_kind: Option<Arc<str>>,
    pub price_version: Option<Arc<str>>,
    pub price_line: Option<i64>,
    pub policy_version: Option<Arc<str>>,
    /// None where there is no price.
    pub cost: Option<Micros>,
    pub currency: Arc<str>,
    /// What an adjustment of a closed month corrects.
    pub corrects: Option<Arc<str>>,
}

/// One charge of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FocusRow {
    /// The row, or the sum of several over the period of the grain.
    pub of: FocusSource,
    pub names: Arc<FocusNames>,
    /// Share of the origin charge that it was split from; none where it was not split.
    pub ratio: Option<Decimal>,
    pub pricing_quantity: Decimal,
    pub pricing_unit: Arc<str>,
    /// None of corrections: the difference of two charges has no price.
    pub unit_price: Option<Decimal>,
    /// Unit price × pricing quantity. It may differ from `effective` by what the ledger rounded to micros.
    pub contracted: Decimal,
    /// What the ledger has.
    pub effective: Decimal,
}

impl FocusRow {
    /// In the order of [`FocusVersion::columns`].
    pub fn values(&self, version: FocusVersion) -> impl Iterator<Item = FocusValue> {
        columns::COLUMNS.iter().filter(move |c| c.is_in(version)).map(move |column| (column.get)(self, version))
    }

    /// The use of capacity that was reserved, and whether the GPU was used; none of other prices.
    pub(super) fn reserved(&self) -> Option<&'static str> {
        reserved(&self.of)
    }
}

fn reserved(source: &FocusSource) -> Option<&'static str> {
    let kind = source.price_kind.as_deref()?;
    let used = if source.category == Category::Idle { "Unused" } else { "Used" };
    ["reserved", "capacity_block"].contains(&kind).then_some(used)
}

/// A quantity of the ledger as a decimal of a file, or none where it is no number or beyond all bounds.
pub fn focus_quantity(quantity: f64) -> Option<Decimal> {
    Decimal::from_f64_retain(quantity).map(rounded)
}

fn rounded(number: Decimal) -> Decimal {
    number.round_dp_with_strategy(QUANTITY_DIGITS, RoundingStrategy::MidpointNearestEven).normalize()
}

/// Schema of a file as FOCUS wants it beside the data, as JSON. `created_micros` is in Unix microseconds.
pub fn focus_metadata(version: FocusVersion, names: &FocusNames, schema_id: &str, created_micros: i64) -> String {
    document::metadata(version, names, schema_id, created_micros)
}

#[cfg(test)]
mod tests;
