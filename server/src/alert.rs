//! Alerts: rules, the states of what they see, who is told, and what stays unsaid. Pure.
//!
//! Owns the texts of `alerts/`, read strictly, and the steps from one look to the next. Must not know tables, SQL, HTTP
//! or how a message is sent. **Invariants:** time is an argument; unknown is neither true nor false, so a value that is
//! missing resolves nothing; how long something has been true is added up from look to look, so a clock that jumps
//! neither fires nor resolves; whoever was told that an alert fires is told that it is over.

mod book;
mod group;
mod inhibit;
mod labels;
mod matcher;
mod prometheus;
mod rehearsal;
mod route;
mod rule;
mod silence;
mod state;
mod stated;
mod template;

pub use book::{Book, Mutes};
pub use group::{Active, Group, GroupKey, Pace, Told, ToldAlert, Wanted, Why};
pub use inhibit::Inhibition;
pub use labels::{ALERTNAME, Fingerprint, Labels, SEVERITY, fingerprint};
pub use matcher::Matcher;
pub use prometheus::{Converted, Untaken, convert, exported};
pub use rehearsal::{Case, Eval, Expected, Played, Row, Script, offset};
pub use route::{Receiver, Route, Way};
pub use rule::{Asks, Missing, Rule, Severity, Threshold};
pub use silence::{Maintenance, Silence, SilenceKind};
pub use state::{Change, Instance, Phase, Seen, begins, step};
pub use stated::{Stated, TEXT_BYTES_MAX};
pub use template::Template;
