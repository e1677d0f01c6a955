//! One request to a target, within bounds.

use super::Scrape;
use super::page::ScrapeError;
use coulomb_otlp::{Packing, UnpackError, unpack};
use std::time::Duration;

/// A page, packed or not. Those of a node of eight GPUs and of a busy server of models have half a megabyte.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Prometheus' own; a target that needs longer is stuck.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// OpenMetrics says more than the text format: units and when a counter began.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,\
                      application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A page as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub text: String,
    pub is_open_metrics: bool,
}

#[derive(Debug)]
pub(super) struct Fetch {
    agent: ureq::Agent,
    scrape: Scrape,
    timeout: Duration,
}

impl Fetch {
    pub(super) fn new(scrape: Scrape) -> Self {
        let timeout = scrape.interval.min(TIMEOUT_MAX);
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            // Targets are near; a proxy of the environment is for what is far.
            .proxy(None)
            .user_agent(concat!("coulomb-collector/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), scrape, timeout }
    }

    pub(super) fn get(&self) -> Result<Fetched, ScrapeError> {
        let mut request = self
            .agent
            .get(&self.scrape.target.url)
            .header("Accept", ACCEPT)
            .header("Accept-Encoding", "gzip")
            .header("X-Prometheus-Scrape-Timeout-Seconds", self.timeout.as_secs_f64().to_string());
        if let Some(file) = &self.scrape.token_file {
            let token =
                std::fs::read_to_string(file).map_err(|source| ScrapeError::Token { path: file.clone(), source })?;
            request = request.header("Authorization", format!("Bearer {}", token.trim()));
        }
        let failed = |error: ureq::Error| match error {
            ureq::Error::BodyExceedsLimit(_) => ScrapeError::TooLarge(PAGE_BYTES_MAX),
            error => ScrapeError::Request(error.to_string()),
        };
        let mut response = request.call().map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(ScrapeError::Status(status));
        }
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_ascii_lowercase()
        };
        let (kind, packing) = (header("Content-Type"), header("Content-Encoding"));
        let is_open_metrics = kind.starts_with("application/openmetrics-text");
        if !is_open_metrics && !kind.is_empty() && !kind.starts_with("text/plain") {
            return Err(ScrapeError::Type(kind.chars().take(80).collect()));
        }
        let packing = Packing::parse(&packing).filter(|packing| *packing != Packing::Zstd);
        let packing = packing.ok_or(ScrapeError::Packing)?;
        let body = response.body_mut().with_config().limit(PAGE_BYTES_MAX as u64).read_to_vec().map_err(failed)?;
        let unpacked = unpack(packing, &body, PAGE_BYTES_MAX, |_| Ok::<(), ()>(()));
        let page = unpacked.map_err(|error| match error {
            UnpackError::Packed { packing, why } => ScrapeError::Packed { packing, why },
            UnpackError::TooLarge | UnpackError::Memory(()) => ScrapeError::TooLarge(PAGE_BYTES_MAX),
        })?;
        Ok(Fetched { text: String::from_utf8_lossy(&page).into_owned(), is_open_metrics })
    }
}
