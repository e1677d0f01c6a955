//! Bills of providers: their lines in the table `bill_lines`, and which import of each bill holds.
//!
//! **Invariant:** the lines of an import are written before the document that makes them count, so a crash between the
//! two leaves the bill as it was; the same file is never there twice.

use super::bill_rows;
use super::documents::{self, DocumentKind, Stated};
use super::statements::Statements;
use super::{Ledger, LedgerError};
use crate::cost::{BillError, BillFault, BillLine, BillReading, Taken, read_bill};
use crate::store::StoreError;
use arrow::array::RecordBatch;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines that are appended at once, and about how many bytes of them.
const LINES_AT_ONCE: usize = 8_192;
const BYTES_AT_ONCE: usize = 8 << 20;
/// Each day on which charges begin is a folder of its own: ten years of them.
const DAYS_MAX: usize = 3_660;
/// A full store makes room within seconds; after so many tries, a second apart, it does not.
const TRIES_MAX: u32 = 60;
/// Faults that an error repeats where no row could be read.
const FAULTS_TOLD_MAX: usize = 5;

/// A bill whose last import holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    pub name: Arc<str>,
    /// Of the token that imported it.
    pub author: Arc<str>,
    /// Unix microseconds.
    pub stated_micros: i64,
    /// What its rows have in the column `import`.
    pub import: String,
    /// Digest of the file.
    pub sha256: String,
    /// Oldest version of FOCUS that has all of the file's columns.
    pub focus_version: String,
    pub rows: u64,
    pub kept: u64,
    pub rejected: u64,
    /// Exact sums of what is invoiced, by currency.
    pub billed: BTreeMap<String, String>,
}

/// The document of a bill.
#[derive(Deserialize)]
struct BillText {
    import: String,
    sha256: String,
    focus_version: String,
    rows: u64,
    kept: u64,
    rejected: u64,
    billed: BTreeMap<String, String>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillImport {
    pub bill: Bill,
    /// The same file is the bill already: nothing was added.
    pub is_known: bool,
    /// In order of lines; the first thousand.
    pub faults: Vec<BillFault>,
    pub faults_total: u64,
    /// Columns that are not kept.
    pub unknown_columns: Vec<String>,
}

/// The bytes of a bill, in a file of our own.
pub struct BillSource {
    pub file: File,
    /// Of all its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Bill {
    pub(super) fn read(stated: &Stated) -> Option<Self> {
        let text: BillText = toml::from_str(&stated.text).ok()?;
        Some(Self {
            name: Arc::clone(&stated.name),
            author: Arc::clone(&stated.author),
            stated_micros: stated.time_micros,
            import: text.import,
            sha256: text.sha256,
            focus_version: text.focus_version,
            rows: text.rows,
            kept: text.kept,
            rejected: text.rejected,
            billed: text.billed,
        })
    }

    /// Its document; every value is digits, points and letters only.
    fn text(&self) -> String {
        let Self { import, sha256, focus_version, rows, kept, rejected, .. } = self;
        let billed: String = self.billed.iter().map(|(currency, sum)| format!("{currency} = \"{sum}\"\n")).collect();
        format!(
            "import = \"{import}\"\nsha256 = \"{sha256}\"\nfocus_version = \"{focus_version}\"\nrows = {rows}\n\
             kept = {kept}\nrejected = {rejected}\n[billed]\n{billed}"
        )
    }
}

impl Ledger {
    /// Takes a bill as CSV of FOCUS 1.0 to 1.4; its lines take the place of those of a bill of the same name. The same
    /// file again adds nothing. With `try_out` nothing is kept.
    ///
    /// # Errors
    /// The file is no bill, or none of its rows can be read; it is another bill already.
    pub async fn import_bill(
        &self,
        name: &str,
        author: &str,
        source: BillSource,
        try_out: bool,
    ) -> Result<BillImport, LedgerError> {
        documents::check(name, "")?;
        if let Some(bill) = known(&self.statements(), name, &source.sha256)? {
            let (faults, unknown_columns) = (Vec::new(), Vec::new());
            return Ok(BillImport { bill, is_known: true, faults, faults_total: 0, unknown_columns });
        }
        let sha256 = source.sha256.clone();
        let import = import_id(name, &sha256, (self.inner.clock)());
        let reading = self.take_lines(name, &import, source, try_out).await?;
        let bill = Bill {
            name: name.into(),
            author: author.into(),
            stated_micros: (self.inner.clock)(),
            import,
            sha256,
            focus_version: reading.version.to_owned(),
            rows: reading.rows,
            kept: reading.read,
            rejected: reading.refused,
            billed: reading.summary.by_currency.iter().map(|(c, sums)| (c.clone(), sums.billed.to_string())).collect(),
        };
        if !try_out {
            let _stating = self.inner.stating.lock().await;
            // Another import of the same file may have been quicker.
            known(&self.statements(), name, &bill.sha256)?;
            self.keep_bill(name, author, &bill.text()).await?;
        }
        // As it will be listed, with the time of its document.
        let listed = self.statements().bills.get(name).filter(|listed| listed.import == bill.import).cloned();
        let bill = listed.unwrap_or(bill);
        let BillReading { faults, faults_total, unknown_columns, .. } = reading;
        Ok(BillImport { bill, is_known: false, faults, faults_total, unknown_columns })
    }

