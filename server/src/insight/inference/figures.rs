//! How requests went: numbers, tokens and how long they took.

/// The values below which a half, nine tenths and so on of the requests lie, linear between neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

/// Where figures come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    Requests,
    /// Histograms and counters of engines; quantiles lie within a bucket.
    Engine,
    #[default]
    Nothing,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Engine => "engine",
            Self::Nothing => "nothing",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub source: Source,
    pub requests: u64,
    pub failed: u64,
    /// From the first request to the last; none of fewer than two.
    pub requests_per_second: Option<f64>,
    pub input_tokens: u64,
    /// None where no request says.
    pub cached_tokens: Option<u64>,
    pub output_tokens: u64,
    /// Generated, from the first request to the last.
    pub tokens_per_second: Option<f64>,
    /// Seconds, of requests that did not fail.
    pub first_token: Quantiles,
    pub per_token: Quantiles,
    pub queue: Quantiles,
    pub duration: Quantiles,
    /// Tokens.
    pub input_length: Quantiles,
    pub output_length: Quantiles,
}

/// A model and its requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    pub model: String,
    pub figures: Figures,
}

/// What a service did in a step of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Step {
    pub time_micros: i64,
    pub requests: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub first_token_p50: Option<f64>,
    pub first_token_p95: Option<f64>,
    pub per_token_p50: Option<f64>,
    pub per_token_p95: Option<f64>,
    pub queue_p95: Option<f64>,
}
