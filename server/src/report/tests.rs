//! Through the door of the room: a ledger of made rows, asked by the real engine, in every format.
#![allow(clippy::unwrap_used)]

mod capacity;
mod forms;
mod found;
mod ledger;
mod look;

use super::*;
use crate::query::{Engine, Parameter, QueryError, QuerySettings};
use crate::store::{Store, StoreSettings};
use arrow::array::RecordBatch;
use std::time::Duration;

pub(super) const MADE: i64 = 1_796_200_000_000_000;

/// An engine whose ledger is the rows of a statement.
pub(super) struct Ledger {
    engine: Engine,
    tables: String,
    _dir: tempfile::TempDir,
}

impl Source for Ledger {
    async fn rows(&self, sql: String) -> Result<Vec<RecordBatch>, QueryError> {
        let sql = format!("with {} {sql}", self.tables);
        self.engine.sql(&sql, Vec::<Parameter>::new()).await?.collect().await
    }
}

impl Ledger {
    pub(super) fn of(tables: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreSettings {
            data_dir: dir.path().into(),
            tables: None,
            flush_after: Duration::from_secs(3600),
            flush_bytes: 64 << 20,
            hot_bytes_max: 128 << 20,
            remove_after: Duration::from_secs(3600),
        })
        .unwrap();
        let settings = QuerySettings {
            timeout: Duration::from_secs(60),
            rows_max: 1_000_000,
            memory_bytes_max: 256 << 20,
            resident_bytes_max: 1 << 40,
            spill_dir: dir.path().join("spill"),
            spill_bytes_max: 64 << 20,
        };
        Self { engine: Engine::new(store, settings).unwrap(), tables, _dir: dir }
    }

    /// Gathers, shapes and renders on a thread without async code, as the API does.
    pub(super) fn document(&self, request: &Request, making: Making) -> Result<Document, ReportError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gathered = runtime.block_on(gather(self, request))?;
        shape(request, gathered, making)
    }

    pub(super) fn csv(&self, kind: &str, period: Period, by: &[&str]) -> Result<String, ReportError> {
        let document = self.document(&request(kind, period, by, "csv")?, Making::default())?;
        Ok(String::from_utf8(render(&document, Format::Csv)?).unwrap())
    }
}

pub(super) fn request(kind: &str, period: Period, by: &[&str], format: &str) -> Result<Request, ReportError> {
    let by = by.iter().map(|name| Dimension::parse(name)).collect::<Result<_, _>>()?;
    Request::new(Kind::parse(kind)?, period, by, Format::parse(format)?)
}
