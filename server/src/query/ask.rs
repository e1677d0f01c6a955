//! One named question at one instant: its session, its SQL, and typed access to the rows.

use super::answer::AbortOnDrop;
use super::tables::SnapshotTable;
use super::{Engine, QueryError, damage, guard};
use crate::store::Snapshot;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// All parts of a question are asked of the same snapshots.
pub(super) struct Asking {
    context: SessionContext,
    engine: Engine,
    /// Names of the tables that are made for parts of the question.
    parts: AtomicU64,
}

impl Asking {
    pub(super) fn new(engine: &Engine) -> Result<Self, QueryError> {
        Ok(Self { context: engine.session()?, engine: engine.clone(), parts: AtomicU64::new(0) })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The snapshot of a table that all parts of the question read.
    pub(super) async fn snapshot(&self, table: &str) -> Result<Snapshot, QueryError> {
        let provider = self.context.table_provider(table).await?;
        let table = provider.downcast_ref::<SnapshotTable>().map(SnapshotTable::snapshot);
        table.ok_or_else(|| QueryError::Internal("a table of the contract has no snapshot".to_owned()))
    }

    async fn frame(&self, sql: &str, with: Vec<ScalarValue>) -> Result<DataFrame, QueryError> {
        let plan = self.context.state().statement_to_plan(guard::parse(sql)?).await?;
        let frame = self.context.execute_logical_plan(plan).await?;
        Ok(if with.is_empty() { frame } else { frame.with_param_values(ParamValues::from(with))? })
    }

    pub(super) async fn rows(&self, sql: &str, with: Vec<ScalarValue>) -> Result<Vec<RecordBatch>, QueryError> {
        Ok(self.frame(sql, with).await?.collect().await?)
    }

    /// The frame of a question to some rows of a table, which `sql` is told the name of.
    async fn frame_of(
        &self,
        snapshot: Snapshot,
        sql: impl FnOnce(&str) -> String,
        with: Vec<ScalarValue>,
    ) -> Result<DataFrame, QueryError> {
        let name = format!("part_{}", self.parts.fetch_add(1, Ordering::Relaxed));
        self.context.register_table(name.as_str(), Arc::new(SnapshotTable::new(snapshot)))?;
        let frame = self.frame(&sql(&name), with).await;
        // The frame has what it needs.
        self.context.deregister_table(name.as_str())?;
        frame
    }

    /// The rows of an answer to [`Self::frame_of`].
    pub(super) async fn rows_of(
        &self,
        snapshot: Snapshot,
        sql: impl FnOnce(&str) -> String,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        Ok(self.frame_of(snapshot, sql, Vec::new()).await?.collect().await?)
    }

    /// The same with parameters.
    pub(super) async fn rows_with(
        &self,
        snapshot: Snapshot,
        sql: impl FnOnce(&str) -> String,
        with: Vec<ScalarValue>,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        Ok(self.frame_of(snapshot, sql, with).await?.collect().await?)
    }

    /// The same in as many streams as there are cores, in no order among them.
    pub(super) async fn streams_of(
        &self,
        snapshot: Snapshot,
        sql: impl FnOnce(&str) -> String,
        with: Vec<ScalarValue>,
    ) -> Result<Vec<SendableRecordBatchStream>, QueryError> {
        Ok(self.frame_of(snapshot, sql, with).await?.execute_stream_partitioned().await?)
    }

    /// The rows in order, as they come.
    pub(super) async fn stream(
        &self,
        sql: &str,
        with: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        Ok(self.frame(sql, with).await?.execute_stream().await?)
    }
}

pub(super) fn instant(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}

pub(super) fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.to_owned()))
}

/// Runs a question on the engine's threads, in time.
pub(super) async fn bounded<T: Send + 'static>(
    engine: &Engine,
    work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
) -> Result<T, QueryError> {
    let limit = engine.inner.settings.timeout;
    let place = engine.inner.pressure.admit(engine.threads().handle())?;
    let (sender, receiver) = oneshot::channel();
    let worker = engine.clone();
    let task = engine.threads().spawn(async move {
        let answer = match work.await {
            Err(error) => Err(damage::named(&worker, error, None).await),
            answer => answer,
        };
        // The asker may be gone; then nobody wants the answer.
        drop(sender.send(answer));
    });
    place.runs(task.abort_handle(), None);
    let _work = AbortOnDrop(task);
    let answer = timeout(limit, receiver).await.map_err(|_| QueryError::Timeout { limit })?;
    answer.map_err(|_| place.error())?
}

/// One row of a small answer, read by the position of its columns.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

pub(super) fn each_row(batches: &[RecordBatch]) -> impl Iterator<Item = Row<'_>> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| Row { batch, row }))
}

impl<'a> Row<'a> {
    fn valid(&self, at: usize) -> Option<&'a ArrayRef> {
        let column = self.batch.column(at);
        column.is_valid(self.row).then_some(column)
    }

    pub(super) fn text(&self, at: usize) -> Option<&'a str> {
        let column = self.valid(at)?;
        match column.data_type() {
            DataType::Utf8View => Some(column.as_string_view().value(self.row)),
            _ => column.as_string_opt::<i32>().map(|array| array.value(self.row)),
        }
    }

    pub(super) fn owned(&self, at: usize) -> Option<String> {
        self.text(at).map(str::to_owned)
    }

    /// The texts of a list.
    pub(super) fn texts(&self, at: usize) -> Vec<String> {
        let Some(list) = self.valid(at).and_then(|column| column.as_list_opt::<i32>()) else { return Vec::new() };
        let values = list.value(self.row);
        let each = |i: usize| match values.data_type() {
            DataType::Utf8View => values.is_valid(i).then(|| values.as_string_view().value(i).to_owned()),
            _ => values.as_string_opt::<i32>().filter(|texts| texts.is_valid(i)).map(|texts| texts.value(i).to_owned()),
        };
        (0..values.len()).filter_map(each).collect()
    }

    pub(super) fn int(&self, at: usize) -> Option<i64> {
        Some(self.valid(at)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    pub(super) fn float(&self, at: usize) -> Option<f64> {
        Some(self.valid(at)?.as_primitive_opt::<Float64Type>()?.value(self.row))
    }

    pub(super) fn time(&self, at: usize) -> Option<i64> {
        Some(self.valid(at)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(self.row))
    }
}
