//! The last sequence kept of each writer and table, in `meta.sqlite`, and who this server is.
//!
//! Written after the files that the sequences guard are durable and before the log that also holds them is
//! cut, so at every instant the two together know every kept sequence.

use super::error::StoreError;
use rusqlite::OptionalExtension;
use std::collections::HashMap;
use std::path::Path;

const SERVER_ID: &str = "server_id";
const PLACE: &str = "tables";

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
                     PRIMARY KEY (table_name, writer)) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
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

    /// Everything in the file as of now, what other rooms keep there too, as a file that must not be there yet.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_string_lossy();
        self.connection.execute("VACUUM INTO ?1", [&path]).map(drop).map_err(StoreError::internal)
    }

    /// What SQLite finds wrong with the file in `path`, if anything.
    pub(super) fn faults(path: &Path) -> Option<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let check = || -> rusqlite::Result<String> {
            let connection = rusqlite::Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        };
        let found = check().unwrap_or_else(|error| error.to_string());
        (found != "ok").then_some(found)
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

    /// The name of this server among those that share tables; the same for ever.
    pub(super) fn server_id(&self) -> Result<String, StoreError> {
        let made = uuid::Uuid::new_v4().to_string();
        self.connection
            .execute("INSERT INTO store VALUES (?1, ?2) ON CONFLICT DO NOTHING", [SERVER_ID, &made])
            .map_err(StoreError::internal)?;
        self.value(SERVER_ID)?.ok_or_else(|| StoreError::Internal("this server has no id".into()))
    }

    /// Where the tables are that the log belongs to, if that has been said.
    pub(super) fn place(&self) -> Result<Option<String>, StoreError> {
        self.value(PLACE)
    }

    pub(super) fn set_place(&self, place: &str) -> Result<(), StoreError> {
        self.connection
            .execute(
                "INSERT INTO store VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
                [PLACE, place],
            )
            .map_err(StoreError::internal)?;
        Ok(())
    }

    fn value(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self.connection.query_row("SELECT value FROM store WHERE name = ?1", [name], |row| row.get(0));
        found.optional().map_err(StoreError::internal)
    }
}
