//! The last sequence kept of each writer and table, in `meta.sqlite`.
//!
//! Written after the files that the sequences guard are durable and before the log that also holds them is
//! cut, so at every instant the two together know every kept sequence.

use super::error::StoreError;
use std::collections::HashMap;
use std::path::Path;

/// `(table, writer)` → the last sequence kept.
pub(super) type Watermarks = HashMap<(String, String), u64>;

pub(super) struct Meta {
    connection: rusqlite::Connection,
}

impl Meta {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(path).map_err(StoreError::internal)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(StoreError::internal)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS writers (
                     table_name TEXT NOT NULL, writer TEXT NOT NULL, sequence INTEGER NOT NULL,
                     PRIMARY KEY (table_name, writer)) WITHOUT ROWID;",
            )
            .map_err(StoreError::internal)?;
        Ok(Self { connection })
    }

    pub(super) fn load(&self) -> Result<Watermarks, StoreError> {
        let mut select = self
            .connection
            .prepare("SELECT table_name, writer, sequence FROM writers")
            .map_err(StoreError::internal)?;
        let rows = select
            .query_map([], |r| Ok(((r.get(0)?, r.get(1)?), r.get::<_, i64>(2)? as u64)))
            .map_err(StoreError::internal)?;
        rows.collect::<Result<_, _>>().map_err(StoreError::internal)
    }

    /// Returns when the sequences are on disk.
    pub(super) fn save(&mut self, changed: &Watermarks) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(StoreError::internal)?;
        {
            let mut insert = transaction
                .prepare(
                    "INSERT INTO writers VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)",
                )
                .map_err(StoreError::internal)?;
            for ((table, writer), sequence) in changed {
                insert.execute(rusqlite::params![table, writer, *sequence as i64]).map_err(StoreError::internal)?;
            }
        }
        transaction.commit().map_err(StoreError::internal)
    }
}
