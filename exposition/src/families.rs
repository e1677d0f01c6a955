//! Samples as points: which series belong together, by what the page says of their metrics.

use crate::histogram::Group;
use crate::line::{Kind, Line, Sample};
use crate::points::{Page, Point, PointKind, Value};
use std::collections::{BTreeMap, HashMap};

/// What a page may have; beyond it no point is made of it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub samples_max: usize,
    pub labels_max: usize,
    /// Of one series: its name, and names and values of its labels.
    pub label_bytes_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("the page has more than {0} samples")]
    Samples(usize),
    #[error("the page breaks off: OpenMetrics ends in # EOF")]
    CutOff,
    #[error("no line of the page is one of the Prometheus text format")]
    Format,
}

type Labels = Vec<(String, String)>;
/// A histogram's or summary's name, and its labels without `le` and `quantile`.
type GroupKey = (String, Labels);

/// Points in the making.
#[derive(Debug)]
pub struct Families {
    bounds: Bounds,
    kinds: HashMap<String, Kind>,
    units: HashMap<String, String>,
    points: Vec<Point>,
    groups: BTreeMap<GroupKey, (Kind, Option<i64>, Group)>,
    /// When series began, by the name without `_created` and the labels.
    created: HashMap<GroupKey, i64>,
    samples: usize,
    rejected: BTreeMap<&'static str, u64>,
    is_ended: bool,
}

/// What a sample is, of which metric.
enum Part {
    Whole(Kind),
    Bucket,
    Sum(Kind),
    Count(Kind),
    Quantile,
    Created,
}

