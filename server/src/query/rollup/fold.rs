//! Samples in order of device and time → groups by step, device and job.
//!
//! **Invariant:** a sample counts in the step in which it starts, and its value holds for its interval, also in the
//! next step. A counter's rise belongs to the later of two samples, because a row holds what its counter showed at
//! the end of its interval; one that went back has started again from 0. Values are added up in the order of rows.

#[cfg(test)]
mod tests;

use super::super::QueryError;
use super::INTERVAL_MICROS_MAX;
use super::due::{DAY, hour_of};
use super::scan::{Columns, Layout};
use crate::store::{Rollup, is_number};
use arrow::array::RecordBatch;
use std::collections::{BTreeSet, HashMap};
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
    /// The place of its keys among [`Fold::keys`].
    pub(super) keys: usize,
    pub(super) last_time: i64,
    pub(super) samples: i64,
    pub(super) covered: f64,
    pub(super) longest: f64,
    /// None where values do not matter.
    pub(super) gauges: Vec<Gauge>,
    pub(super) counters: Vec<Counter>,
}

/// The values of a rollup's keys, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Keys {
    pub(super) texts: Vec<Option<Box<str>>>,
    /// `gpu_index` or `pid`, where there is one.
    pub(super) index: Option<i64>,
}

/// What the groups of a step are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Values,
    /// Only how many groups and samples there are.
    Nothing,
}

/// Groups of one step length.
pub(super) struct Steps {
    micros: i64,
    pub(super) of: Of,
    places: HashMap<(i64, usize), usize>,
    pub(super) groups: Vec<Group>,
    at: usize,
}

/// Rows of the same keys that follow each other, at most those of one batch.
struct Run<'a> {
    columns: &'a Columns<'a>,
    rows: Range<usize>,
    keys: usize,
    /// By row, the end of its interval, as far as that is within the hour.
    ends: &'a [i64],
    /// By counter, how far it rose up to each row; NaN where that is not known.
    rises: &'a [Vec<f64>],
    hour: &'a Range<i64>,
}

impl Steps {
    fn new((seconds, of): (i64, Of)) -> Self {
        Self { micros: seconds * 1_000_000, of, places: HashMap::new(), groups: Vec::new(), at: usize::MAX }
    }

