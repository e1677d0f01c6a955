//! `coulomb import`: files of jobs or samples, by a map, to a running server.
//!
//! Owns the flags, the order of files and what is told about them. Must not know HTTP (the connection does) nor
//! Parquet (the store's door does). **Invariant:** there is one mechanism: presets and users' files are maps.

mod batch;
mod convert;
mod error;
mod finish;
mod instant;
mod map;
mod number;
mod parse;
mod presets;
mod prometheus;
mod run;
mod slurm;
mod source;
mod tally;

pub use error::ImportError;

use super::ClientError;
use super::connection::Connection;
use crate::config::ClientFlags;
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use contract::answers::IngestAnswer;
use finish::Defaults;
use indicatif::{ProgressBar, ProgressStyle};
use instant::Format;
use map::{Interval, Map};
use run::{Sink, Unit};
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

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
    /// UUID of the one GPU of the file, where no column names it (default: file: and the file's name).
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
    /// Zone of times that carry none, as in America/Los_Angeles (default UTC).
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// CSV (.csv, .txt, also .gz), Parquet (.parquet) or pages of metrics.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Sends the files and tells what became of their rows.
pub fn import(command: &ImportCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let none = (None, None, None, None, None);
    let (table, common, client, (node, gpu_uuid, gpu_model, interval, time)) = match &command.what {
        What::Jobs(flags) => ("job_events", &flags.common, &flags.client, none),
        What::GpuSamples(f) => {
            let own = (f.node.clone(), f.gpu_uuid.clone(), f.gpu_model.clone(), f.interval_seconds, f.time.as_deref());
            ("gpu_samples", &f.common, &f.client, own)
        }
    };
    let (mut map, map_text) = read_map(common, table)?;
    if let Some(seconds) = interval {
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(flag("--interval-seconds", &seconds.to_string(), "give a number of seconds").into());
        }
        map.interval = Interval::Seconds(seconds);
    }
    let time_micros = time.map(|text| {
        let wrong = || flag("--time", text, "give a time like 2026-01-31T12:00:00Z");
        Format::Rfc3339.read(text, Tz::UTC).ok_or_else(wrong)
    });
    let time_micros = time_micros.transpose()?;
    if common.cluster.is_none() && !map.rules.contains_key(&convert::place(&map, "cluster")) && !map.same_names {
        return Err(flag("--cluster", "", "give the name of the cluster that the rows are of").into());
    }
    let interval = interval.map(|seconds| seconds.to_string()).unwrap_or_default();
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    let options = [
        ("table", table.to_owned()),
        ("preset", common.preset.clone()),
        ("map", map_text),
        ("cluster", text(&common.cluster)),
        ("timezone", text(&common.timezone)),
        ("node", text(&node)),
        ("gpu_uuid", text(&gpu_uuid)),
        ("gpu_model", text(&gpu_model)),
        ("interval", interval),
        ("time", time.unwrap_or_default().to_owned()),
    ];
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let defaults = Defaults { cluster: common.cluster.clone(), node, gpu_uuid, gpu_model, stem: String::new() };
    let connection = Connection::open(client)?;
    for files in units(&map, &common.files)? {
        let digests: Vec<[u8; 32]> = files.iter().map(|(digest, _)| *digest).collect();
        let files: Vec<PathBuf> = files.into_iter().map(|(_, path)| path).collect();
        let digest = run::import_digest(&digests, &options);
        let unit = Unit { map: &map, preset: &common.preset, defaults: &defaults, time_micros, files };
        send(&unit, &digest, &connection, out)?;
    }
    Ok(())
}

fn flag(flag: &'static str, text: &str, why: &str) -> ImportError {
    ImportError::Flag { flag, text: text.to_owned(), why: why.to_owned() }
}

/// The preset with the user's map over it, and the text of the latter.
fn read_map(common: &CommonFlags, table: &str) -> Result<(Map, String), ImportError> {
    let table = contract::table(table).expect("the contract has the tables that can be imported");
    let mut map = presets::preset(&common.preset, table)?;
    let mut text = String::new();
    if let Some(path) = &common.map {
        text = std::fs::read_to_string(path).map_err(|cause| ImportError::Read { path: path.clone(), cause })?;
        map = parse::parse(&path.to_string_lossy(), &text, table, Some(map))?;
    }
    if let Some(zone) = &common.timezone {
        let wrong = |_| flag("--timezone", zone, "give a name such as UTC or America/Los_Angeles");
        map.timezone = zone.parse().map_err(wrong)?;
    }
    Ok((map, text))
}

type Digested = ([u8; 32], PathBuf);

/// The files that are imported as one: all of them where they are joined, else each by itself.
fn units(map: &Map, files: &[PathBuf]) -> Result<Vec<Vec<Digested>>, ImportError> {
    let digested = files.iter().map(|path| Ok((run::file_digest(path)?, path.clone())));
    let mut digested = digested.collect::<Result<Vec<_>, ImportError>>()?;
    if map.joined {
        // The order in which the files were named does not make another import.
        digested.sort();
        return Ok(vec![digested]);
    }
    Ok(digested.into_iter().map(|file| vec![file]).collect())
}

fn send(unit: &Unit<'_>, digest: &str, connection: &Connection, out: &mut impl Write) -> Result<(), ClientError> {
    let name = unit.files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(" + ");
    let bytes: u64 = unit.files.iter().filter_map(|f| std::fs::metadata(f).ok()).map(|m| m.len()).sum();
    let mut sink = Server { connection, table: unit.map.table.name, bar: bar(bytes, &name), rows_told: 0, name: &name };
    let tally = run::import(unit, digest, &mut sink);
    sink.bar.finish_and_clear();
    let tally = tally?;
    if tally.rows() == 0 {
        let path = unit.files.first().cloned().unwrap_or_default();
        return Err(ImportError::Nothing { path, why: tally.why_nothing() }.into());
    }
    for line in tally.lines(&name, unit.map.table.name) {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
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
struct Server<'a> {
    connection: &'a Connection,
    table: &'static str,
    bar: ProgressBar,
    rows_told: u64,
    name: &'a str,
}

impl Sink for Server<'_> {
    type Error = ClientError;

    fn keep(&mut self, writer: &str, sequence: u64, body: &[u8]) -> Result<IngestAnswer, ClientError> {
        self.connection.ingest(self.table, writer, sequence, body)
    }

    fn progress(&mut self, bytes_read: u64, rows: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_position(bytes_read);
        } else if rows >= self.rows_told + PROGRESS_ROWS {
            self.rows_told = rows;
            // Progress that nobody can read is no reason to stop.
            drop(writeln!(stderr(), "{}: {rows} rows read", self.name));
        }
    }
}
