//! The values that a client binds to a prepared statement: one row of Arrow becomes the engine's parameters.
//!
//! **Invariant:** a value arrives as it was sent or is refused; nothing is rounded.

use super::error;
use crate::ingest;
use crate::query::Parameter;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow_flight::FlightData;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// What all values of a statement may take, as sent and unpacked.
const BYTES_MAX: usize = 1 << 20;
/// Messages of one binding: a schema, dictionaries and a row.
const MESSAGES_MAX: usize = 64;
/// A client that pauses this long is gone.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Reads the rest of a put whose first message is `first`.
pub(super) async fn receive(first: FlightData, mut rest: Streaming<FlightData>) -> Result<Vec<Parameter>, Status> {
    let mut body = Vec::new();
    let mut next = Some(first);
    for _ in 0..MESSAGES_MAX {
        let Some(message) = next else {
            // An Arrow reader that panics on bytes that the framing check let through ends this thread alone.
            let read = tokio::task::spawn_blocking(move || read(body)).await;
            return read.map_err(|_| error::invalid("the parameters' messages contradict each other"))?;
        };
        frame(&message, &mut body)?;
        let waiting = timeout(PAUSE_MAX, rest.message()).await;
        next =
            waiting.map_err(|_| error::invalid(format!("the parameters stopped for {} s", PAUSE_MAX.as_secs())))??;
    }
    Err(error::invalid(format!("the parameters come in more than {MESSAGES_MAX} messages, send one row")))
}

/// Adds a message in the form that it has within an IPC stream.
fn frame(message: &FlightData, body: &mut Vec<u8>) -> Result<(), Status> {
    if message.data_header.is_empty() {
        // The command alone, or a note.
        return Ok(());
    }
    let length = message.data_header.len().next_multiple_of(8);
    if body.len() + length + message.data_body.len() > BYTES_MAX {
        return Err(error::invalid(format!("the parameters take more than {BYTES_MAX} bytes")));
    }
    body.extend([0xFF; 4]);
    body.extend((length as u32).to_le_bytes());
    body.extend_from_slice(&message.data_header);
    body.resize(body.len() + length - message.data_header.len(), 0);
    body.extend_from_slice(&message.data_body);
    Ok(())
}

/// The one row of a framed stream.
pub(super) fn read(mut body: Vec<u8>) -> Result<Vec<Parameter>, Status> {
    body.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
    let batches = ingest::read_small(&body, BYTES_MAX as i64).map_err(error::of_parameters)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let row = batches.iter().find(|batch| batch.num_rows() == 1);
    let Some(row) = row.filter(|_| rows == 1) else {
        return Err(error::invalid(format!("{rows} rows of parameters are bound, bind one")));
    };
    row.columns().iter().enumerate().map(|(at, column)| parameter(at + 1, column)).collect()
}

fn parameter(position: usize, column: &ArrayRef) -> Result<Parameter, Status> {
    // Of a dictionary the value says what it is.
    if let DataType::Dictionary(_, value) = column.data_type() {
        return parameter(position, &cast(position, column, value)?);
    }
    if column.is_null(0) || *column.data_type() == DataType::Null {
        return Ok(Parameter::Null);
    }
    let to = |to: DataType| cast(position, column, &to);
    match column.data_type() {
        DataType::Boolean => Ok(Parameter::Bool(column.as_boolean().value(0))),
        kind if kind.is_integer() => Ok(Parameter::Int(to(DataType::Int64)?.as_primitive::<Int64Type>().value(0))),
        kind if kind.is_floating() => {
            Ok(Parameter::Float(to(DataType::Float64)?.as_primitive::<Float64Type>().value(0)))
        }
        DataType::Utf8 | DataType::LargeUtf8 => {
            Ok(Parameter::Text(to(DataType::Utf8)?.as_string::<i32>().value(0).to_owned()))
        }
        // Text views come as binary views.
        DataType::BinaryView => {
            let text = std::str::from_utf8(column.as_binary_view().value(0));
            let text = text.map_err(|_| error::invalid(format!("parameter {position} is not text")))?;
            Ok(Parameter::Text(text.to_owned()))
        }
        DataType::Date32 | DataType::Date64 => {
            Ok(Parameter::Date(exact(position, column, DataType::Date32)?.as_primitive::<Date32Type>().value(0)))
        }
        DataType::Timestamp(_, _) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let micros = exact(position, column, micros)?;
            Ok(Parameter::Time(micros.as_primitive::<TimestampMicrosecondType>().value(0)))
        }
        other => Err(error::invalid(format!(
            "parameter {position} is a {other}; give null, true or false, a number, text, a date or a timestamp"
        ))),
    }
}

fn cast(position: usize, column: &ArrayRef, to: &DataType) -> Result<ArrayRef, Status> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to, &options).map_err(|_| error::invalid(format!("parameter {position} is out of range")))
}

/// A cast from which the value comes back.
fn exact(position: usize, column: &ArrayRef, to: DataType) -> Result<ArrayRef, Status> {
    let there = cast(position, column, &to)?;
    let back = cast(position, &there, column.data_type())?;
    match back.as_ref() == column.as_ref() {
        true => Ok(there),
        false => Err(error::invalid(format!(
            "parameter {position} is finer than what is kept; times are microseconds and dates are days here"
        ))),
    }
}
