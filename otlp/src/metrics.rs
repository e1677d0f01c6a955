//! Rows of `metrics`: which points are kept, and as what.

use crate::columns::Columns;
use crate::histogram::Buckets;
use crate::instant::Instant;
use crate::origin::Origin;
use crate::points::{self, Point, Value};
use crate::proto::metrics::metric::Data;
use crate::proto::metrics::{
    AggregationTemporality, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, HistogramDataPoint, Metric,
    NO_RECORDED_VALUE, NumberDataPoint, SummaryDataPoint, number_data_point,
};
use crate::rejected::Rejected;
use crate::rows::{self, Rows};

type Made<T> = Result<T, &'static str>;

pub(crate) fn rows(request: &ExportMetricsServiceRequest, now_micros: i64) -> Rows {
    let mut sink = Sink { columns: Columns::new("metrics"), kept: 0, rejected: Rejected::default(), now_micros };
    for group in &request.resource_metrics {
        let origin = Origin::of(group.resource.as_ref());
        for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            sink.metric(&origin, metric);
        }
    }
    let Sink { columns, kept, rejected, .. } = sink;
    Rows { kept, rejected, tables: columns.finish().into_iter().collect() }
}

struct Sink {
    columns: Columns,
    kept: u64,
    rejected: Rejected,
    now_micros: i64,
}

impl Sink {
    fn metric(&mut self, origin: &Origin<'_>, metric: &Metric) {
        if metric.name.is_empty() {
            (0..rows::points(metric)).for_each(|_| self.rejected.add("its metric has no name"));
            return;
        }
        match &metric.data {
            None => {}
            Some(Data::Gauge(data)) => {
                data.data_points.iter().for_each(|point| self.put(origin, metric, "gauge", number(point)));
            }
            Some(Data::Sum(data)) => {
                let kind = temporality(data.aggregation_temporality, "sum", "delta");
                data.data_points.iter().for_each(|p| self.put(origin, metric, kind, kind_or(kind, || number(p))));
            }
            Some(Data::Histogram(data)) => {
                let kind = temporality(data.aggregation_temporality, "histogram", "delta_histogram");
                data.data_points.iter().for_each(|p| self.put(origin, metric, kind, kind_or(kind, || histogram(p))));
            }
            Some(Data::ExponentialHistogram(data)) => {
                let kind = temporality(data.aggregation_temporality, "histogram", "delta_histogram");
                data.data_points.iter().for_each(|p| self.put(origin, metric, kind, kind_or(kind, || exponential(p))));
            }
            Some(Data::Summary(data)) => {
                data.data_points.iter().for_each(|point| self.put(origin, metric, "summary", summary(point)));
            }
        }
    }

    fn put(&mut self, origin: &Origin<'_>, metric: &Metric, kind: &'static str, point: Made<Point<'_>>) {
        let placed = point.and_then(|point| Ok((Instant::required(point.time_unix_nano, self.now_micros)?, point)));
        match placed {
            Ok((time, point)) => {
                points::rows(&mut self.columns, origin, (metric, kind), &point, time);
                self.kept += 1;
            }
            Err(reason) => self.rejected.add(reason),
        }
    }
}

/// What a kind is called, or an empty name.
fn temporality(number: i32, cumulative: &'static str, delta: &'static str) -> &'static str {
    match AggregationTemporality::try_from(number) {
        Ok(AggregationTemporality::Cumulative) => cumulative,
        Ok(AggregationTemporality::Delta) => delta,
        _ => "",
    }
}

fn kind_or<'a>(kind: &str, made: impl FnOnce() -> Made<Point<'a>>) -> Made<Point<'a>> {
    if kind.is_empty() { Err("its metric is neither cumulative nor a delta") } else { made() }
}

/// The sender says that there is nothing at this time.
fn is_absent(flags: u32) -> bool {
    flags & NO_RECORDED_VALUE != 0
}

/// Not a number is unknown; what is not finite is no measurement.
fn finite(value: f64) -> Made<Option<f64>> {
    if value.is_infinite() { Err("its value is not finite") } else { Ok((!value.is_nan()).then_some(value)) }
}

fn counted(count: u64) -> Made<i64> {
    i64::try_from(count).map_err(|_| "a count is larger than 2^63-1")
}

fn number(point: &NumberDataPoint) -> Made<Point<'_>> {
    let value = match point.value {
        _ if is_absent(point.flags) => None,
        Some(number_data_point::Value::AsDouble(value)) => finite(value)?,
        Some(number_data_point::Value::AsInt(value)) => Some(value as f64),
        None => return Err("it has no value"),
    };
    Ok(Point {
        time_unix_nano: point.time_unix_nano,
        start_time_unix_nano: point.start_time_unix_nano,
        attributes: &point.attributes,
        value: Value::Number(value),
    })
}

fn histogram(point: &HistogramDataPoint) -> Made<Point<'_>> {
    let value = match is_absent(point.flags) {
        true => Value::Number(None),
        false => Value::Histogram {
            count: counted(point.count)?,
            sum: point.sum.map(finite).transpose()?.flatten(),
            buckets: Buckets::explicit(&point.explicit_bounds, &point.bucket_counts)?,
        },
    };
    Ok(Point {
        time_unix_nano: point.time_unix_nano,
        start_time_unix_nano: point.start_time_unix_nano,
        attributes: &point.attributes,
        value,
    })
}

fn exponential(point: &ExponentialHistogramDataPoint) -> Made<Point<'_>> {
    let value = match is_absent(point.flags) {
        true => Value::Number(None),
        false => Value::Histogram {
            count: counted(point.count)?,
            sum: point.sum.map(finite).transpose()?.flatten(),
            buckets: Some(Buckets::exponential(point)?),
        },
    };
    Ok(Point {
        time_unix_nano: point.time_unix_nano,
        start_time_unix_nano: point.start_time_unix_nano,
        attributes: &point.attributes,
        value,
    })
}

fn summary(point: &SummaryDataPoint) -> Made<Point<'_>> {
    let value = match is_absent(point.flags) {
        true => Value::Number(None),
        false => Value::Summary {
            count: counted(point.count)?,
            sum: finite(point.sum)?,
            quantiles: point.quantile_values.iter().map(|at| (at.quantile, at.value)).collect(),
        },
    };
    Ok(Point {
        time_unix_nano: point.time_unix_nano,
        start_time_unix_nano: point.start_time_unix_nano,
        attributes: &point.attributes,
        value,
    })
}
