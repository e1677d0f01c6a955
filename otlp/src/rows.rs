//! Rows of a message, with what is not kept.

use crate::bounds::MEMORY_BYTES_MAX;
use crate::decode::Message;
use crate::error::OtlpError;
use crate::proto::attribute::{InstrumentationScope, KeyValue, Resource};
use crate::proto::metrics::Metric;
use crate::proto::metrics::metric::Data;
use crate::rejected::Rejected;
use crate::{logs, metrics, spans, value};
use arrow::array::RecordBatch;
use contract::Table;
use prost::Message as _;

/// What becomes of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Records that have a row.
    pub kept: u64,
    pub rejected: Rejected,
    /// Rows of tables, in [`contract::schema`]; tables without rows are left out. A span that is an inference request
    /// has a row in each of both tables, and a quantile of a summary one of its own.
    pub tables: Vec<(&'static Table, RecordBatch)>,
}

/// The columns of a row beside texts.
const ROW_BYTES: u64 = 256;
/// A bucket of one byte becomes a bound and a count, in vectors that grow, and again in builders.
const BUCKET_BYTES: u64 = 64;
/// Texts are copied, and JSON may need an escape of six bytes for one; builders grow by doubling.
const TEXT_GROWTH: u64 = 3;

pub(crate) fn rows(message: &Message, now_micros: i64) -> Rows {
    match message {
        Message::Traces(request) => spans::rows(request, now_micros),
        Message::Logs(request) => logs::rows(request, now_micros),
        Message::Metrics(request) => metrics::rows(request, now_micros),
    }
}

pub(crate) fn records(message: &Message) -> u64 {
    let all: usize = match message {
        Message::Traces(request) => {
            let scopes = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum()
        }
        Message::Logs(request) => {
            let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
            scopes.map(|scope| scope.log_records.len()).sum()
        }
        Message::Metrics(request) => {
            let scopes = request.resource_metrics.iter().flat_map(|group| &group.scope_metrics);
            scopes.flat_map(|scope| &scope.metrics).map(points).sum()
        }
    };
    all as u64
}

pub(crate) fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}

/// About what rows take: each has the texts of its resource and scope, and what it was sent with.
pub(crate) fn bytes(message: &Message) -> Result<u64, OtlpError> {
    let mut sum = Sum::default();
    let sent = match message {
        Message::Traces(request) => {
            for group in &request.resource_spans {
                let resource = texts_bytes(group.resource.as_ref());
                for scope in &group.scope_spans {
                    sum.add(resource + name_bytes(scope.scope.as_ref()), scope.spans.len());
                }
            }
            request.encoded_len()
        }
        Message::Logs(request) => {
            for group in &request.resource_logs {
                let resource = texts_bytes(group.resource.as_ref());
                for scope in &group.scope_logs {
                    sum.add(resource + name_bytes(scope.scope.as_ref()), scope.log_records.len());
                }
            }
            request.encoded_len()
        }
        Message::Metrics(request) => {
            for group in &request.resource_metrics {
                let resource = texts_bytes(group.resource.as_ref());
                for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                    let each = resource + metric.name.len() + metric.unit.len();
                    sum.add(each, points(metric));
                    add_inner(&mut sum, metric, each);
                }
            }
            request.encoded_len()
        }
    };
    let bytes = sum.bytes.saturating_add(sent as u64 * TEXT_GROWTH);
    if bytes > MEMORY_BYTES_MAX { Err(OtlpError::TooLarge("in rows")) } else { Ok(bytes) }
}

/// What points become that is more than a row.
fn add_inner(sum: &mut Sum, metric: &Metric, each: usize) {
    match &metric.data {
        Some(Data::Summary(data)) => {
            for point in &data.data_points {
                let own: usize = point.attributes.iter().map(KeyValue::encoded_len).sum();
                sum.add(each + own, point.quantile_values.len());
            }
        }
        Some(Data::ExponentialHistogram(data)) => {
            let sides = data.data_points.iter().flat_map(|point| [&point.positive, &point.negative]).flatten();
            let buckets: usize = sides.map(|side| side.bucket_counts.len()).sum();
            sum.bytes = sum.bytes.saturating_add((buckets as u64).saturating_mul(BUCKET_BYTES));
        }
        _ => {}
    }
}

#[derive(Default)]
struct Sum {
    bytes: u64,
}

impl Sum {
    fn add(&mut self, texts: usize, rows: usize) {
        self.bytes = self.bytes.saturating_add((ROW_BYTES + texts as u64).saturating_mul(rows as u64));
    }
}

/// Of a resource's attributes; some of them become columns, too.
fn texts_bytes(resource: Option<&Resource>) -> usize {
    let texts = resource.map_or_else(Vec::new, |resource| value::texts(&resource.attributes));
    2 * texts.iter().map(|(key, text)| key.len() + text.as_ref().map_or(0, String::len)).sum::<usize>()
}

fn name_bytes(scope: Option<&InstrumentationScope>) -> usize {
    scope.map_or(0, |scope| scope.name.len())
}
