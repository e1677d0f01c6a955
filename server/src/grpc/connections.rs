//! Connections that gRPC serves: bounded in number, others wait to be accepted.

use futures::{Stream, stream};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// When the machine has no file handle left, another try soon would not find one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A connection and its share of the bound.
pub(super) struct Connection {
    stream: TcpStream,
    _share: OwnedSemaphorePermit,
}

/// Accepts as long as it is polled, `connections_max` at once.
pub(super) fn accept(
    listener: TcpListener,
    what: &'static str,
    connections_max: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let shares = Arc::new(Semaphore::new(connections_max));
    stream::unfold((listener, shares), move |(listener, shares)| async move {
        let share = Arc::clone(&shares).acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, what, "a connection could not be accepted");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        let connection = stream.set_nodelay(true).map(|()| Connection { stream, _share: share });
        Some((connection, (listener, shares)))
    })
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
