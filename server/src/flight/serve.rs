//! The listener and its bounds.

use super::admit::Admitted;
use super::connections;
use super::error::FlightError;
use super::service::Service;
use crate::access::Access;
use crate::query::Engine;
use arrow_flight::flight_service_server::FlightServiceServer;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Server;

/// A message from a client: a handle within a command, or the info of an answer that is to be cancelled.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Calls of one connection at once.
const STREAMS_MAX: u32 = 32;
/// What of a call's body may arrive before it is read.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Headers of a call: a token, and what drivers add.
const HEADERS_BYTES_MAX: u32 = 32 << 10;
/// A connection that nothing came from for so long is asked whether it is there, and is closed when it is not.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Running answers get this long after the signal to stop.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// A listening server.
pub struct Running {
    pub address: SocketAddr,
    /// Dropping it is the signal to stop.
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// Binds and starts to answer. Must be called within a Tokio runtime.
pub fn start(engine: Engine, access: Access, listen: SocketAddr) -> Result<Running, FlightError> {
    let failed = |source| FlightError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "listening beyond this machine without TLS; put a proxy with TLS in front");
    }
    let service = FlightServiceServer::new(Service::new(engine)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_service(Admitted::new(service, access));
    let (stop, stopped) = oneshot::channel();
    let signal = async {
        drop(stopped.await);
    };
    let done = tokio::spawn(server.serve_with_incoming_shutdown(connections::accept(listener), signal));
    Ok(Running { address, stop, done })
}

impl Running {
    /// Lets running answers finish, up to a bound.
    pub async fn stop(self) {
        let Self { stop, done, .. } = self;
        drop(stop);
        match timeout(SHUTDOWN, done).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!(%error, "the Flight SQL server stopped"),
            Ok(Err(error)) => tracing::error!(%error, "the Flight SQL server stopped"),
            Err(_) => tracing::warn!("Flight SQL answers were broken off"),
        }
    }
}
