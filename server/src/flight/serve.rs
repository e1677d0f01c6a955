//! What of Flight SQL is allowed at once.

use super::admit::Admitted;
use super::service::Service;
use crate::access::Access;
use crate::grpc::{self, Bounds, GrpcError, Running};
use crate::query::Engine;
use arrow_flight::flight_service_server::FlightServiceServer;
use std::net::SocketAddr;
use tonic::service::Routes;

/// A message from a client: a handle within a command, or the info of an answer that is to be cancelled.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// People and tools that ask at once, each with one or two connections.
const CONNECTIONS_MAX: usize = 256;
/// Calls of one connection at once.
const STREAMS_MAX: u32 = 32;
const BOUNDS: Bounds = Bounds {
    connections_max: CONNECTIONS_MAX,
    streams_max: STREAMS_MAX,
    stream_window_bytes: 64 << 10,
    connection_window_bytes: 1 << 20,
};

/// Binds and starts to answer, with services of other rooms beside its own. Must be called within a Tokio runtime.
pub fn start(engine: Engine, access: Access, listen: SocketAddr, beside: Routes) -> Result<Running, GrpcError> {
    let listening = grpc::listen(listen, "Flight SQL")?;
    let service = FlightServiceServer::new(Service::new(engine)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok(listening.serve(BOUNDS, beside.add_service(Admitted::new(service, access))))
}
