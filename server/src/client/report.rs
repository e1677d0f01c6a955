//! `coulomb report KIND`: a document of a running server, to a file or to standard output.

use super::ClientError;
use super::connection::Connection;
use crate::config::ClientFlags;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write, stderr, stdout};
use std::path::{Path, PathBuf};

/// Says what became of the rows of a FOCUS file.
const FOCUS_NOTE_HEADER: &str = "coulomb-focus-note";

#[derive(Debug, Args)]
pub struct ReportCommand {
    /// What it says: what each group is charged, the same for information only, what the GPUs did, what there is and
    /// how long jobs wait, what is wasted, or what failed.
    #[arg(value_enum)]
    kind: ReportKind,
    /// Month of the bill, as in 2026-11.
    #[arg(long, conflicts_with_all = ["from", "to"], required_unless_present = "from", value_name = "MONTH")]
    month: Option<String>,
    /// Start of the time in which cost arose: a date, RFC 3339, or a form like now-7d.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of it, itself not included (default now).
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// Dimension of the groups, repeated or divided by commas: cluster, node, gpu_model, gpu, pool, job, user,
    /// account, project, queue, team, cost_centre, provider, region, state, category, period, day, label:NAME; of capacity
    /// hour, of waste kind and finding, of incidents incident, of both severity (default team; of capacity day, of waste
    /// team and kind, of incidents category).
    #[arg(long, value_delimiter = ',', value_name = "DIMENSION")]
    by: Option<Vec<String>>,
    /// What stands beside money: energy (measured kWh) and carbon (kg CO2e), repeated or divided by commas. HTML, PDF
    /// and XLSX have both where they are known.
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    with: Vec<String>,
    #[arg(long, value_enum, default_value = "csv")]
    format: ReportFormat,
    /// Of a FOCUS file: 1.4 or 1.2 (default 1.4).
    #[arg(long, value_name = "VERSION")]
    focus_version: Option<String>,
    /// Of a FOCUS file: how long a charge lasts, hour, day or month (default day).
    #[arg(long, value_name = "SPAN")]
    charge_period: Option<String>,
    /// Of a FOCUS file: the account that is billed (default coulomb).
    #[arg(long, value_name = "ID")]
    billing_account: Option<String>,
    /// Of a FOCUS file: who sells the GPU time and issues the bill (default GPU Platform).
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// File to write; a file that is there is replaced (default: standard output).
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportKind {
    Chargeback,
    Showback,
    Utilization,
    Capacity,
    Waste,
    Incidents,
}

impl ReportKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Chargeback => "chargeback",
            Self::Showback => "showback",
            Self::Utilization => "utilization",
            Self::Capacity => "capacity",
            Self::Waste => "waste",
            Self::Incidents => "incidents",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Csv,
    Parquet,
    Xlsx,
    Html,
    Pdf,
    /// Charges of FOCUS as CSV: every dimension is a column.
    Focus,
    /// The description of the columns of a FOCUS file, as JSON.
    FocusMetadata,
}

impl ReportFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Focus => "focus",
            Self::FocusMetadata => "focus-metadata",
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Html | Self::Focus | Self::FocusMetadata)
    }
}

/// Asks for the document and writes its bytes as they come.
pub fn report(command: &ReportCommand, out: &mut impl Write) -> Result<(), ClientError> {
    if command.output.is_none() && !command.format.is_text() && stdout().is_terminal() {
        let text = command.format.as_str().to_owned();
        let why = "it is not for a terminal, give --output FILE".to_owned();
        return Err(ClientError::Argument { what: "format", text, why });
    }
    let path = format!("/api/v1/reports/{}", command.kind.as_str());
    let ReportCommand { month, from, to, by, with, focus_version, charge_period, billing_account, issuer, .. } =
        command;
    let request = json!({
        "month": month,
        "from": from,
        "to": to,
        "by": by,
        "format": command.format.as_str(),
        "with": with,
        "focus_version": focus_version,
        "charge_period": charge_period,
        "billing_account": billing_account,
        "issuer": issuer,
    });
    let connection = Connection::open(&command.client)?;
    let (mut body, note) = connection.post_noting(&path, "*/*", &request, FOCUS_NOTE_HEADER)?;
    if let Some(note) = note {
        // What is not in the file belongs beside it; a closed standard error is no reason to stop.
        drop(writeln!(stderr(), "{note}"));
    }
    match &command.output {
        Some(file) => into_file(&path, &mut body, file),
        None => {
            copy(&path, &mut body, |part| Ok(out.write_all(part)?))?;
            Ok(out.flush()?)
        }
    }
}

/// The file appears whole or not at all.
fn into_file(path: &str, body: &mut impl Read, file: &Path) -> Result<(), ClientError> {
    let failed = |cause: io::Error| ClientError::Write { path: file.to_owned(), cause };
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new().prefix(".coulomb-report-").tempfile_in(folder).map_err(failed)?;
    let mut writer: BufWriter<&File> = BufWriter::new(unfinished.as_file());
    copy(path, body, |part| writer.write_all(part).map_err(failed))?;
    writer.flush().map_err(failed)?;
    drop(writer);
    unfinished.persist(file).map_err(|e| failed(e.error))?;
    Ok(())
}

fn copy(
    path: &str,
    body: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = body.read(&mut buffer);
        match read.map_err(|e| ClientError::Answer { path: path.to_owned(), why: e.to_string() })? {
            0 => return Ok(()),
            n => take(&buffer[..n])?,
        }
    }
}
