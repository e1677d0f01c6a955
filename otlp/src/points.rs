//! A point as rows.

use crate::columns::Columns;
use crate::histogram::Buckets;
use crate::instant::Instant;
use crate::origin::Origin;
use crate::proto::attribute::KeyValue;
use crate::proto::metrics::Metric;
use crate::value;

/// The attribute that tells rows of a summary's quantiles apart, as in Prometheus.
const QUANTILE: &str = "quantile";

pub(crate) struct Point<'a> {
    pub time_unix_nano: u64,
    pub start_time_unix_nano: u64,
    pub attributes: &'a [KeyValue],
    pub value: Value,
}

pub(crate) enum Value {
    /// None where the sender says that there is none.
    Number(Option<f64>),
    Histogram {
        count: i64,
        sum: Option<f64>,
        buckets: Option<Buckets>,
    },
    /// Quantiles from 0 to 1 with their values.
    Summary {
        count: i64,
        sum: Option<f64>,
        quantiles: Vec<(f64, f64)>,
    },
}

/// One row; of a summary one more for each quantile.
pub(crate) fn rows(
    columns: &mut Columns,
    origin: &Origin<'_>,
    named: (&Metric, &str),
    point: &Point<'_>,
    time: Instant,
) {
    let started = Instant::of(point.start_time_unix_nano).map(|at| at.micros);
    let base = Base { origin, named, attributes: point.attributes, time, started };
    match &point.value {
        Value::Number(value) => base.row(columns, *value, (None, None), None, None),
        Value::Histogram { count, sum, buckets } => {
            base.row(columns, None, (Some(*count), *sum), buckets.as_ref(), None);
        }
        Value::Summary { count, sum, quantiles } => {
            base.row(columns, None, (Some(*count), *sum), None, None);
            for (quantile, value) in quantiles {
                base.row(columns, Some(*value), (None, None), None, Some(quantile.to_string()));
            }
        }
    }
}

/// What the rows of a point have in common.
struct Base<'a> {
    origin: &'a Origin<'a>,
    named: (&'a Metric, &'a str),
    attributes: &'a [KeyValue],
    time: Instant,
    started: Option<i64>,
}

impl Base<'_> {
    fn row(
        &self,
        columns: &mut Columns,
        value: Option<f64>,
        (count, sum): (Option<i64>, Option<f64>),
        buckets: Option<&Buckets>,
        quantile: Option<String>,
    ) {
        let (metric, kind) = self.named;
        let lifted = self.origin.lifted(self.attributes);
        columns
            .time("time", self.time.micros)
            .time("started_at", self.started)
            .text("name", metric.name.as_str())
            .text("unit", metric.unit.as_str())
            .text("kind", kind)
            .float("value", value)
            .int("histogram_count", count)
            .float("histogram_sum", sum)
            .floats("histogram_bounds", buckets.map(|buckets| buckets.bounds.as_slice()))
            .ints("histogram_counts", buckets.map(|buckets| buckets.counts.as_slice()))
            .text("cluster", lifted.cluster.as_deref())
            .text("node", lifted.node.as_deref())
            .text("service", self.origin.service.as_deref())
            .text("job_id", lifted.job_id.as_deref());
        let own = value::texts(self.attributes);
        columns.map("attributes", self.all(&own, quantile.as_deref())).end_row();
    }

    /// The attributes of the point, and those of its resource that it does not have itself: two processes of one
    /// service are told apart by them.
    fn all<'b>(
        &'b self,
        own: &'b [(&'b str, Option<String>)],
        quantile: Option<&'b str>,
    ) -> Vec<(&'b str, Option<&'b str>)> {
        let mut all: Vec<_> = own.iter().map(|(key, text)| (*key, text.as_deref())).collect();
        let is_own = |key: &str| own.binary_search_by(|(name, _)| (*name).cmp(key)).is_ok();
        let shared = self.origin.texts.iter().filter(|(key, _)| !is_own(key));
        all.extend(shared.map(|(key, text)| (*key, text.as_deref())));
        if let Some(quantile) = quantile {
            all.retain(|(key, _)| *key != QUANTILE);
            all.push((QUANTILE, Some(quantile)));
        }
        all.sort_by_key(|(key, _)| *key);
        all
    }
}
