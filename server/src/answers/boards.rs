//! What is said about dashboards.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/dashboards` lists them; `PUT` answers with the one that was kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardEntry {
    pub name: String,
    /// Its name where its text was never right.
    pub title: String,
    pub description: String,
    /// `shipped` or `own`.
    pub origin: String,
    /// Stands in place of one of the product.
    pub hides_shipped: bool,
    /// All that it needs has arrived.
    pub offered: bool,
    /// Tables and columns that it needs and that have no rows.
    pub missing: Vec<String>,
    /// Of the text as it is now; what is shown is the last version without any.
    pub faults: Vec<DashboardFault>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardFault {
    /// From 1.
    pub line: u64,
    pub text: String,
}

/// `GET /api/v1/dashboards/{name}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardAnswer {
    pub name: String,
    pub title: String,
    pub description: String,
    pub origin: String,
    pub hides_shipped: bool,
    pub faults: Vec<DashboardFault>,
    /// Of amounts in micros.
    pub currency: String,
    /// A step is the shortest one that divides the range into no more buckets than this.
    pub buckets_max: i64,
    pub variables: Vec<DashboardVariable>,
    pub panels: Vec<DashboardPanel>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardVariable {
    pub name: String,
    pub label: String,
    /// `step`, `choices` or `sql`.
    pub kind: String,
    /// Of a step, such as `300 seconds`, or fixed ones.
    pub choices: Vec<String>,
    /// The first column of its rows are the choices.
    pub sql: Option<String>,
    /// As of a panel.
    pub takes: Vec<i64>,
    pub default: Option<String>,
    /// What the empty value is called, where it may be chosen.
    pub all: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardPanel {
    pub title: String,
    pub description: Option<String>,
    /// Title of the row that begins with it.
    pub row: Option<String>,
    /// `timeseries`, `stacked`, `bar`, `table`, `stat` or `heatmap`.
    pub kind: String,
    pub unit: String,
    /// Of twelve columns.
    pub width: i64,
    pub sql: String,
    /// What `$1`, `$2` and so on of the statement are: positions, from 0, among the range's start, its end and the
    /// variables.
    pub takes: Vec<i64>,
    pub promql: Option<String>,
    pub thresholds: Vec<DashboardThreshold>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DashboardThreshold {
    pub at: f64,
    /// `warning` or `critical`.
    pub severity: String,
}
