//! The `coulomb` commands that ask a running server: query, import, documents, prices, policy, budgets, anomalies,
//! findings, incidents, inference, close, job, report, schedules, alerts, rules, logs, bill, reconcile, token, check,
//! backup, verify; and restore, which makes the folder of one that is not there yet.
//!
//! Owns their flags, their output and their exit status. Must not know the store or the engine: everything goes
//! through the HTTP API, as any other program would. **Invariant:** a token is never printed, except the new one
//! that `token create` was asked for.

mod alerts;
mod backup;
mod bills;
mod books;
mod check;
mod connection;
mod error;
mod findings;
mod import;
mod inference;
mod job;
mod logs;
mod output;
mod planning;
mod progress;
mod query;
mod report;
mod restore;
mod rules;
mod schedules;
mod token;
mod verify;

pub use alerts::{AlertsCommand, alerts};
pub use backup::{BackupCommand, backup};
pub use bills::{BillCommand, ReconcileCommand, bill, reconcile};
pub use books::{CloseCommand, DocumentsCommand, PolicyCommand, close, documents, policy};
pub use check::{CheckCommand, check};
pub use error::ClientError;
pub use findings::{FindingsCommand, IncidentsCommand, findings, incidents};
pub use import::{ImportCommand, ImportError, import};
pub use inference::{InferenceCommand, inference};
pub use job::{JobCommand, job};
pub use logs::{LogsCommand, logs};
pub use output::Format;
pub use planning::{AnomaliesCommand, BudgetsCommand, PricesCommand, anomalies, budgets, prices};
pub use query::{QueryCommand, query};
pub use report::{ReportCommand, report};
pub use restore::{RestoreCommand, restore};
pub use rules::{RulesCommand, rules};
pub use schedules::{SchedulesCommand, schedules};
pub use token::{TokenCommand, token};
pub use verify::{VerifyCommand, verify};
