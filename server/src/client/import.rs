//! `coulomb import`: files of jobs or samples, by a map, to a running server.
//!
//! Owns the flags, the order of files and what is told about them. Must not know HTTP (the connection does) nor
//! Parquet (the store's door does). **Invariant:** there is one mechanism: presets and users' files are maps.

mod batch;
mod bill;
mod chunks;
mod convert;
mod error;
mod finish;
mod input;
mod instant;
mod joined;
mod map;
mod number;
mod one_gpu;
mod parse;
mod presets;
mod prometheus;
mod reading;
mod run;
mod slurm;
mod source;
mod tally;
mod texts;

pub(super) use bill::plain as plain_bill;
pub use error::ImportError;

use super::ClientError;
use super::bills::{self, BillFlags};
use super::books::{self, DocumentFlags, OwnershipFlags, PricesFlags};
use super::connection::Connection;
use crate::config::ClientFlags;
use chrono_tz::Tz;
use chunks::Keep;
use clap::{Args, Subcommand};
use contract::answers::IngestAnswer;
use finish::Defaults;
use indicatif::{ProgressBar, ProgressStyle};
use input::{Input, PIPE_BYTES_MAX};
use instant::Format;
use map::{Interval, Map};
use run::{Settings, Sink};
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use tally::Tally;

/// A line of progress is written each time when this many rows more were read, where there is no terminal.
const PROGRESS_ROWS: u64 = 1_000_000;

#[derive(Debug, Args)]
pub struct ImportCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Accounting records of jobs, one row each, into job_events.
    Jobs(JobsFlags),
    /// Samples of GPUs into gpu_samples.
    GpuSamples(SamplesFlags),
    /// Prices, as CSV or TOML, or a provider's catalog with --map; docs/prices.md says how.
    Prices(PricesFlags),
    /// A provider's bill in FOCUS format; docs/bills.md says how.
    Bill(BillFlags),
    /// Which lines of bills are which use of the ledger, as TOML, for bills that have no map of their own.
    BillMap(DocumentFlags),
    /// Pools of nodes with their provider and region, as TOML.
    Pools(DocumentFlags),
    /// Exchange rates, as CSV.
    Rates(DocumentFlags),
    /// Who pays for which jobs, as TOML.
    Ownership(OwnershipFlags),
    /// How idle time, shared GPUs and overheads are charged, as TOML.
    Policy(DocumentFlags),
    /// Budgets, as TOML.
    Budgets(DocumentFlags),
    /// Carbon of electricity by region, as CSV.
    Carbon(DocumentFlags),
    /// Storage, network and other costs that are stated, as CSV.
    Charges(DocumentFlags),
    /// Documents that are made by schedule and delivered, as TOML; docs/reports.md says how.
    Schedules(DocumentFlags),
    /// The ledger's currency, as a file with its code; set once.
    Currency(DocumentFlags),
}

