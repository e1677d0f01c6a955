//! `coulomb verify`: every file of a server read and judged, or an archive.

use super::ClientError;
use super::connection::Connection;
use super::output::Format;
use super::progress::{Progress, amount_text};
use super::restore;
use crate::archive;
use crate::config::ClientFlags;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

const PATH: &str = "/api/v1/verify";
/// The bytes of all data files, as far as they are known at the beginning.
const SIZE_HEADER: &str = "coulomb-verify-bytes";
/// A line names one file and what is wrong with it; a longer one is no answer of ours.
const LINE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// An archive of `coulomb backup` to check, `-` for standard input; without it the running server checks itself.
    file: Option<PathBuf>,
    /// How damaged files are written.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    client: ClientFlags,
}

/// A line of the answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    File { path: String, bytes: u64, rows: u64, problem: Option<String> },
    End { complete: bool },
}

#[derive(Default)]
struct Found {
    files: u64,
    rows: u64,
    bytes: u64,
    damaged: Vec<(String, String)>,
}

/// Writes a line for each damaged file and a summary; an error when there is one.
pub fn verify(command: &VerifyCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let found = match &command.file {
        Some(file) => of_archive(file)?,
        None => of_server(&Connection::open(&command.client)?)?,
    };
    write_found(&found, command.format, out)?;
    out.flush()?;
    match found.damaged.len() {
        0 => Ok(()),
        damaged => {
            let verb = if damaged == 1 { "is" } else { "are" };
            Err(ClientError::Verdict(format!("{damaged} of {} files {verb} damaged", found.files)))
        }
    }
}

fn of_archive(file: &Path) -> Result<Found, ClientError> {
    let name = restore::name(file);
    let read = archive::read(restore::open(file)?, &mut ());
    let manifest = read.map_err(|cause| ClientError::Archive { file: name, cause })?;
    let files = manifest.files.len() as u64;
    Ok(Found { files, rows: manifest.rows(), bytes: manifest.bytes(), damaged: Vec::new() })
}

fn of_server(connection: &Connection) -> Result<Found, ClientError> {
    let broken = |why: String| ClientError::Answer { path: PATH.to_owned(), why };
    let (body, total) = connection.post_empty(PATH, SIZE_HEADER)?;
    let mut progress = Progress::new("verify", total);
    let mut lines = BufReader::new(body);
    let mut found = Found::default();
    loop {
        let mut line = Vec::new();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        read.map_err(|e| broken(e.to_string()))?;
        if line.is_empty() {
            return Err(broken("it broke off before all files were read; the server's log says why".to_owned()));
        }
        match serde_json::from_slice(&line).map_err(|e| broken(e.to_string()))? {
            Line::File { path, bytes, rows, problem } => {
                (found.files, found.rows, found.bytes) = (found.files + 1, found.rows + rows, found.bytes + bytes);
                progress.add(bytes);
                found.damaged.extend(problem.map(|problem| (path, problem)));
            }
            Line::End { complete: true } => return Ok(found),
            Line::End { complete: false } => return Err(broken("it says that it is not complete".to_owned())),
        }
    }
}

fn write_found(found: &Found, format: Format, out: &mut impl Write) -> Result<(), ClientError> {
    let Found { files, rows, bytes, damaged } = found;
    match format {
        Format::Json => {
            let damaged: Vec<_> =
                damaged.iter().map(|(path, problem)| json!({ "path": path, "problem": problem })).collect();
            writeln!(out, "{}", json!({ "files": files, "rows": rows, "bytes": bytes, "damaged": damaged }))?;
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(&mut *out);
            let wrote = csv.write_record(["path", "problem"]);
            let wrote =
                wrote.and_then(|()| damaged.iter().try_for_each(|(path, problem)| csv.write_record([path, problem])));
            wrote.and_then(|()| Ok(csv.flush()?)).map_err(|e| ClientError::Output(std::io::Error::other(e)))?;
        }
        Format::Table => {
            for (path, problem) in damaged {
                writeln!(out, "DAMAGED {path}: {problem}")?;
            }
            let verdict = if damaged.is_empty() { "all is well" } else { "the others are well" };
            writeln!(out, "read {}: {verdict}", amount_text(*files, *rows, *bytes))?;
        }
    }
    Ok(())
}
