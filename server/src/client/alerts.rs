//! `coulomb alerts`: what fires, who was told, and what stays unsaid.

use super::ClientError;
use super::books::encoded;
use super::connection::Connection;
use super::output::Format;
use super::query;
use super::token::{instant_text, write_rows};
use crate::answers::{AlertSilence, AlertState, Alerts, DeadLetter, SilenceRequest};
use crate::config::ClientFlags;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Write;

const STATES: [&str; 3] = ["delivered", "failed", "given_up"];
/// Of a message it is said how many alerts fire and are over by it; their names are as fingerprint@start in the table.
const NOTIFICATIONS: &str = "select time, receiver, state, attempt, \
    length(firing) - length(replace(firing, '@', '')) as firing, \
    length(resolved) - length(replace(resolved, '@', '')) as resolved, notification, error \
    from alert_notifications where ($1 = '' or receiver = $1) and ($2 = '' or state = $2) order by time desc limit";
const HOUR_MICROS: i64 = 3_600_000_000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsCommand {
    #[command(subcommand)]
    action: Option<AlertsAction>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum AlertsAction {
    /// Keep alerts that fit all conditions unsaid for a while.
    Silence {
        /// Conditions on labels, like node=n1 or 'team=~"ml|infra"'.
        #[arg(required = true, value_name = "CONDITION")]
        matchers: Vec<String>,
        /// For how many hours.
        #[arg(long, default_value_t = 2.0)]
        hours: f64,
        /// Why; whoever is on call will ask.
        #[arg(long)]
        comment: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// End a silence or an acknowledgement.
    Unsilence {
        id: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// List silences and acknowledgements.
    Silences {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Say that somebody works at an alert: nothing of it is repeated until it is over.
    Acknowledge {
        /// As `coulomb alerts` shows it.
        fingerprint: String,
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Send a receiver a message that means nothing.
    TestReceiver {
        name: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// List tries to tell receivers, the latest first.
    Notifications {
        /// Only to this receiver.
        #[arg(long, value_name = "NAME")]
        receiver: Option<String>,
        /// Only those that were delivered, failed or given_up.
        #[arg(long, value_name = "STATE", value_parser = STATES)]
        state: Option<String>,
        /// So many at most.
        #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// List messages that were given up because their receiver did not take them for a day.
    DeadLetters {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Send a message that was given up once more, as its alerts stand now.
    Replay {
        /// As `coulomb alerts dead-letters` shows it.
        id: String,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Lists what is not over, or does what is asked.
pub fn alerts(command: &AlertsCommand, now_micros: i64, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.action {
        None => list(command.format, &command.client, out)?,
        Some(AlertsAction::Silence { matchers, hours, comment, client }) => {
            let asked = SilenceRequest {
                matchers: matchers.clone(),
                starts_unix_micros: None,
                ends_unix_micros: now_micros.saturating_add((hours * HOUR_MICROS as f64) as i64),
                comment: comment.clone(),
            };
            let stated: AlertSilence = Connection::open(client)?.post("/api/v1/silences", &asked)?;
            writeln!(out, "{} until {}", stated.id, instant_text(stated.ends_unix_micros))?;
        }
        Some(AlertsAction::Unsilence { id, client }) => {
            Connection::open(client)?.delete(&format!("/api/v1/silences/{}", encoded(id)))?;
        }
        Some(AlertsAction::Silences { format, client }) => silences(*format, client, out)?,
        Some(AlertsAction::Acknowledge { fingerprint, comment, client }) => {
            let path = format!("/api/v1/alerts/{}/acknowledge", encoded(fingerprint));
            let stated: AlertSilence = Connection::open(client)?.post(&path, &json!({ "comment": comment }))?;
            writeln!(out, "{}", stated.id)?;
        }
        Some(AlertsAction::TestReceiver { name, client }) => {
            let path = format!("/api/v1/receivers/{}/test", encoded(name));
            Connection::open(client)?.post_unanswered(&path, &json!({}))?;
            writeln!(out, "{name} has taken a test")?;
        }
        Some(AlertsAction::Notifications { receiver, state, limit, format, client }) => {
            let asked = [receiver, state].map(|text| json!(text.as_deref().unwrap_or_default()));
            let sql = format!("{NOTIFICATIONS} {limit}");
            query::rows(&Connection::open(client)?, (&sql, &asked), *format, out)?;
        }
        Some(AlertsAction::DeadLetters { format, client }) => dead_letters(*format, client, out)?,
        Some(AlertsAction::Replay { id, client }) => {
            let path = format!("/api/v1/alerts/dead-letters/{}/replay", encoded(id));
            Connection::open(client)?.post_unanswered(&path, &json!({}))?;
            writeln!(out, "{id} was taken")?;
        }
    }
    Ok(out.flush()?)
}

fn list(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let answer: Alerts = Connection::open(client)?.get("/api/v1/alerts")?;
    if format == Format::Json {
        return json_line(&answer, out);
    }
    if answer.alerts.is_empty() && format == Format::Table {
        writeln!(out, "nothing fires; {} rules are watched", answer.rules.len())?;
    } else {
        let names = ["alert", "state", "severity", "since", "summary", "told", "muted_by", "fingerprint"];
        write_rows(format, &names.map(str::to_owned), answer.alerts.iter().map(row).collect(), out)?;
    }
    if format == Format::Table {
        for problem in &answer.problems {
            writeln!(out, "problem: {problem}")?;
        }
    }
    Ok(())
}

fn row(alert: &AlertState) -> [String; 8] {
    let muted = if alert.acknowledged { Some("acknowledged".to_owned()) } else { alert.muted_by.clone() };
    [
        alert.rule.clone(),
        alert.state.clone(),
        alert.severity.clone(),
        instant_text(alert.since_unix_micros),
        alert.annotations.get("summary").cloned().unwrap_or_default(),
        alert.told.join(" "),
        muted.unwrap_or_default(),
        alert.fingerprint.clone(),
    ]
}

fn silences(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let answer: Alerts = Connection::open(client)?.get("/api/v1/alerts")?;
    if format == Format::Json {
        return json_line(&answer.silences, out);
    }
    let names = ["id", "kind", "conditions", "from", "until", "author", "comment"];
    let rows = answer.silences.iter().map(|silence| {
        [
            silence.id.clone(),
            silence.kind.clone(),
            silence.matchers.join(" "),
            instant_text(silence.starts_unix_micros),
            instant_text(silence.ends_unix_micros),
            silence.author.clone(),
            silence.comment.clone(),
        ]
    });
    write_rows(format, &names.map(str::to_owned), rows.collect(), out)
}

fn dead_letters(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let letters: Vec<DeadLetter> = Connection::open(client)?.get("/api/v1/alerts/dead-letters")?;
    if format == Format::Json {
        return json_line(&letters, out);
    }
    let names = ["id", "receiver", "given_up", "attempts", "firing", "resolved", "error"];
    let rows = letters.iter().map(|letter| {
        [
            letter.id.clone(),
            letter.receiver.clone(),
            instant_text(letter.given_up_unix_micros),
            letter.attempts.to_string(),
            letter.firing.to_string(),
            letter.resolved.to_string(),
            letter.error.clone(),
        ]
    });
    write_rows(format, &names.map(str::to_owned), rows.collect(), out)
}

pub(super) fn json_line(of: &impl serde::Serialize, out: &mut impl Write) -> Result<(), ClientError> {
    let text = serde_json::to_string(of).map_err(std::io::Error::other)?;
    Ok(writeln!(out, "{text}")?)
}
