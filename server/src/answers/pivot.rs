//! Costs by two dimensions, and who lost what of them.

use contract::answers::Range;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/costs/pivot`: costs by one or two dimensions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostPivot {
    pub range: Range,
    /// The range before, where it was asked for.
    pub before: Option<Range>,
    /// ISO 4217 code.
    pub currency: String,
    /// Dimensions.
    pub rows_by: String,
    pub columns_by: Option<String>,
    /// Names; null where rows of the ledger have no such name.
    pub columns: Vec<Option<String>>,
    pub columns_left_out: u64,
    /// Most costly first.
    pub rows: Vec<PivotRow>,
    pub rows_left_out: u64,
    /// Sum of the rows that are not listed.
    pub rest: PivotRow,
    /// Sum of all rows.
    pub total: PivotRow,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PivotRow {
    pub name: Option<String>,
    pub cost_micros: i64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
    /// Null where nothing is known of the range before, or it was not asked for.
    pub before_micros: Option<i64>,
    pub cells: Vec<PivotCell>,
    /// Of columns that are not listed.
    pub beyond_micros: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PivotCell {
    /// Place in `columns`, from 0.
    pub column: u64,
    pub cost_micros: i64,
}

/// `GET /api/v1/waterfall/losses`: who lost what on the way to a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostLosses {
    pub range: Range,
    /// ISO 4217 code.
    pub currency: String,
    pub stage: String,
    pub by: String,
    /// Who can do something about it.
    pub whose: Option<String>,
    /// Of all groups; each is rounded by itself.
    pub lost_micros: i64,
    pub lost_gpu_hours: f64,
    /// Nobody measured whether it got as far.
    pub unknown_micros: i64,
    /// Those that lost most come first.
    pub groups: Vec<CostLoss>,
    pub groups_left_out: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostLoss {
    pub name: Option<String>,
    pub lost_micros: i64,
    pub lost_gpu_hours: f64,
    pub unknown_micros: i64,
}