    /// A bill holds no longer; its lines are kept, and shown no more.
    pub async fn take_back_bill(&self, name: &str, author: &str) -> Result<(), LedgerError> {
        let _stating = self.inner.stating.lock().await;
        let statements = self.statements();
        if !statements.bills.contains_key(name) {
            return Err(statements.no_bill(name));
        }
        self.keep_bill(name, author, "").await
    }

    /// For whoever may change what is stated.
    async fn keep_bill(&self, name: &str, author: &str, text: &str) -> Result<(), LedgerError> {
        let stated = Stated::new(self.next_time(), DocumentKind::Bill, name, author, text);
        let mut all = self.statements().all.clone();
        all.push(stated.clone());
        let after = Statements::read(all).map_err(LedgerError::Faults)?;
        documents::keep(&self.inner.store, &stated).await?;
        self.hold(after)
    }

    /// Reads the bill on a thread of its own and keeps its lines as they come.
    async fn take_lines(
        &self,
        name: &str,
        import: &str,
        source: BillSource,
        try_out: bool,
    ) -> Result<BillReading, LedgerError> {
        // One batch is being written, one waits.
        let (sender, mut batches) = mpsc::channel(1);
        let (bill, id) = (name.to_owned(), import.to_owned());
        let reading = tokio::task::spawn_blocking(move || read(source.file, Lines::new(bill, id, sender)));
        let mut sequence = 0;
        let mut kept = Ok(());
        while let Some(batch) = batches.recv().await {
            sequence += 1;
            if !try_out {
                kept = self.append_patiently(import, sequence, batch).await;
            }
            if kept.is_err() {
                break;
            }
        }
        drop(batches);
        let reading = reading.await.map_err(|e| LedgerError::Internal(format!("the reading stopped: {e}")))?;
        kept?;
        let reading = reading?;
        if reading.read == 0 {
            return Err(LedgerError::Refused(nothing(&reading)));
        }
        Ok(reading)
    }

