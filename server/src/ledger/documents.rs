//! What was stated about money: versions of documents, kept verbatim in the table `documents`.

use super::LedgerError;
use super::read::{Rows, rows_of};
use crate::query::Engine;
use crate::store::Store;
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use contract::WriterId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A document is read whole, and its faults are told by line.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
const NAME_CHARS_MAX: usize = 200;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// The ledger's currency; set once.
    Currency,
    Rates,
    Pools,
    Prices,
    Ownership,
    Policy,
    Budgets,
    Carbon,
    /// Which lines of a bill are which use of the ledger; by the name of the bill, or one for all.
    BillMap,
    /// A bill, by its name; the text says which import holds. Its lines are not here.
    Bill,
    /// How a price book was made of a catalog, under the name of the book.
    Maps,
    Charges,
    /// Documents that are made again and again, and where they go.
    Schedules,
    /// A month, closed; the name is the month.
    Close,
    /// A month, opened again; the text says why.
    Reopen,
}

impl DocumentKind {
    /// Those that can be stated by name and text.
    pub const STATED: [Self; 12] = [
        Self::Currency,
        Self::Rates,
        Self::Pools,
        Self::Prices,
        Self::Ownership,
        Self::Policy,
        Self::Budgets,
        Self::Carbon,
        Self::BillMap,
        Self::Maps,
        Self::Charges,
        Self::Schedules,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::Rates => "rates",
            Self::Pools => "pools",
            Self::Prices => "prices",
            Self::Ownership => "ownership",
            Self::Policy => "policy",
            Self::Budgets => "budgets",
            Self::Carbon => "carbon",
            Self::BillMap => "bill_map",
            Self::Bill => "bill",
            Self::Maps => "maps",
            Self::Charges => "charges",
            Self::Schedules => "schedules",
            Self::Close => "close",
            Self::Reopen => "reopen",
        }
    }

    /// What faults call the one document of this kind.
    pub(super) fn file_name(self) -> String {
        let ending = match self {
            Self::Rates | Self::Carbon => "csv",
            _ => "toml",
        };
        format!("{}.{ending}", self.as_str())
    }

    /// Whether there may be several documents of it, told apart by name.
    pub(super) fn has_names(self) -> bool {
        matches!(self, Self::Prices | Self::Charges | Self::BillMap | Self::Maps | Self::Schedules)
    }

    /// One that can be stated.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let found = Self::STATED.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| LedgerError::NotFound {
            what: "kind of document",
            name: text.chars().take(NAME_CHARS_MAX).collect(),
            hint: format!("there are {}", Self::STATED.map(Self::as_str).join(", ")),
        })
    }

    fn of(text: &str) -> Option<Self> {
        Self::STATED.into_iter().chain([Self::Bill, Self::Close, Self::Reopen]).find(|kind| kind.as_str() == text)
    }
}

/// One version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// When it was stated, Unix microseconds.
    pub time_micros: i64,
    pub kind: DocumentKind,
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub author: Arc<str>,
    /// Empty where the document was taken back.
    pub text: Arc<str>,
}

impl Stated {
    pub(super) fn new(time_micros: i64, kind: DocumentKind, name: &str, author: &str, text: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [kind.as_str().as_bytes(), name.as_bytes(), &time_micros.to_le_bytes(), text.as_bytes()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let version: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { time_micros, kind, name: name.into(), version: version.into(), author: author.into(), text: text.into() }
    }
}

/// A name is shown in tables and stands in addresses.
pub(super) fn check(name: &str, text: &str) -> Result<(), LedgerError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._- ".contains(c);
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(plain) {
        let why = "a document's name has letters, digits, dots, dashes and blanks, like prices-2026.csv";
        return Err(LedgerError::Refused(format!("{why}, and {NAME_CHARS_MAX} of them at most")));
    }
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(LedgerError::Refused(format!("a document has {DOCUMENT_BYTES_MAX} bytes at most")));
    }
    Ok(())
}

/// All versions in the order in which they were stated.
pub(super) async fn load(engine: &Engine) -> Result<Vec<Stated>, LedgerError> {
    let sql = "select time, kind, name, version, author, text from documents order by time, version";
    let mut all = Vec::new();
    for batch in rows_of(engine, sql, Vec::new()).await? {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            let text = |at: usize| -> Arc<str> { rows.text(at, row).unwrap_or_default().into() };
            let Some(kind) = DocumentKind::of(&text(1)) else { continue };
            let time_micros = rows.int(0, row).unwrap_or_default();
            all.push(Stated { time_micros, kind, name: text(2), version: text(3), author: text(4), text: text(5) });
        }
    }
    Ok(all)
}

/// Returns after the document is durable.
pub(super) async fn keep(store: &Store, stated: &Stated) -> Result<(), LedgerError> {
    let table = crate::store::ground_table("documents").expect("the contract has it");
    let text = |value: &Arc<str>| -> ArrayRef { Arc::new(StringArray::from(vec![value.as_ref()])) };
    let time = TimestampMicrosecondArray::from(vec![stated.time_micros]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(time),
        Arc::new(StringArray::from(vec![stated.kind.as_str()])),
        text(&stated.name),
        text(&stated.version),
        text(&stated.author),
        text(&stated.text),
    ];
    let batch = RecordBatch::try_new(contract::schema(table), columns)
        .map_err(|error| LedgerError::Internal(error.to_string()))?;
    let writer = writer("documents", &stated.version)?;
    store.append(table, &writer, 1, batch).await?;
    Ok(())
}

pub(super) fn writer(what: &str, version: &str) -> Result<WriterId, LedgerError> {
    WriterId::parse(&format!("{what}/{version}")).map_err(|error| LedgerError::Internal(error.to_string()))
}

/// The latest version of each name, without those that were taken back.
pub(super) fn current(all: &[Stated], kind: DocumentKind) -> Vec<&Stated> {
    let mut latest: BTreeMap<&str, &Stated> = BTreeMap::new();
    for stated in all.iter().filter(|stated| stated.kind == kind) {
        latest.insert(&stated.name, stated);
    }
    latest.into_values().filter(|stated| !stated.text.is_empty()).collect()
}

/// The closing of each month that is closed.
pub(super) fn closings(all: &[Stated]) -> BTreeMap<String, String> {
    let mut closings = BTreeMap::new();
    for stated in all {
        match stated.kind {
            DocumentKind::Close => drop(closings.insert(stated.name.to_string(), stated.text.to_string())),
            DocumentKind::Reopen => drop(closings.remove(stated.name.as_ref())),
            _ => (),
        }
    }
    closings
}
