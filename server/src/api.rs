//! HTTP in, JSON and Arrow out: the API, the pages' files, health, metrics.
//!
//! Owns routes, status codes, formats, headers and cookies; the only room that knows HTTP. Must not know how
//! anything is stored or computed. **Invariant:** a route that is not in `routes::ROUTES` does not exist, and one
//! that is needs what stands there. **Invariant:** every answer that is not 2xx or 3xx is a `contract` error with
//! the request's id, under `/prometheus` one in its envelope, and for OTLP a status of its own. **Not here:** TLS and other people's origins; there is no CORS.

mod alerts;
mod anomalies;
mod backup;
mod bills;
mod body;
mod budgets;
mod cells;
mod costs;
mod credentials;
mod dashboards;
mod error;
mod findings;
mod focus;
mod front;
mod inference;
mod ingest;
mod jobs;
mod ledger_rows;
mod logs;
mod metrics;
mod money;
mod openapi;
mod origin;
mod otlp;
mod ownership;
mod pages;
mod pairs;
mod prices;
mod prometheus;
mod query;
mod questions;
mod range;
mod reports;
mod routes;
mod rows;
mod rules;
mod schedules;
mod serve;
mod sessions;
mod texts;
mod training;

pub use serve::{ApiError, Running, Services, start};

#[cfg(test)]
mod tests;
