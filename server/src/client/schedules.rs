//! `coulomb schedules`: documents by schedule, what became of them, and one now.

use super::ClientError;
use super::books::encoded;
use super::connection::Connection;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{ScheduleRun, ScheduleState, Schedules};
use crate::config::ClientFlags;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Write;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SchedulesCommand {
    #[command(subcommand)]
    action: Option<SchedulesAction>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum SchedulesAction {
    /// Make and deliver the document of a schedule now, once.
    Run {
        /// As `coulomb schedules` shows it.
        name: String,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Lists them, or runs one.
pub fn schedules(command: &SchedulesCommand, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.action {
        None => list(command.format, &command.client, out),
        Some(SchedulesAction::Run { name, client }) => run(name, client, out),
    }
}

fn list(format: Format, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let answer: Schedules = Connection::open(client)?.get("/api/v1/schedules")?;
    if format == Format::Json {
        let text = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
        writeln!(out, "{text}")?;
        return Ok(out.flush()?);
    }
    if answer.schedules.is_empty() && format == Format::Table {
        writeln!(out, "no schedules were stated; `coulomb import schedules FILE` states them")?;
        return Ok(out.flush()?);
    }
    let names = ["schedule", "cron", "time_zone", "report", "period", "format", "to", "next", "last", "state", "error"];
    let rows = answer.schedules.iter().map(row).collect();
    write_rows(format, &names.map(str::to_owned), rows, out)?;
    Ok(out.flush()?)
}

fn row(schedule: &ScheduleState) -> [String; 11] {
    let last = schedule.runs.first();
    let error = schedule.problem.clone().or_else(|| last.and_then(|run| run.error.clone())).unwrap_or_default();
    [
        schedule.name.clone(),
        schedule.cron.clone(),
        schedule.time_zone.clone(),
        schedule.report.clone(),
        schedule.period.clone(),
        schedule.format.clone(),
        schedule.to.clone(),
        schedule.next_unix_micros.map(instant_text).unwrap_or_default(),
        last.map(|run| instant_text(run.slot_unix_micros)).unwrap_or_default(),
        last.map(|run| run.state.clone()).unwrap_or_default(),
        error,
    ]
}

fn run(name: &str, client: &ClientFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let path = format!("/api/v1/schedules/{}/run", encoded(name));
    let run: ScheduleRun = Connection::open(client)?.post(&path, &json!({}))?;
    let ScheduleRun { file, to, error, .. } = &run;
    let (file, error) = (file.as_deref().unwrap_or(name), error.as_deref().unwrap_or("no reason was given"));
    let next = run.next_unix_micros.map(instant_text).unwrap_or_default();
    match run.state.as_str() {
        "delivered" => writeln!(out, "{file} was delivered to {to}, {} bytes", run.bytes.unwrap_or_default())?,
        "due" => writeln!(out, "{file} will be made at {next}, when the hours that it is about are known")?,
        "failed" => return Err(ClientError::Verdict(format!("{file}: {error}; it is tried again at {next}"))),
        _ => return Err(ClientError::Verdict(format!("{file}: {error}"))),
    }
    Ok(out.flush()?)
}
