//! Finds the rows that hold for a place and an hour, the most specific first, without looking at all of them.

use super::super::pattern::{Pattern, has_star};
use super::super::rows::GpuPlace;
use super::row::PriceRow;
use std::collections::HashMap;
use std::sync::Arc;

/// In a key: any name will do.
const ANY: u32 = 0;
/// In a key: a pattern, which each entry has for itself.
const PATTERN: u32 = u32::MAX;

/// Which columns a row names, a bit each: the more bits the more specific, among equally many the higher number.
pub(super) type Columns = u8;

/// What rows of an index have in common: the columns that they name, and the names, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) columns: Columns,
    names: [u32; 6],
}

#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    numbers: HashMap<Arc<str>, u32>,
    entries: HashMap<Key, Vec<Entry>>,
    /// The most specific columns first, each with the places of patterns among them.
    shapes: Vec<(Columns, Vec<u8>)>,
}

/// Rows for the same GPUs, which hold one after another.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    node: Option<Pattern>,
    gpu_model: Option<Pattern>,
    /// In order of their beginnings.
    pub(super) rows: Vec<usize>,
}

/// What a row is about: its key, and the patterns of node and GPU model.
type Place = (Key, Option<Arc<str>>, Option<Arc<str>>);

/// Rows of equal rank that hold, and the next instant at which that may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rows: Vec<usize>,
    pub(super) until: i64,
}

pub(super) fn columns(row: &PriceRow) -> Columns {
    row.selectors.iter().fold(0, |bits, selector| bits << 1 | u8::from(selector.is_some()))
}

/// Greater for the more specific.
pub(super) fn rank(columns: Columns) -> (u32, Columns) {
    (columns.count_ones(), columns)
}

/// Where a row has patterns: a bit as in [`Columns`].
fn patterns(row: &PriceRow) -> u8 {
    let star = |at: usize| row.selectors[at].as_ref().is_some_and(|name| has_star(name));
    u8::from(star(0)) << 5 | u8::from(star(2)) << 3
}

impl Index {
    pub(super) fn new(rows: &[PriceRow]) -> Self {
        let mut index = Self::default();
        let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
        let mut shapes: HashMap<Columns, Vec<u8>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            let (columns, patterns) = (columns(row), patterns(row));
            let mut names = [ANY; 6];
            for (place, name) in row.selectors.iter().enumerate() {
                let Some(name) = name else { continue };
                let starred = patterns & (1 << (5 - place)) != 0;
                names[place] = if starred { PATTERN } else { index.number(name) };
            }
            let of = |place: usize| row.selectors[place].clone().filter(|name| has_star(name));
            places.entry((Key { columns, names }, of(0), of(2))).or_default().push(at);
            let known = shapes.entry(columns).or_default();
            if !known.contains(&patterns) {
                known.push(patterns);
            }
        }
        for ((key, node, gpu_model), mut of_place) in places {
            of_place.sort_by_key(|at| (rows[*at].from(), *at));
            let pattern = |name: Option<Arc<str>>| name.map(|name| Pattern::with_stars(&name));
            let entry = Entry { node: pattern(node), gpu_model: pattern(gpu_model), rows: of_place };
            index.entries.entry(key).or_default().push(entry);
        }
        index.shapes = shapes.into_iter().collect();
        index.shapes.sort_by_key(|(columns, _)| std::cmp::Reverse(rank(*columns)));
        index
    }

    fn number(&mut self, name: &Arc<str>) -> u32 {
        let next = self.numbers.len() as u32 + 1;
        *self.numbers.entry(name.clone()).or_insert(next)
    }

    /// The most specific rows that hold for a place at an hour: none, one, or several that contradict each other.
    pub(super) fn find(&self, rows: &[PriceRow], place: &GpuPlace, hour_micros: i64) -> Found {
        let numbers = self.numbers(place);
        let mut found = Found { rows: Vec::new(), until: i64::MAX };
        for (columns, shapes) in &self.shapes {
            for patterns in shapes {
                let Some(key) = key(*columns, *patterns, &numbers) else { continue };
                for entry in self.entries.get(&key).into_iter().flatten().filter(|entry| entry.fits(place)) {
                    entry.find(rows, hour_micros, &mut found);
                }
            }
            if !found.rows.is_empty() {
                break;
            }
        }
        found.rows.sort_unstable();
        found
    }
}

impl Index {
    /// The last end before an hour, or at it, and the first beginning after it, of rows for a place; an hour at which
    /// some row holds is not asked for.
    pub(super) fn around(&self, rows: &[PriceRow], place: &GpuPlace, hour_micros: i64) -> (Option<i64>, Option<i64>) {
        let (mut ended, mut begins) = (None, None);
        let numbers = self.numbers(place);
        for (columns, shapes) in &self.shapes {
            for key in shapes.iter().filter_map(|patterns| key(*columns, *patterns, &numbers)) {
                for entry in self.entries.get(&key).into_iter().flatten().filter(|entry| entry.fits(place)) {
                    let next = entry.rows.partition_point(|at| rows[*at].from() <= hour_micros);
                    let last = next.checked_sub(1).and_then(|last| rows[entry.rows[last]].valid_to_micros);
                    ended = ended.max(last.filter(|end| *end <= hour_micros));
                    let first = entry.rows.get(next).and_then(|at| rows[*at].valid_from_micros);
                    begins = first.into_iter().chain(begins).min();
                }
            }
        }
        (ended, begins)
    }

    /// Of the names of a place, in the order of columns.
    fn numbers(&self, place: &GpuPlace) -> [Option<u32>; 6] {
        let names = [&place.node, &place.pool, &place.gpu_model, &place.region, &place.provider];
        let number = |name: &str| self.numbers.get(name).copied();
        let mut numbers = [None; 6];
        for (at, name) in names.into_iter().enumerate() {
            numbers[at] = name.as_ref().and_then(|name| number(name));
        }
        numbers[5] = number(&place.cluster);
        numbers
    }
}

/// What rows that name these columns are found by; none where the place has no such name.
fn key(columns: Columns, patterns: u8, numbers: &[Option<u32>; 6]) -> Option<Key> {
    let mut names = [ANY; 6];
    for (at, name) in names.iter_mut().enumerate() {
        let bit = 1 << (5 - at);
        if patterns & bit != 0 {
            *name = PATTERN;
        } else if columns & bit != 0 {
            *name = numbers[at]?;
        }
    }
    Some(Key { columns, names })
}

impl Entry {
    fn fits(&self, place: &GpuPlace) -> bool {
        let fits = |pattern: &Option<Pattern>, name: &Option<Arc<str>>| {
            pattern.as_ref().is_none_or(|pattern| name.as_ref().is_some_and(|name| pattern.matches(name)))
        };
        fits(&self.node, &place.node) && fits(&self.gpu_model, &place.gpu_model)
    }

    /// Rows of an entry do not overlap, so that the latest that has begun is the one that may hold.
    fn find(&self, rows: &[PriceRow], hour_micros: i64, found: &mut Found) {
        let next = self.rows.partition_point(|at| rows[*at].from() <= hour_micros);
        if let Some(at) = next.checked_sub(1).map(|last| self.rows[last])
            && hour_micros < rows[at].to()
        {
            found.rows.push(at);
            found.until = found.until.min(rows[at].to());
        }
        if let Some(at) = self.rows.get(next) {
            found.until = found.until.min(rows[*at].from());
        }
    }
}
