//! The rows of a scan, sorted into sets of labels while they come.

use super::super::QueryError;
use super::catalog::{Metric, Sampled};
use super::labels::{Labels, NAME};
use super::load::{LOOKBACK_MILLIS, STANDS_MILLIS_MAX};
use super::selector::Selector;
use super::series::{Raw, Sample};
use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use contract::Column;
use std::collections::HashMap;
use std::sync::Arc;

/// What is kept of a set of labels takes the room of so many samples.
const SET_SAMPLES: u64 = 16;

/// The values of the label columns; a number is in its digits.
type Values = Vec<Option<Arc<str>>>;

pub(super) struct Gathered {
    selector: Selector,
    columns: Vec<&'static Column>,
    metrics: usize,
    places: HashMap<Values, usize>,
    sets: Vec<Set>,
}

/// The rows of one set of labels.
struct Set {
    values: Values,
    /// Whether the labels match; if not, only the times of the rows are kept.
    wanted: bool,
    /// By metric.
    samples: Vec<Vec<Sample>>,
    runs: Vec<Run>,
}

/// Times of rows that follow each other with the same labels, milliseconds.
#[derive(Clone, Copy)]
struct Run {
    first: i64,
    last: i64,
}

impl Gathered {
    pub(super) fn new(selector: Selector, columns: Vec<&'static Column>, metrics: usize) -> Self {
        Self { selector, columns, metrics, places: HashMap::new(), sets: Vec::new() }
    }

    /// Columns are time, interval, the labels, the metrics. Gives back the room that the batch took, in samples.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<u64, QueryError> {
        let rows = Rows::new(batch, self.columns.len(), self.metrics)?;
        let (mut at, mut samples, before) = (None, 0, self.sets.len());
        for row in 0..batch.num_rows() {
            let known = at.filter(|_| rows.labels.iter().all(|column| column.is_as_before(row)));
            let place =
                known.unwrap_or_else(|| self.place(rows.labels.iter().map(|column| column.value(row)).collect()));
            samples += self.sets[place].add(&rows, row, at == Some(place));
            at = Some(place);
        }
        Ok(samples + (self.sets.len() - before) as u64 * SET_SAMPLES)
    }

    fn place(&mut self, values: Values) -> usize {
        if let Some(place) = self.places.get(&values) {
            return *place;
        }
        let wanted = self.selector.matches(&self.columns, values.iter().map(Option::as_deref));
        self.places.insert(values.clone(), self.sets.len());
        self.sets.push(Set { values, wanted, samples: vec![Vec::new(); self.metrics], runs: Vec::new() });
        self.sets.len() - 1
    }

    pub(super) fn merge(&mut self, other: Self) {
        for set in other.sets {
            let place = self.place(set.values);
            let mine = &mut self.sets[place];
            mine.runs.extend(set.runs);
            for (mine, theirs) in mine.samples.iter_mut().zip(set.samples) {
                match mine.is_empty() {
                    true => *mine = theirs,
                    false => mine.extend(theirs),
                }
            }
        }
    }

    /// The series that match and have a sample.
    pub(super) fn finish(mut self, sampled: &Sampled, metrics: &[Metric]) -> Vec<Raw> {
        for samples in self.sets.iter_mut().flat_map(|set| &mut set.samples) {
            if !samples.is_sorted_by_key(|sample| sample.time) {
                samples.sort_by_key(|sample| sample.time);
            }
            samples.dedup_by_key(|sample| sample.time);
        }
        self.end_replaced(sampled);
        let names: Vec<Arc<str>> = self.columns.iter().map(|column| column.name.into()).collect();
        let metric_names: Vec<Arc<str>> = metrics.iter().map(|metric| metric.name.as_str().into()).collect();
        let name: Arc<str> = NAME.into();
        let mut series = Vec::new();
        for set in self.sets {
            let labels = names.iter().zip(&set.values);
            let labels: Vec<_> = labels.filter_map(|(name, value)| Some((Arc::clone(name), value.clone()?))).collect();
            for (metric, samples) in metric_names.iter().zip(set.samples).filter(|(_, samples)| !samples.is_empty()) {
                let named = std::iter::once((Arc::clone(&name), Arc::clone(metric)));
                series.push(Raw { labels: Labels::of(labels.iter().cloned().chain(named)), samples });
            }
        }
        series
    }

    /// Ends the series of a device's labels where its rows go on with others.
    fn end_replaced(&mut self, sampled: &Sampled) {
        let device: Vec<usize> =
            (0..self.columns.len()).filter(|at| sampled.device.contains(&self.columns[*at].name)).collect();
        let mut devices: HashMap<Values, Vec<usize>> = HashMap::new();
        for (at, set) in self.sets.iter().enumerate() {
            devices.entry(device.iter().map(|d| set.values[*d].clone()).collect()).or_default().push(at);
        }
        for sets in devices.into_values().filter(|sets| sets.len() > 1) {
            let runs =
                sets.iter().flat_map(|set| self.sets[*set].runs.iter().map(move |run| (run.first, run.last, *set)));
            let mut runs: Vec<_> = runs.collect();
            runs.sort_unstable();
            for pair in runs.windows(2) {
                let ((_, _, set), (next, _, other)) = (pair[0], pair[1]);
                if set != other {
                    self.sets[set].end_before(next);
                }
            }
        }
    }
}

