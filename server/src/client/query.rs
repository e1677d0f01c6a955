//! `coulomb query 'SQL'`.

use super::ClientError;
use super::connection::Connection;
use super::output::{Format, write_table};
use crate::config::ClientFlags;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, Read, Write};

#[derive(Debug, Args)]
pub struct QueryCommand {
    /// The statement; `-` reads it from standard input.
    sql: String,
    /// How rows are written.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Value of $1, then $2 and so on: a JSON number, true, false, null or "text"; anything else is taken as text.
    #[arg(long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    parameters: Vec<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// The JSON form of rows.
#[derive(Deserialize)]
struct RowsAnswer {
    columns: Vec<ColumnName>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct ColumnName {
    name: String,
}

/// Asks and writes the rows to `out`.
pub fn query(command: &QueryCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let sql = match command.sql.as_str() {
        "-" => io::read_to_string(io::stdin()).map_err(|cause| ClientError::Read { path: "-".into(), cause })?,
        sql => sql.to_owned(),
    };
    let parameters: Vec<Value> = command.parameters.iter().map(|text| parameter(text)).collect();
    rows(&Connection::open(&command.client)?, (&sql, &parameters), command.format, out)
}

/// Writes what a statement answers.
pub(super) fn rows(
    connection: &Connection,
    (sql, parameters): (&str, &[Value]),
    format: Format,
    out: &mut impl Write,
) -> Result<(), ClientError> {
    let request = json!({ "sql": sql, "parameters": parameters });
    let accept = if format == Format::Csv { "text/csv" } else { "application/json" };
    let mut body = connection.post_streaming("/api/v1/query", accept, &request)?;
    if format == Format::Table {
        let answer: RowsAnswer = serde_json::from_reader(io::BufReader::new(body)).map_err(cut_short)?;
        let names: Vec<String> = answer.columns.into_iter().map(|c| c.name).collect();
        write_table(out, &names, &answer.rows)?;
        return Ok(out.flush()?);
    }
    copy(&mut body, out)?;
    if format == Format::Json {
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// Copies, telling a broken answer from a reader of ours that went away.
fn copy(body: &mut impl Read, out: &mut impl Write) -> Result<(), ClientError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match body.read(&mut buffer).map_err(|e| cut_short(e.to_string()))? {
            0 => return Ok(()),
            n => out.write_all(&buffer[..n])?,
        }
    }
}

fn cut_short(why: impl ToString) -> ClientError {
    ClientError::Answer { path: "/api/v1/query".into(), why: why.to_string() }
}

/// Scalars of JSON are themselves; everything else is the text as given.
fn parameter(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_type() {
        for (text, value) in [
            ("5", json!(5)),
            ("-2.5", json!(-2.5)),
            ("true", json!(true)),
            ("null", Value::Null),
            ("\"5\"", json!("5")),
            ("node-1", json!("node-1")),
            ("[1]", json!("[1]")),
            ("", json!("")),
        ] {
            assert_eq!(parameter(text), value, "{text:?}");
        }
    }
}
