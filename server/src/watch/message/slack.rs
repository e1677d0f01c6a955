//! The incoming webhook of Slack.

use super::{Message, Spoken};
use crate::alert::SEVERITY;
use serde_json::{Value, json};

/// Slack shows some 3,000 characters of a section.
const SHOWN_MAX: usize = 10;
const SENTENCE_CHARS_MAX: usize = 200;

pub(super) fn body(message: &Message<'_>) -> Value {
    // What stands in a notification of a telephone.
    let title = escaped(&message.title());
    let lines = |alerts: &[Spoken], mark: &str| -> Vec<String> {
        let lines = alerts.iter().take(SHOWN_MAX).map(|alert| {
            let link = message.link(alert);
            format!("{mark} <{link}|{}> ({})", escaped(&alert.summary()), escaped(alert.label(SEVERITY)))
        });
        let more = alerts.len().saturating_sub(SHOWN_MAX);
        lines.chain((more > 0).then(|| format!("and {more} more"))).collect()
    };
    let text =
        [lines(&message.firing, ":red_circle:"), lines(&message.over, ":large_green_circle:")].concat().join("\n");
    json!({
        "text": title,
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("*{title}*\n{text}") } },
        ],
    })
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    let short: String = text.chars().take(SENTENCE_CHARS_MAX).collect();
    short.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
