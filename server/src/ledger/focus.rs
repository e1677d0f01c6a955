//! Rows of the ledger as a FOCUS file: asks for them in the order in which `cost` makes charges of them.
//!
//! **Invariant:** all rows are of one instant, and the charges sum to those that have a price; a file appears whole or
//! not at all.

use super::read::{Names, Rows};
use super::{Ledger, LedgerError};
use crate::cost::{
    BillPeriod, Category, FocusCsv, FocusError, FocusExport, FocusGrain, FocusNames, FocusNote, FocusSource,
    FocusVersion, HOUR_MICROS, Micros, Period, focus_quantity,
};
use crate::query::{Engine, Parameter};
use arrow::array::RecordBatch;
use futures::StreamExt;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::sync::Arc;

/// Bytes of a file: some two million charges. It lies on disk until it is sent.
const FILE_BYTES_MAX: u64 = 4 << 30;
const BUFFER_BYTES: usize = 1 << 20;

/// In the order in which [`source`] reads them.
const COLUMNS: &str = "time, period, cluster, node, gpu_uuid, gpu_model, pool, region, provider, job_id, job_name, \
    \"user\", account, project, queue, team, cost_centre, state, category, quantity, unit, rate, price_kind, \
    price_version, price_line, policy_version, cost_micros, currency, corrects";

/// What a file is about.
#[derive(Debug, Clone)]
pub struct FocusAsked {
    /// The month that rows are billed in, or else when their cost arose, Unix microseconds, the end not included.
    pub period: Result<Period, (i64, i64)>,
    pub version: FocusVersion,
    pub grain: FocusGrain,
    pub names: FocusNames,
}

/// A file, from its beginning.
pub struct FocusFile {
    pub file: File,
    pub bytes: u64,
    pub note: FocusNote,
}

impl Ledger {
    /// Writes the charges as CSV into `file`, which has no other use.
    ///
    /// # Errors
    /// The file would be larger than what is made at once, or cannot be written; a charge is beyond what a file holds.
    pub async fn focus(&self, asked: FocusAsked, file: File) -> Result<FocusFile, LedgerError> {
        let engine = self.inner.engine.clone();
        // A row takes some microseconds, and a batch has thousands of them.
        self.on_runtime(async move { write(&engine, asked, file).await }).await
    }
}

async fn write(engine: &Engine, asked: FocusAsked, file: File) -> Result<FocusFile, LedgerError> {
    let (sql, with) = statement(&asked);
    let mut answer = engine.sql(&sql, with).await?;
    let writer = BufWriter::with_capacity(BUFFER_BYTES, Bounded { file, written: 0 });
    let mut csv = FocusCsv::new(asked.version, writer).map_err(refused)?;
    let mut export = FocusExport::new(asked.names, asked.grain);
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        tokio::task::block_in_place(|| push(&batch, &mut export, &mut csv))?;
    }
    let note = export.finish(|row| csv.write(&row)).map_err(refused)?;
    let mut writer = csv.finish().map_err(refused)?;
    let done = writer.flush().and_then(|()| writer.get_mut().file.rewind());
    done.map_err(|error| refused(FocusError::Write(error)))?;
    let bounded = writer.into_inner().map_err(|error| refused(FocusError::Write(error.into_error())))?;
    Ok(FocusFile { file: bounded.file, bytes: bounded.written, note })
}

/// A file that takes no more than it may.
struct Bounded {
    file: File,
    written: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.written + bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn refused(error: FocusError) -> LedgerError {
    match error {
        FocusError::Write(e) if e.kind() == std::io::ErrorKind::FileTooLarge => LedgerError::Limit(format!(
            "the file would have more than {FILE_BYTES_MAX} bytes, ask for a shorter time or for longer charge periods"
        )),
        FocusError::Write(e) => LedgerError::Internal(format!("cannot write the file: {e}")),
        other => LedgerError::Limit(other.to_string()),
    }
}

/// The rows of one GPU (or of one job without a GPU) and charge period follow each other.
fn statement(asked: &FocusAsked) -> (String, Vec<Parameter>) {
    let (condition, with) = match asked.period {
        Ok(month) => ("period = $1", vec![Parameter::Text(month.to_string())]),
        Err((from, to)) => ("time >= $1 and time < $2", vec![Parameter::Time(from), Parameter::Time(to)]),
    };
    let period = match asked.grain {
        FocusGrain::Hour => "time",
        FocusGrain::Day => "date_trunc('day', time)",
        FocusGrain::Month => "date_trunc('month', time)",
    };
    let order = "cluster, gpu_uuid, node, gpu_model, pool, region, provider, job_id, time";
    (format!("select {COLUMNS} from ledger where {condition} order by {period}, {order}"), with)
}

fn push(
    batch: &RecordBatch,
    export: &mut FocusExport,
    csv: &mut FocusCsv<BufWriter<Bounded>>,
) -> Result<(), LedgerError> {
    let (rows, mut names) = (Rows::new(batch), Names::default());
    for row in 0..batch.num_rows() {
        let source = source(&rows, row, &mut names)?;
        export.push(source, |row| csv.write(&row)).map_err(refused)?;
    }
    Ok(())
}

fn source(rows: &Rows<'_>, row: usize, names: &mut Names) -> Result<FocusSource, LedgerError> {
    let lacks = |what: &str| LedgerError::Internal(format!("a row of the ledger has no {what}"));
    let mut text = |at| names.maybe(rows.text(at, row));
    let start_micros = rows.int(0, row).ok_or_else(|| lacks("time"))?;
    let month = rows.text(1, row).and_then(Period::parse).ok_or_else(|| lacks("period"))?;
    let (month_start, month_end) = month.range_micros();
    let category = rows.text(18, row).unwrap_or_default();
    let category = Category::ALL.into_iter().find(|known| known.as_str() == category);
    let quantity = rows.float(19, row).unwrap_or_default();
    Ok(FocusSource {
        billing_period: BillPeriod { start_micros: month_start, end_micros: month_end },
        charge_period: BillPeriod { start_micros, end_micros: start_micros + HOUR_MICROS },
        cluster: text(2).ok_or_else(|| lacks("cluster"))?,
        node: text(3),
        gpu_uuid: text(4),
        gpu_model: text(5),
        pool: text(6),
        region: text(7),
        provider: text(8),
        job_id: text(9),
        job_name: text(10),
        user: text(11),
        account: text(12),
        project: text(13),
        queue: text(14),
        team: text(15),
        cost_centre: text(16),
        state: text(17),
        category: category.ok_or_else(|| lacks("category"))?,
        quantity: focus_quantity(quantity).ok_or_else(|| lacks("quantity within all bounds"))?,
        unit: text(20).ok_or_else(|| lacks("unit"))?,
        rate: rows.decimal(21, row),
        price_kind: text(22),
        price_version: text(23),
        price_line: rows.int(24, row),
        policy_version: text(25),
        cost: rows.int(26, row).map(Micros),
        currency: text(27).unwrap_or_else(|| Arc::from("")),
        corrects: text(28),
    })
}
