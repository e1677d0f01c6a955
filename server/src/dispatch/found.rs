//! What insight has found in a period, as documents read it.

use super::DispatchError;
use crate::insight::{Category, Finding, Incident, Insight, JobHit, Look, Window};
use crate::ledger::Ledger;
use crate::query::{Engine, severity_word};
use crate::report::{Entry, Found, Kind, Note, Part, Period, Request, whole_cost};
use contract::answers::Range;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Asked of the room that looks, in the whole hours of the period.
pub(super) async fn found(
    (engine, ledger, insight): (&Engine, &Ledger, &Insight),
    request: &Request,
) -> Result<Found, DispatchError> {
    let (from_unix_micros, to_unix_micros) = super::making::range_of(request.period);
    let look = insight.look(Range { from_unix_micros, to_unix_micros }).await?;
    let period = Period::Range { from_micros: look.window.from_micros, to_micros: look.window.to_micros };
    let currency = match look.currency.is_empty() {
        // A ledger without rows has the currency that it would be kept in.
        true => ledger.statements().currency.to_string(),
        false => look.currency.to_string(),
    };
    let (mut entries, set_aside) = match request.kind {
        Kind::Waste => waste(&look),
        _ => incidents(&look),
    };
    // As documents tell: what costs most comes first.
    let cost = |entry: &Entry| entry.parts.iter().filter_map(|part| part.cost_micros).reduce(i64::saturating_add);
    let hours = |entry: &Entry| entry.parts.iter().map(|part| part.gpu_hours).sum::<f64>();
    entries.sort_by(|a, b| cost(b).cmp(&cost(a)).then(hours(b).total_cmp(&hours(a))));
    Ok(Found {
        from_micros: look.window.from_micros,
        to_micros: look.window.to_micros,
        currency,
        whole_cost_micros: whole_cost(engine, period).await?,
        entries,
        set_aside,
    })
}

fn text(text: &Option<Arc<str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

fn waste(look: &Look) -> (Vec<Entry>, Vec<Note>) {
    let (wasted, others): (Vec<&Finding>, Vec<&Finding>) = look.findings.iter().partition(|finding| finding.is_waste);
    let mut notes = Vec::new();
    if !others.is_empty() {
        let kinds: BTreeSet<String> = others.iter().map(|finding| finding.kind.replace('_', " ")).collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!(
            "{} of which nobody knows how much could be saved are in no number here: {kinds}.",
            counted(others.len(), "finding")
        );
        notes.push(Note { title: "Findings that are no waste".to_owned(), text });
    }
    (wasted.into_iter().map(|finding| of_finding(finding, look.window)).collect(), notes)
}

fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

fn of_finding(finding: &Finding, window: Window) -> Entry {
    let part = Part {
        gpu: text(&finding.place.gpu_uuid),
        job: text(&finding.place.job_id),
        team: text(&finding.owner.team),
        user: text(&finding.owner.user),
        is_down: false,
        gpu_hours: finding.gpu_hours.unwrap_or_default(),
        cost_micros: finding.cost.map(|cost| cost.0),
    };
    Entry {
        kind: finding.kind.to_owned(),
        severity: severity_word(finding.severity).to_owned(),
        title: finding.title.clone(),
        action: finding.action.clone(),
        cluster: finding.place.cluster.to_string(),
        node: text(&finding.place.node),
        from_micros: finding.seen.from_micros,
        to_micros: finding.seen.to_micros,
        is_ongoing: finding.is_ongoing(window),
        parts: vec![part],
    }
}

fn incidents(look: &Look) -> (Vec<Entry>, Vec<Note>) {
    let all = look.failures.incidents.iter();
    let (planned, failed): (Vec<&Incident>, Vec<&Incident>) =
        all.partition(|incident| incident.category == Category::Planned);
    let mut notes = Vec::new();
    if !planned.is_empty() {
        let gpu_hours: f64 = planned.iter().map(|incident| incident.gpu_hours_lost()).sum();
        let text = format!(
            "GPUs were taken out of service on purpose {} for {gpu_hours:.1} GPU-hours, which are in no number here.",
            if planned.len() == 1 { "once,".to_owned() } else { format!("{} times,", planned.len()) }
        );
        notes.push(Note { title: "Planned work".to_owned(), text });
    }
    (failed.into_iter().map(of_incident).collect(), notes)
}

fn of_incident(incident: &Incident) -> Entry {
    let of_job = |hit: &JobHit| Part {
        job: Some(hit.job_id.to_string()),
        user: text(&hit.user),
        gpu_hours: hit.gpu_hours_lost,
        cost_micros: hit.cost.map(|cost| cost.0),
        ..Part::default()
    };
    let mut parts: Vec<Part> = incident.jobs.iter().map(of_job).collect();
    if incident.down_gpu_hours > 0.0 || parts.is_empty() {
        parts.push(Part {
            gpu: (incident.gpu_uuids.len() == 1).then(|| incident.gpu_uuids[0].to_string()),
            is_down: true,
            gpu_hours: incident.down_gpu_hours,
            cost_micros: incident.down_cost.map(|cost| cost.0),
            ..Part::default()
        });
    }
    Entry {
        kind: incident.category.as_str().to_owned(),
        severity: severity_word(incident.severity).to_owned(),
        title: incident.title.clone(),
        action: incident.action.clone(),
        cluster: incident.cluster.to_string(),
        node: text(&incident.node),
        from_micros: incident.seen.from_micros,
        to_micros: incident.seen.to_micros,
        is_ongoing: incident.is_ongoing,
        parts,
    }
}
