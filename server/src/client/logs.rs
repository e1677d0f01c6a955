//! `coulomb logs`: the newest records that pass a filter, or those that come.

use super::ClientError;
use super::books::encoded;
use super::connection::Connection;
use super::token::instant_text;
use crate::answers::{LogRecord, LogTailLine, Logs};
use crate::config::ClientFlags;
use clap::{Args, ValueEnum};
use std::io::{BufRead, BufReader, Read, Write};

/// A record is cut long before.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// What one request asks for.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
pub struct LogsCommand {
    /// Words that must all be in the message: `loss nan`, `"connection reset"`, `-debug`, `nccl*`, `/rank [0-9]+/`.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    text: String,
    /// The least severity: trace, debug, info, warn, error, fatal.
    #[arg(long)]
    severity: Option<String>,
    #[arg(long)]
    cluster: Option<String>,
    #[arg(long)]
    node: Option<String>,
    #[arg(long)]
    job: Option<String>,
    #[arg(long)]
    service: Option<String>,
    /// A time, a date, or a form like now-2h.
    #[arg(long, default_value = "now-24h")]
    from: String,
    #[arg(long, default_value = "now")]
    to: String,
    /// How many records, the newest.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Write records as they come, until the command is ended.
    #[arg(long)]
    follow: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: LogFormat,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line a record, the oldest first.
    Text,
    /// An object a line.
    Json,
}

/// Writes records, the oldest first.
pub fn logs(command: &LogsCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let connection = Connection::open(&command.client)?;
    if command.follow { follow(command, &connection, out) } else { list(command, &connection, out) }
}

fn query(command: &LogsCommand) -> String {
    let given = [
        ("severity", &command.severity),
        ("cluster", &command.cluster),
        ("node", &command.node),
        ("job", &command.job),
        ("service", &command.service),
    ];
    let mut query = format!("text={}", encoded(&command.text));
    for (name, value) in given {
        query.extend(value.iter().map(|value| format!("&{name}={}", encoded(value))));
    }
    query
}

fn list(command: &LogsCommand, connection: &Connection, out: &mut impl Write) -> Result<(), ClientError> {
    let window = format!("{}&from={}&to={}", query(command), encoded(&command.from), encoded(&command.to));
    let mut records: Vec<LogRecord> = Vec::new();
    let mut before: Option<String> = None;
    while records.len() < command.limit {
        let limit = (command.limit - records.len()).min(PAGE);
        let next = before.iter().map(|before| format!("&before={}", encoded(before))).collect::<String>();
        let page: Logs = connection.get(&format!("/api/v1/logs?{window}&limit={limit}{next}"))?;
        records.extend(page.records);
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    for record in records.iter().rev() {
        write_record(record, command.format, out)?;
    }
    Ok(out.flush()?)
}

fn follow(command: &LogsCommand, connection: &Connection, out: &mut impl Write) -> Result<(), ClientError> {
    let path = format!("/api/v1/logs/tail?{}", query(command));
    let broken = |why: String| ClientError::Answer { path: "/api/v1/logs/tail".to_owned(), why };
    // The server ends a tail after an hour; then it is asked again.
    loop {
        let mut lines = BufReader::new(connection.get_streaming(&path)?);
        let mut lasted = false;
        loop {
            let mut line = Vec::new();
            lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|e| broken(e.to_string()))?;
            if line.is_empty() {
                break;
            }
            lasted = true;
            let line: LogTailLine = serde_json::from_slice(&line).map_err(|e| broken(e.to_string()))?;
            if let Some(record) = &line.record {
                write_record(record, command.format, out)?;
            }
            if let Some(missed) = line.missed {
                match command.format {
                    LogFormat::Json => writeln!(out, "{{\"missed\":{missed}}}")?,
                    LogFormat::Text => writeln!(out, "… {missed} were left out, they came too fast")?,
                }
            }
            out.flush()?;
        }
        if !lasted {
            return Err(broken("it ended before it began; the server's log says why".to_owned()));
        }
    }
}

fn write_record(record: &LogRecord, format: LogFormat, out: &mut impl Write) -> Result<(), ClientError> {
    if format == LogFormat::Json {
        let line = serde_json::to_string(record).map_err(|e| ClientError::Output(std::io::Error::other(e)))?;
        return Ok(writeln!(out, "{line}")?);
    }
    let place = [&record.node, &record.job_id, &record.service].map(|part| part.as_deref().unwrap_or("-")).join(" ");
    let severity = record.severity.as_deref().unwrap_or("-");
    // Nothing of a message moves the cursor of a terminal.
    let body = record.body.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ");
    Ok(writeln!(out, "{} {severity} {place} {}", instant_text(record.time_unix_micros), body.replace('\n', "\n    "))?)
}
