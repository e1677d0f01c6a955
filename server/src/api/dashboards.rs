//! `/api/v1/dashboards`: which there are, one of them in three forms, and keeping and removing the user's own.

mod drawn;

use super::body::read_ingest_body;
use super::error::Refusal;
use super::serve::State;
use super::texts::on_shelf;
use crate::access::Identity;
use crate::answers::{
    DashboardAnswer, DashboardEntry, DashboardFault, DashboardPanel, DashboardThreshold, DashboardVariable,
};
use crate::cost::LineFault;
use crate::dashboards::{
    BUCKETS_MAX, Choices, Dashboard, DashboardError, Need, Panel, TEXT_BYTES_MAX, Variable, arrived, check, grafana,
    parse,
};
use crate::query::Statement;
use crate::shelf::{Shelf, ShelfError, Shelved};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use drawn::svg;

type Answer = Result<HttpResponse, Refusal>;

const TOML: &str = "application/toml";

impl From<DashboardError> for Refusal {
    fn from(error: DashboardError) -> Self {
        match error {
            DashboardError::Query(error) => error.into(),
            other => Self { known: other.known().to_vec(), ..Self::of_kind(other.kind(), other.to_string()) },
        }
    }
}

/// `GET /api/v1/dashboards`.
pub(super) async fn all(state: web::Data<State>) -> Answer {
    let shelved = on_shelf(&state.dashboards, Shelf::all).await?;
    let needs = shelved.iter().filter_map(|s| s.read.as_ref()).flat_map(|board| board.needs.iter().cloned());
    let met = arrived(&state.engine, needs.collect()).await?;
    let entries: Vec<DashboardEntry> = shelved.iter().map(|shelved| entry(shelved, &met)).collect();
    Ok(HttpResponse::Ok().json(entries))
}

fn entry(shelved: &Shelved<Dashboard>, met: &BTreeSet<Need>) -> DashboardEntry {
    let board = shelved.read.as_deref();
    let unmet =
        |board: &Dashboard| board.needs.iter().filter(|need| !met.contains(*need)).map(ToString::to_string).collect();
    let missing: Vec<String> = board.map(unmet).unwrap_or_default();
    DashboardEntry {
        name: shelved.name.clone(),
        title: board.map_or_else(|| shelved.name.clone(), |board| board.title.clone()),
        description: board.map(|board| board.description.clone()).unwrap_or_default(),
        origin: origin(shelved).to_owned(),
        hides_shipped: shelved.hides_shipped,
        offered: board.is_some() && missing.is_empty(),
        missing,
        faults: faults(&shelved.faults),
    }
}

fn origin(shelved: &Shelved<Dashboard>) -> &'static str {
    if shelved.is_own { "own" } else { "shipped" }
}

fn faults(found: &[LineFault]) -> Vec<DashboardFault> {
    found.iter().map(|fault| DashboardFault { line: fault.line as u64, text: fault.what.clone() }).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    format: Option<String>,
}

/// How a dashboard is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Toml,
    Grafana,
}

