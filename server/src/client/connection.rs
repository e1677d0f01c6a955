//! HTTP to the server, with the token. Blocking: a command does one thing at a time.

use super::ClientError;
use crate::config::ClientFlags;
use contract::answers::{ErrorAnswer, IngestAnswer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::Body;
use ureq::http::Response;

/// A server that does not take a connection within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the longest query that a server allows by default, so that its own refusal is what is shown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Answers that are parsed whole; rows are streamed and have no bound here.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Requests that are turned away while the server is full are repeated this often, a second apart or as told.
const INGEST_TRIES: u32 = 60;
/// A server that names a longer pause is down rather than full.
const RETRY_AFTER_SECONDS_MAX: u64 = 30;

/// Where a server on this machine leaves its first token, within its data directory.
const ADMIN_TOKEN_FILE: &str = "admin.token";

pub(super) struct Connection {
    agent: ureq::Agent,
    server: String,
    token: String,
}

impl Connection {
    pub(super) fn open(flags: &ClientFlags) -> Result<Self, ClientError> {
        // A password would stand before the last @.
        let shown = flags.server.rsplit('@').next().unwrap_or_default();
        let bad = |why: &str| ClientError::Argument { what: "server", text: shown.to_owned(), why: why.to_owned() };
        let url = url::Url::parse(&flags.server).map_err(|e| bad(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("give an address like http://127.0.0.1:6240"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let (text, why) =
                ("with a user or a password".to_owned(), "the token says who asks; leave them out".to_owned());
            return Err(ClientError::Argument { what: "server", text, why });
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .max_redirects(0);
        if is_this_machine(&url) {
            // A proxy would be sent the token, and could not come back to us.
            config = config.proxy(None);
        }
        let config = config.build();
        let server = flags.server.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.new_agent(), server, token: read_token(flags)? })
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.agent.get(self.address(path)).header("Authorization", self.bearer());
        self.parsed(path, request.call())
    }

    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.parsed(path, self.send_json(path, "application/json", body))
    }

    /// Sends a text in the place of what is there.
    pub(super) fn put_text<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T, ClientError> {
        let request = self.agent.put(self.address(path)).header("Authorization", self.bearer());
        self.parsed(path, request.header("Content-Type", "text/plain; charset=utf-8").send(text))
    }

    /// Sends a file in the place of what is there.
    pub(super) fn put_file<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &str,
        file: &mut std::fs::File,
    ) -> Result<T, ClientError> {
        let request = self.agent.put(self.address(path)).header("Authorization", self.bearer());
        self.parsed(path, request.header("Content-Type", content_type).send(&*file))
    }

    pub(super) fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.agent.get(self.address(path)).header("Authorization", self.bearer());
        let read = self.checked(request.call())?.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        read.map_err(|e| ClientError::Answer { path: path.to_owned(), why: e.to_string() })
    }

    /// Hands out the answer's body as it arrives.
    pub(super) fn get_streaming(&self, path: &str) -> Result<ureq::BodyReader<'static>, ClientError> {
        let response =
            self.checked(self.agent.get(self.address(path)).header("Authorization", self.bearer()).call())?;
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    /// Posts where nothing is answered.
    pub(super) fn post_unanswered(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        self.checked(self.send_json(path, "application/json", body)).map(drop)
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), ClientError> {
        let request = self.agent.delete(self.address(path)).header("Authorization", self.bearer());
        self.checked(request.call()).map(drop)
    }

    /// Posts and hands out the answer's body as it arrives.
    pub(super) fn post_streaming(
        &self,
        path: &str,
        accept: &str,
        body: &impl Serialize,
    ) -> Result<ureq::BodyReader<'static>, ClientError> {
        let response = self.checked(self.send_json(path, accept, body))?;
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    /// Likewise, with what a header says.
    pub(super) fn post_noting(
        &self,
        path: &str,
        accept: &str,
        body: &impl Serialize,
        header: &str,
    ) -> Result<(ureq::BodyReader<'static>, Option<String>), ClientError> {
        let response = self.checked(self.send_json(path, accept, body))?;
        let note = response.headers().get(header).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok((response.into_body().into_with_config().limit(u64::MAX).reader(), note))
    }

    /// Posts nothing and hands out the answer's body as it arrives, with a number that a header names.
    pub(super) fn post_empty(
        &self,
        path: &str,
        header: &str,
    ) -> Result<(ureq::BodyReader<'static>, Option<u64>), ClientError> {
        let request = self.agent.post(self.address(path)).header("Authorization", self.bearer());
        let response = self.checked(request.send_empty())?;
        let number = response.headers().get(header).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        Ok((response.into_body().into_with_config().limit(u64::MAX).reader(), number))
    }

    /// Posts an Arrow stream to a table; a full server is asked again, which the sequence makes harmless.
    #[allow(clippy::disallowed_methods)] // the wait between tries is the outermost loop of a command
    pub(super) fn ingest(
        &self,
        table: &str,
        writer: &str,
        sequence: u64,
        body: &[u8],
    ) -> Result<IngestAnswer, ClientError> {
        let path = format!("/v1/ingest/{table}");
        for attempt in 1.. {
            let request = self
                .agent
                .post(self.address(&path))
                .header("Authorization", self.bearer())
                .header("Content-Type", contract::ARROW_STREAM_MIME)
                .header(contract::WRITER_HEADER, writer)
                .header(contract::SEQUENCE_HEADER, sequence.to_string());
            let answer = request.send(body);
            let full = answer.as_ref().ok().filter(|r| matches!(r.status().as_u16(), 429 | 503)).map(pause_seconds);
            match full {
                Some(seconds) if attempt < INGEST_TRIES => std::thread::sleep(Duration::from_secs(seconds)),
                _ => return self.parsed(&path, answer),
            }
        }
        unreachable!("the loop returns at the last try")
    }

    fn send_json(&self, path: &str, accept: &str, body: &impl Serialize) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.post(self.address(path)).header("Authorization", self.bearer());
        let text = serde_json::to_string(body).map_err(|e| ureq::Error::Other(Box::new(e)))?;
        request.header("Content-Type", "application/json").header("Accept", accept).send(text)
    }

    fn parsed<T: DeserializeOwned>(
        &self,
        path: &str,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, ClientError> {
        let mut response = self.checked(response)?;
        let bad = |why: String| ClientError::Answer { path: path.to_owned(), why };
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = read.map_err(|e| bad(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| bad(e.to_string()))
    }

    fn checked(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { server: self.server.clone(), why };
        let mut response = response.map_err(|e| unreachable(e.to_string()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = read.map_err(|e| unreachable(e.to_string()))?;
        let (kind, message, known) = match serde_json::from_str::<ErrorAnswer>(&text) {
            Ok(answer) => (answer.error.kind, answer.error.message, answer.error.known),
            Err(_) => (String::new(), format!("{} does not answer as a Coulomb server does", self.server), Vec::new()),
        };
        Err(ClientError::Refused { status: status.as_u16(), kind, message, known })
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn pause_seconds(response: &Response<Body>) -> u64 {
    let told = response.headers().get("Retry-After").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    told.unwrap_or(1).clamp(1, RETRY_AFTER_SECONDS_MAX)
}

fn is_this_machine(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn read_token(flags: &ClientFlags) -> Result<String, ClientError> {
    let path = match (&flags.token_file, flags.token.text()) {
        (Some(path), _) => path.clone(),
        (None, Some(token)) => return Ok(token.trim().to_owned()),
        (None, None) => flags.data.join(ADMIN_TOKEN_FILE),
    };
    let wrong = |why: String| ClientError::TokenFile { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        [token] => Ok(token.to_owned()),
        [] => Err(wrong("it is empty".to_owned())),
        _ => Err(wrong("it holds more than one word; a token is one".to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        client: ClientFlags,
    }

    fn flags(server: &str, token_file: &std::path::Path) -> ClientFlags {
        let words = ["coulomb", "--server", server, "--token-file"].map(std::ffi::OsString::from);
        Flags::parse_from(words.into_iter().chain([token_file.into()])).client
    }

    #[test]
    fn a_token_file_holds_one_token() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_token(&flags("http://127.0.0.1:1", &file)).map_err(|e| e.to_string())
        };
        assert_eq!(read(" abc\n"), Ok("abc".to_owned()));
        assert!(read(" \n").unwrap_err().contains("is empty"));
        assert!(read("abc\ndef\n").unwrap_err().contains("more than one word"));
    }

    #[test]
    fn this_machine_needs_no_proxy_and_others_may() {
        let here = |text: &str| is_this_machine(&url::Url::parse(text).unwrap());
        for text in ["http://127.0.0.1:6240", "http://127.3.2.1", "http://[::1]:6240/", "http://LOCALHOST:1"] {
            assert!(here(text), "{text}");
        }
        for text in ["http://10.0.0.1", "https://localhost.example.com", "http://[2001:db8::1]"] {
            assert!(!here(text), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "t").unwrap();
        for (address, word) in [("http://ann:secret@127.0.0.1:1", "password"), ("http://ann:secret@[::1", "server")] {
            let error = Connection::open(&flags(address, &file)).err().unwrap().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{error}");
        }
    }
}
