//! The bytes of a document, for whoever asked.

use super::found::found;
use super::{Dispatch, DispatchError};
use crate::cost::{self, FocusGrain, FocusNames, FocusNote, FocusVersion, Notice};
use crate::insight::Insight;
use crate::ledger::{FocusAsked, Ledger};
use crate::query::Engine;
use crate::report::{self, Document, Format, Gist, Kind, Making, Note, Period, ReportError, Request};
use crate::schedule::{Form, Schedule};
use crate::store::ParquetParts;
use std::io::Write;
use tempfile::NamedTempFile;

/// A document on disk; it goes when this does.
pub struct Made {
    pub file: NamedTempFile,
    pub bytes: u64,
    pub media_type: &'static str,
    /// Whether its bytes are text.
    pub is_text: bool,
    pub gist: Gist,
}

/// A document's bytes, and what it is.
pub struct Written {
    pub bytes: Vec<u8>,
    pub gist: Gist,
}

/// A document with the outcomes that a reader of the ledger should know among its notes.
pub async fn document(
    rooms: (&Engine, &Ledger, &Insight),
    request: Request,
    now_micros: i64,
) -> Result<Written, DispatchError> {
    let (engine, ledger, _) = rooms;
    let (from, to) = range_of(request.period);
    let of_ledger = async || {
        let told = ledger.notices(from, to).await?.into_iter();
        let note = |notice: Notice| Note { title: notice.kind.title().to_owned(), text: notice.sentence() };
        Ok::<_, DispatchError>(Making { made_micros: now_micros, notes: told.map(note).collect() })
    };
    let format = request.format;
    match request.kind {
        Kind::Chargeback | Kind::Showback | Kind::Utilization => {
            let (gathered, making) = (report::gather(engine, &request).await?, of_ledger().await?);
            written(format, move || report::shape(&request, gathered, making)).await
        }
        Kind::Waste | Kind::Incidents => {
            let (found, making) = (found(rooms, &request).await?, of_ledger().await?);
            written(format, move || report::shape_found(&request, &found, making)).await
        }
        Kind::Capacity => {
            let capacity = report::gather_capacity(engine, &request).await?;
            // It has no amounts, so it has none of the outcomes of pricing.
            let making = Making { made_micros: now_micros, notes: Vec::new() };
            written(format, move || Ok(report::shape_capacity(&request, &capacity, making))).await
        }
    }
}

/// Beside the workers: shaping and typesetting take time.
async fn written(
    format: Format,
    shape: impl FnOnce() -> Result<Document, ReportError> + Send + 'static,
) -> Result<Written, DispatchError> {
    let made = tokio::task::spawn_blocking(move || {
        let document = shape()?;
        Ok(Written { bytes: bytes(&document, format)?, gist: document.gist() })
    });
    made.await.map_err(|error| DispatchError::Internal(format!("the making stopped: {error}")))?
}

fn bytes(document: &Document, format: Format) -> Result<Vec<u8>, DispatchError> {
    if format != Format::Parquet {
        return Ok(report::render(document, format)?);
    }
    let batch = report::record_batch(document)?;
    let mut parts = ParquetParts::new(&batch.schema())?;
    let mut bytes = parts.write(&batch)?;
    bytes.extend(parts.end()?);
    Ok(bytes)
}

/// Unix microseconds.
pub(super) fn range_of(period: Period) -> (i64, i64) {
    match period {
        Period::Range { from_micros, to_micros } => (from_micros, to_micros),
        Period::Month { year, month } => cost::Period::new(year, month).map_or((0, 0), cost::Period::range_micros),
    }
}

pub fn media_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Parquet => "application/vnd.apache.parquet",
        Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Format::Html => "text/html; charset=utf-8",
        Format::Pdf => "application/pdf",
    }
}

impl Dispatch {
    /// The document of a schedule about a period.
    pub(super) async fn made(
        &self,
        schedule: &Schedule,
        period: Period,
        now_micros: i64,
    ) -> Result<Made, DispatchError> {
        let _making = self.making().await?;
        let failed = |error: std::io::Error| DispatchError::Internal(format!("no file can be made: {error}"));
        let mut file = NamedTempFile::new().map_err(failed)?;
        let (bytes, format, gist) = match schedule.form {
            Form::Document(format) => {
                let request = Request::new(schedule.report, period, schedule.by.clone(), format);
                let request = request.and_then(|request| request.with(schedule.with.clone()))?;
                let rooms = (&self.inner.engine, &self.inner.ledger, &self.inner.insight);
                let Written { bytes, gist } = document(rooms, request, now_micros).await?;
                file.write_all(&bytes).map_err(failed)?;
                (bytes.len() as u64, format, gist)
            }
            Form::Focus => {
                let asked =
                    focus(period).ok_or_else(|| ReportError::Invalid("the time is beyond the calendar".into()))?;
                let written = self.inner.ledger.focus(asked, file.reopen().map_err(failed)?).await?;
                (written.bytes, Format::Csv, of_focus(period, &written.note))
            }
        };
        let is_text = matches!(format, Format::Csv | Format::Html);
        Ok(Made { file, bytes, media_type: media_type(format), is_text, gist })
    }
}

fn of_focus(period: Period, note: &FocusNote) -> Gist {
    let mut totals = vec![format!("Charges: {}", note.charges)];
    totals.extend(note.effective.iter().map(|(currency, sum)| format!("Effective cost: {sum} {currency}")));
    if note.unpriced_rows > 0 {
        totals.push(format!("Rows of the ledger without a price, which are not in the file: {}", note.unpriced_rows));
    }
    Gist { title: "Charges in the format of FOCUS".to_owned(), period: report::period_text(period), totals }
}

/// As a file is that nobody asked more of.
fn focus(period: Period) -> Option<FocusAsked> {
    let period = match period {
        Period::Range { from_micros, to_micros } => Err((from_micros, to_micros)),
        Period::Month { year, month } => Ok(cost::Period::new(year, month)?),
    };
    Some(FocusAsked { period, version: FocusVersion::V1_4, grain: FocusGrain::Day, names: FocusNames::plain() })
}
