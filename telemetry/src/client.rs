//! The requests of the exporters, by the HTTP client that the programs have.
//!
//! Blocks: the exporters have threads of their own. **Invariant:** a receiver that does not take what it is sent is
//! told of once, until it does again.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connecting takes longer than this only when nothing answers.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of a request with its answer; the specification's own limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An answer says which records were not taken.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    what: &'static str,
    is_down: AtomicBool,
}

impl Client {
    pub(crate) fn new(what: &'static str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self { agent: config.into(), what, is_down: AtomicBool::new(false) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, mut body) = self.agent.run(request.map(|body| body.to_vec()))?.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let to = request.uri().to_string();
        let answer = self.send(request);
        let why = match &answer {
            Err(error) => Some(error.to_string()),
            Ok(answer) if !answer.status().is_success() => Some(format!("it answered {}", answer.status())),
            Ok(_) => None,
        };
        let was_down = self.is_down.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !was_down => tracing::warn!(to, why, "{} of this program are not exported", self.what),
            None if was_down => tracing::info!(to, "{} of this program are exported again", self.what),
            _ => {}
        }
        Ok(answer?)
    }
}
