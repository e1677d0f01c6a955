//! `coulomb import bill`, `coulomb bill`, `coulomb reconcile`: bills of providers, and the ledger against them.

use super::ClientError;
use super::books::encoded;
use super::connection::Connection;
use super::import::plain_bill;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{BillEntry, BillImported, DocumentEntry, ReconciliationAnswer, ReconciliationPart};
use crate::config::ClientFlags;
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// Rejected rows that are told by their reasons.
const FAULTS_SHOWN_MAX: usize = 20;

#[derive(Debug, Args)]
pub(super) struct BillFlags {
    /// Name of the bill; another import under it takes the place of this one (default: the file's name without its
    /// endings).
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Which lines of the bill are which use of the ledger, as TOML; docs/bills.md says how.
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// Only say what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// CSV of FOCUS 1.0 to 1.4, plain or gzipped, or Parquet; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

/// Sends a bill and tells what became of its rows.
pub(super) fn import(flags: &BillFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let (mut file, stem) = plain_bill(&flags.file)?;
    let name = flags.name.as_deref().unwrap_or(&stem);
    let map = flags.map.as_ref().map(|path| {
        let wrong = |cause| ClientError::Read { path: path.clone(), cause };
        std::fs::read_to_string(path).map_err(wrong)
    });
    let map = map.transpose()?;
    let connection = Connection::open(&flags.client)?;
    let state_map = |dry_run: bool| -> Result<(), ClientError> {
        let Some(map) = &map else { return Ok(()) };
        let path = format!("/api/v1/documents/bill_map/{}?dry_run={dry_run}", encoded(name));
        connection.put_text::<DocumentEntry>(&path, map).map(drop)
    };
    // A map that is wrong is told before the bill is there, and holds only with it.
    state_map(true)?;
    let path = format!("/api/v1/bills/{}?dry_run={}", encoded(name), flags.dry_run);
    let imported: BillImported = connection.put_file(&path, "text/csv", &mut file)?;
    if !flags.dry_run {
        state_map(false)?;
    }
    for line in told(&imported, flags.dry_run) {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn told(imported: &BillImported, dry_run: bool) -> Vec<String> {
    let BillImported { bill, already_imported, faults, faults_total, unknown_columns } = imported;
    if *already_imported {
        return vec![format!("bill {:?}: this file is it already, nothing added", bill.name)];
    }
    let BillEntry { name, rows, kept, rejected, focus_version, .. } = bill;
    let mut lines = vec![format!(
        "bill {name:?}: {rows} rows, {kept} kept, {rejected} rejected, {} billed, FOCUS {focus_version}",
        sums(bill)
    )];
    for fault in faults.iter().take(FAULTS_SHOWN_MAX) {
        let column = fault.column.as_ref().map(|column| format!(" {column}")).unwrap_or_default();
        lines.push(format!("rejected: line {}:{column} {}", fault.line, fault.what));
    }
    let shown = faults.len().min(FAULTS_SHOWN_MAX) as u64;
    if *faults_total > shown {
        lines.push(format!("and {} more reasons", faults_total - shown));
    }
    if !unknown_columns.is_empty() {
        lines.push(format!("columns that are not kept: {}", unknown_columns.join(", ")));
    }
    if dry_run {
        lines.push("nothing was changed".to_owned());
    }
    lines
}

fn sums(bill: &BillEntry) -> String {
    let sums: Vec<String> = bill.billed.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    sums.join(" and ")
}

#[derive(Debug, Args)]
pub struct BillCommand {
    #[command(subcommand)]
    action: BillAction,
}

#[derive(Debug, Subcommand)]
enum BillAction {
    /// List the bills that were imported.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Take a bill back: its rows are shown no more.
    TakeBack {
        name: String,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Lists bills or takes one back.
pub fn bill(command: &BillCommand, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.action {
        BillAction::List { format, client } => {
            let bills: Vec<BillEntry> = Connection::open(client)?.get("/api/v1/bills")?;
            if *format == Format::Json {
                writeln!(out, "{}", serde_json::to_string(&bills).map_err(std::io::Error::other)?)?;
            } else {
                let names = ["name", "rows", "rejected", "billed", "imported", "author"].map(str::to_owned);
                let row = |bill: &BillEntry| {
                    let (rows, rejected) = (bill.rows.to_string(), bill.rejected.to_string());
                    let when = instant_text(bill.stated_unix_micros);
                    [bill.name.clone(), rows, rejected, sums(bill), when, bill.author.clone()]
                };
                write_rows(*format, &names, bills.iter().map(row).collect(), out)?;
            }
        }
        BillAction::TakeBack { name, client } => {
            Connection::open(client)?.delete(&format!("/api/v1/bills/{}", encoded(name)))?;
            writeln!(out, "bill {name:?} holds no longer")?;
        }
    }
    Ok(out.flush()?)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Basis {
    /// What is invoiced.
    Billed,
    /// With prepaid amounts spread over their use.
    Effective,
}

#[derive(Debug, Args)]
pub struct ReconcileCommand {
    /// Month, such as 2026-10.
    #[arg(long, value_name = "MONTH")]
    month: String,
    /// Bill to compare with (default: all that have charges in the month).
    #[arg(long, value_name = "NAME")]
    bill: Option<String>,
    /// Which cost of the bill is compared.
    #[arg(long, value_enum, default_value = "billed")]
    basis: Basis,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

/// Tells by how much the ledger of a month and the bill differ, and why.
pub fn reconcile(command: &ReconcileCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let basis = if command.basis == Basis::Billed { "billed" } else { "effective" };
    let bill = command.bill.as_deref().map(|name| format!("&bill={}", encoded(name))).unwrap_or_default();
    let path = format!("/api/v1/reconciliation?period={}&basis={basis}{bill}", encoded(&command.month));
    let answer: ReconciliationAnswer = Connection::open(&command.client)?.get(&path)?;
    if command.format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(&answer).map_err(std::io::Error::other)?)?;
        return Ok(out.flush()?);
    }
    let names = ["what", "rule", "about", "amount", "currency", "gpu_hours", "lines", "meaning"].map(str::to_owned);
    let total = |what: &str, amount: &str, meaning: String| {
        let none = String::new;
        [what.to_owned(), none(), none(), amount.to_owned(), answer.currency.clone(), none(), none(), meaning]
    };
    let bills = if answer.bills.is_empty() { "there is no bill".to_owned() } else { answer.bills.join(", ") };
    let mut rows = vec![
        total("bill", &answer.bill, bills),
        total("ledger", &answer.ledger, answer.period.clone()),
        total("matched", &answer.matched, "what both have, at the ledger's prices".to_owned()),
        total("difference", &answer.difference, "bill minus ledger: the sum of what follows".to_owned()),
    ];
    rows.extend(answer.parts.iter().map(part));
    write_rows(command.format, &names, rows, out)?;
    Ok(out.flush()?)
}

fn part(part: &ReconciliationPart) -> [String; 8] {
    let ReconciliationPart { rule, reason, about, text, amount, currency, gpu_hours, lines_total, .. } = part;
    let lines = if *lines_total > 0 { lines_total.to_string() } else { String::new() };
    [
        reason.clone(),
        rule.map(|rule| rule.to_string()).unwrap_or_default(),
        about.clone().unwrap_or_default(),
        amount.clone(),
        currency.clone(),
        gpu_hours.clone().unwrap_or_default(),
        lines,
        text.clone(),
    ]
}
