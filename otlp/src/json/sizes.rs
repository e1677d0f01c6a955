//! What the messages take on their way from JSON, for those that may be many.

use super::{messages, points};

pub(crate) const GROUP: usize = size_of::<messages::ResourceSpans>();
pub(crate) const SPAN: usize = size_of::<messages::Span>();
pub(crate) const EVENT: usize = size_of::<messages::Link>();
pub(crate) const LOG_RECORD: usize = size_of::<messages::LogRecord>();
pub(crate) const METRIC: usize = size_of::<points::Metric>();
pub(crate) const POINT: usize = size_of::<points::ExponentialHistogramDataPoint>();
pub(crate) const QUANTILE: usize = size_of::<points::ValueAtQuantile>();
pub(crate) const KEY_VALUE: usize = size_of::<messages::KeyValue>();
pub(crate) const ANY_VALUE: usize = size_of::<messages::AnyValue>();
