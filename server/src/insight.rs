//! Insight: what is wasted, what fails and what that costs, computed from the hours that are known.
//!
//! Owns the rules of findings and incidents, and the tables `findings` and `incidents`. Must not know HTTP, files or how
//! anything is priced: money is the ledger's own rows, summed and split. **Invariants:** rules are pure over one window
//! of facts; what is waste sums to no more than the ledger has of those hours; a look is made anew when its inputs
//! change, and not more often than it is worth.

mod bill;
mod error;
mod facts;
mod findings;
mod gather;
mod incidents;
mod look;
mod sheet;

pub use bill::{Bill, BillLine, KindSum};
pub use error::InsightError;
pub use facts::Window;
pub use findings::{Finding, Owner, Place, per_month};
pub use incidents::{Category, Failures, Incident, JobHit, NodeRecord, Repeat};
pub use look::{Insight, Look};
