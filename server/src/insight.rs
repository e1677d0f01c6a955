//! What rows mean for who runs the work: rules over what the engine answers and what it costs.
//!
//! Owns the questions and the arithmetic of findings. Must not know HTTP, files or how rows are kept.
//! **Invariants:** time is an argument; what is not known is null; what is inferred is never mixed with what was
//! measured; parts of money sum to what the ledger has.

mod inference;
mod training;

pub use inference::{
    Bill, By, Confidence, EngineFigures, EngineStep, Figures, Inference, InferenceError, KeyKind, KeyLine, Model,
    Objective, PerMillion, Quantiles, Scaling, Service, ServiceDetail, Services, Sizing, Source, Step,
};
pub use training::{Peak, peaks, trace, training};
