//! What the ledger asks the engine.

use super::LedgerError;
use crate::query::{Engine, Parameter};
use arrow::array::RecordBatch;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) use crate::query::Rows;

pub(super) async fn rows_of(engine: &Engine, sql: &str, with: Vec<Parameter>) -> Result<Vec<RecordBatch>, LedgerError> {
    Ok(engine.sql(sql, with).await?.collect().await?)
}

/// The same text is kept once.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, ()>,
}

impl Names {
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.known.get_key_value(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.known.insert(Arc::clone(&name), ());
        name
    }

    pub(super) fn maybe(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        text.map(|text| self.get(text))
    }
}
