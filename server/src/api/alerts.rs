//! `/api/v1/alerts`, `/api/v1/silences`, `/api/v1/receivers`: what fires, what stays unsaid, and the texts behind them.

use super::body::read_ingest_body;
use super::error::Refusal;
use super::serve::State;
use crate::access::Identity;
use crate::alert::{Asks, Matcher, Severity, Silence, Stated, TEXT_BYTES_MAX, Threshold};
use crate::answers::{
    AcknowledgeRequest, AlertFault, AlertReceiver, AlertRule, AlertSilence, AlertState, AlertText, Alerts,
    SilenceRequest,
};
use crate::error::ErrorKind;
use crate::shelf::{Shelf, ShelfError, Shelved};
use crate::watch::{AlertStanding, Health, ReceiverStanding, RuleStanding, Silencing, WatchError};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use std::sync::Arc;

type Answer = Result<HttpResponse, Refusal>;

const MICROS: f64 = 1e6;

impl From<WatchError> for Refusal {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Query(error) => error.into(),
            WatchError::Store(error) => error.into(),
            other => Self { known: other.known().to_vec(), ..Self::of_kind(other.kind(), other.to_string()) },
        }
    }
}

/// `GET /api/v1/alerts`.
pub(super) async fn alerts(state: web::Data<State>) -> Answer {
    let standing = state.watch.standing();
    let mut alerts: Vec<AlertState> = standing.alerts.into_iter().map(alert).collect();
    let rank = |alert: &AlertState| {
        let severity = Severity::ALL.into_iter().position(|severity| severity.as_str() == alert.severity);
        (alert.state == "pending", severity, alert.since_unix_micros)
    };
    alerts.sort_by_key(rank);
    Ok(HttpResponse::Ok().json(Alerts {
        alerts,
        rules: standing.rules.into_iter().map(rule).collect(),
        receivers: standing.receivers.into_iter().map(receiver).collect(),
        silences: state.watch.silences().iter().map(silence).collect(),
        problems: standing.problems,
    }))
}

fn alert(standing: AlertStanding) -> AlertState {
    let instance = standing.instance;
    AlertState {
        rule: standing.rule.to_string(),
        fingerprint: standing.fingerprint.to_string(),
        state: instance.phase.as_str().to_owned(),
        severity: instance.labels.get(crate::alert::SEVERITY).map(ToString::to_string).unwrap_or_default(),
        labels: instance.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        annotations: instance.annotations.iter().map(|(name, text)| (name.to_string(), text.clone())).collect(),
        value: instance.value.filter(|value| value.is_finite()),
        since_unix_micros: instance.since_micros,
        started_unix_micros: instance.started_micros,
        flapping: standing.is_flapping,
        muted_by: standing.muted_by,
        acknowledged: standing.is_acknowledged,
        receivers: standing.to.iter().map(ToString::to_string).collect(),
        told: standing.told.iter().map(ToString::to_string).collect(),
    }
}

fn rule(standing: RuleStanding) -> AlertRule {
    let rule = &standing.rule;
    let (above, below) = match rule.threshold {
        Some(Threshold::Above(limit)) => (Some(limit), None),
        Some(Threshold::Below(limit)) => (None, Some(limit)),
        None => (None, None),
    };
    let (health, error) = match standing.health {
        Health::Waiting => ("waiting", None),
        Health::Well => ("well", None),
        Health::NoData => ("no_data", None),
        Health::Failing(why) => ("failing", Some(why)),
    };
    AlertRule {
        name: rule.name.to_string(),
        text: standing.text.to_string(),
        line: rule.line as u64,
        severity: rule.severity.as_str().to_owned(),
        language: if matches!(rule.asks, Asks::Sql(_)) { "sql" } else { "promql" }.to_owned(),
        statement: rule.asks.text().to_owned(),
        above,
        below,
        over_seconds: rule.over_micros as f64 / MICROS,
        every_seconds: rule.every_micros as f64 / MICROS,
        for_seconds: rule.for_micros as f64 / MICROS,
        summary: rule.annotations.get("summary").map(|summary| summary.text().to_owned()).unwrap_or_default(),
        health: health.to_owned(),
        error,
        looked_unix_micros: standing.last_micros,
        took_seconds: standing.took.as_secs_f64(),
        alerts: standing.alerts as u64,
    }
}

fn receiver(standing: ReceiverStanding) -> AlertReceiver {
    AlertReceiver {
        name: standing.name.to_string(),
        kind: standing.kind.to_owned(),
        problem: standing.problem,
        told_unix_micros: standing.last_told_micros,
        attempts: standing.attempts,
    }
}

fn silence(silence: &Silence) -> AlertSilence {
    AlertSilence {
        id: silence.id.to_string(),
        kind: silence.kind.as_str().to_owned(),
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        starts_unix_micros: silence.starts_micros,
        ends_unix_micros: silence.ends_micros,
        author: silence.author.clone(),
        comment: silence.comment.clone(),
    }
}

