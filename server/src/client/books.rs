//! `coulomb import prices` and the like, `coulomb documents`, `coulomb close`: what is stated about money.

use super::ClientError;
use super::connection::Connection;
use super::output::Format;
use super::token::{instant_text, write_rows};
use crate::answers::{
    CatalogAnswer, CatalogRequest, Closing, ClosingRequest, ComparedOwner, ComparisonRequest, DocumentEntry,
    MovesRequest, OwnerName, OwnershipMove, OwnershipMoves, PolicyComparison, ReopeningRequest,
};
use crate::config::ClientFlags;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct DocumentFlags {
    /// Name that a later version has to be given, too (default: the file's name for prices and charges, the kind for
    /// others).
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only say what is wrong with it.
    #[arg(long)]
    dry_run: bool,
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
pub(super) struct PricesFlags {
    /// TOML file that says how a provider's catalog becomes prices, as docs/prices.md describes; FILE is the catalog.
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    #[command(flatten)]
    document: DocumentFlags,
}

#[derive(Debug, Args)]
pub(super) struct OwnershipFlags {
    /// With --dry-run: what the rules would move in this month, such as 2026-10.
    #[arg(long, value_name = "MONTH", requires = "dry_run")]
    month: Option<String>,
    /// Of the moves.
    #[arg(long, value_enum, default_value = "table", requires = "month")]
    format: Format,
    #[command(flatten)]
    document: DocumentFlags,
}

fn read(path: &std::path::Path) -> Result<String, ClientError> {
    let wrong = |e: std::io::Error| ClientError::Argument {
        what: "file",
        text: path.display().to_string(),
        why: e.to_string(),
    };
    std::fs::read_to_string(path).map_err(wrong)
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Prices as they are written, or of a catalog by a map.
pub(super) fn state_prices(flags: &PricesFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let PricesFlags { map, document } = flags;
    let Some(map) = map else { return state("prices", document, out) };
    let catalog_name = file_name(&document.file);
    let stem = document.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let request = CatalogRequest {
        name: document.name.clone().unwrap_or_else(|| format!("{stem}.csv")),
        catalog: read(&document.file)?,
        catalog_name,
        map: read(map)?,
        map_name: file_name(map),
        dry_run: document.dry_run,
    };
    let made: CatalogAnswer = Connection::open(&document.client)?.post("/api/v1/catalogs", &request)?;
    let (rows, name) = (made.rows, &made.name);
    match document.dry_run {
        true => writeln!(out, "prices {name:?} would have {rows} prices; nothing was changed")?,
        false => writeln!(out, "prices {name:?} holds as version {} with {rows} prices", made.version)?,
    }
    for left in &made.left_out {
        writeln!(out, "left out: {} records, {}", left.records, left.why)?;
    }
    if !document.dry_run {
        writeln!(out, "the map is kept as maps {name:?}, version {}", made.map_version)?;
    }
    Ok(out.flush()?)
}

/// Who pays, or what a change of that would move.
pub(super) fn state_ownership(flags: &OwnershipFlags, out: &mut impl Write) -> Result<(), ClientError> {
    state("ownership", &flags.document, out)?;
    let Some(period) = flags.month.clone() else { return Ok(()) };
    let request = MovesRequest { period, rules: read(&flags.document.file)? };
    let connection = Connection::open(&flags.document.client)?;
    let moves: OwnershipMoves = connection.post("/api/v1/ownership/moves", &request)?;
    if flags.format == Format::Json {
        let text = serde_json::to_string(&moves).map_err(std::io::Error::other)?;
        writeln!(out, "{text}")?;
        return Ok(out.flush()?);
    }
    if flags.format == Format::Table {
        let closed = if moves.is_closed { "; it is closed, so they are posted to the open month" } else { "" };
        match moves.moves.is_empty() {
            true => writeln!(out, "the rules move nothing in {}", moves.period)?,
            false => writeln!(out, "moves in {}{closed}:", moves.period)?,
        }
    }
    let names = ["from", "to", "jobs", "gpu_hours", "cost", "currency"].map(str::to_owned);
    let owner = |o: &OwnerName| {
        let project = o.project.as_deref().map(|project| format!(", {project}")).unwrap_or_default();
        format!("{}{project} ({})", o.team, o.cost_centre)
    };
    let row = |m: &OwnershipMove| {
        let unpriced = if m.unpriced_rows > 0 { " and unpriced time" } else { "" };
        let cost = format!("{}{unpriced}", amount(m.cost_micros));
        let hours = format!("{:.3}", m.gpu_hours);
        [owner(&m.from), owner(&m.to), m.jobs.to_string(), hours, cost, moves.currency.clone()]
    };
    if !moves.moves.is_empty() || flags.format == Format::Csv {
        write_rows(flags.format, &names, moves.moves.iter().map(row).collect(), out)?;
    }
    Ok(out.flush()?)
}

/// Sends a document and says under which version it is known.
pub(super) fn state(kind: &str, flags: &DocumentFlags, out: &mut impl Write) -> Result<(), ClientError> {
    let text = read(&flags.file)?;
    let has_names = ["prices", "charges"].contains(&kind);
    let name = flags.name.clone().unwrap_or_else(|| if has_names { file_name(&flags.file) } else { kind.to_owned() });
    let path =
        format!("/api/v1/documents/{kind}/{}{}", encoded(&name), if flags.dry_run { "?dry_run=true" } else { "" });
    let stated: DocumentEntry = Connection::open(&flags.client)?.put_text(&path, &text)?;
    match flags.dry_run {
        true => writeln!(out, "{kind} {name:?} is as it should be; nothing was changed")?,
        false => writeln!(out, "{kind} {name:?} holds as version {}", stated.version)?,
    }
    Ok(out.flush()?)
}

pub(super) fn encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[derive(Debug, Args)]
pub struct DocumentsCommand {
    #[command(subcommand)]
    action: DocumentsAction,
}

#[derive(Debug, Subcommand)]
enum DocumentsAction {
    /// List what was stated: prices, pools, rates, owners, policy, budgets, carbon, charges, schedules, maps of catalogs
    /// and bills.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Print the latest version of a document.
    Show {
        kind: String,
        /// Default: the kind.
        name: Option<String>,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Take a document back; its versions are kept.
    TakeBack {
        kind: String,
        /// Default: the kind.
        name: Option<String>,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Does it and writes what came of it to `out`.
pub fn documents(command: &DocumentsCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let path = |kind: &str, name: &Option<String>| {
        format!("/api/v1/documents/{}/{}", encoded(kind), encoded(name.as_deref().unwrap_or(kind)))
    };
    match &command.action {
        DocumentsAction::List { format, client } => {
            let entries: Vec<DocumentEntry> = Connection::open(client)?.get("/api/v1/documents")?;
            list(*format, &entries, out)?;
        }
        DocumentsAction::Show { kind, name, client } => {
            out.write_all(Connection::open(client)?.get_text(&path(kind, name))?.as_bytes())?;
        }
        DocumentsAction::TakeBack { kind, name, client } => {
            Connection::open(client)?.delete(&path(kind, name))?;
            writeln!(out, "{kind} {:?} holds no longer", name.as_deref().unwrap_or(kind))?;
        }
    }
    Ok(out.flush()?)
}

fn list(format: Format, entries: &[DocumentEntry], out: &mut impl Write) -> Result<(), ClientError> {
    if format == Format::Json {
        let text = serde_json::to_string(entries).map_err(std::io::Error::other)?;
        return Ok(writeln!(out, "{text}")?);
    }
    let names = ["kind", "name", "version", "author", "stated"].map(str::to_owned);
    let row = |e: &DocumentEntry| {
        [e.kind.clone(), e.name.clone(), e.version.clone(), e.author.clone(), instant_text(e.stated_unix_micros)]
    };
    let rows: Vec<[String; 5]> = entries.iter().map(row).collect();
    write_rows(format, &names, rows, out)
}

#[derive(Debug, Args)]
pub struct CloseCommand {
    /// Month, such as 2026-10.
    #[arg(long, value_name = "MONTH")]
    month: String,
    /// Close it although some hours have no price.
    #[arg(long)]
    unpriced: bool,
    /// Open a closed month again, and say why.
    #[arg(long, value_name = "WHY", conflicts_with = "unpriced")]
    reopen: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Closes a month, or opens it again.
pub fn close(command: &CloseCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let connection = Connection::open(&command.client)?;
    let period = command.month.clone();
    match &command.reopen {
        Some(why) => {
            connection.post_unanswered("/api/v1/ledger/reopen", &ReopeningRequest { period, why: why.clone() })?;
            writeln!(out, "{} is open again", command.month)?;
        }
        None => {
            let request = ClosingRequest { period, unpriced: command.unpriced };
            let closed: Closing = connection.post("/api/v1/ledger/close", &request)?;
            writeln!(out, "{} is closed: {} rows, {}", closed.period, closed.rows, amount(closed.cost_micros))?;
        }
    }
    Ok(out.flush()?)
}

#[derive(Debug, Args)]
pub struct PolicyCommand {
    #[command(subcommand)]
    action: PolicyAction,
}

#[derive(Debug, Subcommand)]
enum PolicyAction {
    /// What each owner would pay for a month under two policies; nothing is kept.
    Compare {
        /// Month, such as 2026-10.
        #[arg(long, value_name = "MONTH")]
        month: String,
        #[arg(value_name = "A.toml")]
        a: PathBuf,
        #[arg(value_name = "B.toml")]
        b: PathBuf,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Compares policies.
pub fn policy(command: &PolicyCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let PolicyAction::Compare { month, a, b, format, client } = &command.action;
    let request = ComparisonRequest { period: month.clone(), a: read(a)?, b: read(b)? };
    let compared: PolicyComparison = Connection::open(client)?.post("/api/v1/policies/compare", &request)?;
    if *format == Format::Json {
        let text = serde_json::to_string(&compared).map_err(std::io::Error::other)?;
        writeln!(out, "{text}")?;
        return Ok(out.flush()?);
    }
    let names = ["team", "project", "cost_centre", "a", "b", "difference", "currency"].map(str::to_owned);
    let row = |o: &ComparedOwner| {
        let [a, b, more] = [o.a_micros, o.b_micros, o.b_micros - o.a_micros].map(amount);
        let project = o.project.clone().unwrap_or_default();
        [o.team.clone(), project, o.cost_centre.clone(), a, b, more, compared.currency.clone()]
    };
    write_rows(*format, &names, compared.owners.iter().map(row).collect(), out)?;
    Ok(out.flush()?)
}

/// Micros as a decimal amount.
pub(super) fn amount(micros: i64) -> String {
    let (sign, whole) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", whole / 1_000_000, whole % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_all_their_digits() {
        for (micros, text) in
            [(0, "0.000000"), (-1, "-0.000001"), (1_500_000, "1.500000"), (i64::MIN, "-9223372036854.775808")]
        {
            assert_eq!(amount(micros), text);
        }
    }
}
