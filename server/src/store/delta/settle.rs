//! What became of a commit that failed, and what other servers have committed.
//!
//! A request that timed out may still arrive at a bucket, after a kill too. **Invariant:** once settled, no commit
//! of before can take effect: the version that it would have made is there, whoever made it.

use super::super::DataFile;
use super::super::change::Part;
use super::super::error::StoreError;
use super::super::place::Place;
use super::{Delta, NewFile, unreadable, within};
use contract::Table;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::{LogStoreRef, commit_uri_from_version};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use object_store::ObjectStoreExt;
use std::collections::HashSet;

/// Other servers commit every few seconds at most; whoever loses so often has lost the files too.
const REPLACE_TRIES_MAX: usize = 8;

impl Delta {
    /// Reads the table's log again.
    async fn reload(&mut self) -> Result<(), StoreError> {
        self.state = DeltaTableState::try_new(&*self.log, None).await.map_err(|e| self.read_failed(e))?;
        Ok(())
    }

    /// Returns when it is certain whether a commit that failed with `why` has happened.
    pub(in super::super) async fn settle(&mut self, table: &Table, why: &StoreError) -> Result<(), StoreError> {
        self.reload().await?;
        if self.place.is_shared() && !matches!(why, StoreError::Overtaken { .. }) {
            self.fence(table).await?;
        }
        self.in_doubt = false;
        Ok(())
    }

    /// Adds a version without a change, so that no earlier request can become that version any more.
    pub(in super::super) async fn fence(&mut self, table: &Table) -> Result<(), StoreError> {
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        self.put(table, Vec::new(), CommitProperties::default(), operation).await
    }

    /// Opens a table that another server may have made since the last look; only its first version is asked for.
    pub(in super::super) async fn appeared(place: &Place, table: &Table) -> Result<Option<Self>, StoreError> {
        let log = place.log_store(table.name)?;
        match has_version(&log, 0).await {
            Ok(true) => Self::open(place, table).await,
            Ok(false) => Ok(None),
            Err(error) => Err(unreadable(place, table, error)),
        }
    }

    /// Reads what has been committed since.
    pub(in super::super) async fn catch_up(&mut self) -> Result<(), StoreError> {
        if !has_version(&self.log, self.state.version() + 1).await.map_err(|e| self.read_failed(e))? {
            return Ok(());
        }
        self.state.update(&*self.log, None).await.map_err(|e| self.read_failed(e))
    }

    /// Takes files away as one version; `new` has their rows, or nobody has. With `part`, these must be all files that
    /// begin within that time.
    ///
    /// [`StoreError::Overtaken`] when one of the files is gone already, or another has come to the part, [`StoreError::Doubt`] when it is not known
    /// whether it happened; after any other error it did not.
    pub(in super::super) async fn swap(
        &mut self,
        table: &Table,
        old: &[DataFile],
        new: Option<&NewFile>,
        now_millis: i64,
        part: Option<Part>,
    ) -> Result<(), StoreError> {
        let doubt = |unknown: StoreError| StoreError::Doubt(unknown.to_string());
        if self.in_doubt {
            self.settle(table, &StoreError::Closed).await?;
        }
        let mut outcome = Err(StoreError::Overtaken { table: table.name });
        for _ in 0..REPLACE_TRIES_MAX {
            if !self.names_all(table, old) || !self.is_only(table, old, part)? {
                return Err(StoreError::Overtaken { table: table.name });
            }
            outcome = self.replace(table, old, new, now_millis, part.is_some()).await;
            let Err(error) = &outcome else { return Ok(()) };
            self.in_doubt = self.place.is_shared();
            self.settle(table, error).await.map_err(doubt)?;
            let overtaken = matches!(error, StoreError::Overtaken { .. });
            // Files that another server has taken away first may have left their rows elsewhere.
            let may_have_happened = new.is_some() || !overtaken;
            if may_have_happened && self.has_swapped(table, old, new).await.map_err(doubt)? {
                return Ok(());
            }
            if !overtaken {
                break;
            }
        }
        outcome
    }

    /// Whether the current version names all files.
    fn names_all(&self, table: &Table, files: &[DataFile]) -> bool {
        let named: HashSet<String> = self.named().into_iter().collect();
        files.iter().all(|file| named.contains(within(table, file)))
    }

    /// Whether no other file begins within a part of time.
    fn is_only(&self, table: &Table, files: &[DataFile], part: Option<Part>) -> Result<bool, StoreError> {
        // On a local disk the flush knows them all.
        let Some((from, to)) = part.filter(|_| self.place.is_shared()) else { return Ok(true) };
        let here = self.files(table)?.into_iter().filter(|file| (from..to).contains(&file.time_min_micros)).count();
        Ok(here == files.len())
    }

    async fn has_swapped(&self, table: &Table, old: &[DataFile], new: Option<&NewFile>) -> Result<bool, StoreError> {
        let named: HashSet<String> = self.named().into_iter().collect();
        if old.iter().any(|file| named.contains(within(table, file))) {
            return Ok(false);
        }
        let Some(new) = new else { return Ok(true) };
        // Another server may have merged it with others already.
        Ok(named.contains(&new.path) || self.replaced().await?.contains(&new.path))
    }
}

async fn has_version(log: &LogStoreRef, version: u64) -> Result<bool, DeltaTableError> {
    match log.object_store(None).head(&commit_uri_from_version(Some(version))).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
