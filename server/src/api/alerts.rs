//! `/api/v1/alerts`, `/api/v1/silences`, `/api/v1/receivers`: what fires, who is told, and what stays unsaid.

use super::error::Refusal;
use super::serve::State;
use crate::access::Identity;
use crate::alert::{Asks, Matcher, Severity, Silence, Threshold};
use crate::answers::{
    AcknowledgeRequest, AlertReceiver, AlertRule, AlertSilence, AlertState, Alerts, DeadLetter, SilenceRequest,
};
use crate::watch::{AlertStanding, Health, Letter, ReceiverStanding, RuleStanding, Silencing, WatchError};
use actix_web::{HttpResponse, web};

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

/// `GET /api/v1/alerts/dead-letters`.
pub(super) async fn dead_letters(state: web::Data<State>) -> Answer {
    let letters = state.watch.letters().await?;
    Ok(HttpResponse::Ok().json(letters.into_iter().map(dead_letter).collect::<Vec<_>>()))
}

fn dead_letter(letter: Letter) -> DeadLetter {
    DeadLetter {
        id: letter.id,
        receiver: letter.key.receiver.to_string(),
        group_labels: letter.key.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        given_up_unix_micros: letter.given_up_micros,
        attempts: letter.attempts,
        firing: letter.firing.len() as u64,
        resolved: letter.over.len() as u64,
        error: letter.error,
    }
}

/// `POST /api/v1/alerts/dead-letters/{id}/replay`: sent once more, as its alerts stand now.
pub(super) async fn replay(id: web::Path<String>, identity: web::ReqData<Identity>, state: web::Data<State>) -> Answer {
    state.watch.replay(&id).await?;
    tracing::info!(notification = &**id, by = identity.name, "a dead letter was sent once more");
    Ok(HttpResponse::NoContent().finish())
}