#[derive(Debug, Args)]
struct JobsFlags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
struct SamplesFlags {
    #[command(flatten)]
    common: CommonFlags,
    /// Node of the GPUs, where no column names it (default: the file's name without its extension).
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// UUID of the one GPU of the files, where no column names it (default: made of the node, the file's name and,
    /// without --node, its first row).
    #[arg(long, value_name = "UUID")]
    gpu_uuid: Option<String>,
    /// Model of the GPUs, where no column names it (default: unknown).
    #[arg(long, value_name = "MODEL")]
    gpu_model: Option<String>,
    /// Length of each row's interval (default: as the preset says; mostly until the GPU's next row).
    #[arg(long, value_name = "SECONDS")]
    interval_seconds: Option<f64>,
    /// Time of pages whose samples carry none, as in 2026-01-31T12:00:00Z (default: when the file was written).
    #[arg(long, value_name = "RFC3339")]
    time: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
struct CommonFlags {
    /// What the files are: slurm-sacct, philly, mit-supercloud or csv for jobs; nvidia-smi-csv, alibaba-genai,
    /// prometheus-text or csv for GPU samples (default: csv, columns named as ours or by --map).
    #[arg(long, default_value = "csv")]
    preset: String,
    /// TOML file that names source, unit and time format of our columns; it overrides single columns of the preset.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Cluster of the rows, where no column names it.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Zone of times that carry none, as in America/Los_Angeles (default UTC, which is told).
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// CSV or pages of metrics, plain or gzipped, or Parquet; - and pipes are copied to a temporary file first.
    /// Files of one series belong into one command: it orders them by time.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Sends the files and tells what became of their rows. `now_micros` tells times that lie ahead.
pub fn import(command: &ImportCommand, now_micros: i64, out: &mut impl Write) -> Result<(), ClientError> {
    let (table, common, client, samples) = match &command.what {
        What::Jobs(flags) => ("job_events", &flags.common, &flags.client, None),
        What::GpuSamples(flags) => ("gpu_samples", &flags.common, &flags.client, Some(flags)),
        What::Prices(flags) => return books::state_prices(flags, out),
        What::Bill(flags) => return bills::import(flags, out),
        What::BillMap(flags) => return books::state("bill_map", flags, out),
        What::Pools(flags) => return books::state("pools", flags, out),
        What::Rates(flags) => return books::state("rates", flags, out),
        What::Ownership(flags) => return books::state_ownership(flags, out),
        What::Policy(flags) => return books::state("policy", flags, out),
        What::Budgets(flags) => return books::state("budgets", flags, out),
        What::Schedules(flags) => return books::state("schedules", flags, out),
        What::Carbon(flags) => return books::state("carbon", flags, out),
        What::Charges(flags) => return books::state("charges", flags, out),
        What::Currency(flags) => return books::state("currency", flags, out),
    };
    let (mut map, map_text) = read_map(common, table)?;
    let mut time_micros = None;
    if let Some(flags) = samples {
        if let Some(seconds) = flags.interval_seconds {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err(flag("--interval-seconds", &seconds.to_string(), "give a number of seconds").into());
            }
            map.interval = Interval::Seconds(seconds);
        }
        if let Some(text) = &flags.time {
            let wrong = || flag("--time", text, "give a time like 2026-01-31T12:00:00Z");
            time_micros = Some(Format::Rfc3339.read(text, Tz::UTC).ok_or_else(wrong)?);
        }
    }
    if common.cluster.is_none() && !map.rules.contains_key(&convert::place(&map, "cluster")) && !map.same_names {
        return Err(flag("--cluster", "", "give the name of the cluster that the rows are of").into());
    }
    let defaults = Defaults {
        cluster: common.cluster.clone(),
        node: samples.and_then(|f| f.node.clone()),
        gpu_uuid: samples.and_then(|f| f.gpu_uuid.clone()),
        gpu_model: samples.and_then(|f| f.gpu_model.clone()),
    };
    let zone = map.zone();
    let options = format!("{table} {} {zone} {:?} {defaults:?} {map_text}", common.preset, map.interval);
    let preset = &common.preset;
    let settings = Settings { map: &map, preset, defaults: &defaults, time_micros, now_micros, options: &options };
    let connection = Connection::open(client)?;
    let alone = common.files.len() == 1;
    let mut server =
        Server { connection: &connection, table, bar: ProgressBar::hidden(), rows_told: 0, alone, failed: 0, out };
    let mut inputs = Vec::new();
    for path in &common.files {
        match Input::open(path, PIPE_BYTES_MAX) {
            Ok(input) => inputs.push(input),
            Err(error) => server.done(&path.display().to_string(), Err(error))?,
        }
    }
    run::import(&settings, inputs, &mut server)?;
    let failed = server.failed;
    server.out.flush()?;
    if failed > 0 {
        let all = common.files.len();
        return Err(ClientError::Verdict(format!("{failed} of {all} files were not imported, or not whole")));
    }
    Ok(())
}

fn flag(flag: &'static str, text: &str, why: &str) -> ImportError {
    ImportError::Flag { flag, text: text.to_owned(), why: why.to_owned() }
}

/// The preset with the user's map over it, and what the latter says, without comments, order and zone.
fn read_map(common: &CommonFlags, table: &str) -> Result<(Map, String), ImportError> {
    let table = contract::table(table).expect("the contract has the tables that can be imported");
    let mut map = presets::preset(&common.preset, table)?;
    let mut said = String::new();
    if let Some(path) = &common.map {
        let text = std::fs::read_to_string(path).map_err(|cause| ImportError::Read { path: path.clone(), cause })?;
        map = parse::parse(&path.to_string_lossy(), &text, table, Some(map))?;
        let mut values = text.parse::<toml::Table>().unwrap_or_default();
        values.remove("timezone");
        said = format!("{values:?}");
    }
    if let Some(zone) = &common.timezone {
        let wrong = |_| flag("--timezone", zone, "give a name such as UTC or America/Los_Angeles");
        map.timezone = Some(zone.parse().map_err(wrong)?);
    }
    Ok((map, said))
}

/// Drawn on a terminal, hidden elsewhere.
fn bar(bytes: u64, name: &str) -> ProgressBar {
    let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}";
    // The template is a constant; were it wrong, the plain bar would do.
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(bytes).with_style(style).with_message(name.to_owned());
    if !stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    bar
}

/// The running server, as the keeper of chunks.
struct Server<'a, W> {
    connection: &'a Connection,
    table: &'static str,
    bar: ProgressBar,
    rows_told: u64,
    /// A fault of the only file is the command's.
    alone: bool,
    failed: usize,
    out: &'a mut W,
}

impl<W> Keep for Server<'_, W> {
    type Error = ClientError;

    fn keep(&mut self, writer: &str, sequence: u64, body: &[u8]) -> Result<IngestAnswer, ClientError> {
        self.connection.ingest(self.table, writer, sequence, body)
    }
}

impl<W: Write> Sink for Server<'_, W> {
    fn begin(&mut self, name: &str, bytes: u64) {
        self.bar.finish_and_clear();
        (self.bar, self.rows_told) = (bar(bytes, name), 0);
    }

    fn progress(&mut self, name: &str, bytes_read: u64, rows: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_position(bytes_read);
        } else if rows >= self.rows_told + PROGRESS_ROWS {
            self.rows_told = rows;
            // Progress that nobody can read is no reason to stop.
            drop(writeln!(stderr(), "{name}: {rows} rows read"));
        }
    }

    fn done(&mut self, name: &str, outcome: Result<Tally, ImportError>) -> Result<(), ClientError> {
        self.bar.finish_and_clear();
        let outcome = outcome.and_then(|tally| match tally.is_nothing() {
            true => Err(ImportError::Nothing { path: name.into(), why: tally.why_nothing() }),
            false => Ok(tally),
        });
        match outcome {
            Ok(tally) => {
                for line in tally.lines(name, self.table) {
                    writeln!(self.out, "{line}")?;
                }
            }
            Err(error) if self.alone => return Err(error.into()),
            Err(error) => {
                self.failed += 1;
                // The verdict at the end says so again, should nobody read this.
                drop(writeln!(stderr(), "{name}: {error}"));
            }
        }
        Ok(self.out.flush()?)
    }
}
