//! What can go wrong with a question, and what the asker should do about it.

use crate::error::ErrorKind;
use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use std::error::Error;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{0}")]
    Invalid(String),
    /// A query that is well formed, and fails at the values that it meets.
    #[error("{0}")]
    Evaluation(String),
    #[error("no column {column:?} here; known columns are in the error's list")]
    UnknownColumn { column: String, known: Vec<String> },
    #[error("no table {table:?}; known tables are {}", known.join(", "))]
    UnknownTable { table: String, known: Vec<String> },
    #[error("unknown {what} {name:?}; known are {}", known.join(", "))]
    UnknownName { what: &'static str, name: String, known: Vec<String> },
    #[error("no {what} {name:?} in the telemetry; check the name, or send samples of it first")]
    NotFound { what: &'static str, name: String },
    #[error("the answer has more than {rows_max} rows; add LIMIT, aggregate, or ask for a narrower time range")]
    TooManyRows { rows_max: u64 },
    #[error("the query ran longer than {} s and was stopped; ask for a narrower time range or fewer rows", limit.as_secs_f64())]
    Timeout { limit: Duration },
    #[error("the query needs more memory or spill space than it may have; ask for less at once: {0}")]
    Resources(String),
    #[error("the query {what}: the server holds more than {bound} bytes in memory; ask again, or for less at once")]
    Pressed { what: &'static str, bound: u64 },
    #[error("cannot read a table file now, ask again: {0}")]
    Unavailable(String),
    /// Another server has written the same part of a derived table first.
    #[error("table {0} has changed meanwhile, nothing was done")]
    Overtaken(&'static str),
    #[error("a table file is corrupt: {0}")]
    Corrupt(String),
    #[error("internal query error: {0}")]
    Internal(String),
}

impl QueryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_)
            | Self::Evaluation(_)
            | Self::UnknownColumn { .. }
            | Self::UnknownTable { .. }
            | Self::UnknownName { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::TooManyRows { .. } | Self::Timeout { .. } | Self::Resources(_) => ErrorKind::Limit,
            Self::Unavailable(_) | Self::Overtaken(_) | Self::Pressed { .. } => ErrorKind::Unavailable,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Names that would have been accepted, where a name was not.
    pub fn known(&self) -> &[String] {
        match self {
            Self::UnknownColumn { known, .. } | Self::UnknownTable { known, .. } | Self::UnknownName { known, .. } => {
                known
            }
            _ => &[],
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        of_engine(&error)
    }
}

fn of_engine(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => of_engine(inner),
        DataFusionError::Shared(inner) => of_engine(inner),
        DataFusionError::Collection(all) if !all.is_empty() => of_engine(&all[0]),
        DataFusionError::SchemaError(inner, _) => of_schema(inner),
        DataFusionError::SQL(inner, _) => QueryError::Invalid(format!("cannot parse the query: {inner}")),
        DataFusionError::ResourcesExhausted(text) => QueryError::Resources(first_line(text)),
        DataFusionError::ObjectStore(inner) => QueryError::Unavailable(inner.to_string()),
        DataFusionError::IoError(inner) => QueryError::Unavailable(inner.to_string()),
        DataFusionError::ParquetError(inner) if is_of_the_place(&**inner) => QueryError::Unavailable(inner.to_string()),
        DataFusionError::ParquetError(inner) => QueryError::Corrupt(inner.to_string()),
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text) => QueryError::Invalid(format!("cannot run the query: {text}")),
        // What a reader finds within a file.
        DataFusionError::ArrowError(inner, _) if matches!(**inner, ArrowError::ParquetError(_)) => {
            QueryError::Corrupt(inner.to_string())
        }
        DataFusionError::ArrowError(inner, _) => QueryError::Invalid(format!("cannot run the query: {inner}")),
        other => QueryError::Internal(other.strip_backtrace()),
    }
}

/// Whether a file could not be read because where it lies did not answer; a file that is gone is none of these.
fn is_of_the_place(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    let mut found = None;
    while let Some(inner) = cause.filter(|_| found.is_none()) {
        found = inner.downcast_ref::<object_store::Error>();
        cause = inner.source();
    }
    // Of a file's footer the engine keeps the text only.
    let text = || error.to_string();
    match found {
        Some(cause) => !matches!(cause, object_store::Error::NotFound { .. }),
        None => text().contains("Object Store error: ") && !text().contains(" not found"),
    }
}

/// The engine lists every consumer of memory on further lines; the asker needs the first.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn of_schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => QueryError::UnknownColumn {
            column: field.flat_name(),
            known: valid_fields.iter().map(|c| c.name.clone()).collect(),
        },
        other => QueryError::Invalid(format!("cannot run the query: {other}")),
    }
}
