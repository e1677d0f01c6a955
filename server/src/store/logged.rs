//! Rows as the log keeps them: an Arrow IPC stream without the schema's notes.

use super::columns;
use super::error::StoreError;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use contract::Table;
use std::sync::Arc;

/// `schema` is that of the table without notes, see [`bare`]; `bytes` is about what the rows take.
pub(super) fn to_ipc(schema: &SchemaRef, batch: &RecordBatch, bytes: u64) -> Result<Vec<u8>, StoreError> {
    let batch = RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec()).map_err(StoreError::internal)?;
    let mut out = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    let mut writer = StreamWriter::try_new(&mut out, &batch.schema()).map_err(StoreError::internal)?;
    writer.write(&batch).and_then(|()| writer.finish()).map_err(StoreError::internal)?;
    drop(writer);
    Ok(out)
}

/// A schema as it stands in the log: without the notes of its columns.
pub(super) fn bare(schema: &Schema) -> Schema {
    let bare = |field: &Arc<arrow::datatypes::Field>| field.as_ref().clone().with_metadata(Default::default());
    Schema::new(schema.fields().iter().map(bare).collect::<Vec<_>>())
}

/// In the stored schema; columns that the table has gained since are null.
pub(super) fn from_ipc(table: &'static Table, stored: &SchemaRef, ipc: &[u8]) -> Result<RecordBatch, StoreError> {
    let corrupt = |e: arrow::error::ArrowError| StoreError::Corrupt {
        what: format!("a log frame of {}", table.name),
        why: e.to_string(),
    };
    let reader = StreamReader::try_new(ipc, None).map_err(corrupt)?;
    let logged = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
    let rows = match batches.as_slice() {
        [batch] => batch.clone(),
        batches => concat_batches(&logged, batches).map_err(corrupt)?,
    };
    columns::in_schema(stored, &rows).map_err(corrupt)
}
