//! Samples in order of device and time → groups by step, device and job.
//!
//! **Invariant:** a sample counts in the step in which it starts, and its value holds for its interval, also in the
//! next step. A counter's rise belongs to the later of two
//! samples, because a row holds what its counter showed at the end of its interval; one that went back has started
//! again from 0.

use super::super::QueryError;
use super::due::DAY;
use crate::store::Rollup;
use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use std::collections::HashMap;
use std::ops::Range;

/// What one step has of a gauge.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gauge {
    pub(super) count: i64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
    pub(super) integral: f64,
    pub(super) seconds: f64,
}

impl Gauge {
    fn add(&mut self, value: f64) {
        let first = self.count == 0;
        self.count += 1;
        self.sum += value;
        self.min = if first { value } else { self.min.min(value) };
        self.max = if first { value } else { self.max.max(value) };
        self.last = value;
    }

    fn hold(&mut self, value: f64, seconds: f64) {
        self.integral += value * seconds;
        self.seconds += seconds;
    }
}

/// Rise and last value.
pub(super) type Counter = (Option<f64>, Option<f64>);

/// Samples of one device and job within one step.
#[derive(Debug)]
pub(super) struct Group {
    /// Start of the step, Unix microseconds.
    pub(super) step: i64,
    pub(super) keys: Keys,
    pub(super) last_time: i64,
    pub(super) samples: i64,
    pub(super) covered: f64,
    pub(super) longest: f64,
    pub(super) gauges: Vec<Gauge>,
    pub(super) counters: Vec<Counter>,
}

/// The values of a rollup's keys, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Keys {
    pub(super) texts: Vec<Option<Box<str>>>,
    /// `gpu_index`, where there is one.
    pub(super) index: Option<i64>,
}

/// Groups of one step length.
pub(super) struct Steps {
    micros: i64,
    places: HashMap<(i64, Keys), usize>,
    pub(super) groups: Vec<Group>,
    at: usize,
}

impl Steps {
    fn new(seconds: i64) -> Self {
        Self { micros: seconds * 1_000_000, places: HashMap::new(), groups: Vec::new(), at: usize::MAX }
    }

    /// The group of a row in the step that begins at `step`.
    fn group(&mut self, step: i64, columns: &Columns<'_>, row: usize) -> &mut Group {
        let same = |group: &Group| group.step == step && columns.are(row, &group.keys);
        if !self.groups.get(self.at).is_some_and(same) {
            let keys = columns.keys(row);
            self.at = *self.places.entry((step, keys.clone())).or_insert_with(|| {
                let (gauges, counters) = (columns.gauges.len(), columns.counters.len());
                self.groups.push(Group {
                    step,
                    keys,
                    last_time: i64::MIN,
                    samples: 0,
                    covered: 0.0,
                    longest: 0.0,
                    gauges: vec![Gauge::default(); gauges],
                    counters: vec![(None, None); counters],
                });
                self.groups.len() - 1
            });
        }
        &mut self.groups[self.at]
    }

    pub(super) fn take(&mut self) -> Vec<Group> {
        self.places.clear();
        self.at = usize::MAX;
        std::mem::take(&mut self.groups)
    }
}

/// A counter's time and value in a device's last sample that reports it.
type Reading = Option<(i64, f64)>;

/// The fold over any number of hours in order.
pub(super) struct Fold {
    rollup: &'static Rollup,
    /// In the order of the step lengths that were asked for.
    pub(super) steps: Vec<Steps>,
    devices: HashMap<Keys, usize>,
    /// The readings of each device.
    before: Vec<Vec<Reading>>,
    /// The device of the last row.
    device: Option<(Keys, usize)>,
}

impl Fold {
    pub(super) fn new(rollup: &'static Rollup, step_seconds: &[i64]) -> Self {
        let steps = step_seconds.iter().map(|seconds| Steps::new(*seconds)).collect();
        Self { rollup, steps, devices: HashMap::new(), before: Vec::new(), device: None }
    }

