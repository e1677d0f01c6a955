//! `POST /api/v2/alerts` of an Alertmanager.

use super::{Message, instant, object};
use serde_json::{Value, json};

/// It is told again each minute; after so long without that it takes an alert for resolved.
const GOOD_FOR_MICROS: i64 = 4 * 60_000_000;

pub(super) fn body(message: &Message<'_>) -> Value {
    let alerts = message.alerts().map(|alert| {
        json!({
            "labels": object(&alert.labels),
            "annotations": object(&alert.annotations),
            "startsAt": instant(alert.told.started_micros),
            "endsAt": instant(alert.ended_micros.unwrap_or(message.now_micros + GOOD_FOR_MICROS)),
            "generatorURL": message.link(alert),
        })
    });
    alerts.collect()
}