impl Families {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kinds: HashMap::new(),
            units: HashMap::new(),
            points: Vec::new(),
            groups: BTreeMap::new(),
            created: HashMap::new(),
            samples: 0,
            rejected: BTreeMap::new(),
            is_ended: false,
        }
    }

    /// What a comment says, and lines that are none; samples are for [`Self::add`].
    pub fn said(&mut self, line: &Line<'_>) {
        match line {
            Line::Type { name, kind } => {
                self.kinds.insert(name.to_string(), *kind);
            }
            Line::Unit { name, unit } if unit.len() <= self.bounds.label_bytes_max => {
                self.units.insert(name.to_string(), (*unit).to_owned());
            }
            Line::End => self.is_ended = true,
            Line::Bad => self.reject("it is no line of the Prometheus text format"),
            _ => {}
        }
    }

    /// Counts a sample, whether it is added or taken elsewhere.
    ///
    /// # Errors
    /// When the page has more than it may.
    pub fn count(&mut self) -> Result<(), PageError> {
        self.samples += 1;
        if self.samples > self.bounds.samples_max { Err(PageError::Samples(self.bounds.samples_max)) } else { Ok(()) }
    }

    pub fn add(&mut self, sample: &Sample<'_>) {
        let bytes: usize = sample.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if sample.labels.len() > self.bounds.labels_max {
            return self.reject("it has too many labels");
        }
        if sample.name.is_empty() || sample.name.len() + bytes > self.bounds.label_bytes_max {
            return self.reject("its name and labels are too long, or empty");
        }
        let (family, part) = self.part(sample);
        let (family, name) = (family.to_owned(), sample.name.as_ref());
        match part {
            Part::Whole(kind) => self.point(name, kind, sample, &family),
            Part::Created => {
                if let Some(micros) = seconds(sample.value) {
                    self.created.insert((family, labels(sample, "")), micros);
                }
            }
            Part::Bucket => match sample.label("le").map(bound) {
                Some(Some(bound)) => {
                    self.group(family, Kind::Histogram, "le", sample).parts.push((bound, sample.value));
                }
                _ => self.reject("it is a bucket without a bound"),
            },
            Part::Quantile => match sample.label("quantile").and_then(|text| text.parse().ok()) {
                Some(quantile) => {
                    self.group(family, Kind::Summary, "quantile", sample).parts.push((quantile, sample.value));
                }
                None => self.reject("it is a quantile without a number"),
            },
            Part::Sum(kind) => self.group(family, kind, "", sample).sum = Some(sample.value),
            Part::Count(kind) => self.group(family, kind, "", sample).count = Some(sample.value),
        }
    }

    fn reject(&mut self, reason: &'static str) {
        *self.rejected.entry(reason).or_default() += 1;
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// The metric that a sample belongs to, and as what.
    fn part<'a>(&self, sample: &'a Sample<'_>) -> (&'a str, Part) {
        let name = sample.name.as_ref();
        let of = |suffix: &str| name.strip_suffix(suffix).map(|base| (base, self.kind(base)));
        let grouped = |kind: Option<Kind>| kind.filter(|kind| matches!(kind, Kind::Histogram | Kind::Summary));
        if let Some((base, Some(Kind::Histogram))) = of("_bucket") {
            return (base, Part::Bucket);
        }
        if let Some((base, kind)) = of("_sum")
            && let Some(kind) = grouped(kind)
        {
            return (base, Part::Sum(kind));
        }
        if let Some((base, kind)) = of("_count")
            && let Some(kind) = grouped(kind)
        {
            return (base, Part::Count(kind));
        }
        if let Some((base, kind)) = of("_created") {
            // In the text format it is a gauge of its own, beside the counter that is called `_total`.
            let is_counter = || self.kind(&format!("{base}_total")) == Some(Kind::Counter);
            if grouped(kind).is_some() || kind == Some(Kind::Counter) || is_counter() {
                return (base, Part::Created);
            }
        }
        match self.kind(name) {
            Some(Kind::Summary) => (name, Part::Quantile),
            Some(kind) => (name, Part::Whole(kind)),
            None => match of("_total") {
                // In OpenMetrics the type is that of the name without its ending.
                Some((base, Some(Kind::Counter))) => (base, Part::Whole(Kind::Counter)),
                _ => (name, Part::Whole(Kind::Other)),
            },
        }
    }

    fn group(&mut self, family: String, kind: Kind, without: &str, sample: &Sample<'_>) -> &mut Group {
        let key = (family, labels(sample, without));
        let (_, time, group) = self.groups.entry(key).or_insert_with(|| (kind, None, Group::default()));
        *time = sample.time_micros.or(*time);
        group
    }

    fn point(&mut self, name: &str, kind: Kind, sample: &Sample<'_>, family: &str) {
        if sample.value.is_infinite() {
            return self.reject("its value is not finite");
        }
        let kind = if kind == Kind::Counter { PointKind::Sum } else { PointKind::Gauge };
        self.points.push(Point {
            name: name.to_owned(),
            unit: self.units.get(family).cloned().unwrap_or_default(),
            kind,
            labels: labels(sample, ""),
            time_micros: sample.time_micros,
            started_micros: None,
            value: Value::Number((!sample.value.is_nan()).then_some(sample.value)),
        });
    }

    /// The page. `is_open_metrics` where it was sent as such.
    ///
    /// # Errors
    /// When it breaks off, or no line of it is a sample and some are nothing.
    pub fn finish(mut self, is_open_metrics: bool) -> Result<Page, PageError> {
        if self.samples == 0 && !self.rejected.is_empty() {
            return Err(PageError::Format);
        }
        if is_open_metrics && !self.is_ended {
            return Err(PageError::CutOff);
        }
        for ((family, labels), (kind, time_micros, group)) in std::mem::take(&mut self.groups) {
            let (kind, value) = match kind {
                Kind::Summary => (PointKind::Summary, group.summary()),
                _ => (PointKind::Histogram, group.histogram()),
            };
            match value {
                Ok(value) => {
                    let unit = self.units.get(&family).cloned().unwrap_or_default();
                    let point = Point { name: family, unit, kind, labels, time_micros, started_micros: None, value };
                    self.points.push(point);
                }
                Err(reason) => self.reject(reason),
            }
        }
        self.start();
        let rejected = self.rejected.into_iter().collect();
        Ok(Page { points: self.points, samples: self.samples, rejected })
    }

    /// When the points began to count.
    fn start(&mut self) {
        if self.created.is_empty() {
            return;
        }
        for point in self.points.iter_mut().filter(|point| point.kind != PointKind::Gauge) {
            let family = point.name.strip_suffix("_total").unwrap_or(&point.name).to_owned();
            point.started_micros = self.created.get(&(family, point.labels.clone())).copied();
        }
    }
}

/// Labels in the order of their names. An empty one is none, as in Prometheus.
fn labels(sample: &Sample<'_>, without: &str) -> Labels {
    let some = sample.labels.iter().filter(|(name, value)| name != without && !value.is_empty());
    let mut labels: Labels = some.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    labels.sort_unstable();
    labels
}

fn bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" | "+inf" | "inf" => Some(f64::INFINITY),
        text => text.parse().ok().filter(|bound: &f64| bound.is_finite()),
    }
}

/// Seconds since 1970 as microseconds.
fn seconds(value: f64) -> Option<i64> {
    let micros = (value * 1e6).round();
    (0.0..i64::MAX as f64).contains(&micros).then_some(micros as i64)
}
