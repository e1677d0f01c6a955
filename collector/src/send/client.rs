//! One ingest request and the meaning of its answer.

use contract::answers::{ErrorAnswer, IngestAnswer};
use std::path::PathBuf;
use std::time::Duration;
use tracing::Span;

/// Connecting takes longer than this only when nothing answers.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A server under load groups its syncs; beyond this it is stuck and the frame is sent again.
const REQUEST_SECONDS_MAX: Duration = Duration::from_secs(60);
/// An answer lists rejected rows; more than this is not an answer of ours.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest `Retry-After` that is honoured, so that a wrong header cannot silence a node for a day.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    /// `http://host:port`, without a path behind it.
    pub server: String,
    pub token: Option<TokenSource>,
}

/// Where the bearer token comes from.
#[derive(Clone)]
pub(crate) enum TokenSource {
    Text(String),
    /// Read for each request, so that a renewed token needs no restart.
    File(PathBuf),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// The server will never take these bytes.
    #[error("the server refused the batch with status {status}: {message}")]
    Refused { status: u16, message: String },
    /// Anything that may pass; `denied` when the token is the reason.
    #[error("{message}")]
    Retry { message: String, after: Option<Duration>, denied: bool },
}

#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    settings: ClientSettings,
}

impl Client {
    pub(crate) fn new(settings: ClientSettings) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_SECONDS_MAX))
            .timeout_global(Some(REQUEST_SECONDS_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("coulomb-collector/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), settings }
    }

    fn authorization(&self) -> Result<Option<String>, PostError> {
        let token = match &self.settings.token {
            None => return Ok(None),
            Some(TokenSource::Text(token)) => token.clone(),
            Some(TokenSource::File(path)) => std::fs::read_to_string(path).map_err(|error| PostError::Retry {
                message: format!("the token file {path:?} cannot be read: {error}"),
                after: None,
                denied: true,
            })?,
        };
        Ok(Some(format!("Bearer {}", token.trim())))
    }

    /// Sends one frame; `Ok` only when the server says that it has it.
    pub(crate) fn post(
        &self,
        table: &str,
        writer: &str,
        sequence: u64,
        payload: &[u8],
    ) -> Result<IngestAnswer, PostError> {
        let url = format!("{}/v1/ingest/{table}", self.settings.server);
        let mut request = self
            .agent
            .post(&url)
            .header("Content-Type", contract::ARROW_STREAM_MIME)
            .header(contract::WRITER_HEADER, writer)
            .header(contract::SEQUENCE_HEADER, sequence.to_string());
        if let Some(authorization) = self.authorization()? {
            request = request.header("Authorization", authorization);
        }
        if let Some(trace) = coulomb_telemetry::traceparent(&Span::current()) {
            request = request.header("traceparent", trace);
        }
        let failed = |error: ureq::Error| retry(format!("{url}: {error}"));
        let mut response = request.send(payload).map_err(failed)?;
        let status = response.status().as_u16();
        let after = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()).and_then(retry_after);
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(failed)?;
        match status {
            200 => serde_json::from_str(&body).map_err(|error| {
                retry(format!("{url} answered 200 with something else than an ingest answer: {error}"))
            }),
            400 | 413 | 415 | 422 => Err(PostError::Refused { status, message: message_of(&body) }),
            401 | 403 => {
                let message = format!("{url} refuses the token with status {status}: {}", message_of(&body));
                Err(PostError::Retry { message, after, denied: true })
            }
            _ => {
                let message = format!("{url} answered {status}: {}", message_of(&body));
                Err(PostError::Retry { message, after, denied: false })
            }
        }
    }

    /// The server's address, for messages.
    pub(crate) fn server(&self) -> &str {
        &self.settings.server
    }
}

fn retry(message: String) -> PostError {
    PostError::Retry { message, after: None, denied: false }
}

fn retry_after(text: &str) -> Option<Duration> {
    // A date is allowed too, but our server sends seconds; without it the own backoff holds.
    text.trim().parse().ok().map(Duration::from_secs)
}

fn message_of(body: &str) -> String {
    /// Enough to see what the server means.
    const CHARS_MAX: usize = 300;
    match serde_json::from_str::<ErrorAnswer>(body) {
        Ok(answer) => answer.error.message,
        Err(_) => body.chars().take(CHARS_MAX).collect(), // not our error shape: show what it is
    }
}
