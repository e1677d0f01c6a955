//! `coulomb inference`: services, what a million of their tokens costs, for whom, and how many replicas they need.

use super::ClientError;
use super::books::{amount, encoded};
use super::connection::Connection;
use super::output::Format;
use super::planning::{path, write_json};
use super::token::write_rows;
use crate::answers::{InferenceDetail, InferenceLine, InferenceService, InferenceServices};
use crate::config::ClientFlags;
use clap::{Args, ValueEnum};
use std::io::Write;

#[derive(Debug, Args)]
pub struct InferenceCommand {
    /// Show one service: its bill by who asked, its latency and its replicas.
    service: Option<String>,
    /// Whom its bill is told apart by.
    #[arg(long, value_enum, default_value = "tenant")]
    by: Grouping,
    /// Start: a date, RFC 3339, or a form like now-7d (default now-24h).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End, itself not included (default now).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grouping {
    Tenant,
    User,
    Model,
}

impl Grouping {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Model => "model",
        }
    }
}

/// Lists services, or shows one.
pub fn inference(command: &InferenceCommand, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.service {
        None => services(command, out)?,
        Some(service) => one(command, service, out)?,
    }
    Ok(out.flush()?)
}

fn services(command: &InferenceCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let told = [("from", command.from.as_deref()), ("to", command.to.as_deref())];
    let answer: InferenceServices = Connection::open(&command.client)?.get(&path("/api/v1/inference", &told))?;
    if command.format == Format::Json {
        return write_json(&answer, out);
    }
    if answer.services.is_empty() && command.format == Format::Table {
        writeln!(out, "no request and no engine has reported in this time; docs/inference.md says how to send them")?;
        return Ok(());
    }
    let names = [
        "service",
        "requests",
        "failed",
        "first_token_p50",
        "first_token_p95",
        "per_token_p95",
        "tokens_per_second",
        "input_per_million",
        "output_per_million",
        "currency",
        "replicas",
        "wanted",
        "source",
    ];
    let rows = answer.services.iter().map(|service| service_row(service, &answer.currency)).collect();
    write_rows(command.format, &names.map(str::to_owned), rows, out)?;
    if answer.services_left_out > 0 && command.format == Format::Table {
        writeln!(out, "and {} more with fewer requests", answer.services_left_out)?;
    }
    Ok(())
}

fn service_row(service: &InferenceService, currency: &str) -> [String; 13] {
    let figures = &service.figures;
    let scaling = service.scaling.as_ref();
    [
        service.service.clone(),
        figures.requests.to_string(),
        figures.failed.to_string(),
        seconds(figures.time_to_first_token_seconds.p50),
        seconds(figures.time_to_first_token_seconds.p95),
        seconds(figures.time_per_output_token_seconds.p95),
        figures.tokens_per_second.map(|rate| format!("{rate:.1}")).unwrap_or_default(),
        money(service.unit_cost.input_micros_per_million_tokens),
        money(service.unit_cost.output_micros_per_million_tokens),
        currency.to_owned(),
        scaling.and_then(|s| s.replicas).map(|n| n.to_string()).unwrap_or_default(),
        scaling.and_then(|s| s.replicas_wanted).map(|n| n.to_string()).unwrap_or_default(),
        figures.source.clone(),
    ]
}

/// Empty where it is not known.
fn seconds(value: Option<f64>) -> String {
    value.map(|seconds| format!("{seconds:.4}")).unwrap_or_default()
}

fn money(micros: Option<i64>) -> String {
    micros.map(amount).unwrap_or_default()
}

fn one(command: &InferenceCommand, service: &str, out: &mut impl Write) -> Result<(), ClientError> {
    let told = [("from", command.from.as_deref()), ("to", command.to.as_deref()), ("by", Some(command.by.as_str()))];
    let path = path(&format!("/api/v1/inference/{}", encoded(service)), &told);
    let answer: InferenceDetail = Connection::open(&command.client)?.get(&path)?;
    if command.format == Format::Json {
        return write_json(&answer, out);
    }
    if command.format == Format::Table {
        head(&answer, out)?;
    }
    let names = [
        command.by.as_str(),
        "requests",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "first_token_p95",
        "allocated",
        "used",
        "currency",
    ];
    let rows = answer.lines.iter().map(|line| line_row(line, &answer.currency)).collect();
    write_rows(command.format, &names.map(str::to_owned), rows, out)
}

/// What stands above the lines.
fn head(answer: &InferenceDetail, out: &mut impl Write) -> Result<(), ClientError> {
    let (figures, bill) = (&answer.figures, &answer.bill);
    let or =
        |value: String, unit: &str| if value.is_empty() { "not known".to_owned() } else { format!("{value} {unit}") };
    let first = figures.time_to_first_token_seconds;
    writeln!(out, "requests      {} ({} failed), from {}", figures.requests, figures.failed, figures.source)?;
    writeln!(out, "first token   {} median, {} at p95", or(seconds(first.p50), "s"), or(seconds(first.p95), "s"))?;
    writeln!(out, "per token     {} at p95", or(seconds(figures.time_per_output_token_seconds.p95), "s"))?;
    let currency = &answer.currency;
    writeln!(out, "bill          {}", or(money(bill.bill_micros), currency))?;
    for (basis, cost) in [("all of it", &bill.on_allocation), ("used", &bill.on_use)] {
        let (input, output) = (cost.input_micros_per_million_tokens, cost.output_micros_per_million_tokens);
        let (input, output) = (or(money(input), currency), or(money(output), currency));
        writeln!(out, "per million   {input} in, {output} out ({basis})")?;
    }
    let sizing = answer.scaling.as_ref().map_or("The last hours say nothing of it.", |scaling| &scaling.text);
    writeln!(out, "replicas      {sizing}\n")?;
    Ok(())
}

fn line_row(line: &InferenceLine, currency: &str) -> [String; 9] {
    let name = match line.kind.as_str() {
        "named" => line.name.clone().unwrap_or_default(),
        "unnamed" => "(not said)".to_owned(),
        kind => format!("({kind})"),
    };
    [
        name,
        line.requests.to_string(),
        line.input_tokens.to_string(),
        line.cached_tokens.to_string(),
        line.output_tokens.to_string(),
        seconds(line.time_to_first_token_p95_seconds),
        amount(line.allocated_micros),
        amount(line.used_micros),
        currency.to_owned(),
    ]
}
