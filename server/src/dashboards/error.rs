//! What can be wrong with a dashboard, and with looking after it.

use crate::error::ErrorKind;
use crate::query::QueryError;
use crate::shelf::ShelfError;

#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("dashboard {name:?} has no panel {index}, it has {count}, counted from 0")]
    NoPanel { name: String, index: usize, count: usize },
    #[error("panel {title:?} shows no numbers over time, only such panels are drawn")]
    NotDrawn { title: String },
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl DashboardError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Shelf(error) => error.kind(),
            Self::NoPanel { .. } => ErrorKind::NotFound,
            Self::NotDrawn { .. } => ErrorKind::Invalid,
            Self::Query(error) => error.kind(),
        }
    }

    pub fn known(&self) -> &[String] {
        match self {
            Self::Shelf(error) => error.known(),
            Self::Query(error) => error.known(),
            _ => &[],
        }
    }
}
