//! Requests to addresses that others name: the name is looked up once, every address is checked, one of those is
//! connected to, and no redirect is followed.
//!
//! Blocks: called on a thread that may. **Invariant:** nothing is sent before all addresses were checked.

use super::addresses::Networks;
use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use ureq::Agent;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use url::{Host, Url};

/// A receiver that takes no connection within this is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// All of a request, its answer included: some megabytes over a slow line.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Of an answer, which is only looked at where it says what is wrong.
const ANSWER_BYTES_MAX: u64 = 4096;
const ANSWER_CHARS_SHOWN: usize = 200;
/// The headers of an answer together.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Addresses of one name that are looked at; the client has room for so many.
const ADDRESSES_MAX: usize = 16;
const URL_BYTES_MAX: usize = 2000;
const GONE: u16 = 410;

/// How a name becomes addresses.
pub type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// As the system does it.
pub fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("{0}")]
    Address(&'static str),
    #[error("{host} cannot be found: {source}")]
    Unknown { host: String, source: io::Error },
    #[error(
        "{host} is at {address}, which is {what}: requests go to the public internet only, and to networks that the \
         server's operator names with --outgoing-allow"
    )]
    Refused { host: String, address: IpAddr, what: &'static str },
    #[error("{host} is asked without TLS, which is for networks of --outgoing-allow only: use https://")]
    Plain { host: String },
    #[error(
        "{host} is asked for mail without TLS, which is for networks of --outgoing-allow only: use starttls or tls"
    )]
    PlainMail { host: String },
    #[error("{host} did not take the mail at {step}: {why}")]
    Mail { host: String, step: &'static str, why: String },
    #[error("{host} did not answer: {why}")]
    Silent { host: String, why: String },
    #[error("{host} answered {status}, and redirects are not followed: give the address that it leads to")]
    Redirect { host: String, status: u16 },
    #[error("{host} answered {status}{said}")]
    Status { host: String, status: u16, said: String },
}

impl OutgoingError {
    /// Whether the receiver wants nothing more under this address.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Status { status: GONE, .. })
    }
}

/// An answer that took what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
}

/// What is sent.
pub struct Posted<'a> {
    pub url: &'a Url,
    pub content_type: &'a str,
    pub headers: Vec<(&'static str, String)>,
    pub body: &'a [u8],
}

/// A good address of a receiver, or what is wrong with the text.
pub fn parse_address(text: &str) -> Result<Url, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("the address is longer than 2000 bytes");
    }
    let url = Url::parse(text).map_err(|_| "it is no address like https://example.org/hook")?;
    if !["https", "http"].contains(&url.scheme()) {
        return Err("an address of a webhook begins with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user and no password, everybody who reads documents would see them");
    }
    if url.fragment().is_some() {
        return Err("an address has no part behind #, which is never sent");
    }
    if url.host().is_none() || url.port() == Some(0) { Err("it names no host") } else { Ok(url) }
}

/// How requests leave this server.
#[derive(Clone)]
pub struct Outgoing {
    networks: Networks,
    lookup: Lookup,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({})", self.networks)
    }
}

impl Outgoing {
    /// To the public internet and to these networks.
    pub fn new(networks: Networks, lookup: Lookup) -> Self {
        Self { networks, lookup }
    }

    /// Returns when the receiver has answered 2xx. Whatever else happened, it may have taken it all the same.
    pub fn post(&self, posted: &Posted<'_>) -> Result<Answered, OutgoingError> {
        let host = posted.url.host_str().unwrap_or_default().to_owned();
        let addresses = self.addresses(posted.url)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_global(Some(ANSWER_WITHIN))
            .max_response_header_size(HEAD_BYTES_MAX)
            .user_agent("coulomb")
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Pinned(addresses));
        let mut request = agent.post(posted.url.as_str()).header("Content-Type", posted.content_type);
        for (name, value) in &posted.headers {
            request = request.header(*name, value);
        }
        let silent = |error: ureq::Error| OutgoingError::Silent { host: host.clone(), why: error.to_string() };
        let answer = request.send(posted.body).map_err(silent)?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => Ok(Answered { status }),
            300..=399 => Err(OutgoingError::Redirect { host, status }),
            _ => {
                let mut said = Vec::new();
                // What cannot be read of a refusal does not make it less of one.
                drop(answer.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut said));
                Err(OutgoingError::Status { host, status, said: shown(&said) })
            }
        }
    }

    /// Where the host is, all of it checked.
    fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, OutgoingError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().ok_or(OutgoingError::Address("the address has no port"))?;
        let named = url.host().ok_or(OutgoingError::Address("the address names no host"))?;
        let found = self.checked(&named, port)?;
        if url.scheme() != "https" && !self.are_named(&found) {
            return Err(OutgoingError::Plain { host });
        }
        Ok(found)
    }

    /// Likewise of a host that is no part of a URL, with its name as it is shown.
    pub(super) fn host_addresses(&self, host: &str, port: u16) -> Result<(String, Vec<SocketAddr>), OutgoingError> {
        let host = Host::parse(host).map_err(|_| OutgoingError::Address("it is no name of a host"))?;
        let found = self.checked(&host, port)?;
        Ok((host.to_string(), found))
    }

    /// Whether the server's operator has named the networks of all of them.
    pub(super) fn are_named(&self, addresses: &[SocketAddr]) -> bool {
        addresses.iter().all(|address| self.networks.name(address.ip()))
    }

    fn checked<S: AsRef<str> + fmt::Display>(
        &self,
        host: &Host<S>,
        port: u16,
    ) -> Result<Vec<SocketAddr>, OutgoingError> {
        let unknown = |source| OutgoingError::Unknown { host: host.to_string(), source };
        let mut found = match host {
            // The parser has read every way of writing one, as in 0x7f.1 or 2130706433.
            Host::Ipv4(v4) => vec![SocketAddr::new((*v4).into(), port)],
            Host::Ipv6(v6) => vec![SocketAddr::new((*v6).into(), port)],
            Host::Domain(name) => (self.lookup)(name.as_ref(), port).map_err(unknown)?,
        };
        found.truncate(ADDRESSES_MAX);
        for address in found.iter().map(SocketAddr::ip) {
            if let Some(what) = self.networks.refusal(address) {
                return Err(OutgoingError::Refused { host: host.to_string(), address, what });
            }
        }
        if found.is_empty() { Err(unknown(io::Error::other("it has no address"))) } else { Ok(found) }
    }
}

/// Answers every question with the addresses that were checked.
#[derive(Debug)]
struct Pinned(Vec<SocketAddr>);

impl Resolver for Pinned {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        self.0.iter().take(ADDRESSES_MAX).for_each(|address| addresses.push(*address));
        Ok(addresses)
    }
}

/// The beginning of an answer, in one line.
fn shown(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line: String = line.collect::<Vec<_>>().join(" ").chars().take(ANSWER_CHARS_SHOWN).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