    pub(super) fn rollup(&self) -> &'static Rollup {
        self.rollup
    }

    /// The SQL of the samples, in the order of [`Columns`].
    pub(super) fn sql(rollup: &Rollup, table: &str) -> String {
        let order = rollup.source.sort_key.join(", ");
        let measured = rollup.gauges.iter().chain(&rollup.counters);
        let measured: String = measured.map(|name| format!(", cast({name} as double)")).collect();
        let keys: String = rollup.keys.iter().map(|key| format!(", {key}")).collect();
        format!(
            "select time, interval_seconds{keys}{measured} from {table} where time >= $1 and time < $2 order by {order}"
        )
    }

    /// The SQL of the last readings of earlier hours, in order of time.
    pub(super) fn sql_before(rollup: &Rollup, table: &str) -> String {
        let counters = rollup.counters.iter().map(|c| format!(", {}_last", c.trim_end_matches("_total")));
        let keys: String = rollup.keys.iter().map(|key| format!(", {key}")).collect();
        let counters: String = counters.collect();
        format!("select last_time{keys}{counters} from {table} where time >= $1 and time < $2 order by last_time")
    }

    pub(super) fn forget(&mut self) {
        self.devices.clear();
        self.before.clear();
        self.device = None;
    }

    pub(super) fn add_before(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let columns = Columns::new(self.rollup, batch, Layout::Before)?;
        for row in 0..batch.num_rows() {
            let at = self.place(device(&columns.keys(row), self.rollup));
            for (reading, counter) in self.before[at].iter_mut().zip(&columns.counters) {
                *reading = value(counter, row).map(|value| (columns.time[row], value)).or(*reading);
            }
        }
        Ok(())
    }

    /// Adds samples that start within the hour, or before it and reach into it.
    pub(super) fn add(&mut self, batch: &RecordBatch, hour: Range<i64>) -> Result<(), QueryError> {
        let columns = Columns::new(self.rollup, batch, Layout::Samples)?;
        let mut rises = vec![None; columns.counters.len()];
        for row in 0..batch.num_rows() {
            let time = columns.time[row];
            self.rises(&columns, row, &mut rises);
            for steps in &mut self.steps {
                if time >= hour.start {
                    let step = time.div_euclid(steps.micros) * steps.micros;
                    count(steps.group(step, &columns, row), &columns, row, &rises);
                }
                hold(steps, &columns, row, &hour);
            }
        }
        Ok(())
    }

    fn place(&mut self, device: Keys) -> usize {
        *self.devices.entry(device).or_insert_with(|| {
            self.before.push(vec![None; self.rollup.counters.len()]);
            self.before.len() - 1
        })
    }

    /// How far each counter rose up to a sample; none where it is not known.
    fn rises(&mut self, columns: &Columns<'_>, row: usize, rises: &mut [Option<f64>]) {
        // Rows of a device mostly follow each other.
        let at = match &self.device {
            Some((device, at)) if columns.are_of(row, device, self.rollup) => *at,
            _ => {
                let device = device(&columns.keys(row), self.rollup);
                let at = self.place(device.clone());
                self.device = Some((device, at));
                at
            }
        };
        let time = columns.time[row];
        for ((rise, before), array) in rises.iter_mut().zip(&mut self.before[at]).zip(&columns.counters) {
            *rise = None;
            let Some(now) = value(array, row) else { continue };
            if let Some((earlier, base)) = before.replace((time, now))
                && earlier < time
                && time - earlier <= DAY
            {
                *rise = Some(if now >= base { now - base } else { now });
            }
        }
    }
}

fn count(group: &mut Group, columns: &Columns<'_>, row: usize, rises: &[Option<f64>]) {
    let seconds = columns.interval(row);
    group.last_time = group.last_time.max(columns.time[row]);
    group.samples += 1;
    group.covered += seconds;
    group.longest = group.longest.max(seconds);
    for (gauge, array) in group.gauges.iter_mut().zip(&columns.gauges) {
        if let Some(value) = value(array, row) {
            gauge.add(value);
        }
    }
    for ((counter, array), rise) in group.counters.iter_mut().zip(&columns.counters).zip(rises) {
        if let Some(rise) = rise {
            *counter.0.get_or_insert(0.0) += rise;
        }
        counter.1 = value(array, row).or(counter.1);
    }
}

