//! PromQL over the tables of samples: text in, values at steps out.
//!
//! `text` bounds and parses, `lower` resolves names and times and refuses what is not supported, `load` reads the
//! samples of each selector in one scan, `eval` computes. docs/prometheus.md says what there is. **Invariants:** a
//! query reads one instant's snapshots; what it holds is taken from the engine's memory before it is made; it works on
//! threads of the engine, and stops when its asker has gone.

mod aggregate;
mod binary;
mod budget;
mod catalog;
mod eval;
mod functions;
mod gathered;
mod labels;
mod listing;
mod load;
mod lower;
mod node;
mod selector;
mod series;
mod text;
mod vectors;

pub use catalog::Metadata;
pub use labels::{Labels, NAME};
pub use listing::Between;
pub use series::{Line, Raw, Sample, Steps, number_text};

use super::ask::{Asking, bounded};
use super::yielding::Stop;
use super::{Engine, QueryError};
use budget::Budget;
use eval::{Evaluation, Value};
use lower::Lowering;
use node::{Kind, Node, Range};
use selector::Selector;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most points of one series in a range query, as in Prometheus.
pub const POINTS_MAX: usize = 11_000;

/// What a query gives.
pub enum Outcome {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Line>),
    /// Samples as they were read; of instant queries only.
    Matrix(Vec<Raw>),
}

/// The value below which a share `q` of the observations of a classic histogram is, as `histogram_quantile` has it:
/// `buckets` are upper bounds, the last of them infinite, and how many observations are not above each.
pub fn histogram_quantile(q: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let of = |(bound, count): &(f64, f64)| functions::histogram::Bucket { bound: *bound, count: *count };
    Some(functions::histogram::quantile(q, buckets.iter().map(of).collect())).filter(|value| value.is_finite())
}

/// An answer; its memory counts against the engine's until it is dropped.
pub struct Evaluated {
    pub outcome: Outcome,
    _budget: Arc<Budget>,
}

/// Ends the work when nobody waits for it any more.
struct StopWhenDropped(Arc<Stop>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl Engine {
    /// Evaluates an instant query. Stops after `timeout`, if that is sooner than the engine's own limit.
    pub async fn promql(&self, query: &str, time: i64, timeout: Option<Duration>) -> Result<Evaluated, QueryError> {
        self.promql_at(query, Steps::instant(time), timeout, |_| Ok(())).await
    }

    /// Likewise at each of some steps. Neither a range vector nor a text has values at steps.
    pub async fn promql_range(
        &self,
        query: &str,
        steps: Steps,
        timeout: Option<Duration>,
    ) -> Result<Evaluated, QueryError> {
        self.promql_at(query, steps, timeout, has_steps).await
    }

    async fn promql_at(
        &self,
        query: &str,
        steps: Steps,
        timeout: Option<Duration>,
        check: fn(&Node) -> Result<(), QueryError>,
    ) -> Result<Evaluated, QueryError> {
        let limit = timeout.unwrap_or(Duration::MAX).min(self.inner.settings.timeout);
        let stop = Stop::at(Instant::now() + limit);
        let _left = StopWhenDropped(Arc::clone(&stop));
        let budget = Budget::new(&self.inner.base.runtime_env().memory_pool, stop, limit);
        let (engine, query) = (self.clone(), query.to_owned());
        let work = bounded(self, async move { evaluate(&engine, query, steps, check, budget).await });
        tokio::time::timeout(limit, work).await.unwrap_or(Err(QueryError::Timeout { limit }))
    }

    /// The series that match any of the selectors; of each only the label `only` and the name, if it is given.
    pub async fn promql_series(
        &self,
        selectors: &[String],
        times: Between,
        only: Option<&str>,
    ) -> Result<BTreeSet<Labels>, QueryError> {
        let parsed = selectors.iter().map(|text| Selector::of(&text::parse_selector(text)?));
        let selectors = parsed.collect::<Result<Vec<_>, _>>()?;
        let (asking, only) = (Asking::new(self)?, only.map(str::to_owned));
        bounded(self, async move { listing::series(&asking, &selectors, times, only.as_deref()).await.map_err(ours) })
            .await
    }

    /// The names of all labels.
    pub async fn promql_label_names(&self, times: Between) -> Result<BTreeSet<String>, QueryError> {
        let asking = Asking::new(self)?;
        bounded(self, async move { listing::label_names(&asking, times).await.map_err(ours) }).await
    }

    /// The values of one label; of [`NAME`] the names of the metrics.
    pub async fn promql_label_values(&self, label: &str, times: Between) -> Result<BTreeSet<String>, QueryError> {
        let (asking, label) = (Asking::new(self)?, label.to_owned());
        bounded(self, async move {
            match label == NAME {
                true => listing::metric_names(&asking, times).await.map_err(ours),
                false => listing::label_values(&asking, &label, times).await.map_err(ours),
            }
        })
        .await
    }

    /// Every metric that a table can have.
    pub fn promql_metadata(&self) -> Vec<Metadata> {
        catalog::metadata()
    }
}

/// Runs what may take long on a thread of its own, where it does not hold up other queries.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| QueryError::Internal(format!("an evaluation stopped: {e}")))?
}

/// SQL that is wrong is ours here, not the asker's.
fn ours(error: QueryError) -> QueryError {
    match error {
        QueryError::Invalid(reason) => QueryError::Internal(reason),
        error => error,
    }
}

async fn evaluate(
    engine: &Engine,
    query: String,
    steps: Steps,
    check: fn(&Node) -> Result<(), QueryError>,
    budget: Budget,
) -> Result<Evaluated, QueryError> {
    let (node, requests) = aside(move || {
        let mut lowering = Lowering::new(steps);
        let node = lowering.node(&text::parse(&query)?, steps)?;
        check(&node)?;
        Ok((node, lowering.requests))
    })
    .await?;
    let budget = Arc::new(budget);
    let asking = Asking::new(engine)?;
    let mut sources = Vec::with_capacity(requests.len());
    for request in &requests {
        sources.push(load::load(&asking, request, &budget).await.map_err(ours)?);
    }
    aside(move || {
        let evaluation = Evaluation { sources: &sources, budget: &budget };
        let outcome = match &node {
            Node::Range(range) => Outcome::Matrix(matrix(&evaluation, range, steps)?),
            node => match evaluation.value(node, steps)? {
                Value::Scalar(values) => Outcome::Scalar(values),
                Value::Text(text) => Outcome::Text(text),
                Value::Vector(lines) => Outcome::Vector(lines),
            },
        };
        Ok(Evaluated { outcome, _budget: budget })
    })
    .await
}

fn has_steps(node: &Node) -> Result<(), QueryError> {
    let what = match node.kind() {
        Kind::Range => "range vector",
        Kind::Text => "string",
        Kind::Scalar | Kind::Vector => return Ok(()),
    };
    Err(QueryError::Invalid(format!(
        "invalid expression type {what:?} for range query, must be Scalar or instant Vector"
    )))
}

fn matrix(evaluation: &Evaluation, range: &Range, steps: Steps) -> Result<Vec<Raw>, QueryError> {
    let series = evaluation.samples(range)?;
    let cut = series.iter().map(|raw| {
        let samples = raw.windows(steps, range.when, range.length).next().unwrap_or_default();
        Raw { labels: raw.labels.clone(), samples: samples.to_vec() }
    });
    Ok(cut.filter(|raw| !raw.samples.is_empty()).collect())
}

#[cfg(test)]
mod tests;
