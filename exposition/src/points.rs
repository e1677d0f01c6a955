//! What a page is, once its lines are put together.

/// A page's points, and what of it is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    pub points: Vec<Point>,
    /// Samples that were read, in points and elsewhere.
    pub samples: usize,
    /// Lines and series that are no point, by reason.
    pub rejected: Vec<(&'static str, u64)>,
}

/// One point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub name: String,
    /// As the page gives it; mostly empty, because names end in their unit.
    pub unit: String,
    pub kind: PointKind,
    /// In the order of their names.
    pub labels: Vec<(String, String)>,
    /// Its own time, where it has one.
    pub time_micros: Option<i64>,
    /// When it began to count, where the page says so.
    pub started_micros: Option<i64>,
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    Gauge,
    /// A counter.
    Sum,
    Histogram,
    Summary,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None where the exporter says that it is not a number.
    Number(Option<f64>),
    Histogram {
        count: i64,
        sum: Option<f64>,
        /// They rise and are finite.
        bounds: Vec<f64>,
        /// What lies between the bounds; one more than those, or none where the page has no buckets.
        counts: Vec<i64>,
    },
    Summary {
        count: Option<i64>,
        sum: Option<f64>,
        /// Quantiles from 0 to 1 with their values.
        quantiles: Vec<(f64, f64)>,
    },
}
