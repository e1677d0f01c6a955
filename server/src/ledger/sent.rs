//! Prices that arrive as rows of the table `prices`: each body becomes a price book of its own, so that they hold, have
//! a version, and are refused where they contradict others.

use super::documents::DocumentKind;
use super::{Ledger, LedgerError};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};
use contract::WriterId;
use sha2::{Digest, Sha256};

/// Characters of a writer that its books are named by.
const WRITER_CHARS: usize = 60;
const TEXTS: [&str; 8] = ["cluster", "pool", "node", "gpu_model", "provider", "region", "kind", "currency"];

impl Ledger {
    /// States the rows of a body, in the schema of the table `prices`, as one price book; says under which name. A
    /// body that the writer has sent before changes nothing.
    pub async fn state_sent(
        &self,
        rows: &RecordBatch,
        writer: &WriterId,
        sequence: u64,
        author: &str,
    ) -> Result<String, LedgerError> {
        let prefix = prefix(writer);
        let name = format!("{prefix}{sequence}.csv");
        let text = csv(rows)?;
        let statements = self.statements();
        let sent = statements.all.iter().filter(|stated| stated.kind == DocumentKind::Prices);
        let last =
            sent.filter_map(|stated| stated.name.strip_prefix(&prefix)?.strip_suffix(".csv")?.parse().ok()).max();
        if rows.num_rows() > 0 && last.is_none_or(|last: u64| last < sequence) {
            self.state(DocumentKind::Prices, &name, &text, author, false).await?;
        }
        Ok(name)
    }
}

/// What the names of a writer's books begin with: readable, and told apart by a digest.
fn prefix(writer: &WriterId) -> String {
    let writer = writer.as_str();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let readable: String = writer.chars().take(WRITER_CHARS).map(plain).collect();
    let digest: String = Sha256::digest(writer.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("sent-{readable}-{digest}-")
}

/// The rows as a price book.
fn csv(rows: &RecordBatch) -> Result<String, LedgerError> {
    let internal = |error: &dyn ToString| LedgerError::Internal(error.to_string());
    let column = |name: &str, as_type: &DataType| {
        let array = rows.column_by_name(name).ok_or_else(|| internal(&"a column of prices is missing"))?;
        cast(array, as_type).map_err(|error| internal(&error))
    };
    let mut texts = Vec::new();
    for name in TEXTS {
        texts.push(column(name, &DataType::Utf8)?);
    }
    let time = contract::arrow_type(contract::Kind::Time);
    let times = [column("valid_from", &time)?, column("valid_to", &time)?];
    let price = column("price_micros_per_gpu_hour", &DataType::Int64)?;
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = ["valid_from", "valid_to"].into_iter().chain(TEXTS).chain(["price_per_gpu_hour"]);
    out.write_record(head).map_err(|error| internal(&error))?;
    for row in 0..rows.num_rows() {
        let mut cells: Vec<String> = Vec::new();
        for array in &times {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            let text = |micros| {
                DateTime::from_timestamp_micros(micros).map(|t| t.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            };
            cells.push(array.is_valid(row).then(|| text(array.value(row))).flatten().unwrap_or_default());
        }
        for array in &texts {
            let array = array.as_string::<i32>();
            cells.push(if array.is_valid(row) { array.value(row).to_owned() } else { String::new() });
        }
        cells.push(crate::cost::Micros(price.as_primitive::<Int64Type>().value(row)).decimal().to_string());
        out.write_record(&cells).map_err(|error| internal(&error))?;
    }
    let bytes = out.into_inner().map_err(|error| internal(&error))?;
    String::from_utf8(bytes).map_err(|error| internal(&error))
}
