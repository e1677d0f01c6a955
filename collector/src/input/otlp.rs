//! OTLP on this node: spans, logs and metrics become rows, over HTTP and gRPC.
//!
//! Owns the listeners, their bounds and who may send; how OTLP becomes rows the crate `coulomb-otlp` knows. Both
//! ports take both protocols. **Invariants:** a request is answered with success after all of its rows are on disk;
//! what it takes is reserved before it is built; nothing of a request without its token is read.

mod answer;
mod connections;
mod export;
mod grpc;
mod http;
mod memory;
mod origin;
mod service;
mod token;

pub(crate) use token::read_token;

use super::Feed;
use anyhow::Context as _;
use connections::Incoming;
use export::Exports;
use service::Receiver;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::Server;

/// Bodies that are read and put at once; more threads would only wait for the disk.
const THREADS_MAX: usize = 3;
/// Each process with an SDK keeps one for each signal.
const CONNECTIONS_MAX: usize = 512;
/// Calls of one connection at once. An SDK makes one at a time, a collector ten.
const STREAMS_MAX: u32 = 32;
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Headers of a request: a token, and what SDKs add.
const HEADERS_BYTES_MAX: u32 = 32 << 10;
/// A connection that nothing came from for so long is asked whether it is there, and is closed when it is not.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Running answers get this long at the end; senders repeat what is not answered.
const SHUTDOWN: Duration = Duration::from_secs(1);
/// How long the end is waited for at once.
const WAIT: Duration = Duration::from_secs(3600);

/// Where OTLP is taken, and from whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub http: Option<SocketAddr>,
    pub grpc: Option<SocketAddr>,
    pub token_file: Option<PathBuf>,
}

/// Ports that are taken, and not answered yet.
pub(crate) struct Listening {
    ports: Vec<(&'static str, SocketAddr, TcpListener)>,
    token_file: Option<PathBuf>,
    runtime: Runtime,
}

impl Listening {
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.ports.iter().map(|(what, address, _)| (*what, *address))
    }
}

/// Takes the ports.
pub(crate) fn listen(settings: Settings) -> anyhow::Result<Listening> {
    // One thread for all connections: decoding and the disk have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS_MAX + 1)
        .thread_name("otlp-rows")
        .build()
        .context("no runtime for OTLP")?;
    let mut ports = Vec::new();
    for (what, address) in [("HTTP", settings.http), ("gRPC", settings.grpc)] {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address} for OTLP over {what}: is another program there"))?;
        listener.set_nonblocking(true).context("a listener for OTLP")?;
        let address = listener.local_addr().context("a listener for OTLP")?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "OTLP is taken beyond this machine, without TLS");
        }
        ports.push((what, address, listener));
    }
    Ok(Listening { ports, token_file: settings.token_file, runtime })
}

/// Answers until the collector ends.
pub(crate) fn run(listening: Listening, clock: fn() -> i64, feed: &Feed) {
    let Listening { ports, token_file, runtime } = listening;
    let receiver = Receiver::new(Arc::new(Exports::new(feed.clone(), clock)), token_file.map(Into::into));
    let (end, ended) = watch::channel(());
    let waiting = feed.clone();
    runtime.spawn_blocking(move || {
        while !waiting.ends_within(WAIT) {}
        drop(end);
    });
    runtime.block_on(async {
        let mut serving = tokio::task::JoinSet::new();
        for (what, _, listener) in ports {
            serving.spawn(serve(what, listener, receiver.clone(), ended.clone()));
        }
        let over = ended_soon(ended);
        tokio::select! {
            () = async { while serving.join_next().await.is_some() {} } => {}
            () = over => {}
        }
    });
    runtime.shutdown_background();
}

/// A while after the end.
async fn ended_soon(mut ended: watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
    tokio::time::sleep(SHUTDOWN).await;
}

async fn serve(what: &'static str, listener: TcpListener, receiver: Receiver, mut ended: watch::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, what, "OTLP is not taken"),
    };
    let server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT));
    let incoming = Incoming::accept(listener, what, CONNECTIONS_MAX);
    let signal = async move { while ended.changed().await.is_ok() {} };
    if let Err(error) = server.serve_with_incoming_shutdown(receiver, incoming, signal).await {
        tracing::error!(%error, what, "OTLP is no longer taken");
    }
}
