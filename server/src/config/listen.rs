//! Addresses that the server listens on.

use super::ConfigError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6240);
const FLIGHT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6241);
/// The port that OpenTelemetry's senders know.
const OTLP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);
/// In place of an address and port: nothing listens.
pub(super) const OFF: &str = "off";

/// Where OTLP is taken over gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtlpListen {
    pub address: SocketAddr,
    pub asked: Asked,
}

/// Whether somebody has named an address, who then wants it or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Yes,
    No,
}

/// The address that a setting names, or its default.
fn listen_address(name: &'static str, text: Option<String>, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    let numeric = text.replacen("localhost:", "127.0.0.1:", usize::from(text.starts_with("localhost:")));
    numeric.parse().map_err(|_| ConfigError::Listen { name, text, like: default })
}

/// Where HTTP is answered.
pub(super) fn http_address(text: Option<String>) -> Result<SocketAddr, ConfigError> {
    listen_address("listen", text, LISTEN)
}

/// Where Flight SQL is answered, if it is.
pub(super) fn flight_address(text: Option<String>) -> Result<Option<SocketAddr>, ConfigError> {
    match text {
        Some(text) if text == OFF => Ok(None),
        text => listen_address("flight_listen", text, FLIGHT_LISTEN).map(Some),
    }
}

/// Where OTLP is taken, if it is.
pub(super) fn otlp_address(text: Option<String>) -> Result<Option<OtlpListen>, ConfigError> {
    if text.as_deref() == Some(OFF) {
        return Ok(None);
    }
    let asked = if text.is_some() { Asked::Yes } else { Asked::No };
    Ok(Some(OtlpListen { address: listen_address("otlp_listen", text, OTLP_LISTEN)?, asked }))
}
