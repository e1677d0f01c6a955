//! `coulomb token create|list|revoke|link`.

use super::ClientError;
use super::connection::Connection;
use super::output::{Format, write_table};
use crate::answers::{LoginLink, Token, TokenRequest};
use crate::config::ClientFlags;
use chrono::{DateTime, SecondsFormat};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write;

#[derive(Debug, Args)]
pub struct TokenCommand {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Make a token and print it; it is shown this once.
    Create {
        /// What the token is for, as it appears in the list.
        #[arg(long)]
        name: String,
        /// admin may do everything, writer only send rows, finance read, state prices and rules and close months,
        /// viewer only read.
        #[arg(long, value_parser = ["admin", "writer", "finance", "viewer"])]
        role: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// List the tokens that work.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// End a token and the sessions that came from it.
    Revoke {
        /// The id, as `coulomb token list` shows it.
        id: String,
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Print an address that logs a browser in once, within ten minutes.
    Link {
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Does it and writes what came of it to `out`.
pub fn token(command: &TokenCommand, out: &mut impl Write) -> Result<(), ClientError> {
    match &command.action {
        TokenAction::Create { name, role, client } => {
            let request = TokenRequest { name: name.clone(), role: role.clone() };
            let made: Token = Connection::open(client)?.post("/api/v1/tokens", &request)?;
            let missing = || ClientError::Answer { path: "/api/v1/tokens".into(), why: "there is no secret".into() };
            writeln!(out, "{}", made.secret.ok_or_else(missing)?)?;
        }
        TokenAction::List { format, client } => {
            let tokens: Vec<Token> = Connection::open(client)?.get("/api/v1/tokens")?;
            write_tokens(*format, &tokens, out)?;
        }
        TokenAction::Revoke { id, client } => {
            let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            Connection::open(client)?.delete(&format!("/api/v1/tokens/{encoded}"))?;
            writeln!(out, "revoked {id}")?;
        }
        TokenAction::Link { client } => {
            let connection = Connection::open(client)?;
            let link: LoginLink = connection.post("/api/v1/login-links", &json!({}))?;
            writeln!(out, "{}{}", connection.server(), link.path)?;
        }
    }
    Ok(out.flush()?)
}

fn write_tokens(format: Format, tokens: &[Token], out: &mut impl Write) -> Result<(), ClientError> {
    if format == Format::Json {
        let text = serde_json::to_string(tokens).map_err(std::io::Error::other)?;
        return Ok(writeln!(out, "{text}")?);
    }
    let names = ["id", "name", "role", "created"].map(str::to_owned);
    let rows: Vec<[String; 4]> = tokens
        .iter()
        .map(|t| [t.id.clone(), t.name.clone(), t.role.clone(), instant_text(t.created_unix_micros)])
        .collect();
    write_rows(format, &names, rows, out)
}

/// Rows of texts as CSV or for people.
pub(super) fn write_rows<const N: usize>(
    format: Format,
    names: &[String; N],
    rows: Vec<[String; N]>,
    out: &mut impl Write,
) -> Result<(), ClientError> {
    if format == Format::Csv {
        let mut csv = csv::Writer::from_writer(out);
        let wrote = csv.write_record(names).and_then(|()| rows.iter().try_for_each(|row| csv.write_record(row)));
        return wrote.map_err(|e| ClientError::Output(std::io::Error::other(e)));
    }
    let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.map(Value::String).to_vec()).collect();
    write_table(out, names, &rows)
}

/// An instant for people, to the second.
pub(super) fn instant_text(unix_micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(unix_micros);
    time.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_else(|| unix_micros.to_string())
}
