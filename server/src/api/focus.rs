//! FOCUS files of the ledger, and the description of their columns: `/api/v1/reports/chargeback?format=focus`.

use super::error::Refusal;
use super::reports::{Sent, parse_kind, period_of};
use super::serve::State;
use crate::cost::{self, FocusError, FocusGrain, FocusNames, FocusNote, FocusVersion, focus_metadata};
use crate::ledger::{FocusAsked, FocusFile, LedgerError};
use crate::report::{Kind, Period};
use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures::{Stream, stream};
use std::io;
use tokio::io::AsyncReadExt;

const NAME_CHARS_MAX: usize = 200;
const DEFAULT_VERSION: &str = "1.4";
const DEFAULT_GRAIN: &str = "day";
const GRAINS: [(&str, FocusGrain); 3] =
    [("hour", FocusGrain::Hour), ("day", FocusGrain::Day), ("month", FocusGrain::Month)];
const PART_BYTES: usize = 64 << 10;
/// What became of the rows, in words.
const NOTE_HEADER: &str = "coulomb-focus-note";
/// Kinds of use without a price that the header names.
const UNPRICED_TOLD_MAX: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The charges, as CSV.
    Charges,
    /// What FOCUS wants beside them, as JSON.
    Metadata,
}

impl Form {
    pub(super) const ALL: [Self; 2] = [Self::Charges, Self::Metadata];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Charges => "focus",
            Self::Metadata => "focus-metadata",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }
}

impl From<FocusError> for Refusal {
    fn from(error: FocusError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// Every dimension is a column, so `by` says nothing here.
pub(super) async fn answer(kind: &str, form: Form, sent: Sent, state: &State) -> Result<HttpResponse, Refusal> {
    if parse_kind(kind)? != Kind::Chargeback {
        return Err(Refusal::invalid(format!("a FOCUS file is a chargeback, there is none of {kind}")));
    }
    let asked = asked(&sent, (state.clock)())?;
    let version = asked.version.as_str();
    let mut response = HttpResponse::Ok();
    let ending = if form == Form::Charges { "csv" } else { "json" };
    let name = format!("attachment; filename=\"coulomb-{}-{version}.{ending}\"", form.as_str());
    response.insert_header((header::CONTENT_DISPOSITION, name));
    if form == Form::Metadata {
        let schema_id = format!("coulomb-focus-{version}");
        let text = focus_metadata(asked.version, &asked.names, &schema_id, (state.clock)());
        return Ok(response.content_type("application/json").body(text));
    }
    let _making = state.dispatch.making().await?;
    let file = tempfile::tempfile().map_err(|e| LedgerError::Internal(format!("no file can be made: {e}")))?;
    let FocusFile { file, bytes, note } = state.ledger.focus(asked, file).await?;
    response.content_type("text/csv; charset=utf-8").insert_header((NOTE_HEADER, sentence(&note)));
    Ok(response.body(SizedStream::new(bytes, Box::pin(parts(file)))))
}

fn asked(sent: &Sent, now_micros: i64) -> Result<FocusAsked, Refusal> {
    let period = match period_of(sent, now_micros)? {
        Period::Range { from_micros, to_micros } => Err((from_micros, to_micros)),
        Period::Month { year, month } => {
            let month = cost::Period::new(year, month);
            Ok(month.ok_or_else(|| Refusal::invalid("the time is beyond the calendar"))?)
        }
    };
    let version = FocusVersion::parse(sent.focus_version.as_deref().unwrap_or(DEFAULT_VERSION))?;
    let wanted = sent.charge_period.as_deref().unwrap_or(DEFAULT_GRAIN);
    let grain = GRAINS.iter().find(|(name, _)| *name == wanted).map(|(_, grain)| *grain);
    let grain = grain.ok_or_else(|| {
        let known = GRAINS.map(|(name, _)| name.to_owned()).to_vec();
        let shown: String = wanted.chars().take(60).collect();
        let message = format!("charge_period {shown:?} is none of {}", known.join(", "));
        Refusal { known, ..Refusal::invalid(message) }
    })?;
    let plain = FocusNames::plain();
    let account = named("billing_account", sent.billing_account.as_deref(), &plain.billing_account_id)?;
    let names = FocusNames {
        billing_account_id: account.clone(),
        billing_account_name: account,
        issuer: named("issuer", sent.issuer.as_deref(), &plain.issuer)?,
        ..plain
    };
    Ok(FocusAsked { period, version, grain, names })
}

fn named(what: &str, given: Option<&str>, default: &str) -> Result<String, Refusal> {
    let name = given.unwrap_or(default).trim();
    let good = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    let why = || Refusal::invalid(format!("{what} is a name of 1 to {NAME_CHARS_MAX} characters"));
    good.then(|| name.to_owned()).ok_or_else(why)
}

/// In plain letters, as a header must be.
fn sentence(note: &FocusNote) -> String {
    let sums: Vec<String> = note.effective.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    let sums = if sums.is_empty() { "0".to_owned() } else { sums.join(" and ") };
    let mut text = format!("{} rows of the ledger, {} charges, {sums}", note.rows, note.charges);
    if note.unpriced_rows > 0 {
        text += &format!("; {} rows have no price and are not in the file", note.unpriced_rows);
        text.extend(note.unpriced.iter().take(UNPRICED_TOLD_MAX).map(|used| format!("; {used}")));
        let more = note.unpriced.len().saturating_sub(UNPRICED_TOLD_MAX);
        text += &if more > 0 { format!("; and {more} more kinds of use") } else { String::new() };
    }
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(plain).collect()
}

/// The file as it is read.
fn parts(file: std::fs::File) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(tokio::fs::File::from_std(file)), |file| async move {
        let mut file = file?;
        let mut part = vec![0; PART_BYTES];
        match file.read(&mut part).await {
            Ok(0) => None,
            Ok(length) => {
                part.truncate(length);
                Some((Ok(Bytes::from(part)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cost::{Category, UnpricedUse};
    use rust_decimal::Decimal;
    use std::sync::Arc;

    #[test]
    fn a_note_is_a_header_and_names_what_has_no_price() {
        let unpriced = |cluster: &str| UnpricedUse {
            cluster: Arc::from(cluster),
            gpu_model: None,
            category: Category::Gpu,
            unit: Arc::from("GPU-Hours"),
            rows: 2,
            quantity: Decimal::from(3),
        };
        let mut note = FocusNote { rows: 5, charges: 3, unpriced_rows: 2, ..FocusNote::default() };
        note.unpriced = (0..12).map(|i| unpriced(&format!("zürich\n{i}"))).collect();
        let text = sentence(&note);
        assert!(text.starts_with("5 rows of the ledger, 3 charges, 0; 2 rows have no price"), "{text}");
        assert!(
            text.contains("cluster z\\u{fc}rich\\n9: 3 GPU-Hours of gpu") && text.ends_with("and 2 more kinds of use")
        );
        assert!(header::HeaderValue::from_str(&text).is_ok());
    }
}
