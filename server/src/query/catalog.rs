//! The tables of a session, as snapshots of one instant. A statement names few of them: each is made when it is named.

use super::stated::Holding;
use super::tables::SnapshotTable;
use super::{Inner, allocations, jobs};
use crate::store::Snapshot;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{Result, exec_err};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Tables {
    snapshots: Vec<Snapshot>,
    stated: Holding,
    jobs: Arc<jobs::FoldedCache>,
    allocations: Arc<jobs::FoldedCache>,
    /// What a question has made for itself.
    parts: RwLock<HashMap<String, Arc<dyn TableProvider>>>,
}

impl Tables {
    pub(super) fn now(inner: &Inner) -> Self {
        // Derived tables come first, so that no source is older than what it is compared with.
        let snapshots = inner.store.tables().map(|table| inner.store.snapshot(table)).collect();
        let stated = inner.stated.hold(&inner.store);
        let (jobs, allocations) = (Arc::clone(&inner.jobs), Arc::clone(&inner.allocations));
        Self { snapshots, stated, jobs, allocations, parts: RwLock::default() }
    }

    fn snapshot(&self, name: &str) -> Option<SnapshotTable> {
        self.snapshots.iter().find(|known| known.table.name == name).cloned().map(SnapshotTable::new)
    }

    fn make(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(part) = self.parts.read().get(name) {
            return Ok(Some(Arc::clone(part)));
        }
        if let Some(stated) = self.stated.table(name)? {
            return Ok(Some(stated));
        }
        let events = || self.snapshot(jobs::EVENTS);
        Ok(match name {
            jobs::NAME => events().map(|events| Arc::new(jobs::FoldedTable::jobs(events, Arc::clone(&self.jobs))) as _),
            allocations::NAME => {
                events().map(|events| Arc::new(allocations::table(events, Arc::clone(&self.allocations))) as _)
            }
            name => self.snapshot(name).map(|table| Arc::new(table) as _),
        })
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.snapshots.iter().map(|known| known.table.name.to_owned()).collect();
        names.extend([jobs::NAME, allocations::NAME].map(str::to_owned));
        names.extend(self.stated.names().map(str::to_owned));
        names.extend(self.parts.read().keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.make(name)
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.table_exist(&name) {
            return exec_err!("there is a table {name} already");
        }
        Ok(self.parts.write().insert(name, table))
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.parts.write().remove(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.parts.read().contains_key(name)
            || self.stated.names().any(|known| known == name)
            || [jobs::NAME, allocations::NAME].contains(&name)
            || self.snapshots.iter().any(|known| known.table.name == name)
    }
}
