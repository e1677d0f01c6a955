//! Rows as the log keeps them: an Arrow IPC stream without the schema's notes.

use super::columns;
use super::error::StoreError;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use contract::Table;
use std::sync::Arc;

pub(super) fn to_ipc(batch: &RecordBatch) -> Result<Vec<u8>, StoreError> {
    let schema = batch.schema();
    let bare = |field: &Arc<arrow::datatypes::Field>| field.as_ref().clone().with_metadata(Default::default());
    let fields = schema.fields().iter().map(bare).collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec());
    let batch = batch.map_err(StoreError::internal)?;
    let mut out = Vec::new();
    let mut writer = StreamWriter::try_new(&mut out, &batch.schema()).map_err(StoreError::internal)?;
    writer.write(&batch).and_then(|()| writer.finish()).map_err(StoreError::internal)?;
    drop(writer);
    Ok(out)
}

/// In the stored schema; columns that the table has gained since are null.
pub(super) fn from_ipc(table: &'static Table, ipc: &[u8]) -> Result<RecordBatch, StoreError> {
    let corrupt = |e: arrow::error::ArrowError| StoreError::Corrupt {
        what: format!("a log frame of {}", table.name),
        why: e.to_string(),
    };
    let reader = StreamReader::try_new(ipc, None).map_err(corrupt)?;
    let logged = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
    let rows = concat_batches(&logged, &batches).map_err(corrupt)?;
    columns::in_stored_schema(table, &rows).map_err(corrupt)
}
