//! Why gRPC is not answered.

use crate::error::ErrorKind;
use std::io;
use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    #[error("cannot listen on {address} for {what}: {source}; is another server running there")]
    Listen { address: SocketAddr, what: &'static str, source: io::Error },
}

impl GrpcError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}
