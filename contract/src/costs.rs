//! What the API answers about money.

use crate::answers::Range;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/costs`: what was paid in a range, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    pub range: Range,
    /// ISO 4217 code.
    pub currency: String,
    /// Of all rows that have a price.
    pub cost_micros: i64,
    pub gpu_hours: f64,
    /// Hours that have no price, and so no cost.
    pub unpriced_gpu_hours: f64,
    /// What nobody used, on a line of its own.
    pub idle_micros: i64,
    /// What no ownership rule gives to anybody.
    pub unowned_micros: i64,
    /// Of the range of the same length before; none where nothing was known then.
    pub before_micros: Option<i64>,
    /// By the dimension that was asked for, most costly first.
    pub groups: Vec<CostGroup>,
    /// Groups beyond those that are listed.
    pub groups_left_out: u64,
    /// Start of each day, Unix microseconds.
    pub days_unix_micros: Vec<i64>,
    pub waterfall: Vec<WaterfallStep>,
    pub months: Vec<CostMonth>,
    /// What a reader has to know, as sentences.
    pub notices: Vec<CostNotice>,
    /// Whether any price was stated.
    pub has_prices: bool,
    pub energy: Energy,
    /// Whose carbon factors were used.
    pub carbon_sources: Vec<String>,
}

/// Electricity of GPUs and what it emitted, as far as both are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// None where nothing was measured.
    pub measured_joules: Option<f64>,
    /// CO2e of the energy from grids with a factor, with what their sites add; none where there is none.
    pub carbon_grams: Option<f64>,
    /// Of the energy, what comes from grids without a factor: its emissions are not reported.
    pub without_factor_joules: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostGroup {
    /// None where rows have no such name.
    pub name: Option<String>,
    pub cost_micros: i64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
    /// In the order of the days.
    pub by_day_micros: Vec<i64>,
    pub energy: Energy,
}

/// A step of the way from what is paid to what is worked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WaterfallStep {
    /// `paid`, `allocated`, `held_by_a_process`, `sm_active`, `tensor_active` or `goodput`.
    pub stage: String,
    /// None where it is not known.
    pub cost_micros: Option<i64>,
    pub gpu_hours: Option<f64>,
    /// Of the step before, what was not measured at this one.
    pub unknown_micros: i64,
}

/// A month of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostMonth {
    /// Such as `2026-10`.
    pub period: String,
    pub cost_micros: i64,
    /// Part of it that corrects closed months.
    pub correction_micros: i64,
    pub unpriced_gpu_hours: f64,
    pub is_closed: bool,
    /// Whether its last hour is known, so that it may be closed: ten minutes after its end.
    pub is_over: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostNotice {
    /// Such as `missing_price`.
    pub code: String,
    pub text: String,
}
