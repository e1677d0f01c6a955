//! The query room through its door: rows go into the store, questions come out.

#![allow(clippy::unwrap_used)]

mod allocations;
mod job_pages;
mod jobs;
mod limits;
mod questions;
mod runs;
mod speed;
mod sql;
mod states;

use super::{Engine, Parameter, QueryError, QuerySettings};
use crate::store::{Store, StoreSettings};
use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use contract::WriterId;
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

/// 2026-01-01T00:00:00Z, an hour's and a day's start.
pub(super) const T0: i64 = 1_767_225_600_000_000;
pub(super) const SECOND: i64 = 1_000_000;

/// A store in a folder of its own, and an engine over it.
pub(super) struct Scene {
    pub(super) store: Store,
    pub(super) engine: Engine,
    sequence: u64,
    folder: TempDir,
}

pub(super) fn settings(folder: &TempDir) -> QuerySettings {
    QuerySettings {
        timeout: Duration::from_secs(60),
        rows_max: 100_000,
        memory_bytes_max: 256 << 20,
        resident_bytes_max: 1 << 40,
        spill_dir: folder.path().join("spill"),
        spill_bytes_max: 256 << 20,
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut QuerySettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder);
        change(&mut settings);
        let store = open(&folder);
        let engine = Engine::new(store.clone(), settings).unwrap();
        Self { store, engine, sequence: 0, folder }
    }

    /// The same rows, now all in files.
    pub(super) fn reopen(self) -> Self {
        let Self { store, engine, sequence, folder } = self;
        store.close().unwrap();
        drop((store, engine));
        let store = open(&folder);
        let engine = Engine::new(store.clone(), settings(&folder)).unwrap();
        Self { store, engine, sequence, folder }
    }

    pub(super) async fn append(&mut self, table: &str, batch: RecordBatch) {
        self.sequence += 1;
        let writer = WriterId::parse("test/1").unwrap();
        self.store.append(contract::table(table).unwrap(), &writer, self.sequence, batch).await.unwrap();
    }

    pub(super) async fn add(&mut self, table: &str, rows: Vec<Value>) {
        self.append(table, batch(table, &rows)).await;
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
        self.ask_with(sql, Vec::new()).await
    }

    pub(super) async fn ask_with(&self, sql: &str, with: Vec<Parameter>) -> Result<Vec<Vec<String>>, QueryError> {
        Ok(texts(&self.engine.sql(sql, with).await?.collect().await?))
    }
}

fn open(folder: &TempDir) -> Store {
    Store::open(StoreSettings {
        data_dir: folder.path().join("data"),
        tables: None,
        flush_after: Duration::from_secs(3600),
        flush_bytes: 1 << 30,
        hot_bytes_max: 2 << 30,
        remove_after: Duration::from_secs(3600),
    })
    .unwrap()
}

/// Rows of JSON objects as a batch in the table's schema.
pub(super) fn batch(table: &str, rows: &[Value]) -> RecordBatch {
    let schema = contract::schema(contract::table(table).unwrap());
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(rows.len() + 1).build_decoder().unwrap();
    decoder.serialize(rows).unwrap();
    decoder.flush().unwrap().unwrap()
}

pub(super) fn texts(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    rows
}
