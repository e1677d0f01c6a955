//! The listener and what handlers share.

use super::metrics::{self, Metrics};
use super::{front, pages, routes};
use crate::access::Access;
use crate::alert::Stated;
use crate::dashboards::Dashboard;
use crate::dispatch::Dispatch;
use crate::error::ErrorKind;
use crate::ingest::Ingest;
use crate::insight::inference::Inference;
use crate::insight::{Insight, Peak};
use crate::ledger::Ledger;
use crate::otlp::Otlp;
use crate::query::Engine;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::watch::Watch;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use coulomb_telemetry::Family;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A client that sends its headers slower than this is not a client.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Collectors send every few seconds and should not connect anew each time.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Running requests get this long after the signal to stop.
const SHUTDOWN_SECONDS: u64 = 10;
/// Open connections a worker; 10,000 nodes keep one each.
const CONNECTIONS_MAX: usize = 16_384;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("cannot listen on {address}: {source}; is another server running there")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the HTTP server stopped: {0}")]
    Stopped(io::Error),
}

impl ApiError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

/// The rooms that handlers ask.
#[derive(Clone)]
pub struct Services {
    pub store: Store,
    pub ingest: Ingest,
    pub otlp: Otlp,
    pub engine: Engine,
    pub ledger: Ledger,
    pub dispatch: Dispatch,
    pub access: Access,
    pub watch: Watch,
    pub inference: Inference,
    pub insight: Insight,
    pub dashboards: Arc<Shelf<Dashboard>>,
    pub alerts: Arc<Shelf<Stated>>,
    pub peaks: Arc<Shelf<Vec<Peak>>>,
    /// Unix microseconds, UTC.
    pub clock: fn() -> i64,
}

/// What a handler sees.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) ingest: Ingest,
    pub(super) otlp: Otlp,
    pub(super) engine: Engine,
    pub(super) ledger: Ledger,
    pub(super) dispatch: Dispatch,
    pub(super) access: Access,
    pub(super) watch: Watch,
    pub(super) inference: Inference,
    pub(super) insight: Insight,
    pub(super) dashboards: Arc<Shelf<Dashboard>>,
    pub(super) alerts: Arc<Shelf<Stated>>,
    pub(super) peaks: Arc<Shelf<Vec<Peak>>>,
    pub(super) clock: fn() -> i64,
    pub(super) metrics: Metrics,
    pub(super) loopback_only: bool,
    /// False from the signal to stop on.
    pub(super) ready: AtomicBool,
    /// Bytes of ingest bodies that are in memory now.
    pub(super) body_bytes: AtomicU64,
}

/// A listening server.
pub struct Running {
    pub address: SocketAddr,
    handle: ServerHandle,
    state: web::Data<State>,
    done: tokio::task::JoinHandle<io::Result<()>>,
}

/// Binds and starts to answer. Must be called within a Tokio runtime.
pub fn start(services: Services, listen: SocketAddr) -> Result<Running, ApiError> {
    let failed = |source| ApiError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let state = web::Data::from(Arc::new(State {
        store: services.store,
        ingest: services.ingest,
        otlp: services.otlp,
        engine: services.engine,
        ledger: services.ledger,
        dispatch: services.dispatch,
        access: services.access,
        watch: services.watch,
        inference: services.inference,
        insight: services.insight,
        dashboards: services.dashboards,
        alerts: services.alerts,
        peaks: services.peaks,
        clock: services.clock,
        metrics: Metrics::default(),
        loopback_only: address.ip().is_loopback(),
        ready: AtomicBool::new(true),
        body_bytes: AtomicU64::new(0),
    }));
    if !state.loopback_only {
        tracing::warn!(%address, "listening beyond this machine without TLS; put a proxy with TLS in front");
    }
    let shared = state.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(super::body::json_limits())
            .configure(routes::configure)
            .default_service(web::to(pages::page))
            .wrap(Compress::default())
            // Outermost, so that what compression refuses has headers and a body like every refusal.
            .wrap(from_fn(front::front))
    })
    .client_request_timeout(HEADERS_TIMEOUT)
    // An asker that hangs up ends its query; nobody half-closes and then waits.
    .h1_allow_half_closed(false)
    .keep_alive(KEEP_ALIVE)
    .max_connections(CONNECTIONS_MAX)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .listen(listener)
    .map_err(failed)?
    .run();
    let handle = server.handle();
    Ok(Running { address, handle, state, done: tokio::spawn(server) })
}

impl Running {
    /// Reads all numbers of the server, whenever it is called.
    pub fn numbers(&self) -> impl Fn() -> Vec<Family> + Send + Sync + 'static {
        let state = self.state.clone();
        move || metrics::families(&state)
    }

    /// Lets running requests finish, up to a bound, and returns when the last worker has stopped.
    pub async fn stop(self) -> Result<(), ApiError> {
        self.state.ready.store(false, Ordering::Relaxed);
        self.handle.stop(true).await;
        match self.done.await {
            Ok(result) => result.map_err(ApiError::Stopped),
            Err(e) => Err(ApiError::Stopped(io::Error::other(e))),
        }
    }
}
