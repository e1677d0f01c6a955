//! Records as they come, for those who watch.
//!
//! **Invariants:** only so many watch at once, each with a bounded queue; whoever is too slow is told how many were
//! left out, and holds nobody up.

use super::super::ask::Asking;
use super::super::{Engine, QueryError};
use super::filter::{Filter, LogsAsked};
use super::record::{self, LogRecord};
use crate::store::{Snapshot, Store};
use arrow::array::RecordBatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Each asks a small question for every batch that comes.
const TAILS_MAX: usize = 32;
/// Records of one batch; more in an instant nobody reads.
const RECORDS_AT_ONCE: usize = 500;
/// Parts that wait for a slow reader.
const PARTS_WAITING_MAX: usize = 8;

/// How many watch.
#[derive(Default)]
pub(in crate::query) struct Tails(Arc<AtomicUsize>);

/// A place among those who watch, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tails {
    fn take(&self) -> Result<Place, QueryError> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < TAILS_MAX).then_some(n + 1));
        let full = |_| QueryError::Unavailable(format!("{TAILS_MAX} others follow the logs already, ask again later"));
        taken.map_err(full)?;
        Ok(Place(Arc::clone(&self.0)))
    }
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    /// In order of time.
    Records(Vec<LogRecord>),
    /// So many batches or records were left out, because they came too fast.
    Missed(u64),
}

/// Ends when it is dropped.
pub struct LogsTail(Receiver<LogPart>);

impl LogsTail {
    pub async fn next(&mut self) -> Option<LogPart> {
        self.0.recv().await
    }
}

impl Engine {
    /// The records that come from now on and pass a filter, whatever their own times are.
    pub fn follow_logs(&self, asked: &LogsAsked) -> Result<LogsTail, QueryError> {
        let filter = Filter::of(asked)?;
        let place = self.inner.tails.take()?;
        let table = contract::table("logs").ok_or_else(|| QueryError::Internal("there is no table logs".to_owned()))?;
        let coming = self.inner.store.follow(table);
        let (send, parts) = channel(PARTS_WAITING_MAX);
        let engine = self.clone();
        self.threads().spawn(async move {
            let _place = place;
            follow(&engine, &filter, coming, &send).await;
        });
        Ok(LogsTail(parts))
    }
}

async fn follow(
    engine: &Engine,
    filter: &Filter,
    mut coming: tokio::sync::broadcast::Receiver<RecordBatch>,
    send: &Sender<LogPart>,
) {
    loop {
        let received = tokio::select! {
            received = coming.recv() => received,
            () = send.closed() => return,
        };
        let part = match received {
            Ok(batch) => of_batch(engine, filter, batch).await,
            Err(RecvError::Lagged(batches)) => Ok(vec![LogPart::Missed(batches)]),
            Err(RecvError::Closed) => return,
        };
        match part {
            Ok(parts) => {
                for part in parts {
                    if send.send(part).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => return tracing::warn!(%error, "a tail of logs has ended"),
        }
    }
}

async fn of_batch(engine: &Engine, filter: &Filter, batch: RecordBatch) -> Result<Vec<LogPart>, QueryError> {
    let asking = Asking::new(engine)?;
    let snapshot = Snapshot { hot: Arc::new([batch]), files: Arc::default(), ..snapshot(&engine.inner.store) };
    let sql = |table: &str| {
        format!(
            "select {} from {table} where true{} order by time, time_nanos, observed_at",
            record::COLUMNS,
            filter.conditions(1)
        )
    };
    let mut records = record::of(&asking.rows_with(snapshot, sql, filter.values().collect()).await?);
    let beyond = records.len().saturating_sub(RECORDS_AT_ONCE);
    let mut parts = Vec::new();
    if beyond > 0 {
        parts.push(LogPart::Missed(beyond as u64));
        records.drain(..beyond);
    }
    if !records.is_empty() {
        parts.push(LogPart::Records(records));
    }
    Ok(parts)
}

fn snapshot(store: &Store) -> Snapshot {
    store.snapshot(contract::table("logs").expect("the contract has the table logs"))
}
