//! Budgets, anomalies, prices that hold, catalogs, and what a change of owners moves.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/budgets`: how each budget stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budgets {
    /// Unix microseconds; what is known of later hours is not in it.
    pub at_unix_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// In the order of the document.
    pub budgets: Vec<BudgetState>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetState {
    pub name: String,
    /// `monthly` or `quarterly`.
    pub period: String,
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
    /// What it covers; a row counts that fits all of them.
    pub covers: Vec<BudgetSelector>,
    pub amount_micros: i64,
    pub spent_micros: i64,
    /// Below zero where more was spent.
    pub left_micros: i64,
    /// Hours that it covers and that have no price, so that their cost is in no amount.
    pub unpriced_gpu_hours: f64,
    pub burn_down: Vec<BurnDownDay>,
    /// Of all of the period; none where there are too few days to say.
    pub forecast: Option<BudgetForecast>,
    pub thresholds: Vec<BudgetThreshold>,
    /// When all of it is spent: `crossed`, `expected` or `not_expected`.
    pub exceeds: String,
    /// Start of that day.
    pub exceeds_unix_micros: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetSelector {
    /// Such as `team`.
    pub dimension: String,
    /// Texts in which `*` stands for any characters; one has to fit.
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BurnDownDay {
    pub day_unix_micros: i64,
    /// At its end.
    pub left_micros: i64,
}

/// An estimate; nothing is charged by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetForecast {
    pub low_micros: i64,
    pub expected_micros: i64,
    pub high_micros: i64,
    /// Each day from the one that goes on.
    pub days_micros: Vec<i64>,
    /// Start of the first of them.
    pub days_from_unix_micros: i64,
    /// How it was made, and what the band means.
    pub method: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetThreshold {
    /// Of the amount, such as `0.8`.
    pub part: String,
    /// `crossed`, `expected` or `not_expected`.
    pub state: String,
    /// Start of the day on which it was or probably will be.
    pub day_unix_micros: Option<i64>,
}

/// `GET /api/v1/anomalies`: days that cost more or less than days like them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostAnomalies {
    pub from_unix_micros: i64,
    pub to_unix_micros: i64,
    pub by: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Whole days that were judged.
    pub days: u64,
    /// In order of their days, the latest ones where there are many.
    pub anomalies: Vec<CostAnomaly>,
    pub left_out: u64,
    /// Days that were not judged: too many of their hours have no price.
    pub unpriced_days: Vec<UnpricedDay>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostAnomaly {
    pub day_unix_micros: i64,
    pub cost_micros: i64,
    /// Median of the same weekdays before.
    pub expected_micros: i64,
    /// Deviations from it; none where the days before were all alike and cost nothing.
    pub score: Option<f64>,
    /// What drove it, the largest difference first.
    pub drivers: Vec<CostDriver>,
    /// Jobs that cost most of what the first driver did, where that cost more than usual.
    pub jobs: Vec<DriverJob>,
    /// All of it in a sentence.
    pub text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostDriver {
    /// Empty where rows have no such name.
    pub name: String,
    pub cost_micros: i64,
    pub expected_micros: i64,
    pub difference_micros: i64,
    pub gpu_hours: f64,
    pub expected_gpu_hours: f64,
    /// Of the difference, what more or fewer GPU-hours make; none where there are no hours.
    pub by_quantity_micros: Option<i64>,
    /// Of the difference, what other prices make.
    pub by_price_micros: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DriverJob {
    pub job_id: String,
    pub user: Option<String>,
    pub cost_micros: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnpricedDay {
    pub day_unix_micros: i64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
}

/// `GET /api/v1/prices`: what the price book says at an instant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PricesAt {
    /// Start of the hour.
    pub at_unix_micros: i64,
    /// ISO 4217 code of the ledger.
    pub currency: String,
    /// By document and line. Of several that fit a GPU the most specific counts.
    pub rows: Vec<PriceLine>,
    pub rows_left_out: u64,
    /// Time, from then on for a quarter, in which GPUs of the ledger have no price.
    pub gaps: Vec<PriceGapLine>,
    pub gaps_left_out: u64,
    /// Kinds of places of GPUs that were looked at for gaps.
    pub places: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceLine {
    pub document: String,
    pub version: String,
    pub line: i64,
    pub kind: String,
    pub valid_from_unix_micros: Option<i64>,
    pub valid_to_unix_micros: Option<i64>,
    pub place: PricePlace,
    /// Of what is written.
    pub currency: String,
    /// As written; none where it is computed month by month.
    pub price_per_gpu_hour: Option<String>,
    /// In the ledger's currency, in that hour.
    pub rate_per_gpu_hour: Option<String>,
    pub rate_per_cpu_hour: Option<String>,
    pub rate_per_memory_gib_hour: Option<String>,
    /// On top by measured energy at the GPU, where GPUs are owned.
    pub rate_per_kwh: Option<String>,
}

/// Which GPUs; none means any, or unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PricePlace {
    pub cluster: Option<String>,
    pub pool: Option<String>,
    pub node: Option<String>,
    pub gpu_model: Option<String>,
    pub provider: Option<String>,
    pub region: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceGapLine {
    pub place: PricePlace,
    pub from_unix_micros: i64,
    /// End, or as far as was looked.
    pub to_unix_micros: i64,
    /// `missing`, `ended`, `begins_later` or `overlap`.
    pub reason: String,
    /// When the price ended or begins.
    pub price_unix_micros: Option<i64>,
    /// Versions and lines that contradict each other.
    pub overlap: Vec<String>,
    /// All of it in a sentence.
    pub text: String,
}

/// `POST /api/v1/catalogs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogRequest {
    /// Of the price book; ends in `.csv`.
    pub name: String,
    /// Of the catalog; ends in `.csv` or `.json`.
    pub catalog_name: String,
    pub catalog: String,
    /// Of the map; ends in `.toml`.
    pub map_name: String,
    pub map: String,
    /// Only says what would come of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// A price book that was made of a catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogAnswer {
    pub name: String,
    pub version: String,
    /// Of the map, which is kept as the document `maps` of the same name.
    pub map_version: String,
    /// Prices.
    pub rows: u64,
    /// Records that gave none.
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub why: String,
    pub records: u64,
}

/// `POST /api/v1/ownership/moves`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovesRequest {
    /// Such as `2026-10`.
    pub period: String,
    /// Ownership rules as TOML.
    pub rules: String,
}

/// What other rules would move in a month.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnershipMoves {
    pub period: String,
    /// Then its rows stay, and the moves are posted to the open month.
    pub is_closed: bool,
    /// ISO 4217 code.
    pub currency: String,
    pub moves: Vec<OwnershipMove>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnershipMove {
    pub from: OwnerName,
    pub to: OwnerName,
    pub jobs: u64,
    pub gpu_hours: f64,
    /// Of what has a price.
    pub cost_micros: i64,
    /// Rows of the ledger without a price.
    pub unpriced_rows: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnerName {
    pub team: String,
    pub project: Option<String>,
    pub cost_centre: String,
}
