//! The listener and its bounds.

use super::connections;
use super::error::GrpcError;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Server;

/// Headers of a call: a token, and what drivers add.
const HEADERS_BYTES_MAX: u32 = 32 << 10;
/// A connection that nothing came from for so long is asked whether it is there, and is closed when it is not.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Running answers get this long after the signal to stop.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// What is allowed at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Others wait to be accepted.
    pub connections_max: usize,
    /// Calls of one connection at once; further ones wait.
    pub streams_max: u32,
    /// What of a call's body may arrive before it is read.
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
}

/// A port that is taken, and not answered yet.
pub struct Listening {
    pub address: SocketAddr,
    what: &'static str,
    listener: tokio::net::TcpListener,
}

/// A listening server.
pub struct Running {
    pub address: SocketAddr,
    what: &'static str,
    /// Dropping it is the signal to stop.
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// Takes a port, for what is named. Must be called within a Tokio runtime.
pub fn listen(address: SocketAddr, what: &'static str) -> Result<Listening, GrpcError> {
    let failed = |source| GrpcError::Listen { address, what, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "listening beyond this machine without TLS; put a proxy with TLS in front");
    }
    Ok(Listening { address, what, listener })
}

impl Listening {
    /// Starts to answer.
    pub fn serve(self, bounds: Bounds, services: Routes) -> Running {
        let Self { address, what, listener } = self;
        let server = Server::builder()
            .max_concurrent_streams(bounds.streams_max)
            .initial_stream_window_size(bounds.stream_window_bytes)
            .initial_connection_window_size(bounds.connection_window_bytes)
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .add_routes(services);
        let (stop, stopped) = oneshot::channel();
        let signal = async {
            drop(stopped.await);
        };
        let incoming = connections::accept(listener, what, bounds.connections_max);
        let done = tokio::spawn(server.serve_with_incoming_shutdown(incoming, signal));
        Running { address, what, stop, done }
    }
}

impl Running {
    /// Lets running answers finish, up to a bound.
    pub async fn stop(self) {
        let Self { stop, done, what, .. } = self;
        drop(stop);
        match timeout(SHUTDOWN, done).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!(%error, what, "a gRPC server stopped"),
            Ok(Err(error)) => tracing::error!(%error, what, "a gRPC server stopped"),
            Err(_) => tracing::warn!(what, "answers were broken off"),
        }
    }
}
