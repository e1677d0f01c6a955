//! Services of inference: latency and tokens of their requests, what these cost, and how many replicas there should be.
//!
//! Figures come from `inference_requests`; where a service has none, from the metrics of its engines. Costs are the
//! ledger's rows of the jobs that serve it. docs/inference.md says how each number is made.

mod belonging;
mod bill;
mod detail;
mod engine_rows;
mod engines;
mod error;
mod figures;
mod growth;
mod jobs;
mod lines;
mod observe;
mod per_million;
mod requests;
mod rows;
mod services;
mod sheet;
mod sizing;
mod split;
mod steps;

pub use detail::{Bill, ServiceDetail};
pub use engine_rows::{EngineFigures, EngineStep};
pub use error::InferenceError;
pub use figures::{Figures, Model, Quantiles, Source, Step};
pub use lines::{KeyKind, KeyLine};
pub use observe::Scaling;
pub use per_million::PerMillion;
pub use requests::By;
pub use services::{Service, Services};
pub use sizing::{Confidence, Objective, Sizing};

use crate::query::Engine;
use observe::Observed;
use parking_lot::RwLock;
use std::sync::Arc;

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Inference {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    /// Unix microseconds, UTC.
    clock: fn() -> i64,
    observed: RwLock<Arc<Observed>>,
}

impl Inference {
    /// `clock` gives Unix microseconds, UTC.
    pub fn open(engine: Engine, clock: fn() -> i64) -> Result<Self, InferenceError> {
        let inner = Inner { engine, clock, observed: RwLock::default() };
        let inference = Self { inner: Arc::new(inner) };
        inference.show()?;
        Ok(inference)
    }
}