impl Set {
    /// `goes_on` when the row before is of this set, too: otherwise the device may have had other labels since.
    fn add(&mut self, rows: &Rows, row: usize, goes_on: bool) -> u64 {
        let time = rows.time[row].div_euclid(1000);
        let mut added = 0;
        match self.runs.last_mut() {
            Some(run) if goes_on && run.last <= time => run.last = time,
            _ => {
                self.runs.push(Run { first: time, last: time });
                added += 1;
            }
        }
        if !self.wanted {
            return added;
        }
        // A NaN claims nothing beyond the lookback.
        let stands = ((rows.interval.value(row) * 1e3) as i64).clamp(LOOKBACK_MILLIS, STANDS_MILLIS_MAX) as u32;
        for (samples, column) in self.samples.iter_mut().zip(&rows.metrics) {
            if column.is_valid(row) {
                samples.push(Sample { time, value: column.value(row), stands });
                added += 1;
            }
        }
        added
    }

    fn end_before(&mut self, time: i64) {
        for samples in &mut self.samples {
            let before = samples.partition_point(|sample| sample.time < time);
            if let Some(last) = before.checked_sub(1).map(|at| &mut samples[at]) {
                last.stands = last.stands.min(u32::try_from(time - last.time - 1).unwrap_or(u32::MAX));
            }
        }
    }
}

/// The columns of a batch, downcast once.
struct Rows<'a> {
    time: &'a [i64],
    interval: &'a Float64Array,
    labels: Vec<LabelColumn<'a>>,
    metrics: Vec<&'a Float64Array>,
}

enum LabelColumn<'a> {
    Text(&'a StringViewArray),
    Number(&'a Int64Array),
}

impl<'a> Rows<'a> {
    fn new(batch: &'a RecordBatch, labels: usize, metrics: usize) -> Result<Self, QueryError> {
        let wrong = |at: usize| QueryError::Internal(format!("column {at} of a scan has a wrong type"));
        let float = |at: usize| batch.column(at).as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(at));
        let label = |at: usize| {
            let column = batch.column(at);
            let text = column.as_string_view_opt().map(LabelColumn::Text);
            text.or_else(|| column.as_primitive_opt::<Int64Type>().map(LabelColumn::Number)).ok_or_else(|| wrong(at))
        };
        let time = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(0))?;
        Ok(Self {
            time: time.values(),
            interval: float(1)?,
            labels: (2..2 + labels).map(label).collect::<Result<_, _>>()?,
            metrics: (2 + labels..2 + labels + metrics).map(float).collect::<Result<_, _>>()?,
        })
    }
}

impl LabelColumn<'_> {
    fn value(&self, row: usize) -> Option<Arc<str>> {
        match self {
            // An empty label is an absent one.
            Self::Text(array) => array.is_valid(row).then(|| array.value(row)).filter(|v| !v.is_empty()).map(Arc::from),
            Self::Number(array) => array.is_valid(row).then(|| array.value(row).to_string().into()),
        }
    }

    /// Whether the value is that of the row before.
    fn is_as_before(&self, row: usize) -> bool {
        let Some(before) = row.checked_sub(1) else { return false };
        match self {
            Self::Text(array) if array.is_valid(row) && array.is_valid(before) => {
                // Equal views are the same bytes, which is cheaper to see than equal texts.
                array.views()[row] == array.views()[before] || array.value(row) == array.value(before)
            }
            Self::Number(array) if array.is_valid(row) && array.is_valid(before) => {
                array.value(row) == array.value(before)
            }
            Self::Text(array) => array.is_valid(row) == array.is_valid(before),
            Self::Number(array) => array.is_valid(row) == array.is_valid(before),
        }
    }
}
