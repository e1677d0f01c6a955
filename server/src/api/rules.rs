//! `/api/v1/alerts/texts` and `/api/v1/rules`: the texts behind alerts, also as rule files of Prometheus.

use super::body::read_ingest_body;
use super::error::Refusal;
use super::serve::State;
use super::texts::on_shelf;
use crate::access::Identity;
use crate::alert::{Converted, Rule, Stated, TEXT_BYTES_MAX, Threshold, Untaken, convert, exported};
use crate::answers::{AlertFault, AlertText, RuleFiring, RulePreview, RulePreviewRequest};
use crate::cost::LineFault;
use crate::shelf::{Shelf, ShelfError, Shelved};
use crate::watch::{Firing, Preview};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use std::sync::Arc;

const MICROS: f64 = 1e6;
/// What a rule is tried over, unless it is said.
const PREVIEWED_MICROS: i64 = 30 * 86_400_000_000;

type Answer = Result<HttpResponse, Refusal>;

const YAML: &str = "application/yaml; charset=utf-8";

/// `GET /api/v1/alerts/texts`.
pub(super) async fn texts(state: web::Data<State>) -> Answer {
    let all = on_shelf(&state.alerts, Shelf::all).await?;
    Ok(HttpResponse::Ok().json(all.iter().map(|shelved| text(shelved, &[])).collect::<Vec<_>>()))
}

fn text(shelved: &Shelved<Stated>, notes: &[LineFault]) -> AlertText {
    let stated = shelved.read.as_deref();
    AlertText {
        name: shelved.name.clone(),
        origin: if shelved.is_own { "own" } else { "shipped" }.to_owned(),
        hides_shipped: shelved.hides_shipped,
        text: shelved.text.to_string(),
        rules: stated.map_or(0, |stated| stated.rules.len() as u64),
        receivers: stated.map_or(0, |stated| stated.receivers.len() as u64),
        routes: stated.map_or(0, |stated| stated.routes.len() as u64),
        faults: told(&shelved.faults),
        notes: told(notes),
    }
}

fn told(faults: &[LineFault]) -> Vec<AlertFault> {
    faults.iter().map(|fault| AlertFault { line: fault.line as u64, text: fault.what.clone() }).collect()
}

/// How a text is written that is sent.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    Toml,
    /// A rule file of Prometheus.
    Prometheus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Putting {
    /// Only say what is wrong with it.
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    format: Language,
    /// Of a rule file, what has no counterpart here.
    #[serde(default)]
    leave_out: bool,
}

/// A text as it will be kept, and what is worth to know of its making.
struct Sent {
    text: String,
    stated: Stated,
    converted: Option<Converted>,
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
    let written = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("a text of alerts is UTF-8"))?;
    let name = name.into_inner();
    let sent = sent(&name, written, &asked)?;
    let faults = state.watch.check(&sent.stated).await?;
    if !faults.is_empty() {
        return Err(match &sent.converted {
            Some(converted) => in_rule_file(&name, &converted.told(faults)),
            None => ShelfError::Faulty { name, faults }.into(),
        });
    }
    let notes = sent.converted.map(|converted| converted.notes).unwrap_or_default();
    if asked.dry_run {
        let (written, read) = (sent.text.into(), Some(Arc::new(sent.stated)));
        let tried = Shelved { name, is_own: true, hides_shipped: false, text: written, read, faults: Vec::new() };
        return Ok(HttpResponse::Ok().json(text(&tried, &notes)));
    }
    let kept = on_shelf(&state.alerts, move |shelf| shelf.put(&name, &sent.text)).await?;
    state.watch.refresh_book().await?;
    tracing::info!(text = kept.name, by = identity.name, "a text of alerts was kept");
    Ok(HttpResponse::Ok().json(text(&kept, &notes)))
}

