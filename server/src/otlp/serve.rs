//! The services of OTLP over gRPC, and what of them is allowed at once.

use super::call::{Exports, Logs, Metrics, Traces};
use super::export::Otlp;
use crate::access::Access;
use crate::grpc::{self, Bounds, GrpcError, Running};
use std::net::SocketAddr;
use tonic::service::Routes;

/// Each process with an SDK keeps one; more of them send through an OpenTelemetry collector.
const CONNECTIONS_MAX: usize = 4_096;
/// Calls of one connection at once. An SDK makes one at a time, a collector ten.
const STREAMS_MAX: u32 = 32;
const BOUNDS: Bounds = Bounds {
    connections_max: CONNECTIONS_MAX,
    streams_max: STREAMS_MAX,
    stream_window_bytes: 256 << 10,
    connection_window_bytes: 1 << 20,
};

/// Binds and starts to answer. Must be called within a Tokio runtime.
pub fn start(otlp: Otlp, access: Access, listen: SocketAddr) -> Result<Running, GrpcError> {
    let listening = grpc::listen(listen, "OTLP")?;
    let services = Routes::new(Exports::<Traces>::new(otlp.clone(), access.clone()))
        .add_service(Exports::<Logs>::new(otlp.clone(), access.clone()))
        .add_service(Exports::<Metrics>::new(otlp, access));
    Ok(listening.serve(BOUNDS, services))
}
