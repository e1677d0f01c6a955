//! Bills of providers in FOCUS format, versions 1.0 to 1.4, as CSV: each row becomes a line with exact amounts.
//!
//! Must not know where bytes come from nor where lines go. **Invariant:** every row is accounted for: it is read, or it
//! is refused with all its faults; amounts are never rounded and currencies never mixed.

mod cells;
mod columns;
mod line;
mod summary;

pub use line::{BillLine, Period};
pub use summary::{BillGroups, BillSummary, BillSums, NO_VALUE};

use columns::Places;
use std::io::Read;

/// Bytes of one row; without a limit an open quote would take the rest of the file into memory.
const ROW_BYTES_MAX: u64 = 4 << 20;
/// Faults that are kept with their text; further ones are counted.
const FAULTS_MAX: usize = 1000;
/// So many amounts of any size still sum exactly.
const ROWS_MAX: u64 = 1_000_000_000;

/// What kind of charge a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChargeCategory {
    Usage,
    Purchase,
    Tax,
    Credit,
    Adjustment,
}

impl ChargeCategory {
    pub const ALL: [Self; 5] = [Self::Usage, Self::Purchase, Self::Tax, Self::Credit, Self::Adjustment];

    /// As FOCUS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::Purchase => "Purchase",
            Self::Tax => "Tax",
            Self::Credit => "Credit",
            Self::Adjustment => "Adjustment",
        }
    }
}

/// Why a bill is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    #[error("the bill lacks mandatory columns of FOCUS: {0}")]
    Missing(String),
    #[error("the header {0}")]
    Header(String),
    #[error("the bill has no header")]
    Empty,
    #[error("the row at line {line} is longer than {ROW_BYTES_MAX} bytes: is a quote left open?")]
    RowTooLong { line: u64 },
    #[error("the bill has more than {ROWS_MAX} rows")]
    TooManyRows,
    #[error("{0} has too many different values to sum by")]
    Groups(&'static str),
    #[error("cannot read the bill: {0}")]
    Read(#[source] std::io::Error),
    /// Whoever takes the lines wants no more; why, only they know.
    #[error("the reading of the bill was stopped")]
    Stopped,
}

/// What became of a line that was given away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Kept,
    /// It cannot be kept: the row counts as refused.
    Refused(BillFault),
    /// No further line is wanted.
    Stop,
}

/// What is wrong with one cell, or with a whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillFault {
    /// Line of the file where the row starts.
    pub line: u64,
    /// None where it is the row's number of cells.
    pub column: Option<&'static str>,
    pub what: String,
}

/// What became of a bill's rows: `read + refused == rows`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillReading {
    /// Oldest version of FOCUS that has all of the file's columns, as `1.0`.
    pub version: &'static str,
    pub rows: u64,
    pub read: u64,
    pub refused: u64,
    /// In order of lines; the first thousand.
    pub faults: Vec<BillFault>,
    pub faults_total: u64,
    /// Columns that FOCUS does not have, custom `x_` ones too; their cells are not kept.
    pub unknown_columns: Vec<String>,
    /// Of the lines that were read.
    pub summary: BillSummary,
}

/// Reads a bill as CSV and gives each line to `each` in the order of the file.
///
/// Columns are found by their exact names in any order. Empty cells and the bare word `NULL` are null. Rows that cannot
/// be read are refused with all their faults, and the next row is read.
///
/// # Errors
/// The header lacks mandatory columns or names one twice; the bytes cannot be read; a row or the bill is beyond its
/// limit; `each` says stop. Lines before an error were given.
pub fn read_bill(source: impl Read, mut each: impl FnMut(&BillLine) -> Taken) -> Result<BillReading, BillError> {
    // Every row ends with a line end, the last one too, so that lines can be counted.
    let bounded = Bounded { source: source.chain(&b"\n"[..]), given: 0, until: u64::MAX };
    let mut builder = csv::ReaderBuilder::new();
    let mut reader =
        builder.flexible(true).has_headers(false).terminator(csv::Terminator::Any(b'\n')).from_reader(bounded);
    let mut record = csv::ByteRecord::new();
    next_row(&mut reader, &mut record)?.ok_or(BillError::Empty)?;
    let places = Places::of(&record)?;
    let mut reading =
        BillReading { version: places.version(), unknown_columns: places.unknown.clone(), ..BillReading::default() };
    while let Some(at) = next_row(&mut reader, &mut record)? {
        reading.rows += 1;
        if reading.rows > ROWS_MAX {
            return Err(BillError::TooManyRows);
        }
        let faults = match line::line_of(at, &places, &record) {
            Ok(line) => match each(&line) {
                Taken::Kept => {
                    reading.read += 1;
                    reading.summary.add(&line)?;
                    continue;
                }
                Taken::Refused(fault) => vec![fault],
                Taken::Stop => return Err(BillError::Stopped),
            },
            Err(faults) => faults,
        };
        reading.refused += 1;
        reading.faults_total += faults.len() as u64;
        let room = FAULTS_MAX - reading.faults.len();
        reading.faults.extend(faults.into_iter().take(room));
    }
    Ok(reading)
}

/// Gives bytes up to a limit, and an error after it.
struct Bounded<R> {
    source: R,
    given: u64,
    until: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.given >= self.until {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        let read = self.source.read(buffer)?;
        self.given += read as u64;
        Ok(read)
    }
}

/// Reads the next row that is not blank, without its line end, and gives the line where it starts.
fn next_row<R: Read>(
    reader: &mut csv::Reader<Bounded<R>>,
    record: &mut csv::ByteRecord,
) -> Result<Option<u64>, BillError> {
    loop {
        let (start, line) = (reader.position().byte(), reader.position().line());
        reader.get_mut().until = start.saturating_add(ROW_BYTES_MAX);
        let more = reader.read_byte_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => BillError::RowTooLong { line },
            csv::ErrorKind::Io(io) => BillError::Read(io),
            other => BillError::Read(std::io::Error::other(format!("{other:?}"))),
        })?;
        if !more {
            return Ok(None);
        }
        // Blank lines before the row belong to it for the reader, so its start is counted back from its end.
        let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let started = reader.position().line().saturating_sub(1 + inside).max(line);
        if let Some(last) = record.iter().next_back().and_then(|cell| cell.strip_suffix(b"\r")).map(<[u8]>::to_vec) {
            record.truncate(record.len() - 1);
            record.push_field(&last);
        }
        if record.len() > 1 || record.iter().any(|cell| !cell.is_empty()) {
            return Ok(Some(started));
        }
    }
}

#[cfg(test)]
mod tests;