fn sent(name: &str, written: &str, asked: &Putting) -> Result<Sent, Refusal> {
    let (text, converted) = match asked.format {
        Language::Toml => (written.to_owned(), None),
        Language::Prometheus => {
            let untaken = if asked.leave_out { Untaken::LeftOut } else { Untaken::Refused };
            let converted = convert(written, untaken).map_err(|faults| in_rule_file(name, &faults))?;
            (converted.text.clone(), Some(converted))
        }
    };
    let stated = Stated::parse(&text).map_err(|faults| ShelfError::Faulty { name: name.to_owned(), faults })?;
    Ok(Sent { text, stated, converted })
}

/// Faults of a rule file, one a line.
fn in_rule_file(name: &str, faults: &[LineFault]) -> Refusal {
    let lines: Vec<String> = faults.iter().map(|fault| format!("{name}.yml {fault}")).collect();
    Refusal::invalid(lines.join("\n"))
}

/// `DELETE /api/v1/alerts/texts/{name}`.
pub(super) async fn remove_text(
    name: web::Path<String>,
    identity: web::ReqData<Identity>,
    state: web::Data<State>,
) -> Answer {
    let name = name.into_inner();
    let removed = name.clone();
    on_shelf(&state.alerts, move |shelf| shelf.remove(&name)).await?;
    state.watch.refresh_book().await?;
    tracing::info!(text = removed, by = identity.name, "a text of alerts was removed");
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /api/v1/rules/prometheus`: the rules in PromQL as a rule file.
pub(super) async fn rule_file(state: web::Data<State>) -> Answer {
    let standing = state.watch.standing();
    let rules = standing.rules.iter().map(|standing| (&*standing.text, &*standing.rule));
    Ok(HttpResponse::Ok().content_type(YAML).body(exported(rules)))
}

/// `POST /api/v1/rules/preview`: how often a rule would have fired.
pub(super) async fn preview(asked: web::Json<RulePreviewRequest>, state: web::Data<State>) -> Answer {
    let rule = previewed(&asked, &state)?;
    let to = asked.to_unix_micros.unwrap_or_else(|| (state.clock)());
    let from = asked.from_unix_micros.unwrap_or_else(|| to.saturating_sub(PREVIEWED_MICROS));
    let found = state.watch.preview(&rule, from, to).await?;
    Ok(HttpResponse::Ok().json(answered(&rule, (from, to), found)))
}

fn previewed(asked: &RulePreviewRequest, state: &State) -> Result<Arc<Rule>, Refusal> {
    let Some(text) = &asked.text else {
        let sought = || Refusal::not_found(format!("there is no rule {:?}", asked.rule));
        return state.watch.rule(&asked.rule).ok_or_else(sought);
    };
    let stated = Stated::parse(text).map_err(|faults| ShelfError::Faulty { name: "text".to_owned(), faults })?;
    let found = stated.rules.into_iter().find(|rule| *rule.name == *asked.rule);
    found.map(Arc::new).ok_or_else(|| Refusal::not_found(format!("the text has no rule {:?}", asked.rule)))
}

fn answered(rule: &Rule, (from, to): (i64, i64), found: Preview) -> RulePreview {
    let (above, below) = match rule.threshold {
        Some(Threshold::Above(limit)) => (Some(limit), None),
        Some(Threshold::Below(limit)) => (None, Some(limit)),
        None => (None, None),
    };
    RulePreview {
        rule: rule.name.to_string(),
        from_unix_micros: from,
        to_unix_micros: to,
        step_seconds: found.step_micros as f64 / MICROS,
        every_seconds: rule.every_micros as f64 / MICROS,
        complete: found.is_complete,
        above,
        below,
        times_unix_micros: found.looks.iter().map(|(time, _)| *time).collect(),
        values: found.looks.iter().map(|(_, value)| *value).collect(),
        firings: found.firings.into_iter().map(firing).collect(),
        count: found.count as u64,
        firing_seconds: found.firing_micros as f64 / MICROS,
    }
}

fn firing(firing: Firing) -> RuleFiring {
    RuleFiring {
        labels: firing.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        summary: firing.summary,
        started_unix_micros: firing.started_micros,
        ended_unix_micros: firing.ended_micros,
    }
}
