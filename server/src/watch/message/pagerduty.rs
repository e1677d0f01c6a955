//! PagerDuty Events v2: an event for each alert.

use super::{Message, Spoken, instant, object};
use crate::alert::SEVERITY;
use serde_json::{Value, json};

const SUMMARY_CHARS_MAX: usize = 1024;

pub(super) fn body(message: &Message<'_>, alert: &Spoken, routing_key: &str) -> Value {
    // One incident for each beginning: what begins again is another.
    let dedup_key = format!("{}-{}", alert.told.fingerprint, alert.told.started_micros);
    if alert.ended_micros.is_some() {
        return json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key });
    }
    let source = ["node", "gpu_uuid", "job_id", "cluster"].map(|name| alert.label(name));
    let source = source.into_iter().find(|value| !value.is_empty()).unwrap_or("coulomb");
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Coulomb",
        "client_url": message.link(alert),
        "payload": {
            "summary": alert.summary().chars().take(SUMMARY_CHARS_MAX).collect::<String>(),
            "source": source,
            "severity": alert.label(SEVERITY),
            "timestamp": instant(alert.told.started_micros),
            "group": message.key.to_string().chars().take(SUMMARY_CHARS_MAX).collect::<String>(),
            "custom_details": {
                "labels": object(&alert.labels),
                "annotations": object(&alert.annotations),
                "value": alert.value,
            },
        },
    })
}
