//! The node and cluster of rows whose sender names none: they come from this node.

use crate::batch::TableBatch;
use crate::source::NodeIdentity;
use arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

pub(super) fn named((table, batch): TableBatch, node: &NodeIdentity) -> Result<TableBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    for (column, name) in [("cluster", &node.cluster), ("node", &node.node)] {
        let Some((at, _)) = batch.schema_ref().column_with_name(column) else { continue };
        if columns[at].null_count() > 0 {
            columns[at] = filled(&columns[at], name);
        }
    }
    Ok((table, RecordBatch::try_new(batch.schema(), columns)?))
}

fn filled(column: &ArrayRef, text: &str) -> ArrayRef {
    let texts = column.as_string::<i32>();
    Arc::new(texts.iter().map(|own| Some(own.unwrap_or(text))).collect::<StringArray>())
}