/// The values of a sample hold for its interval, as far as that is within the hour.
fn hold(steps: &mut Steps, columns: &Columns<'_>, row: usize, hour: &Range<i64>) {
    let time = columns.time[row];
    let end = (time + (columns.interval(row) * 1e6).round() as i64).min(hour.end);
    let mut at = time.max(hour.start);
    while at < end {
        let step = at.div_euclid(steps.micros) * steps.micros;
        let until = end.min(step + steps.micros);
        let group = steps.group(step, columns, row);
        group.last_time = group.last_time.max(time);
        for (gauge, array) in group.gauges.iter_mut().zip(&columns.gauges) {
            if let Some(value) = value(array, row) {
                gauge.hold(value, (until - at) as f64 / 1e6);
            }
        }
        at = until;
    }
}

/// Texts that tell devices apart; the others tell what is known of them.
fn is_identity(key: &str) -> bool {
    ["cluster", "node", "gpu_uuid"].contains(&key)
}

fn device(keys: &Keys, rollup: &Rollup) -> Keys {
    let texts = rollup.keys.iter().filter(|key| **key != "gpu_index").zip(&keys.texts);
    let texts = texts.filter(|(key, _)| is_identity(key)).map(|(_, text)| text.clone());
    Keys { texts: texts.collect(), index: None }
}

fn value(array: &Float64Array, row: usize) -> Option<f64> {
    array.is_valid(row).then(|| array.value(row)).filter(|value| value.is_finite())
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Samples,
    Before,
}

/// The columns of a batch, downcast once.
struct Columns<'a> {
    time: &'a [i64],
    interval: Option<&'a Float64Array>,
    texts: Vec<&'a StringViewArray>,
    index: Option<&'a Int64Array>,
    gauges: Vec<&'a Float64Array>,
    counters: Vec<&'a Float64Array>,
}

impl<'a> Columns<'a> {
    fn new(rollup: &Rollup, batch: &'a RecordBatch, layout: Layout) -> Result<Self, QueryError> {
        let wrong = |at: usize| QueryError::Internal(format!("column {at} of a rollup's scan has a wrong type"));
        let floats = |at: usize| batch.column(at).as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(at));
        let time = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(0))?;
        let mut at = 1;
        let mut interval = None;
        if layout == Layout::Samples {
            interval = Some(floats(1)?);
            at = 2;
        }
        let (mut texts, mut index) = (Vec::new(), None);
        for key in &rollup.keys {
            match *key == "gpu_index" {
                true => index = Some(batch.column(at).as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(at))?),
                false => texts.push(batch.column(at).as_string_view_opt().ok_or_else(|| wrong(at))?),
            }
            at += 1;
        }
        let gauges = if layout == Layout::Samples { rollup.gauges.len() } else { 0 };
        let counters = at + gauges;
        let gauges = (at..counters).map(floats).collect::<Result<_, _>>()?;
        let counters = (counters..counters + rollup.counters.len()).map(floats).collect::<Result<_, _>>()?;
        Ok(Self { time: time.values(), interval, texts, index, gauges, counters })
    }

    fn interval(&self, row: usize) -> f64 {
        let seconds = self.interval.and_then(|array| value(array, row)).unwrap_or(0.0);
        seconds.clamp(0.0, super::super::samples::INTERVAL_SECONDS_MAX)
    }

    fn text(array: &StringViewArray, row: usize) -> Option<&str> {
        array.is_valid(row).then(|| array.value(row))
    }

    fn keys(&self, row: usize) -> Keys {
        let texts = self.texts.iter().map(|array| Self::text(array, row).map(Box::from)).collect();
        Keys { texts, index: self.index.map(|array| array.value(row)) }
    }

    fn are(&self, row: usize, keys: &Keys) -> bool {
        self.index.map(|array| array.value(row)) == keys.index
            && self.texts.iter().zip(&keys.texts).all(|(array, text)| Self::text(array, row) == text.as_deref())
    }

    fn are_of(&self, row: usize, device: &Keys, rollup: &Rollup) -> bool {
        let texts = rollup.keys.iter().filter(|key| **key != "gpu_index").zip(&self.texts);
        let mut own = texts.filter(|(key, _)| is_identity(key)).map(|(_, array)| Self::text(array, row));
        device.texts.iter().all(|text| own.next().flatten() == text.as_deref())
    }
}
