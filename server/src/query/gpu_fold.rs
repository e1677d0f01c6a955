//! What the rows of one GPU add up to. Filled by `samples`, read by the named questions.

use super::buckets::{Buckets, Means};
use super::mig::Intervals;
use super::timeline::{self, Span};
use arrow::array::{Array, Float64Array};
use contract::GpuState;
use std::sync::Arc;

/// From here on a die is too hot: data-centre GPUs slow down at 87 to 93 °C.
pub(super) const HOT_CELSIUS: f64 = 87.0;
/// Hardware slowdown, hardware thermal slowdown and power brake: trouble, not the usual power cap.
pub(super) const HARDWARE_THROTTLE: i64 = 0x8 | 0x40 | 0x80;

/// One row of `gpu_samples`.
pub(super) struct Sample<'a> {
    pub(super) time: i64,
    pub(super) interval: i64,
    pub(super) cluster: &'a str,
    pub(super) node: &'a str,
    pub(super) gpu_index: i64,
    pub(super) gpu_model: &'a str,
    pub(super) parent: Option<&'a str>,
    pub(super) mig_profile: Option<&'a str>,
    pub(super) job: Option<&'a str>,
    pub(super) state: GpuState,
    pub(super) busy: Option<f64>,
    pub(super) power: Option<f64>,
    pub(super) temperature: Option<f64>,
    pub(super) memory_used: Option<i64>,
    pub(super) memory_total: Option<i64>,
    pub(super) energy: Option<f64>,
    pub(super) throttle: i64,
    pub(super) metrics: &'a [&'a Float64Array],
    pub(super) row: usize,
}

/// As the latest row has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) gpu_index: i64,
    pub(super) gpu_model: String,
    pub(super) parent: Option<String>,
    pub(super) mig_profile: Option<String>,
}

impl Identity {
    pub(super) fn is_on(&self, cluster: &str, node: &str) -> bool {
        self.node == node && self.cluster == cluster
    }
}

/// Values of the latest row.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest {
    pub(super) time: i64,
    pub(super) until: i64,
    pub(super) job: Option<String>,
    pub(super) busy: Option<f64>,
    pub(super) power: Option<f64>,
    pub(super) temperature: Option<f64>,
    pub(super) memory_used: Option<i64>,
    pub(super) memory_total: Option<i64>,
    pub(super) throttled: bool,
}

/// Something that was wrong for a while within the range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) since: i64,
    pub(super) micros: i64,
    pub(super) peak: f64,
}

