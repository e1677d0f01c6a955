//! Insight: what rows mean for who runs the work: what is wasted, what fails, what training does, and what that costs.
//!
//! Owns the rules and the arithmetic of findings, and the tables `findings` and `incidents`. Must not know HTTP, files or
//! how rows are kept and priced: money is the ledger's own rows, summed and split. **Invariants:** time is an argument;
//! rules are pure over one window of facts; what is not known is null; what is inferred is never mixed with what was
//! measured; parts of money sum to no more than the ledger has; a look is made anew when its inputs change, and not more
//! often than it is worth.

mod bill;
mod error;
mod facts;
mod findings;
mod gather;
mod incidents;
pub mod inference;
mod look;
mod sheet;
mod training;

pub use bill::{Bill, BillLine, KindSum};
pub use error::InsightError;
pub use facts::Window;
pub use findings::{Finding, Owner, Place, per_month};
pub use incidents::{Category, Failures, Incident, JobHit, NodeRecord, Repeat};
pub use look::{Insight, Look};
pub use training::{Peak, peaks, trace, training};
