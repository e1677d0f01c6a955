//! Rows as JSON, CSV, Arrow or Parquet, streamed.
//!
//! **Invariant:** an answer that fails before its first megabyte is a plain error; one that fails later breaks off,
//! so that no client takes a part for the whole. Dropping the body drops the query.

use super::cells;
use super::error::Refusal;
use super::metrics::RunningQuery;
use crate::query::{Answer, QueryError};
use crate::store::ParquetParts;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use futures::{Stream, StreamExt, stream};
use serde_json::json;

/// So much is held back before the status is sent: most answers are smaller and most errors come earlier.
const HELD_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Arrow,
    Parquet,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => contract::ARROW_STREAM_MIME,
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// As `format` of a query string names it.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        const NAMES: [&str; 4] = ["json", "csv", "arrow", "parquet"];
        let found = NAMES.iter().position(|name| *name == text);
        found.map(|at| Self::ALL[at]).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            let message = format!("there is no format {shown:?}, use one of {}", NAMES.join(", "));
            Refusal { known: NAMES.map(str::to_owned).to_vec(), ..Refusal::invalid(message) }
        })
    }

    pub(super) fn of_media_type(text: &str) -> Option<Self> {
        match text {
            "*/*" | "application/*" => Some(Self::Json),
            "text/*" => Some(Self::Csv),
            text => Self::ALL.into_iter().find(|form| form.media_type() == text),
        }
    }
}

/// The response that carries an answer.
pub(super) async fn respond(mut answer: Answer, form: Form, running: RunningQuery) -> Result<HttpResponse, Refusal> {
    let mut response = HttpResponse::Ok();
    begin(&mut response, form);
    let mut encoder = Encoder::new(form, &answer.schema())?;
    let mut held = encoder.head();
    while held.len() < HELD_BYTES {
        match answer.next().await {
            Some(batch) => held.extend(encoder.batch(&batch?)?),
            None => {
                held.extend(encoder.tail()?);
                return Ok(response.body(held));
            }
        }
    }
    let first = stream::once(async move { Ok(Bytes::from(held)) });
    Ok(response.streaming(first.chain(rest(answer, encoder, running))))
}

/// Rows that are in memory already, as a response.
pub(super) fn whole(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    form: Form,
    mut response: HttpResponseBuilder,
) -> Result<HttpResponse, Refusal> {
    begin(&mut response, form);
    let mut encoder = Encoder::new(form, schema)?;
    let mut bytes = encoder.head();
    for batch in batches {
        bytes.extend(encoder.batch(batch)?);
    }
    bytes.extend(encoder.tail()?);
    Ok(response.body(bytes))
}

fn begin(response: &mut HttpResponseBuilder, form: Form) {
    response.content_type(if form == Form::Csv { "text/csv; charset=utf-8" } else { form.media_type() });
    if matches!(form, Form::Arrow | Form::Parquet) {
        // Columns compress themselves where it pays.
        response.insert_header(header::ContentEncoding::Identity);
    }
}

fn internal(error: impl ToString) -> Refusal {
    QueryError::Internal(error.to_string()).into()
}

/// What follows the part that was held back.
fn rest(answer: Answer, encoder: Encoder, running: RunningQuery) -> impl Stream<Item = Result<Bytes, Refusal>> {
    stream::unfold(Some((answer, encoder, running)), |rest| async move {
        let (mut answer, mut encoder, running) = rest?;
        let (part, rest) = match answer.next().await {
            Some(Ok(batch)) => match encoder.batch(&batch) {
                Ok(part) => (Ok(part), Some((answer, encoder, running))),
                Err(refusal) => (Err(refusal), None),
            },
            Some(Err(error)) => (Err(Refusal::from(error)), None),
            None => (encoder.tail(), None),
        };
        if let Err(refusal) = &part {
            tracing::warn!(error = %refusal, "an answer broke off after its first part was sent");
        }
        Some((part.map(Bytes::from), rest))
    })
}

/// Turns batches into bytes, one after another.
enum Encoder {
    Json { columns: String, rows: u64 },
    Csv { names: String },
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Parquet { schema: SchemaRef, parts: Box<ParquetParts> },
}

impl Encoder {
    fn new(form: Form, schema: &SchemaRef) -> Result<Self, Refusal> {
        let fields = schema.fields();
        match form {
            Form::Csv => {
                let names: Vec<String> = fields.iter().map(|f| cells::csv_text(f.name())).collect();
                Ok(Self::Csv { names: names.join(",") })
            }
            Form::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), schema).map_err(internal)?;
                Ok(Self::Arrow(Box::new(writer)))
            }
            Form::Parquet => {
                let schema = cells::parquet_schema(schema);
                if let Some(field) = schema.fields().iter().find(|f| cells::holds_interval(f.data_type())) {
                    let name = field.name();
                    return Err(Refusal::invalid(format!(
                        "Parquet has no type for the intervals in {name:?}, cast them to text"
                    )));
                }
                let parts = Box::new(ParquetParts::new(&schema).map_err(internal)?);
                Ok(Self::Parquet { schema, parts })
            }
            Form::Json => {
                let column = |f: &arrow::datatypes::FieldRef| json!({ "name": f.name(), "type": cells::type_name(f.data_type()) });
                let columns: Vec<_> = fields.iter().map(column).collect();
                Ok(Self::Json { columns: json!(columns).to_string(), rows: 0 })
            }
        }
    }

    fn head(&mut self) -> Vec<u8> {
        match self {
            Self::Json { columns, .. } => format!("{{\"columns\":{columns},\"rows\":[").into_bytes(),
            Self::Csv { names } => format!("{names}\n").into_bytes(),
            Self::Arrow(writer) => std::mem::take(writer.get_mut()),
            Self::Parquet { .. } => Vec::new(),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Refusal> {
        let mut out = String::new();
        match self {
            Self::Json { rows, .. } => {
                for row in 0..batch.num_rows() {
                    out.push_str(if *rows == 0 { "[" } else { ",\n[" });
                    write_cells(&mut out, batch, row, cells::write_json).map_err(internal)?;
                    out.push(']');
                    *rows += 1;
                }
            }
            Self::Csv { .. } => {
                for row in 0..batch.num_rows() {
                    let start = out.len();
                    write_cells(&mut out, batch, row, cells::write_csv).map_err(internal)?;
                    if out.len() == start {
                        // Readers skip an empty line, and with it the row.
                        out.push_str("\"\"");
                    }
                    out.push('\n');
                }
            }
            Self::Arrow(writer) => {
                writer.write(batch).map_err(internal)?;
                return Ok(std::mem::take(writer.get_mut()));
            }
            Self::Parquet { schema, parts } => {
                let batch = cells::for_parquet(batch, schema).map_err(internal)?;
                return parts.write(&batch).map_err(internal);
            }
        }
        Ok(out.into_bytes())
    }

    fn tail(&mut self) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Json { rows, .. } => Ok(format!("],\"row_count\":{rows}}}").into_bytes()),
            Self::Csv { .. } => Ok(Vec::new()),
            Self::Arrow(writer) => {
                writer.finish().map_err(internal)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Parquet { parts, .. } => parts.end().map_err(internal),
        }
    }
}

type WriteCell = fn(&mut String, &dyn arrow::array::Array, usize) -> Result<(), ArrowError>;

fn write_cells(out: &mut String, batch: &RecordBatch, row: usize, write: WriteCell) -> Result<(), ArrowError> {
    for (i, column) in batch.columns().iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, column.as_ref(), row)?;
    }
    Ok(())
}
