//! Documents about money, and the months of the ledger.

use super::body::read_ingest_body;
use super::error::Refusal;
use super::serve::State;
use crate::access::Identity;
use crate::answers::{
    Closing, ClosingRequest, ComparedOwner, ComparisonRequest, DocumentEntry, LedgerMonths, PolicyComparison,
    ReopeningRequest,
};
use crate::cost::Period;
use crate::ledger::{DOCUMENT_BYTES_MAX, DocumentKind, LedgerError, Stated};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

pub(super) type Answer = Result<HttpResponse, Refusal>;

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Query(error) => error.into(),
            LedgerError::Store(error) => error.into(),
            other => Self::of_kind(other.kind(), other.to_string()),
        }
    }
}

fn entry(stated: &Stated) -> DocumentEntry {
    DocumentEntry {
        kind: stated.kind.as_str().to_owned(),
        name: stated.name.to_string(),
        version: stated.version.to_string(),
        author: stated.author.to_string(),
        stated_unix_micros: stated.time_micros,
        bytes: stated.text.len() as u64,
    }
}

/// `GET /api/v1/documents`: the latest version of each.
pub(super) async fn documents(state: web::Data<State>) -> Answer {
    let statements = state.ledger.statements();
    let entries: Vec<DocumentEntry> = statements.current().into_iter().map(entry).collect();
    Ok(HttpResponse::Ok().json(entries))
}

/// `GET /api/v1/documents/{kind}/{name}`: its text, as it was stated.
pub(super) async fn document(path: web::Path<(String, String)>, state: web::Data<State>) -> Answer {
    let (kind, name) = path.into_inner();
    let kind = DocumentKind::parse(&kind)?;
    let statements = state.ledger.statements();
    let found = statements.current().into_iter().find(|stated| stated.kind == kind && *stated.name == *name);
    let stated = found.ok_or_else(|| Refusal::not_found(format!("nothing was stated under {name:?}")))?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain; charset=utf-8").insert_header(("coulomb-version", stated.version.as_ref()));
    Ok(response.body(stated.text.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stating {
    /// Only says what is wrong.
    #[serde(default)]
    dry_run: bool,
}

/// `PUT /api/v1/documents/{kind}/{name}`: a text takes the place of the one before.
pub(super) async fn state_document(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    query: web::Query<Stating>,
    identity: web::ReqData<Identity>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    let body = read_ingest_body(&request, payload, &state, DOCUMENT_BYTES_MAX).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("a document is UTF-8 text"))?;
    if text.is_empty() {
        return Err(Refusal::invalid("the document is empty; DELETE takes one back"));
    }
    let (kind, name) = path.into_inner();
    let kind = DocumentKind::parse(&kind)?;
    let stated = state.ledger.state(kind, &name, text, &identity.name, query.dry_run).await?;
    Ok(HttpResponse::Ok().json(entry(&stated)))
}

/// `DELETE /api/v1/documents/{kind}/{name}`: it holds no longer; its versions are kept.
pub(super) async fn take_back_document(
    path: web::Path<(String, String)>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let (kind, name) = path.into_inner();
    let kind = DocumentKind::parse(&kind)?;
    let statements = state.ledger.statements();
    if !statements.current().iter().any(|stated| stated.kind == kind && *stated.name == *name) {
        return Err(Refusal::not_found(format!("nothing was stated under {name:?}")));
    }
    state.ledger.state(kind, &name, "", &identity.name, false).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn period(text: &str) -> Result<Period, Refusal> {
    Period::parse(text).ok_or_else(|| Refusal::invalid(format!("{text:?} is not a month like 2026-11")))
}

/// `GET /api/v1/ledger/months`.
pub(super) async fn months(state: web::Data<State>) -> Answer {
    let months = state.ledger.months().await?;
    Ok(HttpResponse::Ok().json(LedgerMonths { currency: state.ledger.statements().currency.to_string(), months }))
}

/// `POST /api/v1/ledger/close`.
pub(super) async fn close(
    body: web::Json<ClosingRequest>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let closed = state.ledger.close(period(&body.period)?, &identity.name, body.unpriced).await?;
    tracing::info!(period = %closed.period, rows = closed.rows, by = identity.name, "a month was closed");
    Ok(HttpResponse::Ok().json(Closing {
        period: closed.period.to_string(),
        closing: closed.closing,
        rows: closed.rows,
        cost_micros: closed.cost_micros,
    }))
}

/// `POST /api/v1/ledger/reopen`.
pub(super) async fn reopen(
    body: web::Json<ReopeningRequest>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    state.ledger.reopen(period(&body.period)?, &identity.name, &body.why).await?;
    tracing::warn!(period = body.period, by = identity.name, "a closed month was opened again");
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/v1/ledger/refresh`: returns when every hour that is over is in the ledger as its inputs have it.
pub(super) async fn refresh(state: web::Data<State>) -> Answer {
    state.ledger.refresh(0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/v1/policies/compare`: two policies on the same month.
pub(super) async fn compare(body: web::Json<ComparisonRequest>, state: web::Data<State>) -> Answer {
    let compared = state.ledger.compare(period(&body.period)?, &body.a, &body.b).await?;
    let (a, b) = compared.totals();
    let owner = |c: crate::cost::Compared| ComparedOwner {
        team: c.owner.team.to_string(),
        project: c.owner.project.as_deref().map(str::to_owned),
        cost_centre: c.owner.cost_centre.to_string(),
        a_micros: c.a.0,
        b_micros: c.b.0,
    };
    Ok(HttpResponse::Ok().json(PolicyComparison {
        period: body.period.clone(),
        currency: state.ledger.statements().currency.to_string(),
        a_micros: a.0,
        b_micros: b.0,
        owners: compared.owners().into_iter().map(owner).collect(),
    }))
}