    /// The group of some keys in the step that begins at `step`.
    fn group(&mut self, step: i64, run: &Run<'_>) -> &mut Group {
        if self.groups.get(self.at).is_none_or(|group| group.step != step || group.keys != run.keys) {
            self.at = *self.places.entry((step, run.keys)).or_insert_with(|| {
                let (gauges, counters) = match self.of {
                    Of::Values => (run.columns.gauges.len(), run.columns.counters.len()),
                    Of::Nothing => (0, 0),
                };
                self.groups.push(Group {
                    step,
                    keys: run.keys,
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

    fn add(&mut self, run: &Run<'_>, scratch: &mut Scratch) {
        let times = run.columns.time;
        let mut at = run.rows.start;
        while at < run.rows.end {
            let step = times[at].div_euclid(self.micros) * self.micros;
            let until = step + self.micros;
            let rows = at..at + times[at..run.rows.end].partition_point(|time| *time < until);
            at = rows.end;
            // Steps divide hours, so one lies before the hour or within it.
            if step >= run.hour.start {
                count(self.group(step, run), run, &rows, until, scratch);
            }
            for row in rows.filter(|row| run.end(*row) > until) {
                self.hold(run, row, until.max(run.hour.start));
            }
        }
    }

    /// The values of a sample hold from `at` on to the end of its interval, as far as that is within the hour.
    fn hold(&mut self, run: &Run<'_>, row: usize, mut at: i64) {
        let end = run.end(row);
        while at < end {
            let step = at.div_euclid(self.micros) * self.micros;
            let until = end.min(step + self.micros);
            let group = self.group(step, run);
            group.last_time = group.last_time.max(run.columns.time[row]);
            for (gauge, numbers) in group.gauges.iter_mut().zip(&run.columns.gauges) {
                if let Some(value) = numbers.at(row) {
                    gauge.hold(value, (until - at) as f64 / 1e6);
                }
            }
            at = until;
        }
    }

    pub(super) fn take(&mut self) -> Vec<Group> {
        self.places.clear();
        self.at = usize::MAX;
        std::mem::take(&mut self.groups)
    }
}

impl Run<'_> {
    fn end(&self, row: usize) -> i64 {
        self.ends[row - self.rows.start]
    }
}

/// Memory that is used again and again.
#[derive(Default)]
struct Scratch {
    values: Vec<f64>,
    seconds: Vec<f64>,
}

/// Adds samples that start in a group's step, which ends at `until`, as far as they hold in it.
fn count(group: &mut Group, run: &Run<'_>, rows: &Range<usize>, until: i64, scratch: &mut Scratch) {
    let Scratch { values, seconds } = scratch;
    let columns = run.columns;
    seconds.clear();
    for row in rows.clone() {
        let (time, interval) = (columns.time[row], columns.interval(row));
        group.last_time = group.last_time.max(time);
        group.covered += interval;
        group.longest = group.longest.max(interval);
        seconds.push((run.end(row).min(until) - time).max(0) as f64 / 1e6);
    }
    group.samples += rows.len() as i64;
    for (gauge, numbers) in group.gauges.iter_mut().zip(&columns.gauges) {
        numbers.read(rows, values);
        // A copy stays in registers.
        let mut sums = *gauge;
        for (value, seconds) in values.iter().zip(&*seconds).filter(|(value, _)| value.is_finite()) {
            sums.add(*value);
            sums.hold(*value, *seconds);
        }
        *gauge = sums;
    }
    let within = rows.start - run.rows.start..rows.end - run.rows.start;
    for ((counter, numbers), rises) in group.counters.iter_mut().zip(&columns.counters).zip(run.rises) {
        for rise in rises[within.clone()].iter().filter(|rise| rise.is_finite()) {
            *counter.0.get_or_insert(0.0) += rise;
        }
        counter.1 = rows.clone().rev().find_map(|row| numbers.at(row)).or(counter.1);
    }
}

/// A counter's time and value in a device's last sample that reports it.
pub(super) type Reading = Option<(i64, f64)>;

/// The fold over any number of hours in order.
pub(super) struct Fold {
    rollup: &'static Rollup,
    /// In the order of the step lengths that were asked for.
    pub(super) steps: Vec<Steps>,
    /// Keys that groups name by their place.
    pub(super) keys: Vec<Keys>,
    /// By keys: their place, and that of the device's readings.
    known: HashMap<Keys, (usize, usize)>,
    devices: HashMap<Keys, usize>,
    /// The readings of each device.
    before: Vec<Vec<Reading>>,
    /// Device, counter and hour of readings of which two jobs of the hour have one, and either may be the last.
    unsure: Vec<(usize, usize, i64)>,
    ends: Vec<i64>,
    rises: Vec<Vec<f64>>,
    scratch: Scratch,
}

impl Fold {
    pub(super) fn new(rollup: &'static Rollup, steps: &[(i64, Of)]) -> Self {
        Self {
            rollup,
            steps: steps.iter().copied().map(Steps::new).collect(),
            keys: Vec::new(),
            known: HashMap::new(),
            devices: HashMap::new(),
            before: Vec::new(),
            unsure: Vec::new(),
            ends: Vec::new(),
            rises: vec![Vec::new(); rollup.counters.len()],
            scratch: Scratch::default(),
        }
    }

    pub(super) fn rollup(&self) -> &'static Rollup {
        self.rollup
    }

    /// The SQL of the last readings of earlier hours, in order of time.
    pub(super) fn sql_before(rollup: &Rollup, table: &str) -> String {
        let counters = rollup.counters.iter().map(|c| format!(", {}_last", c.trim_end_matches("_total")));
        let keys: String = rollup.keys.iter().map(|key| format!(", {key}")).collect();
        let counters: String = counters.collect();
        format!("select last_time{keys}{counters} from {table} where time >= $1 and time < $2 order by last_time")
    }

    /// Forgets what the counters showed.
    pub(super) fn forget(&mut self) {
        self.forget_keys();
        self.devices.clear();
        self.before.clear();
        self.unsure.clear();
    }

    /// What the counters showed in each device's last sample.
    pub(super) fn readings(&self) -> Vec<Vec<Reading>> {
        self.before.clone()
    }

    /// Goes back to earlier readings, which devices that came later have none of.
    pub(super) fn go_back(&mut self, mut readings: Vec<Vec<Reading>>) {
        readings.resize(self.before.len(), vec![None; self.rollup.counters.len()]);
        self.before = readings;
    }

    /// Forgets the keys of groups that were taken.
    pub(super) fn forget_keys(&mut self) {
        self.keys.clear();
        self.known.clear();
    }

    pub(super) fn add_before(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let columns = Columns::new(self.rollup, batch, Layout::Before)?;
        for row in 0..batch.num_rows() {
            let at = self.device(columns.keys(row).device(self.rollup));
            for (i, (reading, counter)) in self.before[at].iter_mut().zip(&columns.counters).enumerate() {
                let Some(value) = counter.at(row) else { continue };
                let hour = hour_of(columns.time[row]);
                if reading.replace((columns.time[row], value)).is_some_and(|(time, _)| hour_of(time) == hour) {
                    self.unsure.push((at, i, hour));
                }
            }
        }
        Ok(())
    }

    /// Hours whose samples alone tell what a counter showed last: the rollup has a value of each job, and no time of it.
    pub(super) fn unsure_hours(&self) -> BTreeSet<i64> {
        let is_last = |device: usize, counter: usize, hour: i64| {
            self.before[device][counter].is_some_and(|(time, _)| hour_of(time) == hour)
        };
        self.unsure.iter().filter(|(device, counter, hour)| is_last(*device, *counter, *hour)).map(|of| of.2).collect()
    }

    /// Takes readings of a later time than the end of `hour` in place of its own.
    pub(super) fn keep_later(&mut self, readings: &[Vec<Reading>], hour: i64) {
        for (own, other) in self.before.iter_mut().flatten().zip(readings.iter().flatten()) {
            if other.is_some_and(|(time, _)| hour_of(time) > hour) {
                *own = *other;
            }
        }
    }

    /// Adds samples that start within the hour, or before it and reach into it; others fall away. Batches come in
    /// the order of the source's key.
    pub(super) fn add(&mut self, batch: &RecordBatch, hour: &Range<i64>) -> Result<(), QueryError> {
        let columns = Columns::new(self.rollup, batch, Layout::Samples)?;
        for same in columns.runs() {
            // Rows of the same keys are in order of time.
            let times = &columns.time[same.clone()];
            let rows = same.start + times.partition_point(|time| *time < hour.start - INTERVAL_MICROS_MAX)
                ..same.start + times.partition_point(|time| *time < hour.end);
            if rows.is_empty() {
                continue;
            }
            let (keys, device) = self.places(columns.keys(rows.start));
            self.note_rises(&columns, &rows, device);
            let end = |row: usize| columns.time[row] + (columns.interval(row) * 1e6).round() as i64;
            self.ends.clear();
            self.ends.extend(rows.clone().map(|row| end(row).min(hour.end)));
            let run = Run { columns: &columns, rows, keys, ends: &self.ends, rises: &self.rises, hour };
            self.steps.iter_mut().for_each(|steps| steps.add(&run, &mut self.scratch));
        }
        Ok(())
    }

    fn places(&mut self, keys: Keys) -> (usize, usize) {
        if let Some(places) = self.known.get(&keys) {
            return *places;
        }
        let places = (self.keys.len(), self.device(keys.device(self.rollup)));
        self.keys.push(keys.clone());
        self.known.insert(keys, places);
        places
    }

    fn device(&mut self, device: Keys) -> usize {
        *self.devices.entry(device).or_insert_with(|| {
            self.before.push(vec![None; self.rollup.counters.len()]);
            self.before.len() - 1
        })
    }

    /// How far each counter rose up to each sample.
    fn note_rises(&mut self, columns: &Columns<'_>, rows: &Range<usize>, device: usize) {
        let counters = self.rises.iter_mut().zip(&mut self.before[device]).zip(&columns.counters);
        for ((rises, before), numbers) in counters {
            numbers.read(rows, rises);
            for (value, time) in rises.iter_mut().zip(&columns.time[rows.clone()]) {
                let now = std::mem::replace(value, f64::NAN);
                if now.is_finite()
                    && let Some((earlier, base)) = before.replace((*time, now))
                    && earlier < *time
                    && time - earlier <= DAY
                {
                    *value = if now >= base { now - base } else { now };
                }
            }
        }
    }
}

impl Keys {
    /// Texts that tell devices apart; the others tell what is known of them.
    fn device(&self, rollup: &Rollup) -> Self {
        let is_identity = |key: &str| ["cluster", "node", "gpu_uuid"].contains(&key);
        let texts = rollup.keys.iter().filter(|key| !is_number(key)).zip(&self.texts);
        let texts = texts.filter(|(key, _)| is_identity(key)).map(|(_, text)| text.clone());
        Self { texts: texts.collect(), index: None }
    }
}
