//! The rows of an answer on their way to the asker: cast for clients, counted, timed, stopped when dropped.

use super::pressure::Place;
use super::yielding::{self, Stop};
use super::{Engine, Parameter, QueryError, Width, damage, guard, tables};
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use futures::{Stream, StreamExt};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// Batches that wait for a slow reader: one being read, one ready; more would only hold memory.
const BATCHES_AHEAD: usize = 2;

/// `None` after the last batch: a channel that ends without it was left by a thread that panicked.
type Part = Result<Option<RecordBatch>, QueryError>;

/// The schema and a stream of batches. Dropping it stops the query.
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Part>,
    ended: bool,
    /// Watched by the asker too: the engine's threads may be too busy to notice.
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
    work: Option<Work>,
    place: Place,
}

/// A query on the engine's threads, stopped when nobody waits for it any more.
struct Work {
    _task: AbortOnDrop,
    stop: Arc<Stop>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.now();
    }
}

impl Answer {
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// All rows. For answers that are known to be small.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(next) = self.batches.poll_recv(context) {
            self.ended = !matches!(next, Some(Ok(Some(_))));
            return Poll::Ready(next.unwrap_or_else(|| Err(self.place.error())).transpose());
        }
        if self.work.is_some() && self.deadline.as_mut().poll(context).is_ready() {
            self.work = None;
            self.ended = true;
            return Poll::Ready(Some(Err(QueryError::Timeout { limit: self.limit })));
        }
        Poll::Pending
    }
}

pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a query on the engine's threads and waits until its schema is known.
pub(super) async fn start(
    engine: &Engine,
    sql: String,
    parameters: Vec<Parameter>,
    width: Width,
) -> Result<Answer, QueryError> {
    let limit = engine.inner.settings.timeout;
    let late = move || QueryError::Timeout { limit };
    let deadline = Instant::now() + limit;
    let place = engine.inner.pressure.admit(engine.threads().handle())?;
    let (schema_sender, schema) = oneshot::channel();
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    let worker = engine.clone();
    let stop = Stop::at(deadline.into_std());
    let stopped = Arc::clone(&stop);
    let task = engine.threads().spawn(async move {
        let planned = timeout_at(deadline, plan(&worker, &sql, parameters, width, &stopped))
            .await
            .unwrap_or_else(|_| Err(late()));
        let (schema, rows) = match planned {
            Ok(rows) => (Ok(client_schema(&rows.schema())), Some(rows)),
            Err(error) => (Err(damage::named(&worker, error, Some(&sql)).await), None),
        };
        let wanted = schema_sender.send(schema).is_ok();
        let Some(rows) = rows.filter(|_| wanted) else { return };
        let sent = timeout_at(deadline, send(&worker, rows, &sender)).await.unwrap_or_else(|_| Err(late()));
        if let Err(error) = sent {
            let error = if Instant::now() < deadline { error } else { late() };
            let error = damage::named(&worker, error, Some(&sql)).await;
            // The asker may be gone by now, and then nobody is left to be told.
            drop(sender.send(Err(error)).await);
        }
    });
    place.runs(task.abort_handle(), Some(Arc::clone(&stop)));
    let work = Work { _task: AbortOnDrop(task), stop };
    // Planning cannot be interrupted; the asker is answered in time even so.
    let schema = timeout_at(deadline, schema).await.map_err(|_| late())?;
    let schema = schema.map_err(|_| place.error())??;
    let deadline = Box::pin(sleep_until(deadline));
    Ok(Answer { schema, batches, ended: false, deadline, limit, work: Some(work), place })
}

async fn plan(
    engine: &Engine,
    sql: &str,
    parameters: Vec<Parameter>,
    width: Width,
    stop: &Arc<Stop>,
) -> Result<SendableRecordBatchStream, QueryError> {
    let context = engine.session_of(width)?;
    let plan = guard::plan(&context, sql, parameters).await?;
    let plan = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
    Ok(execute_stream(yielding::stoppable(plan, stop)?, context.task_ctx())?)
}

async fn send(
    engine: &Engine,
    mut rows: SendableRecordBatchStream,
    sender: &mpsc::Sender<Part>,
) -> Result<(), QueryError> {
    let rows_max = engine.inner.settings.rows_max;
    let schema = client_schema(&rows.schema());
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        if count > rows_max {
            return Err(QueryError::TooManyRows { rows_max });
        }
        if sender.send(Ok(Some(for_client(&batch, &schema)?))).await.is_err() {
            return Ok(());
        }
    }
    // An asker that is gone needs no end.
    drop(sender.send(Ok(None)).await);
    Ok(())
}

/// The columns of an answer as clients get them.
pub(super) fn client_schema(schema: &Schema) -> SchemaRef {
    let field =
        |f: &Arc<arrow::datatypes::Field>| f.as_ref().clone().with_data_type(tables::client_type(f.data_type()));
    let fields: Vec<_> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn for_client(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    let internal = |e: arrow::error::ArrowError| QueryError::Internal(format!("cannot cast an answer: {e}"));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(internal)?;
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows).map_err(internal)
}
