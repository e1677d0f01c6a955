//! The webhook payload of Alertmanager, version 4.

use super::{Message, Spoken, common, instant, object};
use serde_json::{Value, json};

/// What Alertmanager writes for an end that is not known.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
/// More alerts than that are counted only.
const ALERTS_MAX: usize = 500;

pub(super) fn body(message: &Message<'_>) -> Value {
    let all: Vec<&Spoken> = message.alerts().collect();
    let alerts: Vec<Value> = all.iter().take(ALERTS_MAX).map(|alert| one(message, alert)).collect();
    json!({
        "receiver": message.receiver,
        "status": if message.firing.is_empty() { "resolved" } else { "firing" },
        "alerts": alerts,
        "groupLabels": object(&message.key.labels),
        "commonLabels": object(&common(all.iter().map(|alert| &alert.labels))),
        "commonAnnotations": object(&common(all.iter().map(|alert| &alert.annotations))),
        "externalURL": message.external_url,
        "version": "4",
        "groupKey": message.key.to_string(),
        "truncatedAlerts": all.len().saturating_sub(ALERTS_MAX),
    })
}

fn one(message: &Message<'_>, alert: &Spoken) -> Value {
    json!({
        "status": if alert.ended_micros.is_some() { "resolved" } else { "firing" },
        "labels": object(&alert.labels),
        "annotations": object(&alert.annotations),
        "startsAt": instant(alert.told.started_micros),
        "endsAt": alert.ended_micros.map_or_else(|| NO_TIME.to_owned(), instant),
        "generatorURL": message.link(alert),
        "fingerprint": alert.told.fingerprint.to_string(),
    })
}
