//! Points of a page as rows of `metrics`, with those that tell of the scrape itself.

use super::gpu;
use super::target::Target;
use crate::batch::MetricRow;
use crate::source::NodeIdentity;
use coulomb_exposition::{Point, PointKind, Value};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

/// The server keeps no row that is further ahead: clocks drift by minutes, a wrong zone by an hour or more.
const AHEAD_MICROS_MAX: i64 = 3_600_000_000;
/// What tells rows of a summary's quantiles apart, as in Prometheus.
const QUANTILE: &str = "quantile";
const INSTANCE: &str = "instance";

/// What all rows of a target have.
#[derive(Debug)]
pub(super) struct Rows {
    node: NodeIdentity,
    service: Arc<str>,
    instance: String,
    /// Of series that state their own times the last one, so that a point is told once.
    told: HashMap<u64, i64>,
}

impl Rows {
    pub(super) fn new(target: &Target, node: NodeIdentity) -> Self {
        let (service, instance) = (target.name.as_str().into(), target.instance.clone());
        Self { node, service, instance, told: HashMap::new() }
    }

    /// The rows, and how many points lie too far ahead.
    pub(super) fn points(&mut self, points: Vec<Point>, now_micros: i64) -> (Vec<MetricRow>, u64) {
        let (mut rows, mut late) = (Vec::with_capacity(points.len()), 0);
        let before = std::mem::take(&mut self.told);
        for point in points {
            if let Some(time) = point.time_micros {
                if time > now_micros.saturating_add(AHEAD_MICROS_MAX) {
                    late += 1;
                    continue;
                }
                let series = digest(&point);
                let told = before.get(&series).copied();
                self.told.insert(series, told.map_or(time, |told| told.max(time)));
                if told.is_some_and(|told| told >= time) {
                    continue;
                }
            }
            self.rows_of(point, now_micros, &mut rows);
        }
        (rows, late)
    }

    fn rows_of(&self, point: Point, now_micros: i64, out: &mut Vec<MetricRow>) {
        let time = point.time_micros.unwrap_or(now_micros);
        let kind = match point.kind {
            PointKind::Gauge => "gauge",
            PointKind::Sum => "sum",
            PointKind::Histogram => "histogram",
            PointKind::Summary => "summary",
        };
        let row = MetricRow {
            started_unix_micros: point.started_micros,
            job_id: gpu::job(|name| point.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())),
            ..self.row(point.name, kind, point.unit, point.labels, time)
        };
        match point.value {
            Value::Number(value) => out.push(MetricRow { value, ..row }),
            Value::Histogram { count, sum, bounds, counts } => out.push(MetricRow {
                histogram_count: Some(count),
                histogram_sum: sum,
                buckets: (!counts.is_empty()).then_some((bounds, counts)),
                ..row
            }),
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    let mut attributes = row.attributes.clone();
                    attributes.push((QUANTILE.to_owned(), quantile.to_string()));
                    attributes.sort_unstable();
                    out.push(MetricRow { value: Some(value), attributes, ..row.clone() });
                }
                if count.is_some() || sum.is_some() {
                    out.push(MetricRow { histogram_count: count, histogram_sum: sum, ..row });
                }
            }
        }
    }

    /// `up` and what the scrape took, as Prometheus tells of it; samples only of one that went well.
    pub(super) fn about(&self, now_micros: i64, took: Duration, samples: Option<usize>) -> Vec<MetricRow> {
        let about = |name: &str, value: f64| MetricRow {
            value: Some(value),
            ..self.row(name.to_owned(), "gauge", String::new(), Vec::new(), now_micros)
        };
        let mut rows = vec![
            about("up", if samples.is_some() { 1.0 } else { 0.0 }),
            about("scrape_duration_seconds", took.as_secs_f64()),
        ];
        rows.extend(samples.map(|samples| about("scrape_samples_scraped", samples as f64)));
        rows
    }

    fn row(
        &self,
        name: String,
        kind: &'static str,
        unit: String,
        mut attributes: Vec<(String, String)>,
        time_unix_micros: i64,
    ) -> MetricRow {
        if !attributes.iter().any(|(name, _)| name == INSTANCE) {
            attributes.push((INSTANCE.to_owned(), self.instance.clone()));
            attributes.sort_unstable();
        }
        MetricRow {
            time_unix_micros,
            started_unix_micros: None,
            name,
            unit,
            kind,
            value: None,
            histogram_count: None,
            histogram_sum: None,
            buckets: None,
            node: self.node.clone(),
            service: Arc::clone(&self.service),
            job_id: None,
            attributes,
        }
    }
}

fn digest(point: &Point) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&point.name, &point.labels).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    fn rows() -> Rows {
        let node = NodeIdentity { cluster: "c".into(), node: "n".into() };
        Rows::new(&Target::parse("s=http://127.0.0.1:9").unwrap(), node)
    }

    fn point(time_micros: Option<i64>, value: Value) -> Point {
        let labels = vec![("pod".to_owned(), "p".to_owned()), ("z".to_owned(), "1".to_owned())];
        let (name, unit) = ("m".to_owned(), String::new());
        Point { name, unit, kind: PointKind::Summary, labels, time_micros, started_micros: None, value }
    }

    #[test]
    fn a_summary_has_a_row_for_itself_and_for_each_quantile() {
        let value = Value::Summary { count: Some(4), sum: Some(1.0), quantiles: vec![(0.5, 2.0)] };
        let (made, late) = rows().points(vec![point(None, value)], NOW);
        assert_eq!((made.len(), late), (2, 0));
        let names: Vec<_> = made[0].attributes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, made[0].value), (vec!["instance", "pod", "quantile", "z"], Some(2.0)));
        assert_eq!((made[1].histogram_count, made[1].histogram_sum, made[1].value), (Some(4), Some(1.0), None));
    }

    #[test]
    fn a_point_with_its_own_time_is_told_once_and_not_from_the_future() {
        let mut rows = rows();
        let mut told = |micros| {
            let (made, late) = rows.points(vec![point(Some(micros), Value::Number(Some(1.0)))], NOW);
            (made.len(), late)
        };
        assert_eq!([told(NOW), told(NOW), told(NOW + 1), told(NOW + 3_600_000_001)], [(1, 0), (0, 0), (1, 0), (0, 1)]);
    }

    #[test]
    fn a_target_that_is_down_has_up_and_the_duration_only() {
        let about = rows().about(NOW, Duration::from_millis(500), None);
        let named: Vec<_> = about.iter().map(|row| (row.name.as_str(), row.value)).collect();
        assert_eq!(named, [("up", Some(0.0)), ("scrape_duration_seconds", Some(0.5))]);
    }
}
