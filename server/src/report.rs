//! Documents about use and money: chargeback, showback, utilization, capacity, waste and incidents, as CSV, Parquet,
//! XLSX, HTML and PDF.
//!
//! Owns what a document says and how it looks; the only room that knows Polars and Typst. Must not know HTTP, the
//! store, or where prices come from: money is read from the view `ledger` through the engine's door, and the time of
//! making is an argument. **Invariants:** amounts are integers of micros until they are shown; names of users are
//! text in every format, never markup and never a formula; a document that leaves groups out says how many and sums
//! them.

mod ask;
mod capacity;
mod chart;
mod columns;
mod csv;
mod document;
mod drawing;
mod error;
mod figures;
mod found;
mod gather;
mod page;
mod print;
mod shape;
mod sheet;
mod sql;
mod summary;
mod table;
mod words;

pub use ask::{Beside, DIMENSIONS_MAX, Dimension, Format, Kind, Period, Request};
pub use capacity::{Capacity, gather_capacity, shape_capacity};
pub use columns::record_batch;
pub use document::{Document, Gist, Making, Note};
pub use drawing::{Drawing, Scale, drawing};
pub use error::ReportError;
pub use found::{Entry, Found, Part, shape_found};
pub use gather::{Gathered, Source, gather, whole_cost};
pub use shape::shape;
pub use words::period as period_text;

/// The bytes of a document in every format but Parquet, which is [`record_batch`] encoded by whoever knows how.
pub fn render(document: &Document, format: Format) -> Result<Vec<u8>, ReportError> {
    match format {
        Format::Csv => Ok(csv::csv(document)),
        Format::Html => Ok(page::html(document).into_bytes()),
        Format::Pdf => print::pdf(document),
        Format::Xlsx => sheet::xlsx(document),
        Format::Parquet => Err(ReportError::internal("Parquet is encoded from the record batch")),
    }
}

#[cfg(test)]
mod tests;
