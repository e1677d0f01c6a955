//! Answers on their way to clients: encoded, bounded in number, stopped when nobody reads them.
//!
//! A task of its own moves each answer, because a connection whose client reads nothing is not polled: the task
//! notices and gives its place back.

use super::error;
use crate::query::Answer;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError as EncodeError;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tonic::Status;

pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// Calls that ask the engine at once, over all connections; each holds a few batches of rows.
const ASKING_MAX: usize = 64;
/// Messages that wait for a slow reader, some 2 MiB each at most: one being sent, one ready.
const MESSAGES_AHEAD: usize = 2;
/// A reader that takes nothing for so long is gone; the engine's own limit is as long.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub(super) struct Answers {
    asking: Arc<Semaphore>,
    running: Arc<Mutex<Vec<Running>>>,
}

/// An answer that can be cancelled, by the id of its ticket.
struct Running {
    id: Vec<u8>,
    stop: oneshot::Sender<()>,
}

/// `None` after the last message: a channel that ends without it was left by a task that panicked.
type Part = Option<Result<FlightData, Status>>;

impl Answers {
    pub(super) fn new() -> Self {
        Self { asking: Arc::new(Semaphore::new(ASKING_MAX)), running: Arc::default() }
    }

    /// A place among the calls that ask the engine, held as long as they do.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.asking).try_acquire_owned();
        place.map_err(|_| Status::unavailable(format!("{ASKING_MAX} answers are being sent, ask again")))
    }

    /// The messages of an answer.
    pub(super) fn send(&self, answer: Answer, id: Vec<u8>, place: OwnedSemaphorePermit) -> Messages {
        let schema = answer.schema();
        let rows = answer.map(|batch| batch.map_err(|e| EncodeError::from(error::of_query(e))));
        let messages = FlightDataEncoderBuilder::new().with_schema(schema).build(rows);
        let messages = messages.map(|message| message.map_err(of_encoding));
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
        let (stop, stopped) = oneshot::channel();
        {
            let mut running = self.running.lock();
            // Those that have ended; places bound their number.
            running.retain(|other| !other.stop.is_closed());
            running.push(Running { id, stop });
        }
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = sender.closed() => {}
                () = pump(messages, &sender) => {}
                Ok(()) = stopped => {
                    // The reader may be gone by now.
                    drop(sender.send(Some(Err(Status::cancelled("the query was cancelled")))).await);
                }
            }
        });
        received(receiver).boxed()
    }

    /// Stops the answers to a ticket; tells whether there were any.
    pub(super) fn cancel(&self, id: &[u8]) -> bool {
        let mut running = self.running.lock();
        let cancelled: Vec<Running> = running.extract_if(.., |other| !id.is_empty() && other.id == id).collect();
        // One that has just ended is not there any more.
        cancelled.into_iter().filter_map(|answer| answer.stop.send(()).ok()).count() > 0
    }
}

/// Small answers that are there already, such as metadata.
pub(super) fn of_batch(batch: arrow::array::RecordBatch) -> Messages {
    let schema = batch.schema();
    let rows = stream::once(async move { Ok::<_, EncodeError>(batch) });
    let messages = FlightDataEncoderBuilder::new().with_schema(schema).build(rows);
    messages.map(|message| message.map_err(of_encoding)).boxed()
}

fn of_encoding(failed: EncodeError) -> Status {
    match failed {
        EncodeError::Tonic(status) => *status,
        other => error::internal(other),
    }
}

async fn pump(messages: impl Stream<Item = Result<FlightData, Status>>, sender: &mpsc::Sender<Part>) {
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.next().await {
        if !matches!(timeout(PAUSE_MAX, sender.send(Some(message))).await, Ok(Ok(()))) {
            return;
        }
    }
    // A reader that is gone needs no end.
    drop(timeout(PAUSE_MAX, sender.send(None)).await);
}

fn received(receiver: mpsc::Receiver<Part>) -> impl Stream<Item = Result<FlightData, Status>> {
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(Ok(message))) => Some((Ok(message), Some(receiver))),
            Some(Some(Err(status))) => Some((Err(status), None)),
            Some(None) => None,
            None => Some((Err(Status::aborted("the answer broke off; nothing read it for too long")), None)),
        }
    })
}