impl Trouble {
    fn join(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => {
                Some(Self { since: a.since.min(b.since), micros: a.micros + b.micros, peak: a.peak.max(b.peak) })
            }
            (a, b) => a.or(b),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct GpuFold {
    pub(super) uuid: String,
    pub(super) identity: Identity,
    pub(super) latest: Latest,
    pub(super) spans: Vec<Span>,
    /// Where others stand for it, see `mig`.
    pub(super) gone: Intervals,
    /// Busy ratio × microseconds, and the microseconds, within the range.
    pub(super) busy: (f64, f64),
    /// Within the range; none where neither a counter nor power is reported.
    pub(super) joules: Option<f64>,
    pub(super) hot: Option<Trouble>,
    pub(super) throttled: Option<Trouble>,
    /// Means of the metrics that were asked for.
    pub(super) cells: Vec<Means>,
    pending: Option<Pending>,
    first: Option<(i64, f64)>,
    edges: Vec<Edge>,
}

/// Where a stream begins and ends: the energy of its last row may be known from another stream's first.
#[derive(Debug, Clone)]
struct Edge {
    first: Option<(i64, f64)>,
    pending: Option<Pending>,
}

/// A row whose energy is known when the next row's counter is.
#[derive(Debug, Clone)]
struct Pending {
    from: i64,
    to: i64,
    /// The part of it that is within the range.
    share: f64,
    counter: Option<f64>,
    power: Option<f64>,
}

impl GpuFold {
    pub(super) fn new(uuid: &str, cells: Vec<Means>) -> Self {
        Self {
            uuid: uuid.to_owned(),
            identity: Identity::default(),
            latest: Latest { time: i64::MIN, ..Latest::default() },
            spans: Vec::new(),
            gone: Intervals::new(),
            busy: (0.0, 0.0),
            joules: None,
            hot: None,
            throttled: None,
            cells,
            pending: None,
            first: None,
            edges: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, sample: &Sample<'_>, buckets: &Buckets) {
        let (from, to) = (sample.time, sample.time + sample.interval);
        if sample.time >= self.latest.time {
            self.note_latest(sample, to);
        }
        if to <= from {
            return;
        }
        if !timeline::extend(&mut self.spans, from, to, sample.state, sample.job) {
            let job = sample.job.map(|job| self.intern(job));
            self.spans.push(Span { from, to, last: from, state: sample.state, job });
        }
        let start = from.max(buckets.range.from_unix_micros);
        let inside = (to.min(buckets.range.to_unix_micros) - start).max(0);
        self.add_energy(sample, to, inside);
        if inside > 0 {
            self.add_inside(sample, start, inside);
            for (cells, values) in self.cells.iter_mut().zip(sample.metrics) {
                if values.is_valid(sample.row) {
                    cells.add(buckets, from, to, values.value(sample.row));
                }
            }
        }
    }

    /// Consecutive spans mostly have the same job; it is kept once.
    fn intern(&self, job: &str) -> Arc<str> {
        let known = self.spans.iter().rev().take(4).filter_map(|s| s.job.as_ref()).find(|known| known.as_ref() == job);
        known.map_or_else(|| Arc::from(job), Arc::clone)
    }

    fn note_latest(&mut self, sample: &Sample<'_>, until: i64) {
        let identity = &mut self.identity;
        if self.latest.time == i64::MIN || !identity.is_on(sample.cluster, sample.node) {
            sample.node.clone_into(&mut identity.node);
            sample.cluster.clone_into(&mut identity.cluster);
        }
        if identity.gpu_model != sample.gpu_model {
            sample.gpu_model.clone_into(&mut identity.gpu_model);
        }
        identity.gpu_index = sample.gpu_index;
        replace(&mut identity.parent, sample.parent);
        replace(&mut identity.mig_profile, sample.mig_profile);
        replace(&mut self.latest.job, sample.job);
        self.latest.time = sample.time;
        self.latest.until = until;
        self.latest.busy = sample.busy;
        self.latest.power = sample.power;
        self.latest.temperature = sample.temperature;
        self.latest.memory_used = sample.memory_used;
        self.latest.memory_total = sample.memory_total;
        self.latest.throttled = sample.throttle & HARDWARE_THROTTLE != 0;
    }

    fn add_inside(&mut self, sample: &Sample<'_>, start: i64, inside: i64) {
        if let Some(busy) = sample.busy {
            self.busy.0 += busy * inside as f64;
            self.busy.1 += inside as f64;
        }
        let trouble = |peak| Some(Trouble { since: start, micros: inside, peak });
        if let Some(celsius) = sample.temperature.filter(|c| *c >= HOT_CELSIUS) {
            self.hot = Trouble::join(self.hot, trouble(celsius));
        }
        if sample.throttle & HARDWARE_THROTTLE != 0 {
            self.throttled = Trouble::join(self.throttled, trouble(0.0));
        }
    }

    /// Counters beat power: they miss nothing between two looks. Power stands in where a counter or the
    /// next row is missing.
    fn add_energy(&mut self, sample: &Sample<'_>, to: i64, inside: i64) {
        let next = sample.energy.map(|counter| (sample.time, counter));
        if let Some(row) = self.pending.take() {
            self.settle_energy(&row, next);
        }
        self.first = self.first.or(next);
        if inside > 0 {
            let share = inside as f64 / sample.interval as f64;
            self.pending = Some(Pending { from: sample.time, to, share, counter: sample.energy, power: sample.power });
        }
    }

    fn settle_energy(&mut self, row: &Pending, next: Option<(i64, f64)>) {
        let follows = |time: i64| time > row.from && time <= row.to + (row.to - row.from) / 4;
        let counted = match (row.counter, next) {
            // A counter that went back has started again from 0.
            (Some(before), Some((time, after))) if follows(time) => {
                Some(if after >= before { after - before } else { after })
            }
            _ => row.power.map(|watts| watts * (row.to - row.from) as f64 / 1e6),
        };
        if let Some(joules) = counted {
            *self.joules.get_or_insert(0.0) += joules * row.share;
        }
    }

    /// No further row comes in this stream.
    pub(super) fn finish_stream(&mut self) {
        self.edges = vec![Edge { first: self.first.take(), pending: self.pending.take() }];
    }

    /// Only what is needed of rows before a range: what they did and which was the last, but no sums.
    pub(super) fn before_the_range(&self) -> Self {
        let (uuid, identity) = (self.uuid.clone(), self.identity.clone());
        let (latest, spans) = (self.latest.clone(), self.spans.clone());
        Self { uuid, identity, latest, spans, ..Self::new("", Vec::new()) }
    }

    /// Joins what two streams have seen of the same GPU.
    pub(super) fn merge(&mut self, other: Self) {
        self.spans.extend(other.spans);
        if other.latest.time > self.latest.time {
            self.identity = other.identity;
            self.latest = other.latest;
        }
        self.busy = (self.busy.0 + other.busy.0, self.busy.1 + other.busy.1);
        self.joules = match (self.joules, other.joules) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.hot = Trouble::join(self.hot, other.hot);
        self.throttled = Trouble::join(self.throttled, other.throttled);
        self.edges.extend(other.edges);
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            mine.merge(theirs);
        }
    }

    pub(super) fn settle(&mut self) {
        self.spans = timeline::settle(std::mem::take(&mut self.spans));
        let edges = std::mem::take(&mut self.edges);
        let mut firsts: Vec<(i64, f64)> = edges.iter().filter_map(|edge| edge.first).collect();
        firsts.sort_by_key(|(time, _)| *time);
        for row in edges.into_iter().filter_map(|edge| edge.pending) {
            let next = firsts.partition_point(|(time, _)| *time <= row.from);
            self.settle_energy(&row, firsts.get(next).copied());
        }
    }

    /// Where it stands: cluster, rack, node, index.
    pub(super) fn place(&self) -> (&str, Vec<super::rack::Part<'_>>, i64, &str) {
        let identity = &self.identity;
        (&identity.cluster, super::rack::natural(&identity.node), identity.gpu_index, &self.uuid)
    }
}

fn replace(kept: &mut Option<String>, new: Option<&str>) {
    if kept.as_deref() != new {
        *kept = new.map(str::to_owned);
    }
}
