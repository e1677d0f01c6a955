//! Mail: one message for the alerts of a group, which follow each other in a thread.

use super::{Message, Spoken, instant};
use crate::alert::SEVERITY;
use crate::deliver::{Mail, MailServer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Alerts of a message that are listed; more are counted.
const LISTED_MAX: usize = 50;
const SENTENCE_CHARS_MAX: usize = 500;
const SUBJECT_CHARS_MAX: usize = 160;

/// Where it goes: server, user and password, sender, recipients.
type To = (MailServer, Option<(String, String)>, Arc<str>, Vec<Arc<str>>);

pub(super) fn mail(message: &Message<'_>, (server, login, from, to): To) -> Mail {
    let mut digest = Sha256::new();
    digest.update(message.key.receiver.as_bytes());
    digest.update(message.key.to_string().as_bytes());
    let thread: String = digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Mail {
        server,
        login,
        from,
        to,
        subject: subject(message),
        id: message.id.to_owned(),
        thread: format!("group_{thread}"),
        time_micros: message.now_micros,
        text: text(message),
        html: html(message),
        attachment: None,
    }
}

/// One line: values of labels are others' words.
fn subject(message: &Message<'_>) -> String {
    let what = match (message.firing.as_slice(), message.over.as_slice()) {
        ([one], []) => format!("firing: {}", one.summary()),
        ([], [one]) => format!("resolved: {}", one.summary()),
        _ => message.title(),
    };
    line(&format!("[Coulomb] {what}"), SUBJECT_CHARS_MAX)
}

fn line(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(most).collect()
}

fn parts<'m>(message: &'m Message<'_>) -> [(&'static str, &'m [Spoken]); 2] {
    [("Firing", &message.firing), ("Resolved", &message.over)]
}

fn text(message: &Message<'_>) -> String {
    let mut text = String::new();
    for (title, alerts) in parts(message).into_iter().filter(|(_, alerts)| !alerts.is_empty()) {
        text.push_str(&format!("{title} ({})\n\n", alerts.len()));
        for alert in alerts.iter().take(LISTED_MAX) {
            let said = line(&alert.summary(), SENTENCE_CHARS_MAX);
            let since = instant(alert.told.started_micros);
            text.push_str(&format!("- {said} [{}]\n  since {since}", alert.label(SEVERITY)));
            if let Some(ended) = alert.ended_micros {
                text.push_str(&format!(", until {}", instant(ended)));
            }
            for name in ["description", "runbook"] {
                if let Some(more) = alert.annotations.get(name).filter(|more| !more.is_empty()) {
                    text.push_str(&format!("\n  {}", line(more, SENTENCE_CHARS_MAX)));
                }
            }
            text.push_str(&format!("\n  {}\n", message.link(alert)));
        }
        text.push_str(&more(alerts.len()));
        text.push('\n');
    }
    text
}

fn more(alerts: usize) -> String {
    let more = alerts.saturating_sub(LISTED_MAX);
    if more > 0 { format!("and {more} more\n") } else { String::new() }
}

fn html(message: &Message<'_>) -> String {
    let mut html = "<!doctype html><html><body style=\"font-family:sans-serif\">".to_owned();
    for (title, alerts) in parts(message).into_iter().filter(|(_, alerts)| !alerts.is_empty()) {
        html.push_str(&format!("<h3>{title} ({})</h3><ul>", alerts.len()));
        for alert in alerts.iter().take(LISTED_MAX) {
            let said = escaped(&line(&alert.summary(), SENTENCE_CHARS_MAX));
            let (link, severity) = (escaped(&message.link(alert)), escaped(alert.label(SEVERITY)));
            html.push_str(&format!("<li><a href=\"{link}\">{said}</a> <small>{severity}, since "));
            html.push_str(&instant(alert.told.started_micros));
            if let Some(ended) = alert.ended_micros {
                html.push_str(&format!(", until {}", instant(ended)));
            }
            html.push_str("</small>");
            for name in ["description", "runbook"] {
                if let Some(more) = alert.annotations.get(name).filter(|more| !more.is_empty()) {
                    html.push_str(&format!("<br>{}", escaped(&line(more, SENTENCE_CHARS_MAX))));
                }
            }
            html.push_str("</li>");
        }
        html.push_str(&format!("</ul><p>{}</p>", more(alerts.len())));
    }
    html + "</body></html>"
}

/// What means something in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
