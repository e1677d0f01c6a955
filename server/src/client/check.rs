//! `coulomb check`: can it be reached, is it ready, does it take the token, are its rows fresh.

use super::ClientError;
use super::connection::Connection;
use super::token::instant_text;
use crate::config::ClientFlags;
use clap::Args;
use contract::answers::{Session, Status};
use serde_json::Value;
use std::io::Write;

/// Rows older than this are called stale: collectors send every few seconds and retry for ever.
const STALE_SECONDS: i64 = 600;

#[derive(Debug, Args)]
pub struct CheckCommand {
    #[command(flatten)]
    client: ClientFlags,
}

/// Writes one line a question and a verdict; stale rows are told, not counted as a failure.
pub fn check(command: &CheckCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let connection = Connection::open(&command.client)?;
    let mut failures = Vec::new();
    let mut line = |name: &str, answer: Result<String, ClientError>| -> Result<bool, ClientError> {
        let good = answer.is_ok();
        let text = answer.unwrap_or_else(|e| e.to_string());
        writeln!(out, "{} {name}: {text}", if good { "ok  " } else { "FAIL" })?;
        if !good {
            failures.push(name.to_owned());
        }
        Ok(good)
    };
    let alive: Result<Value, _> = connection.get("/health/live");
    if line("server", alive.map(|_| connection.server().to_owned()))? {
        let ready: Result<Value, _> = connection.get("/health/ready");
        line("ready", ready.map(|_| "takes and answers requests".to_owned()))?;
        let session: Result<Session, _> = connection.get("/api/v1/session");
        let accepted = session.map(|s| (format!("{} ({})", s.name, s.role), s.role));
        let role = accepted.as_ref().map(|(_, role)| role.clone()).unwrap_or_default();
        if line("token", accepted.map(|(text, _)| text))? && role != "writer" {
            let status: Result<Status, _> = connection.get("/api/v1/status");
            line("version", status.as_ref().map(version_text).map_err(retell))?;
            line("rows", status.as_ref().map(rows_text).map_err(retell))?;
        }
    }
    if failures.is_empty() {
        writeln!(out, "the server is well")?;
        return Ok(out.flush()?);
    }
    out.flush()?;
    Err(ClientError::Verdict(format!("check failed: {}", failures.join(", "))))
}

fn retell(error: &ClientError) -> ClientError {
    ClientError::Verdict(error.to_string())
}

fn version_text(status: &Status) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    if status.version == ours {
        return format!("{ours}, here and there");
    }
    format!("server {}, this program {ours}", status.version)
}

fn rows_text(status: &Status) -> String {
    let rows: u64 = status.tables.iter().map(|t| t.rows).sum();
    let Some(time) = status.data_time_unix_micros else {
        return format!("{rows} in all, no samples yet");
    };
    let age_seconds = (status.now_unix_micros - time) / 1_000_000;
    let stale = if age_seconds > STALE_SECONDS { ", STALE: is a collector running" } else { "" };
    let lost = match status.rows_lost_total {
        0 => String::new(),
        lost => format!(", {lost} LOST by collectors"),
    };
    format!("{rows} in all, latest sample {} ({age_seconds} s ago){stale}{lost}", instant_text(time))
}
