//! `rules` and `alerts`: what Grafana lists beside the panels.

use super::super::serve::State;
use super::success;
use crate::alert::Phase;
use crate::watch::{AlertStanding, Health, RuleStanding};
use actix_web::{HttpResponse, web};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `rules`: those of alerts, a group for each text. Rules in SQL have their SQL as query.
pub(in super::super) async fn rules(state: web::Data<State>) -> HttpResponse {
    let standing = state.watch.standing();
    let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for rule in &standing.rules {
        let alerts = standing.alerts.iter().filter(|alert| alert.rule == rule.rule.name);
        groups.entry(&rule.text).or_default().push(one_rule(rule, alerts));
    }
    let group = |(name, rules): (&str, Vec<Value>)| json!({ "name": name, "file": format!("{name}.toml"), "interval": 0, "rules": rules });
    success(json!({ "groups": groups.into_iter().map(group).collect::<Vec<_>>() }))
}

/// `alerts`: those that are not over.
pub(in super::super) async fn alerts(state: web::Data<State>) -> HttpResponse {
    success(json!({ "alerts": state.watch.standing().alerts.iter().map(one_alert).collect::<Vec<_>>() }))
}

fn one_rule<'a>(standing: &RuleStanding, alerts: impl Iterator<Item = &'a AlertStanding>) -> Value {
    let rule = &standing.rule;
    let (alerts, phases): (Vec<Value>, Vec<Phase>) = alerts.map(|a| (one_alert(a), a.instance.phase)).unzip();
    let is_firing = phases.iter().any(|phase| phase.is_active());
    let (health, error) = match &standing.health {
        Health::Failing(why) => ("err", why.as_str()),
        Health::Waiting => ("unknown", ""),
        Health::Well | Health::NoData => ("ok", ""),
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    json!({
        "type": "alerting",
        "name": &*rule.name,
        "query": rule.asks.text(),
        "duration": seconds(rule.for_micros),
        "keepFiringFor": seconds(rule.keep_firing_micros),
        "labels": rule.labels.iter().map(|(n, v)| (n.to_string(), Value::from(&**v))).collect::<Map<_, _>>(),
        "annotations": rule.annotations.iter().map(|(n, t)| (n.to_string(), t.text().into())).collect::<Map<_, Value>>(),
        "state": if is_firing { "firing" } else if phases.is_empty() { "inactive" } else { "pending" },
        "health": health,
        "lastError": error,
        "evaluationTime": standing.took.as_secs_f64(),
        "lastEvaluation": instant(standing.last_micros.unwrap_or_default()),
        "alerts": alerts,
    })
}

/// Prometheus has two states; what has gone missing has fired and is not over.
fn one_alert(standing: &AlertStanding) -> Value {
    let instance = &standing.instance;
    json!({
        "labels": instance.labels.iter().map(|(n, v)| (n.to_string(), Value::from(&**v))).collect::<Map<_, _>>(),
        "annotations": instance.annotations.iter().map(|(n, t)| (n.to_string(), t.as_str().into())).collect::<Map<_, Value>>(),
        "state": if instance.phase.is_active() { "firing" } else { "pending" },
        "activeAt": instant(instance.started_micros.unwrap_or(instance.since_micros)),
        "value": instance.value.unwrap_or(f64::NAN).to_string(),
    })
}

fn instant(unix_micros: i64) -> String {
    DateTime::from_timestamp_micros(unix_micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
