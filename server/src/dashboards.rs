//! Dashboards as TOML: the ones that come with the product and the user's own, what fills them, and the same for Grafana.
//!
//! Owns the format, its faults by line and what a dashboard is in Grafana. Must not know HTTP or how SQL is answered.
//! **Invariant:** a value is bound as a parameter and never put into a statement.

mod arrived;
mod board;
mod check;
mod error;
mod grafana;
mod parse;
mod series;
mod shipped;

pub use arrived::arrived;
pub use board::{BUCKETS_MAX, Choices, Dashboard, Kind, Need, Panel, Severity, Unit, Variable};
pub use check::{ColumnShape, Role, check, first_choice};
pub use error::DashboardError;
pub use grafana::grafana;
pub use parse::{TEXT_BYTES_MAX, parse};
pub use series::{Points, points};
pub use shipped::shelf;