    async fn append_patiently(&self, import: &str, sequence: u64, batch: RecordBatch) -> Result<(), LedgerError> {
        let table = crate::store::ground_table("bill_lines").expect("the store has it");
        let writer = documents::writer("bill", import)?;
        for attempt in 1.. {
            match self.inner.store.append(table, &writer, sequence, batch.clone()).await {
                Err(StoreError::Full { retry_after_seconds, .. }) if attempt < TRIES_MAX => {
                    tokio::time::sleep(Duration::from_secs(retry_after_seconds)).await;
                }
                other => return Ok(other.map(drop)?),
            }
        }
        unreachable!("the loop returns at the last try")
    }
}

impl Statements {
    pub(super) fn no_bill(&self, name: &str) -> LedgerError {
        let known: Vec<&str> = self.bills.keys().map(String::as_str).collect();
        let hint = match known.is_empty() {
            true => "no bill was imported yet; `coulomb import bill FILE` does it".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        LedgerError::NotFound { what: "bill", name: name.chars().take(200).collect(), hint }
    }
}

/// The bill that is this very file; an error where it is another one.
fn known(statements: &Statements, name: &str, sha256: &str) -> Result<Option<Bill>, LedgerError> {
    match statements.bills.values().find(|bill| bill.sha256 == sha256) {
        Some(bill) if &*bill.name == name => Ok(Some(bill.clone())),
        Some(bill) => Err(LedgerError::Refused(format!(
            "this file is the bill {:?} already, and would count twice; take that back first, or leave it",
            bill.name
        ))),
        None => Ok(None),
    }
}

fn import_id(name: &str, sha256: &str, now_micros: i64) -> String {
    let mut digest = Sha256::new();
    digest.update(sha256.as_bytes());
    digest.update(now_micros.to_le_bytes());
    digest.update(name.as_bytes());
    digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Lines on their way to the store.
struct Lines {
    bill: String,
    import: String,
    sender: mpsc::Sender<RecordBatch>,
    held: Vec<BillLine>,
    bytes: usize,
    days: BTreeSet<i64>,
    /// Why no further line is taken.
    stopped: Option<LedgerError>,
}

impl Lines {
    fn new(bill: String, import: String, sender: mpsc::Sender<RecordBatch>) -> Self {
        Self { bill, import, sender, held: Vec::new(), bytes: 0, days: BTreeSet::new(), stopped: None }
    }

    fn take(&mut self, line: &BillLine) -> Taken {
        if let Some(fault) = bill_rows::fault(line) {
            return Taken::Refused(fault);
        }
        self.days.insert(line.charge_period.start_micros.div_euclid(super::days::DAY));
        if self.days.len() > DAYS_MAX {
            let why = format!("line {}: charges of the bill begin on more than {DAYS_MAX} days", line.line);
            self.stopped = Some(LedgerError::Refused(format!("{why}; divide it by years")));
            return Taken::Stop;
        }
        self.bytes += bill_rows::weight(line);
        self.held.push(line.clone());
        if self.held.len() < LINES_AT_ONCE && self.bytes < BYTES_AT_ONCE {
            return Taken::Kept;
        }
        match self.send() {
            Ok(()) => Taken::Kept,
            Err(error) => {
                self.stopped = Some(error);
                Taken::Stop
            }
        }
    }

    fn send(&mut self) -> Result<(), LedgerError> {
        let lines = std::mem::take(&mut self.held);
        self.bytes = 0;
        if lines.is_empty() {
            return Ok(());
        }
        let batch = bill_rows::batch(&self.bill, &self.import, &lines)?;
        let gone = |_| LedgerError::Internal("nobody takes the lines of the bill any more".to_owned());
        self.sender.blocking_send(batch).map_err(gone)
    }
}

fn read(mut file: File, mut lines: Lines) -> Result<BillReading, LedgerError> {
    let unreadable = |e: std::io::Error| LedgerError::Internal(format!("cannot read the bill: {e}"));
    let mut head = [0; 4];
    file.rewind().map_err(unreadable)?;
    let length = file.read(&mut head).map_err(unreadable)?;
    if let Some(kind) = other_format(&head[..length]) {
        return Err(LedgerError::Refused(format!("the bill is {kind}, CSV is read")));
    }
    file.rewind().map_err(unreadable)?;
    let reading = match read_bill(BufReader::new(file), |line| lines.take(line)) {
        Ok(reading) => reading,
        Err(BillError::Stopped) => {
            return Err(lines.stopped.unwrap_or_else(|| LedgerError::Internal("the reading stopped".to_owned())));
        }
        Err(error) => return Err(LedgerError::Refused(error.to_string())),
    };
    lines.send()?;
    Ok(reading)
}

fn other_format(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'P', b'A', b'R', b'1', ..] => Some("a Parquet file"),
        [0x1f, 0x8b, ..] => Some("packed by gzip"),
        [b'P', b'K', 3, 4, ..] => Some("a ZIP or XLSX file"),
        _ => None,
    }
}

fn nothing(reading: &BillReading) -> String {
    if reading.rows == 0 {
        return "the bill has a header and no rows".to_owned();
    }
    let told = reading.faults.iter().take(FAULTS_TOLD_MAX).map(|fault| {
        let column = fault.column.map(|column| format!(" {column}")).unwrap_or_default();
        format!("line {}:{column} {}", fault.line, fault.what)
    });
    let told: Vec<String> = told.collect();
    format!("none of the {} rows of the bill can be read; {}", reading.rows, told.join("; "))
}
