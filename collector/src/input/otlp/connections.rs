//! Connections: bounded in number, others wait to be accepted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::server::Connected;

/// When the machine has no file handle left, another try soon would not find one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What is accepted, one after the other.
pub(super) struct Incoming {
    connections: mpsc::Receiver<Connection>,
}

/// A connection and its share of the bound.
pub(super) struct Connection {
    stream: TcpStream,
    _share: OwnedSemaphorePermit,
}

impl Incoming {
    /// Accepts until it is dropped, `connections_max` at once. Must be called within a runtime.
    pub(super) fn accept(listener: TcpListener, what: &'static str, connections_max: usize) -> Self {
        let (accepted, connections) = mpsc::channel(1);
        let shares = Arc::new(Semaphore::new(connections_max));
        tokio::spawn(async move {
            while let Ok(share) = Arc::clone(&shares).acquire_owned().await {
                let stream = tokio::select! {
                    stream = listener.accept() => stream,
                    () = accepted.closed() => return,
                };
                match stream.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream)) {
                    Ok(stream) => {
                        if accepted.send(Connection { stream, _share: share }).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, what, "a connection could not be accepted");
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
        });
        Self { connections }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
