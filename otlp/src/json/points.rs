//! Metrics.

use super::lenient::{Become, Float, Int, message};
use super::messages::{KeyValue, Resource, Scope};
use crate::proto::metrics::{self, ExportMetricsServiceRequest, metric, number_data_point};

message!(Metrics => ExportMetricsServiceRequest { resource_metrics: Vec<ResourceMetrics> });
message!(ResourceMetrics => metrics::ResourceMetrics {
    resource: Option<Resource>,
    scope_metrics: Vec<ScopeMetrics>,
});
message!(ScopeMetrics => metrics::ScopeMetrics { scope: Option<Scope>, metrics: Vec<Metric> });
message!(Gauge => metrics::Gauge { data_points: Vec<NumberDataPoint> });
message!(Sum => metrics::Sum {
    data_points: Vec<NumberDataPoint>,
    aggregation_temporality: Int<i32>,
});
message!(Histogram => metrics::Histogram {
    data_points: Vec<HistogramDataPoint>,
    aggregation_temporality: Int<i32>,
});
message!(ExponentialHistogram => metrics::ExponentialHistogram {
    data_points: Vec<ExponentialHistogramDataPoint>,
    aggregation_temporality: Int<i32>,
});
message!(Summary => metrics::Summary { data_points: Vec<SummaryDataPoint> });
message!(HistogramDataPoint => metrics::HistogramDataPoint {
    attributes: Vec<KeyValue>,
    start_time_unix_nano: Int<u64>,
    time_unix_nano: Int<u64>,
    count: Int<u64>,
    sum: Option<Float>,
    bucket_counts: Vec<Int<u64>>,
    explicit_bounds: Vec<Float>,
    flags: Int<u32>,
});
message!(ExponentialHistogramDataPoint => metrics::ExponentialHistogramDataPoint {
    attributes: Vec<KeyValue>,
    start_time_unix_nano: Int<u64>,
    time_unix_nano: Int<u64>,
    count: Int<u64>,
    sum: Option<Float>,
    scale: Int<i32>,
    zero_count: Int<u64>,
    positive: Option<Buckets>,
    negative: Option<Buckets>,
    flags: Int<u32>,
    zero_threshold: Float,
});
message!(Buckets => metrics::Buckets { offset: Int<i32>, bucket_counts: Vec<Int<u64>> });
message!(SummaryDataPoint => metrics::SummaryDataPoint {
    attributes: Vec<KeyValue>,
    start_time_unix_nano: Int<u64>,
    time_unix_nano: Int<u64>,
    count: Int<u64>,
    sum: Float,
    quantile_values: Vec<ValueAtQuantile>,
    flags: Int<u32>,
});
message!(ValueAtQuantile => metrics::ValueAtQuantile { quantile: Float, value: Float });

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metric {
    #[serde(deserialize_with = "super::lenient::nullable")]
    name: String,
    #[serde(deserialize_with = "super::lenient::nullable")]
    unit: String,
    gauge: Option<Gauge>,
    sum: Option<Sum>,
    histogram: Option<Histogram>,
    exponential_histogram: Option<ExponentialHistogram>,
    summary: Option<Summary>,
}

impl Become<metrics::Metric> for Metric {
    fn become_it(self) -> metrics::Metric {
        use metric::Data;
        let data = (self.gauge.map(|data| Data::Gauge(data.become_it())))
            .or(self.sum.map(|data| Data::Sum(data.become_it())))
            .or(self.histogram.map(|data| Data::Histogram(data.become_it())))
            .or(self.exponential_histogram.map(|data| Data::ExponentialHistogram(data.become_it())))
            .or(self.summary.map(|data| Data::Summary(data.become_it())));
        let Self { name, unit, .. } = self;
        metrics::Metric { name, unit, data }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NumberDataPoint {
    #[serde(deserialize_with = "super::lenient::nullable")]
    attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "super::lenient::nullable")]
    start_time_unix_nano: Int<u64>,
    #[serde(deserialize_with = "super::lenient::nullable")]
    time_unix_nano: Int<u64>,
    #[serde(deserialize_with = "super::lenient::nullable")]
    flags: Int<u32>,
    as_double: Option<Float>,
    as_int: Option<Int<i64>>,
}

impl Become<metrics::NumberDataPoint> for NumberDataPoint {
    fn become_it(self) -> metrics::NumberDataPoint {
        use number_data_point::Value;
        let double = self.as_double.map(|Float(value)| Value::AsDouble(value));
        metrics::NumberDataPoint {
            attributes: self.attributes.become_it(),
            start_time_unix_nano: self.start_time_unix_nano.0,
            time_unix_nano: self.time_unix_nano.0,
            flags: self.flags.0,
            value: double.or(self.as_int.map(|Int(value)| Value::AsInt(value))),
        }
    }
}
