//! A recording, sent as if it happened now.
//!
//! Owns the shift of time and names. **Invariant:** the distances between rows stay as they were recorded, up to
//! the speed; no value but time, cluster and node changes.

use crate::batch::TableBatch;
use crate::record::{self, RecordError, RecordedFile};
use arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::compute::{SortColumn, cast, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use std::path::Path;
use std::sync::Arc;

/// What a replay changes.
#[derive(Debug, Clone)]
pub(crate) struct Replayed {
    /// The recording's first time becomes this; `None` keeps the recorded times.
    pub start_unix_micros: Option<i64>,
    /// Recorded time passes this much faster in the shifted rows; 1 keeps distances.
    pub speed: f64,
    pub cluster: Option<String>,
    pub node: Option<String>,
}

/// The files of a recording with its first time.
#[derive(Debug)]
pub(crate) struct Tape {
    files: Vec<RecordedFile>,
    first_unix_micros: i64,
}

/// Finds the files of a recording.
pub(crate) fn open(dir: &Path) -> Result<Tape, RecordError> {
    let files = record::files(dir)?;
    let mut first = None;
    for file in &files {
        if let Some((low, _)) = record::time_range(file)? {
            first = Some(first.map_or(low, |first: i64| first.min(low)));
        }
    }
    match first {
        Some(first_unix_micros) => Ok(Tape { files, first_unix_micros }),
        None => Err(RecordError::Empty(dir.to_owned())),
    }
}

impl Tape {
    /// The numbers of the files: those with the same number hold the same stretch of time.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.files.iter().map(|file| file.number).collect();
        numbers.dedup();
        numbers
    }

    /// A number that follows from the bytes of the files and from what a replay changes but time.
    pub(crate) fn digest(&self, replayed: &Replayed) -> Result<u128, RecordError> {
        let names = format!("{:?} {:?}", replayed.cluster, replayed.node);
        record::digest(&self.files, names.as_bytes())
    }

    /// The batches of the files of one number, each in order of time, changed as asked.
    pub(crate) fn batches(&self, number: u64, replayed: &Replayed) -> Result<Vec<TableBatch>, RecordError> {
        let mut out = Vec::new();
        for file in self.files.iter().filter(|file| file.number == number) {
            let wrong = |source| RecordError::Arrow { table: file.table.name, source };
            for batch in record::read(file)? {
                let sorted = by_time(&batch, file.table.time_column).map_err(wrong)?;
                out.push((file.table, self.changed(&sorted, replayed).map_err(wrong)?));
            }
        }
        Ok(out)
    }

    /// Where a recorded time lies in the replay.
    fn shifted(&self, time_unix_micros: i64, replayed: &Replayed) -> i64 {
        match replayed.start_unix_micros {
            None => time_unix_micros,
            Some(start) => {
                let since = time_unix_micros.saturating_sub(self.first_unix_micros);
                // Microseconds of a century are exact in an f64.
                start.saturating_add((since as f64 / replayed.speed) as i64)
            }
        }
    }

    fn changed(&self, batch: &RecordBatch, replayed: &Replayed) -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
            let name = field.name().as_str();
            let text = |text: &str| -> Result<ArrayRef, arrow::error::ArrowError> {
                cast(&(Arc::new(StringArray::from(vec![text; batch.num_rows()])) as ArrayRef), field.data_type())
            };
            match (name, &replayed.cluster, &replayed.node) {
                ("cluster", Some(cluster), _) => text(cluster),
                ("node", _, Some(node)) => text(node),
                _ => match column.as_primitive_opt::<TimestampMicrosecondType>() {
                    Some(times) => {
                        let shifted = times.unary::<_, TimestampMicrosecondType>(|time| self.shifted(time, replayed));
                        Ok(Arc::new(shifted.with_data_type(column.data_type().clone())) as ArrayRef)
                    }
                    None if name == "interval_seconds" && replayed.start_unix_micros.is_some() => {
                        let seconds = cast(column, &DataType::Float64)?;
                        let seconds = seconds.as_primitive::<arrow::datatypes::Float64Type>();
                        Ok(Arc::new(seconds.unary::<_, arrow::datatypes::Float64Type>(|s| s / replayed.speed))
                            as ArrayRef)
                    }
                    None => Ok(Arc::clone(column)),
                },
            }
        });
        RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
    }
}

fn by_time(batch: &RecordBatch, time_column: &str) -> Result<RecordBatch, arrow::error::ArrowError> {
    let Some(times) = batch.column_by_name(time_column) else { return Ok(batch.clone()) };
    let order = lexsort_to_indices(&[SortColumn { values: Arc::clone(times), options: None }], None)?;
    take_record_batch(batch, &order)
}
