//! Answers about costs, budgets and anomalies, as the API document has them. Pure.

use contract::answers::Range;

answer! {
    /// `GET /api/v1/costs/pivot`: costs by one or two dimensions.
    pub(crate) struct CostPivot {
        pub(crate) range: Range,
        pub(crate) before: Option<Range>,
        pub(crate) currency: String,
        pub(crate) columns: Vec<Option<String>>,
        pub(crate) columns_left_out: u64,
        pub(crate) rows: Vec<PivotRow>,
        pub(crate) rows_left_out: u64,
        pub(crate) rest: PivotRow,
        pub(crate) total: PivotRow,
    }
    pub(crate) struct PivotRow {
        pub(crate) name: Option<String>,
        pub(crate) cost_micros: i64,
        pub(crate) gpu_hours: f64,
        pub(crate) unpriced_gpu_hours: f64,
        pub(crate) before_micros: Option<i64>,
        pub(crate) cells: Vec<PivotCell>,
        pub(crate) beyond_micros: i64,
    }
    pub(crate) struct PivotCell {
        pub(crate) column: u64,
        pub(crate) cost_micros: i64,
    }
    /// `GET /api/v1/waterfall/losses`: who lost what on the way to a step.
    pub(crate) struct CostLosses {
        pub(crate) currency: String,
        pub(crate) stage: String,
        pub(crate) whose: Option<String>,
        pub(crate) lost_micros: i64,
        pub(crate) lost_gpu_hours: f64,
        pub(crate) unknown_micros: i64,
        pub(crate) groups: Vec<CostLoss>,
        pub(crate) groups_left_out: u64,
    }
    pub(crate) struct CostLoss {
        pub(crate) name: Option<String>,
        pub(crate) lost_micros: i64,
        pub(crate) lost_gpu_hours: f64,
        pub(crate) unknown_micros: i64,
    }
    /// `GET /api/v1/budgets`.
    pub(crate) struct Budgets {
        pub(crate) at_unix_micros: i64,
        pub(crate) currency: String,
        pub(crate) budgets: Vec<BudgetState>,
    }
    pub(crate) struct BudgetState {
        pub(crate) name: String,
        pub(crate) period: String,
        pub(crate) from_unix_micros: i64,
        pub(crate) to_unix_micros: i64,
        pub(crate) covers: Vec<BudgetSelector>,
        pub(crate) amount_micros: i64,
        pub(crate) spent_micros: i64,
        pub(crate) left_micros: i64,
        pub(crate) unpriced_gpu_hours: f64,
        pub(crate) thresholds: Vec<BudgetThreshold>,
        pub(crate) burn_down: Vec<BurnDownDay>,
        pub(crate) forecast: Option<BudgetForecast>,
        pub(crate) exceeds: String,
        pub(crate) exceeds_unix_micros: Option<i64>,
    }
    pub(crate) struct BudgetSelector {
        pub(crate) dimension: String,
        pub(crate) values: Vec<String>,
    }
    pub(crate) struct BudgetThreshold {
        pub(crate) part: String,
        pub(crate) state: String,
        pub(crate) day_unix_micros: Option<i64>,
    }
    pub(crate) struct BurnDownDay {
        pub(crate) day_unix_micros: i64,
        pub(crate) left_micros: i64,
    }
    pub(crate) struct BudgetForecast {
        pub(crate) low_micros: i64,
        pub(crate) expected_micros: i64,
        pub(crate) high_micros: i64,
        pub(crate) days_micros: Vec<i64>,
        pub(crate) days_from_unix_micros: i64,
        pub(crate) method: String,
    }
    /// `GET /api/v1/anomalies`.
    pub(crate) struct CostAnomalies {
        pub(crate) currency: String,
        pub(crate) days: u64,
        pub(crate) left_out: u64,
        pub(crate) anomalies: Vec<CostAnomaly>,
    }
    pub(crate) struct CostAnomaly {
        pub(crate) day_unix_micros: i64,
        pub(crate) cost_micros: i64,
        pub(crate) expected_micros: i64,
        pub(crate) drivers: Vec<CostDriver>,
        pub(crate) text: String,
    }
    pub(crate) struct CostDriver {
        pub(crate) name: String,
        pub(crate) difference_micros: i64,
    }
}

#[cfg(test)]
pub(super) const KNOWN: [(&str, &[&str]); 15] = [
    CostPivot::FIELDS,
    PivotRow::FIELDS,
    PivotCell::FIELDS,
    CostLosses::FIELDS,
    CostLoss::FIELDS,
    Budgets::FIELDS,
    BudgetState::FIELDS,
    BudgetSelector::FIELDS,
    BudgetThreshold::FIELDS,
    BurnDownDay::FIELDS,
    BudgetForecast::FIELDS,
    CostAnomalies::FIELDS,
    CostAnomaly::FIELDS,
    CostDriver::FIELDS,
    super::PolicyComparison::FIELDS,
];
