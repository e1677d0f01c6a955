//! The columns of a rollup's scans, downcast once for each batch.

use super::super::QueryError;
use super::super::samples::INTERVAL_SECONDS_MAX;
use super::fold::Keys;
use crate::store::{Rollup, is_number};
use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use std::ops::Range;

/// Which columns come, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Time, interval, keys, gauges and counters.
    Samples,
    /// Time, keys and counters.
    Before,
}

/// The columns of samples.
pub(super) fn of_samples(rollup: &Rollup) -> Vec<&'static str> {
    let measured = rollup.gauges.iter().chain(&rollup.counters);
    ["time", "interval_seconds"].iter().chain(&rollup.keys).chain(measured).copied().collect()
}

/// Whole numbers are read as they are, and only those that are used become floats.
pub(super) enum Numbers<'a> {
    Floats(&'a Float64Array),
    Ints(&'a Int64Array),
}

impl<'a> Numbers<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        let floats = array.as_primitive_opt::<Float64Type>().map(Self::Floats);
        floats.or_else(|| array.as_primitive_opt::<Int64Type>().map(Self::Ints))
    }

    pub(super) fn at(&self, row: usize) -> Option<f64> {
        match self {
            Self::Floats(array) => array.is_valid(row).then(|| array.value(row)).filter(|value| value.is_finite()),
            Self::Ints(array) => array.is_valid(row).then(|| array.value(row) as f64),
        }
    }

    /// The values of some rows; NaN for none.
    pub(super) fn read(&self, rows: &Range<usize>, values: &mut Vec<f64>) {
        values.clear();
        match self {
            Self::Floats(array) if array.null_count() == 0 => values.extend(&array.values()[rows.clone()]),
            Self::Ints(array) if array.null_count() == 0 => {
                values.extend(array.values()[rows.clone()].iter().map(|value| *value as f64));
            }
            numbers => values.extend(rows.clone().map(|row| numbers.at(row).unwrap_or(f64::NAN))),
        }
    }
}

pub(super) struct Columns<'a> {
    pub(super) time: &'a [i64],
    interval: Option<&'a Float64Array>,
    texts: Vec<&'a StringViewArray>,
    index: Option<&'a Int64Array>,
    pub(super) gauges: Vec<Numbers<'a>>,
    pub(super) counters: Vec<Numbers<'a>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(rollup: &Rollup, batch: &'a RecordBatch, layout: Layout) -> Result<Self, QueryError> {
        let wrong = |at: usize| QueryError::Internal(format!("column {at} of a rollup's scan has a wrong type"));
        let time = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(0))?;
        let mut at = 1;
        let mut interval = None;
        if layout == Layout::Samples {
            interval = Some(batch.column(1).as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(1))?);
            at = 2;
        }
        let (mut texts, mut index) = (Vec::new(), None);
        for key in &rollup.keys {
            match is_number(key) {
                true => index = Some(batch.column(at).as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(at))?),
                false => texts.push(batch.column(at).as_string_view_opt().ok_or_else(|| wrong(at))?),
            }
            at += 1;
        }
        let gauges = if layout == Layout::Samples { rollup.gauges.len() } else { 0 };
        let counters = at + gauges;
        let numbers = |at: usize| Numbers::of(batch.column(at)).ok_or_else(|| wrong(at));
        let gauges = (at..counters).map(numbers).collect::<Result<_, _>>()?;
        let counters = (counters..counters + rollup.counters.len()).map(numbers).collect::<Result<_, _>>()?;
        Ok(Self { time: time.values(), interval, texts, index, gauges, counters })
    }

    pub(super) fn interval(&self, row: usize) -> f64 {
        let seconds = self.interval.filter(|array| array.is_valid(row)).map_or(0.0, |array| array.value(row));
        if seconds.is_finite() { seconds.clamp(0.0, INTERVAL_SECONDS_MAX) } else { 0.0 }
    }

    fn text(array: &StringViewArray, row: usize) -> Option<&str> {
        array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn keys(&self, row: usize) -> Keys {
        let texts = self.texts.iter().map(|array| Self::text(array, row).map(Box::from)).collect();
        Keys { texts, index: self.index.map(|array| array.value(row)) }
    }

    /// Rows that follow each other and have the same keys.
    pub(super) fn runs(&self) -> Vec<Range<usize>> {
        let mut begins = vec![false; self.time.len()];
        for array in &self.texts {
            // Views of the same bytes are the same text; others may be.
            let views = array.views();
            let differ = |row: usize| {
                let seen = views[row] == views[row - 1] && array.null_count() == 0;
                !seen && Self::text(array, row) != Self::text(array, row - 1)
            };
            begins.iter_mut().enumerate().skip(1).for_each(|(row, begins)| *begins |= differ(row));
        }
        if let Some(index) = self.index.map(Int64Array::values) {
            begins.iter_mut().enumerate().skip(1).for_each(|(row, begins)| *begins |= index[row] != index[row - 1]);
        }
        let mut starts: Vec<usize> =
            begins.iter().enumerate().filter(|(_, begins)| **begins).map(|(at, _)| at).collect();
        starts.push(begins.len());
        let mut start = 0;
        let runs = starts.into_iter().map(|end| std::mem::replace(&mut start, end)..end);
        runs.filter(|run| !run.is_empty()).collect()
    }
}
