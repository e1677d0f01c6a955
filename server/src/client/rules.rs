//! `coulomb rules`: the rules, how their looks go, and the texts that they stand in.

use super::ClientError;
use super::alerts::json_line;
use super::books::encoded;
use super::connection::Connection;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{AlertRule, AlertText, Alerts};
use crate::config::ClientFlags;
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    /// Take a rule file of Prometheus over as a text: each rule asks in PromQL what it asked there.
    Import {
        file: PathBuf,
        /// Name of the text; the file's, without the ending, unless it is said.
        #[arg(long)]
        name: Option<String>,
        /// Take the others over where a rule has no counterpart here.
        #[arg(long)]
        leave_out: bool,
        /// Keep nothing, and print the text.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Write the rules in PromQL as a rule file of Prometheus.
    Export {
        #[arg(long, value_enum, default_value = "prometheus")]
        format: RuleFormat,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Play rows and time to rules, without a server, and compare what fires with what should.
    Test {
        /// Files of cases.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
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

/// How rules are written for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuleFormat {
    Prometheus,
}

impl RulesCommand {
    /// Files of cases that are to be played; they need no server.
    pub fn tested(&self) -> Option<&[PathBuf]> {
        match &self.action {
            Some(RulesAction::Test { files }) => Some(files),
            _ => None,
        }
    }
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
        Some(RulesAction::Import { file, name, leave_out, dry_run, client }) => {
            let taken = import(file, name.as_deref(), *leave_out, *dry_run, client)?;
            for note in &taken.notes {
                writeln!(out, "# line {}: {}", note.line, note.text)?;
            }
            match dry_run {
                true => write!(out, "{}", taken.text)?,
                false => writeln!(out, "{} is kept: {}", taken.name, counted(&taken))?,
            }
        }
        Some(RulesAction::Export { format: RuleFormat::Prometheus, client }) => {
            write!(out, "{}", Connection::open(client)?.get_text("/api/v1/rules/prometheus")?)?;
        }
        // Played before any server is asked.
        Some(RulesAction::Test { .. }) => {}
        Some(RulesAction::Remove { name, client }) => {
            Connection::open(client)?.delete(&format!("/api/v1/alerts/texts/{}", encoded(name)))?;
        }
        Some(RulesAction::Texts { format, client }) => texts(*format, client, out)?,
    }
    Ok(out.flush()?)
}

fn read(file: &Path) -> Result<String, ClientError> {
    std::fs::read_to_string(file).map_err(|cause| ClientError::Read { path: file.to_owned(), cause })
}

fn import(
    file: &Path,
    name: Option<&str>,
    leaves_out: bool,
    is_dry: bool,
    client: &ClientFlags,
) -> Result<AlertText, ClientError> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().chars().map(plain).collect::<String>();
    let name = name.unwrap_or_else(|| stem.trim_matches('-'));
    let query = format!("?format=prometheus&leave_out={leaves_out}&dry_run={is_dry}");
    Connection::open(client)?.put_text(&format!("/api/v1/alerts/texts/{}{query}", encoded(name)), &read(file)?)
}

fn put(file: &Path, client: &ClientFlags, query: &str) -> Result<AlertText, ClientError> {
    let text = read(file)?;
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