/// `POST /api/v1/silences`.
pub(super) async fn state_silence(
    asked: web::Json<SilenceRequest>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let matchers = asked.matchers.iter().map(|text| Matcher::parse(text)).collect::<Result<_, _>>();
    let silencing = Silencing {
        matchers: matchers.map_err(Refusal::invalid)?,
        starts_micros: asked.starts_unix_micros.unwrap_or_else(|| (state.clock)()),
        ends_micros: asked.ends_unix_micros,
        author: identity.name.clone(),
        comment: asked.comment.clone(),
    };
    let stated = state.watch.silence(silencing).await?;
    tracing::info!(silence = &*stated.id, by = identity.name, "a silence was stated");
    Ok(HttpResponse::Ok().json(silence(&stated)))
}

/// `DELETE /api/v1/silences/{id}`.
pub(super) async fn end_silence(
    id: web::Path<String>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    state.watch.end_silence(&id, &identity.name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/v1/alerts/{fingerprint}/acknowledge`.
pub(super) async fn acknowledge(
    fingerprint: web::Path<String>,
    asked: web::Json<AcknowledgeRequest>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let stated = state.watch.acknowledge(&fingerprint, &identity.name, &asked.comment).await?;
    Ok(HttpResponse::Ok().json(silence(&stated)))
}

/// `POST /api/v1/receivers/{name}/test`: a message that means nothing, now.
pub(super) async fn test_receiver(name: web::Path<String>, state: web::Data<State>) -> Answer {
    state.watch.test_receiver(&name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Files are read beside the workers.
async fn on_shelf<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&Shelf<Stated>) -> Result<T, ShelfError> + Send + 'static,
) -> Result<T, Refusal> {
    let shelf = Arc::clone(&state.alerts);
    let done = web::block(move || work(&shelf)).await;
    Ok(done.map_err(|error| Refusal::of_kind(ErrorKind::Internal, error.to_string()))??)
}

/// The user's own, by their paths in the data directory: they belong to a backup.
pub(super) async fn own_files(state: &State) -> Result<Vec<(String, Arc<str>)>, Refusal> {
    on_shelf(state, Shelf::own_files).await
}

/// `GET /api/v1/alerts/texts`.
pub(super) async fn texts(state: web::Data<State>) -> Answer {
    let all = on_shelf(&state, Shelf::all).await?;
    Ok(HttpResponse::Ok().json(all.iter().map(text).collect::<Vec<_>>()))
}

fn text(shelved: &Shelved<Stated>) -> AlertText {
    let stated = shelved.read.as_deref();
    AlertText {
        name: shelved.name.clone(),
        origin: if shelved.is_own { "own" } else { "shipped" }.to_owned(),
        hides_shipped: shelved.hides_shipped,
        text: shelved.text.to_string(),
        rules: stated.map_or(0, |stated| stated.rules.len() as u64),
        receivers: stated.map_or(0, |stated| stated.receivers.len() as u64),
        routes: stated.map_or(0, |stated| stated.routes.len() as u64),
        faults: shelved.faults.iter().map(|f| AlertFault { line: f.line as u64, text: f.what.clone() }).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Putting {
    /// Only say what is wrong with it.
    #[serde(default)]
    dry_run: bool,
}

/// `PUT /api/v1/alerts/texts/{name}`: the text and each of its statements are right before it is kept.
pub(super) async fn put_text(
    request: HttpRequest,
    name: web::Path<String>,
    asked: web::Query<Putting>,
    identity: web::ReqData<Identity>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    let body = read_ingest_body(&request, payload, &state, TEXT_BYTES_MAX).await?;
    let written = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("a text of alerts is UTF-8"))?.to_owned();
    let name = name.into_inner();
    let stated = Stated::parse(&written).map_err(|faults| ShelfError::Faulty { name: name.clone(), faults })?;
    let faults = state.watch.check(&stated).await?;
    if !faults.is_empty() {
        return Err(ShelfError::Faulty { name, faults }.into());
    }
    if asked.dry_run {
        let (written, read) = (written.into(), Some(Arc::new(stated)));
        let tried = Shelved { name, is_own: true, hides_shipped: false, text: written, read, faults: Vec::new() };
        return Ok(HttpResponse::Ok().json(text(&tried)));
    }
    let kept = on_shelf(&state, move |shelf| shelf.put(&name, &written)).await?;
    state.watch.refresh_book().await?;
    tracing::info!(text = kept.name, by = identity.name, "a text of alerts was kept");
    Ok(HttpResponse::Ok().json(text(&kept)))
}

/// `DELETE /api/v1/alerts/texts/{name}`.
pub(super) async fn remove_text(
    name: web::Path<String>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let name = name.into_inner();
    let removed = name.clone();
    on_shelf(&state, move |shelf| shelf.remove(&name)).await?;
    state.watch.refresh_book().await?;
    tracing::info!(text = removed, by = identity.name, "a text of alerts was removed");
    Ok(HttpResponse::NoContent().finish())
}
