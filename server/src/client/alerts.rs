//! `coulomb alerts` and `coulomb rules`: what fires, what stays unsaid, and the texts behind both.

use super::ClientError;
use super::books::encoded;
use super::connection::Connection;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{AlertRule, AlertSilence, AlertState, AlertText, Alerts, SilenceRequest};
use crate::config::ClientFlags;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

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
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RulesCommand {
    #[command(subcommand)]
    action: Option<RulesAction>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum RulesAction {
    /// Say what is wrong with a text of rules, receivers and routes, and with its statements.
    Check {
        file: PathBuf,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Keep a text; its name is the file's without the ending.
    Put {
        file: PathBuf,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Remove an own text; one of the product that it hid is there again.
    Remove {
        name: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// List the texts.
    Texts {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
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

/// Lists the rules and how their looks go, or does what is asked.
pub fn rules(command: &RulesCommand, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.action {
        None => list_rules(command.format, &command.client, out)?,
        Some(RulesAction::Check { file, client }) => {
            let checked = put(file, client, "?dry_run=true")?;
            writeln!(out, "{} is right: {}", checked.name, counted(&checked))?;
        }
        Some(RulesAction::Put { file, client }) => {
            let kept = put(file, client, "")?;
            writeln!(out, "{} is kept: {}", kept.name, counted(&kept))?;
        }
        Some(RulesAction::Remove { name, client }) => {
            Connection::open(client)?.delete(&format!("/api/v1/alerts/texts/{}", encoded(name)))?;
        }
        Some(RulesAction::Texts { format, client }) => texts(*format, client, out)?,
    }
    Ok(out.flush()?)
}

fn put(file: &Path, client: &ClientFlags, query: &str) -> Result<AlertText, ClientError> {
    let text = std::fs::read_to_string(file).map_err(|cause| ClientError::Read { path: file.to_owned(), cause })?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Connection::open(client)?.put_text(&format!("/api/v1/alerts/texts/{}{query}", encoded(&name)), &text)
}

fn counted(text: &AlertText) -> String {
    format!("{} rules, {} receivers, {} routes", text.rules, text.receivers, text.routes)
}

fn list_rules(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let answer: Alerts = Connection::open(client)?.get("/api/v1/alerts")?;
    if format == Format::Json {
        return json_line(&answer.rules, out);
    }
    let names = ["rule", "text", "severity", "health", "alerts", "looked", "seconds", "error"];
    let row = |rule: &AlertRule| {
        [
            rule.name.clone(),
            format!("{}:{}", rule.text, rule.line),
            rule.severity.clone(),
            rule.health.clone(),
            rule.alerts.to_string(),
            rule.looked_unix_micros.map(instant_text).unwrap_or_default(),
            format!("{:.3}", rule.took_seconds),
            rule.error.clone().unwrap_or_default(),
        ]
    };
    write_rows(format, &names.map(str::to_owned), answer.rules.iter().map(row).collect(), out)
}

fn texts(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let answer: Vec<AlertText> = Connection::open(client)?.get("/api/v1/alerts/texts")?;
    if format == Format::Json {
        return json_line(&answer, out);
    }
    let names = ["text", "origin", "rules", "receivers", "routes", "faults"];
    let rows = answer.iter().map(|text| {
        let faults = text.faults.iter().map(|fault| format!("line {}: {}", fault.line, fault.text));
        [
            text.name.clone(),
            text.origin.clone(),
            text.rules.to_string(),
            text.receivers.to_string(),
            text.routes.to_string(),
            faults.collect::<Vec<_>>().join("; "),
        ]
    });
    write_rows(format, &names.map(str::to_owned), rows.collect(), out)
}

fn json_line(of: &impl serde::Serialize, out: &mut impl Write) -> Result<(), ClientError> {
    let text = serde_json::to_string(of).map_err(std::io::Error::other)?;
    Ok(writeln!(out, "{text}")?)
}
