//! A bill as the plain CSV that the server reads, whatever file it came in.

use super::error::ImportError;
use super::input::{Form, Input, PIPE_BYTES_MAX};
use super::texts::texts;
use crate::store::read_parquet;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

/// Digits after the point that an amount of a bill may have.
const DIGITS: usize = 18;
/// What a packed file may hold; the server takes less.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;

/// Its bytes from the beginning, and its name without endings.
pub(in super::super) fn plain(path: &Path) -> Result<(File, String), ImportError> {
    let input = Input::open(path, PIPE_BYTES_MAX)?;
    let read = |cause| ImportError::Read { path: path.to_owned(), cause };
    let file = match input.form {
        Form::Text => File::open(input.place()).map_err(read)?,
        Form::Packed => unpacked(&input).map_err(read)?,
        Form::Parquet => csv_of(input.place()).map_err(read)?,
    };
    Ok((file, input.stem()))
}

fn unpacked(input: &Input) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let bytes = io::copy(&mut io::Read::take(input.reader()?, UNPACKED_BYTES_MAX + 1), &mut file)?;
    if bytes > UNPACKED_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {UNPACKED_BYTES_MAX} bytes when it is unpacked")));
    }
    file.rewind()?;
    Ok(file)
}

fn csv_of(path: &Path) -> io::Result<File> {
    let rows = read_parquet(path).map_err(io::Error::other)?;
    let mut csv = csv::Writer::from_writer(BufWriter::new(tempfile::tempfile()?));
    csv.write_record(rows.schema.fields().iter().map(|field| field.name()))?;
    for batch in rows {
        let batch = batch.map_err(io::Error::other)?;
        let columns = batch.columns().iter().map(|column| cells(column.as_ref())).collect::<io::Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            csv.write_record(columns.iter().map(|cells| cells[row].as_str()))?;
        }
    }
    let mut writer = csv.into_inner().map_err(|e| e.into_error())?;
    writer.flush()?;
    let mut file = writer.into_inner().map_err(|e| e.into_error())?;
    file.rewind()?;
    Ok(file)
}

/// Floats are the shortest decimals that mean them, without an exponent and to the digits of an amount.
fn cells(column: &dyn Array) -> io::Result<Vec<String>> {
    if matches!(column.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
        let column = cast(column, &DataType::Float64).map_err(io::Error::other)?;
        let column = column.as_primitive::<Float64Type>();
        return Ok(column.iter().map(|value| value.map(decimal).unwrap_or_default()).collect());
    }
    let texts = texts(column).map_err(io::Error::other)?;
    Ok(texts.into_iter().map(|text| text.unwrap_or_else(|| "\u{fffd}".to_owned())).collect())
}

fn decimal(value: f64) -> String {
    let text = value.to_string();
    match text.split_once('.') {
        Some((_, fraction)) if fraction.len() > DIGITS => format!("{value:.DIGITS$}"),
        _ => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::ParquetParts;
    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    #[test]
    fn a_parquet_bill_has_the_texts_of_a_csv_bill() {
        let dir = tempfile::tempdir().unwrap();
        let costs = Decimal128Array::from(vec![Some(-26_137), None]).with_precision_and_scale(20, 4).unwrap();
        let times = TimestampMicrosecondArray::from(vec![1_725_148_800_000_000; 2]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            ("BilledCost", Arc::new(costs) as ArrayRef),
            ("ListCost", Arc::new(Float64Array::from(vec![1e-7, 1.0 / 3e9])) as ArrayRef),
            ("ChargePeriodStart", Arc::new(times) as ArrayRef),
            ("Tags", Arc::new(StringArray::from(vec![Some("{\"a\": \"b\"}"), None])) as ArrayRef),
        ]);
        let batch = batch.unwrap();
        let mut parts = ParquetParts::new(&batch.schema()).unwrap();
        let mut bytes = parts.write(&batch).unwrap();
        bytes.extend(parts.end().unwrap());
        let path = dir.path().join("aws.2026-10.parquet");
        std::fs::write(&path, bytes).unwrap();
        let (file, stem) = plain(&path).unwrap();
        assert_eq!(stem, "aws.2026-10");
        assert_eq!(
            io::read_to_string(file).unwrap(),
            "BilledCost,ListCost,ChargePeriodStart,Tags\n\
             -2.6137,0.0000001,2024-09-01T00:00:00Z,\"{\"\"a\"\": \"\"b\"\"}\"\n\
             ,0.000000000333333333,2024-09-01T00:00:00Z,\n"
        );
    }

    #[test]
    fn a_packed_bill_is_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aws.csv.gz");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"a,b\n1,2\n").unwrap();
        std::fs::write(&path, packer.finish().unwrap()).unwrap();
        let (file, stem) = plain(&path).unwrap();
        assert_eq!((io::read_to_string(file).unwrap().as_str(), stem.as_str()), ("a,b\n1,2\n", "aws"));
    }
}
