//! `/api/v1/reports/{kind}`: a document, asked for by the query string or by JSON.

use super::error::Refusal;
use super::focus;
use super::range::parse_range;
use super::serve::State;
use crate::dispatch::{self, DispatchError};
use crate::report::{Beside, Dimension, Format, Kind, Period, ReportError, Request};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use contract::answers::Range;
use serde::Deserialize;

const DEFAULT_FORMAT: &str = "csv";

/// Of a query string; `by` is divided by commas.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    /// In place of `from` and `to`.
    month: Option<String>,
    by: Option<String>,
    format: Option<String>,
    /// Energy and carbon beside money, divided by commas.
    with: Option<String>,
    /// The following are about FOCUS files only.
    focus_version: Option<String>,
    charge_period: Option<String>,
    billing_account: Option<String>,
    issuer: Option<String>,
}

/// Of a body, where a dimension may hold a comma.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) month: Option<String>,
    pub(super) by: Option<Vec<String>>,
    pub(super) format: Option<String>,
    pub(super) with: Option<Vec<String>>,
    pub(super) focus_version: Option<String>,
    pub(super) charge_period: Option<String>,
    pub(super) billing_account: Option<String>,
    pub(super) issuer: Option<String>,
}

pub(super) async fn asked(
    kind: web::Path<String>,
    asked: web::Query<Asked>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let Asked { from, to, month, by, format, with, focus_version, charge_period, billing_account, issuer } =
        asked.into_inner();
    let divided = |names: String| names.split(',').map(|name| name.trim().to_owned()).collect();
    let (by, with) = (by.map(divided), with.map(divided));
    let sent = Sent { from, to, month, by, format, with, focus_version, charge_period, billing_account, issuer };
    answer(&kind, sent, &state).await
}

pub(super) async fn sent(
    kind: web::Path<String>,
    sent: web::Json<Sent>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    answer(&kind, sent.into_inner(), &state).await
}

async fn answer(kind: &str, sent: Sent, state: &State) -> Result<HttpResponse, Refusal> {
    let now = (state.clock)();
    if let Some(form) = sent.format.as_deref().and_then(focus::Form::parse) {
        return focus::answer(kind, form, sent, state).await;
    }
    let of_focus = [
        ("focus_version", &sent.focus_version),
        ("charge_period", &sent.charge_period),
        ("billing_account", &sent.billing_account),
        ("issuer", &sent.issuer),
    ];
    if let Some((name, _)) = of_focus.iter().find(|(_, value)| value.is_some()) {
        return Err(Refusal::invalid(format!("{name} is about FOCUS files, give format=focus with it")));
    }
    let request = request(kind, sent, now)?;
    let _making = state.dispatch.making().await?;
    let file = format!("coulomb-{kind}.{}", request.format.as_str());
    let format = request.format;
    let made = dispatch::document((&state.engine, &state.ledger, &state.insight), request, now).await?;
    let mut response = HttpResponse::Ok();
    response.content_type(dispatch::media_type(format));
    // A file to keep: a browser shows none of it under this origin.
    response.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")));
    if matches!(format, Format::Parquet | Format::Xlsx | Format::Pdf) {
        response.insert_header(header::ContentEncoding::Identity);
    }
    Ok(response.body(made.bytes))
}

fn request(kind: &str, sent: Sent, now: i64) -> Result<Request, Refusal> {
    let kind = parse_kind(kind)?;
    let period = period_of(&sent, now)?;
    let by = match &sent.by {
        Some(names) => names.iter().map(|name| Dimension::parse(name)).collect::<Result<_, _>>()?,
        None => kind.default_by(),
    };
    let format = Format::parse(sent.format.as_deref().unwrap_or(DEFAULT_FORMAT)).map_err(with_focus)?;
    let with = sent.with.unwrap_or_default();
    let with = with.iter().filter(|name| !name.is_empty()).map(|name| Beside::parse(name)).collect::<Result<_, _>>()?;
    Ok(Request::new(kind, period, by, format)?.with(with)?)
}

pub(super) fn parse_kind(kind: &str) -> Result<Kind, Refusal> {
    Kind::parse(kind).map_err(|e| Refusal { known: e.known().to_vec(), ..Refusal::not_found(e.to_string()) })
}

/// The time that a document is about.
pub(super) fn period_of(sent: &Sent, now: i64) -> Result<Period, Refusal> {
    match (&sent.month, &sent.from, &sent.to) {
        (Some(month), None, None) => Ok(Period::month(month)?),
        (None, Some(from), to) => {
            let range = parse_range(Some(from), to.as_deref(), now).map_err(Refusal::invalid)?;
            let Range { from_unix_micros: from_micros, to_unix_micros: to_micros } = range;
            Ok(Period::Range { from_micros, to_micros })
        }
        _ => Err(Refusal::invalid("give month, or from and to: the time that the document is about")),
    }
}

/// What is made of the ledger without the room of documents can be asked for likewise.
fn with_focus(error: ReportError) -> ReportError {
    match error {
        ReportError::Unknown { what, name, mut known } => {
            known.extend(focus::Form::ALL.map(|form| form.as_str().to_owned()));
            ReportError::Unknown { what, name, known }
        }
        other => other,
    }
}

impl From<DispatchError> for Refusal {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Report(error) => error.into(),
            DispatchError::Insight(error) => error.into(),
            DispatchError::Ledger(error) => error.into(),
            DispatchError::Query(error) => error.into(),
            DispatchError::Store(error) => error.into(),
            other => {
                let known =
                    if let DispatchError::NoSchedule { known, .. } = &other { known.clone() } else { Vec::new() };
                Self { known, ..Self::of_kind(other.kind(), other.to_string()) }
            }
        }
    }
}

impl From<ReportError> for Refusal {
    fn from(error: ReportError) -> Self {
        Self { known: error.known().to_vec(), ..Self::of_kind(error.kind(), error.to_string()) }
    }
}
