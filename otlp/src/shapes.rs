//! What the messages of OTLP consist of, as far as it takes memory: which field holds which message.
//!
//! **Invariant:** every message that may be repeated is here; what is not here is counted by its bytes.

use crate::json::sizes;
use crate::proto::attribute::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource};
use crate::proto::logs::{LogRecord, ResourceLogs, ScopeLogs};
use crate::proto::metrics::{
    Buckets, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, ValueAtQuantile,
};
use crate::proto::trace::{Event, Link, ResourceSpans, ScopeSpans, Span, Status};

/// A message.
pub(crate) struct Shape {
    /// Of one of them in memory, without what it points to.
    pub bytes: usize,
    /// Of one of them on its way from JSON, likewise.
    pub json_bytes: usize,
    pub fields: &'static [Field],
}

/// A field that holds more than a number or a text.
pub(crate) struct Field {
    pub number: u32,
    pub name: &'static str,
    pub holds: Holds,
}

pub(crate) enum Holds {
    Message(&'static Shape),
    /// Packed numbers that may take a byte each and become eight.
    Varints,
}

const fn message(number: u32, name: &'static str, shape: &'static Shape) -> Field {
    Field { number, name, holds: Holds::Message(shape) }
}

macro_rules! shape {
    ($name:ident, $type:ty, $json:expr, [$($field:expr),* $(,)?]) => {
        static $name: Shape = Shape { bytes: size_of::<$type>(), json_bytes: $json, fields: &[$($field),*] };
    };
}

pub(crate) static TRACES: Shape =
    Shape { bytes: 0, json_bytes: 0, fields: &[message(1, "resourceSpans", &RESOURCE_SPANS)] };
pub(crate) static LOGS: Shape =
    Shape { bytes: 0, json_bytes: 0, fields: &[message(1, "resourceLogs", &RESOURCE_LOGS)] };
pub(crate) static METRICS: Shape =
    Shape { bytes: 0, json_bytes: 0, fields: &[message(1, "resourceMetrics", &RESOURCE_METRICS)] };

shape!(
    RESOURCE_SPANS,
    ResourceSpans,
    sizes::GROUP,
    [message(1, "resource", &RESOURCE), message(2, "scopeSpans", &SCOPE_SPANS),]
);
shape!(SCOPE_SPANS, ScopeSpans, sizes::GROUP, [message(1, "scope", &SCOPE), message(2, "spans", &SPAN)]);
shape!(
    SPAN,
    Span,
    sizes::SPAN,
    [
        message(9, "attributes", &KEY_VALUE),
        message(11, "events", &EVENT),
        message(13, "links", &LINK),
        message(15, "status", &STATUS),
    ]
);
shape!(EVENT, Event, sizes::EVENT, [message(3, "attributes", &KEY_VALUE)]);
shape!(LINK, Link, sizes::EVENT, [message(4, "attributes", &KEY_VALUE)]);
shape!(STATUS, Status, 0, []);

shape!(
    RESOURCE_LOGS,
    ResourceLogs,
    sizes::GROUP,
    [message(1, "resource", &RESOURCE), message(2, "scopeLogs", &SCOPE_LOGS),]
);
shape!(SCOPE_LOGS, ScopeLogs, sizes::GROUP, [message(1, "scope", &SCOPE), message(2, "logRecords", &LOG_RECORD)]);
shape!(
    LOG_RECORD,
    LogRecord,
    sizes::LOG_RECORD,
    [message(5, "body", &ANY_VALUE), message(6, "attributes", &KEY_VALUE),]
);

shape!(
    RESOURCE_METRICS,
    ResourceMetrics,
    sizes::GROUP,
    [message(1, "resource", &RESOURCE), message(2, "scopeMetrics", &SCOPE_METRICS),]
);
shape!(SCOPE_METRICS, ScopeMetrics, sizes::GROUP, [message(1, "scope", &SCOPE), message(2, "metrics", &METRIC)]);
shape!(
    METRIC,
    Metric,
    sizes::METRIC,
    [
        message(5, "gauge", &GAUGE),
        message(7, "sum", &SUM),
        message(9, "histogram", &HISTOGRAM),
        message(10, "exponentialHistogram", &EXPONENTIAL_HISTOGRAM),
        message(11, "summary", &SUMMARY),
    ]
);
shape!(GAUGE, Gauge, 0, [message(1, "dataPoints", &NUMBER_POINT)]);
shape!(SUM, Sum, 0, [message(1, "dataPoints", &NUMBER_POINT)]);
shape!(HISTOGRAM, Histogram, 0, [message(1, "dataPoints", &HISTOGRAM_POINT)]);
shape!(EXPONENTIAL_HISTOGRAM, ExponentialHistogram, 0, [message(1, "dataPoints", &EXPONENTIAL_POINT)]);
shape!(SUMMARY, Summary, 0, [message(1, "dataPoints", &SUMMARY_POINT)]);
shape!(NUMBER_POINT, NumberDataPoint, sizes::POINT, [message(7, "attributes", &KEY_VALUE)]);
shape!(HISTOGRAM_POINT, HistogramDataPoint, sizes::POINT, [message(9, "attributes", &KEY_VALUE)]);
shape!(
    EXPONENTIAL_POINT,
    ExponentialHistogramDataPoint,
    sizes::POINT,
    [message(1, "attributes", &KEY_VALUE), message(8, "positive", &BUCKETS), message(9, "negative", &BUCKETS),]
);
shape!(BUCKETS, Buckets, 0, [Field { number: 2, name: "bucketCounts", holds: Holds::Varints }]);
shape!(
    SUMMARY_POINT,
    SummaryDataPoint,
    sizes::POINT,
    [message(6, "quantileValues", &QUANTILE), message(7, "attributes", &KEY_VALUE),]
);
shape!(QUANTILE, ValueAtQuantile, sizes::QUANTILE, []);

shape!(RESOURCE, Resource, 0, [message(1, "attributes", &KEY_VALUE)]);
shape!(SCOPE, InstrumentationScope, 0, []);
shape!(KEY_VALUE, KeyValue, sizes::KEY_VALUE, [message(2, "value", &ANY_VALUE)]);
shape!(ANY_VALUE, AnyValue, 0, [message(5, "arrayValue", &ARRAY), message(6, "kvlistValue", &KEY_VALUES)]);
shape!(ARRAY, ArrayValue, 0, [message(1, "values", &ELEMENT)]);
shape!(
    ELEMENT,
    AnyValue,
    sizes::ANY_VALUE,
    [message(5, "arrayValue", &ARRAY), message(6, "kvlistValue", &KEY_VALUES),]
);
shape!(KEY_VALUES, KeyValueList, 0, [message(1, "values", &KEY_VALUE)]);
