//! `GET /api/v1/findings`, `/api/v1/incidents` and `/api/v1/event-meanings`.

use super::error::Refusal;
use super::range::parse_range;
use super::serve::State;
use crate::answers::{
    EventMeaning, FailureMonth, FailureSum, FindingEntry, FindingList, FindingSum, IncidentEntry, IncidentEvent,
    IncidentJob, IncidentList, NodeFailures,
};
use crate::insight::{
    BillLine, Category, Finding, Incident, InsightError, JobHit, KindSum, Look, NodeRecord, Repeat, Window, per_month,
};
use crate::query::{QueryError, severity_word};
use actix_web::{HttpResponse, web};
use contract::answers::{Range, Severity};
use serde::Deserialize;
use std::sync::Arc;

type Answer = Result<HttpResponse, Refusal>;

/// What costs anything is looked at by the month.
const DEFAULT_FROM: &str = "now-30d";
/// Entries of an answer, unless it is asked for fewer: nobody reads further, and SQL has all.
const LISTED_MAX: usize = 500;
/// Nodes of an answer, the worst.
const NODES_MAX: usize = 200;

impl From<InsightError> for Refusal {
    fn from(error: InsightError) -> Self {
        match error {
            InsightError::Query(error) => error.into(),
            other => Self::of_kind(other.kind(), other.to_string()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingsAsked {
    from: Option<String>,
    to: Option<String>,
    cluster: Option<String>,
    kind: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentsAsked {
    from: Option<String>,
    to: Option<String>,
    cluster: Option<String>,
    category: Option<String>,
    severity: Option<String>,
    limit: Option<usize>,
}

async fn look(state: &State, from: &Option<String>, to: &Option<String>) -> Result<Arc<Look>, Refusal> {
    let from = from.as_deref().unwrap_or(DEFAULT_FROM);
    let range = parse_range(Some(from), to.as_deref(), (state.clock)()).map_err(Refusal::invalid)?;
    Ok(state.insight.look(range).await?)
}

fn chosen(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn range(window: Window) -> Range {
    Range { from_unix_micros: window.from_micros, to_unix_micros: window.to_micros }
}

/// `GET /api/v1/findings`.
pub(super) async fn findings(asked: web::Query<FindingsAsked>, state: web::Data<State>) -> Answer {
    let look = look(&state, &asked.from, &asked.to).await?;
    let (cluster, kind) = (chosen(&asked.cluster), chosen(&asked.kind));
    let wanted = || look.findings_of(cluster).filter(|finding| kind.is_none_or(|kind| finding.kind == kind));
    let limit = asked.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    Ok(HttpResponse::Ok().json(FindingList {
        range: range(look.window),
        currency: currency(&look, &state),
        computed_unix_micros: look.made_micros,
        waste: sum(look.waste(cluster)),
        kinds: look.kinds(cluster).into_iter().map(sum).collect(),
        findings: wanted().take(limit).map(|finding| entry(finding, look.window)).collect(),
        findings_left_out: wanted().skip(limit).count() as u64,
    }))
}

/// A ledger without rows has the currency that it would be kept in.
fn currency(look: &Look, state: &State) -> String {
    if look.currency.is_empty() { state.ledger.statements().currency.to_string() } else { look.currency.to_string() }
}

fn sum(sum: KindSum) -> FindingSum {
    FindingSum {
        kind: sum.kind.to_owned(),
        is_waste: sum.is_waste,
        findings: sum.findings,
        gpu_hours: sum.gpu_hours,
        cost_micros: sum.cost.map(|cost| cost.0),
        cost_micros_per_month: sum.cost_per_month.map(|cost| cost.0),
    }
}

fn entry(finding: &Finding, window: Window) -> FindingEntry {
    let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.to_string());
    let known = finding.evidence.iter().filter(|(_, value)| value.is_finite());
    FindingEntry {
        id: finding.id(),
        kind: finding.kind.to_owned(),
        severity: finding.severity,
        title: finding.title.clone(),
        detail: finding.detail.clone(),
        action: finding.action.clone(),
        cluster: finding.place.cluster.to_string(),
        node: text(&finding.place.node),
        gpu_uuid: text(&finding.place.gpu_uuid),
        job_id: text(&finding.place.job_id),
        team: text(&finding.owner.team),
        user: text(&finding.owner.user),
        since_unix_micros: finding.seen.from_micros,
        until_unix_micros: finding.seen.to_micros,
        is_ongoing: finding.is_ongoing(window),
        confidence: finding.confidence,
        confidence_reason: finding.why.to_owned(),
        is_waste: finding.is_waste,
        gpu_hours: finding.gpu_hours,
        cost_micros: finding.cost.map(|cost| cost.0),
        cost_micros_per_month: finding.cost.and_then(|cost| per_month(cost, window)).map(|cost| cost.0),
        evidence: known.map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    }
}

fn category(text: Option<&str>) -> Result<Option<Category>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let unknown = || QueryError::UnknownName {
        what: "category",
        name: text.to_owned(),
        known: Category::ALL.into_iter().map(|category| category.as_str().to_owned()).collect(),
    };
    Ok(Some(Category::parse(text).ok_or_else(unknown)?))
}

fn severity(text: Option<&str>) -> Result<Option<Severity>, Refusal> {
    let all = [Severity::Critical, Severity::Warning, Severity::Notice];
    let Some(text) = text else { return Ok(None) };
    let known = all.map(|severity| severity_word(severity).to_owned()).to_vec();
    let unknown = QueryError::UnknownName { what: "severity", name: text.to_owned(), known };
    Ok(Some(all.into_iter().find(|severity| severity_word(*severity) == text).ok_or(unknown)?))
}

/// `GET /api/v1/incidents`.
pub(super) async fn incidents(asked: web::Query<IncidentsAsked>, state: web::Data<State>) -> Answer {
    let (category, severity) = (category(chosen(&asked.category))?, severity(chosen(&asked.severity))?);
    let look = look(&state, &asked.from, &asked.to).await?;
    let cluster = chosen(&asked.cluster);
    let is_wanted = |incident: &&Incident| {
        cluster.is_none_or(|name| *incident.cluster == *name)
            && category.is_none_or(|category| incident.category == category)
            && severity.is_none_or(|severity| incident.severity == severity)
    };
    let wanted = || look.failures.incidents.iter().filter(is_wanted);
    let limit = asked.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    let bill = look.failures.bill(cluster);
    let nodes = look.failures.nodes.iter().filter(|node| cluster.is_none_or(|name| *node.cluster == *name));
    let failing = nodes.filter(|node| node.incidents > 0);
    let month = |(month, category, line): (String, Category, BillLine)| FailureMonth {
        month,
        category: category.as_str().to_owned(),
        incidents: line.incidents,
        gpu_hours_lost: line.gpu_hours_lost,
        cost_micros: line.cost.map(|cost| cost.0),
    };
    let named = |(name, line): (Arc<str>, BillLine)| line_of(Some(name.to_string()), line);
    Ok(HttpResponse::Ok().json(IncidentList {
        range: range(look.window),
        currency: currency(&look, &state),
        computed_unix_micros: look.made_micros,
        all: line_of(None, bill.all),
        planned: line_of(None, bill.planned),
        by_category: bill.by_category.into_iter().map(|(c, line)| line_of(Some(c.as_str().to_owned()), line)).collect(),
        by_month: bill.by_month.into_iter().map(month).collect(),
        by_node: bill.by_node.into_iter().map(named).collect(),
        by_user: bill.by_user.into_iter().map(|(name, line)| line_of(name.map(|n| n.to_string()), line)).collect(),
        nodes: failing.take(NODES_MAX).map(node).collect(),
        incidents: wanted().take(limit).map(incident).collect(),
        incidents_left_out: wanted().skip(limit).count() as u64,
    }))
}

fn line_of(name: Option<String>, line: BillLine) -> FailureSum {
    FailureSum {
        name,
        incidents: line.incidents,
        jobs: line.jobs,
        gpu_hours_lost: line.gpu_hours_lost,
        cost_micros: line.cost.map(|cost| cost.0),
    }
}

fn node(node: &NodeRecord) -> NodeFailures {
    NodeFailures {
        cluster: node.cluster.to_string(),
        node: node.node.to_string(),
        attempts: node.attempts,
        failed: node.failed,
        failed_ratio_at_least: node.ratio_at_least,
        fleet_ratio: node.fleet_ratio,
        incidents: node.incidents,
        gpu_hours_lost: node.gpu_hours_lost,
        cost_micros: node.cost.map(|cost| cost.0),
        is_lemon: node.is_lemon,
    }
}

fn incident(incident: &Incident) -> IncidentEntry {
    IncidentEntry {
        id: incident.id(),
        category: incident.category.as_str().to_owned(),
        severity: incident.severity,
        title: incident.title.clone(),
        meaning: incident.meaning.clone(),
        action: incident.action.clone(),
        cluster: incident.cluster.to_string(),
        node: incident.node.as_ref().map(|node| node.to_string()),
        gpu_uuids: incident.gpu_uuids.iter().map(|gpu| gpu.to_string()).collect(),
        since_unix_micros: incident.seen.from_micros,
        until_unix_micros: incident.seen.to_micros,
        is_ongoing: incident.is_ongoing,
        events: incident.events.iter().map(event).collect(),
        jobs: incident.jobs.iter().map(job).collect(),
        gpu_hours_lost: incident.gpu_hours_lost(),
        down_gpu_hours: incident.down_gpu_hours,
        cost_micros: incident.cost().map(|cost| cost.0),
        down_cost_micros: incident.down_cost.map(|cost| cost.0),
        confidence: incident.confidence,
        confidence_reason: incident.why.to_owned(),
    }
}

fn event(event: &Repeat) -> IncidentEvent {
    IncidentEvent {
        kind: event.kind.to_string(),
        code: event.code,
        gpu_uuid: event.gpu_uuid.as_ref().map(|gpu| gpu.to_string()),
        count: event.count,
        first_unix_micros: event.seen.from_micros,
        last_unix_micros: event.seen.to_micros,
        severity: event.severity,
        message: event.message.to_string(),
        meaning: event.meaning.clone(),
        action: event.action.clone(),
    }
}

fn job(job: &JobHit) -> IncidentJob {
    let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.to_string());
    IncidentJob {
        cluster: job.cluster.to_string(),
        job_id: job.job_id.to_string(),
        attempt: job.attempt,
        name: text(&job.name),
        user: text(&job.user),
        state: text(&job.state),
        ended_unix_micros: job.ended_micros,
        lost_from_unix_micros: job.lost_from_micros,
        has_checkpoint: job.has_checkpoint,
        gpu_hours_lost: job.gpu_hours_lost,
        cost_micros: job.cost.map(|cost| cost.0),
    }
}

/// `GET /api/v1/event-meanings`.
pub(super) async fn meanings(state: web::Data<State>) -> Answer {
    let meanings = state.engine.meanings();
    let one = |(kind, code, meaning): (&str, Option<i64>, &crate::query::Meaning)| EventMeaning {
        kind: kind.to_owned(),
        code,
        mnemonic: meaning.mnemonic.clone(),
        class: meaning.class.as_str().to_owned(),
        severity: meaning.severity,
        meaning: meaning.meaning.clone(),
        action: meaning.action.clone(),
    };
    Ok(HttpResponse::Ok().json(meanings.all().map(one).collect::<Vec<_>>()))
}