impl Form {
    const NAMES: [(&'static str, Self); 3] = [("json", Self::Json), ("toml", Self::Toml), ("grafana", Self::Grafana)];

    fn of(format: Option<&str>, request: &HttpRequest) -> Result<Self, Refusal> {
        let Some(format) = format else {
            let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
            return Ok(if accept.is_some_and(|accept| accept.starts_with(TOML)) { Self::Toml } else { Self::Json });
        };
        let found = Self::NAMES.iter().find(|(name, _)| *name == format);
        found.map(|(_, form)| *form).ok_or_else(|| {
            let known = Self::NAMES.map(|(name, _)| name.to_owned()).to_vec();
            let message = format!("there is no format {format:?}, use one of {}", known.join(", "));
            Refusal { known, ..Refusal::invalid(message) }
        })
    }
}

/// `GET /api/v1/dashboards/{name}`.
pub(super) async fn one(
    request: HttpRequest,
    name: web::Path<String>,
    wanted: web::Query<Wanted>,
    state: web::Data<State>,
) -> Answer {
    let form = Form::of(wanted.format.as_deref(), &request)?;
    let name = name.into_inner();
    let shelved = on_shelf(&state.dashboards, move |shelf| shelf.get(&name)).await?;
    if form == Form::Toml {
        let mut response = HttpResponse::Ok();
        response.content_type("application/toml; charset=utf-8");
        return Ok(response.body(shelved.text.to_string()));
    }
    let Some(board) = &shelved.read else {
        return Err(ShelfError::Faulty { name: shelved.name, faults: shelved.faults }.into());
    };
    let currency = state.ledger.statements().currency.to_string();
    if form == Form::Json {
        return Ok(HttpResponse::Ok().json(answer(&shelved, board, currency)));
    }
    let shapes = check(&state.engine, &shelved.name, board).await?;
    Ok(HttpResponse::Ok().json(grafana(&shelved.name, board, &shapes, &currency)))
}

fn answer(shelved: &Shelved<Dashboard>, board: &Dashboard, currency: String) -> DashboardAnswer {
    DashboardAnswer {
        name: shelved.name.clone(),
        title: board.title.clone(),
        description: board.description.clone(),
        origin: origin(shelved).to_owned(),
        hides_shipped: shelved.hides_shipped,
        faults: faults(&shelved.faults),
        currency,
        buckets_max: BUCKETS_MAX,
        variables: board.variables.iter().map(variable).collect(),
        panels: board.panels.iter().map(panel).collect(),
    }
}

fn variable(variable: &Variable) -> DashboardVariable {
    let (kind, statement) = match &variable.choices {
        Choices::Step => ("step", None),
        Choices::Fixed(_) => ("choices", None),
        Choices::Sql(statement) => ("sql", Some(statement)),
    };
    DashboardVariable {
        name: variable.name.clone(),
        label: variable.label.clone(),
        kind: kind.to_owned(),
        choices: variable.known(),
        sql: statement.map(|statement| statement.sql.clone()),
        takes: statement.map(takes).unwrap_or_default(),
        default: variable.default.clone(),
        all: variable.all.clone(),
    }
}

fn takes(statement: &Statement) -> Vec<i64> {
    statement.takes.iter().map(|at| *at as i64).collect()
}

fn panel(panel: &Panel) -> DashboardPanel {
    let threshold = |(at, severity): &(f64, crate::dashboards::Severity)| DashboardThreshold {
        at: *at,
        severity: severity.as_str().to_owned(),
    };
    DashboardPanel {
        title: panel.title.clone(),
        description: panel.description.clone(),
        row: panel.row.clone(),
        kind: panel.kind.as_str().to_owned(),
        unit: panel.unit.as_str().to_owned(),
        width: i64::from(panel.width),
        sql: panel.sql.sql.trim().to_owned(),
        takes: takes(&panel.sql),
        promql: panel.promql.clone(),
        thresholds: panel.thresholds.iter().map(threshold).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Putting {
    /// Only says what is wrong.
    #[serde(default)]
    dry_run: bool,
}

/// `PUT /api/v1/dashboards/{name}`: the text and each of its statements are right before it is kept.
pub(super) async fn put(
    request: HttpRequest,
    name: web::Path<String>,
    asked: web::Query<Putting>,
    identity: web::ReqData<Identity>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    let body = read_ingest_body(&request, payload, &state, TEXT_BYTES_MAX).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("a dashboard is UTF-8 text"))?.to_owned();
    let name = name.into_inner();
    let board = parse(&text).map_err(|faults| ShelfError::Faulty { name: name.clone(), faults })?;
    check(&state.engine, &name, &board).await?;
    let met = arrived(&state.engine, board.needs.iter().cloned().collect()).await?;
    if asked.dry_run {
        let (text, read) = (text.into(), Some(Arc::new(board)));
        let tried = Shelved { name, is_own: true, hides_shipped: false, text, read, faults: Vec::new() };
        return Ok(HttpResponse::Ok().json(entry(&tried, &met)));
    }
    let kept = on_shelf(&state.dashboards, move |shelf| shelf.put(&name, &text)).await?;
    tracing::info!(dashboard = kept.name, by = identity.name, "a dashboard was kept");
    Ok(HttpResponse::Ok().json(entry(&kept, &met)))
}

/// `DELETE /api/v1/dashboards/{name}`.
pub(super) async fn remove(
    name: web::Path<String>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let name = name.into_inner();
    let removed = name.clone();
    on_shelf(&state.dashboards, move |shelf| shelf.remove(&name)).await?;
    tracing::info!(dashboard = removed, by = identity.name, "a dashboard was removed");
    Ok(HttpResponse::NoContent().finish())
}
