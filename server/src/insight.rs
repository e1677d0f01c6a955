//! What use and cost mean: how services of inference do, what their tokens cost, and how many replicas they need.
//!
//! Asks the engine and computes; must not know HTTP, files or how money is booked. **Invariants:** what is not known
//! is none, never 0; money that is split sums to what the ledger has, to the micro; time is an argument.

mod inference;

pub use inference::{
    Bill, By, Confidence, EngineFigures, EngineStep, Figures, Inference, InferenceError, KeyKind, KeyLine, Model,
    Objective, PerMillion, Quantiles, Scaling, Service, ServiceDetail, Services, Sizing, Source, Step,
};
