//! What can be wrong with a dashboard, and with looking after it.

use crate::error::ErrorKind;
use crate::query::QueryError;
use std::fmt;

/// What is wrong at a line of a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    #[error("there is no dashboard {name:?}")]
    Unknown { name: String, known: Vec<String> },
    #[error("{name:?} is no name of a dashboard: take small letters, digits and hyphens, at most {max}")]
    Name { name: String, max: usize },
    #[error("{}", lines(name, faults))]
    Faulty { name: String, faults: Vec<Fault> },
    #[error("dashboard {name:?} comes with the product and has no file of its own to remove")]
    NotOwn { name: String },
    #[error("there are {max} dashboards of your own already, remove one first")]
    TooMany { max: usize },
    #[error("cannot {what} the dashboard {name:?}: {source}")]
    Disk { what: &'static str, name: String, source: std::io::Error },
    #[error("dashboard {name:?} has no panel {index}, it has {count}, counted from 0")]
    NoPanel { name: String, index: usize, count: usize },
    #[error("panel {title:?} shows no numbers over time, only such panels are drawn")]
    NotDrawn { title: String },
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// One fault a line.
fn lines(name: &str, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{name}.toml {fault}")).collect::<Vec<_>>().join("\n")
}

impl DashboardError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::NoPanel { .. } => ErrorKind::NotFound,
            Self::Name { .. } | Self::Faulty { .. } | Self::NotOwn { .. } | Self::NotDrawn { .. } => ErrorKind::Invalid,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Disk { .. } => ErrorKind::Unavailable,
            Self::Query(error) => error.kind(),
        }
    }

    pub fn known(&self) -> &[String] {
        match self {
            Self::Unknown { known, .. } => known,
            Self::Query(error) => error.known(),
            _ => &[],
        }
    }
}
