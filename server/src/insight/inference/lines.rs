//! The lines of a service's bill as they are shown: who asked for how much, and what it cost. Pure.
//!
//! **Invariant:** what is not listed is summed in a line of its own, so that the lines go on to sum to the bill.

use super::per_million::blended;
use super::requests::KeyFigures;
use super::split::{Split, Tokens, Who};
use crate::cost::Micros;
use std::collections::BTreeMap;

/// Lines that somebody looks at.
const LINES_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    Named,
    /// Requests that do not say.
    Unnamed,
    /// All that are not listed.
    Others,
    /// Time that was held and not worked in.
    Idle,
    /// Work in hours from which no request is known.
    Unattributed,
}

impl KeyKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Unnamed => "unnamed",
            Self::Others => "others",
            Self::Idle => "idle",
            Self::Unattributed => "unattributed",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct KeyLine {
    pub kind: KeyKind,
    pub name: Option<String>,
    pub requests: u64,
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub first_token_p95: Option<f64>,
    /// With its part of idle time.
    pub allocated_micros: i64,
    pub used_micros: i64,
    /// For a million tokens of any kind, in hours that are in the bill.
    pub allocated_per_million: Option<i64>,
    pub used_per_million: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    asked: Tokens,
    first_token_p95: Option<f64>,
    /// Of hours that are in the bill.
    billed: Tokens,
    allocated: Micros,
    used: Micros,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.asked.add(other.asked);
        self.billed.add(other.billed);
        self.allocated = self.allocated + other.allocated;
        self.used = self.used + other.used;
    }

    fn line(&self, kind: KeyKind, name: Option<String>) -> KeyLine {
        KeyLine {
            kind,
            name,
            requests: self.asked.requests,
            failed: self.asked.failed,
            input_tokens: self.asked.input,
            cached_tokens: self.asked.cached,
            output_tokens: self.asked.output,
            first_token_p95: self.first_token_p95,
            allocated_micros: self.allocated.0,
            used_micros: self.used.0,
            allocated_per_million: blended(self.allocated, self.billed).filter(|_| self.allocated.0 != 0),
            used_per_million: blended(self.used, self.billed).filter(|_| self.used.0 != 0),
        }
    }
}

/// Named ones by cost, then the others; and how many of the named are summed as others.
pub(super) fn lines(split: &Split, keys: &BTreeMap<Option<String>, KeyFigures>) -> (Vec<KeyLine>, u64) {
    let mut sums: BTreeMap<Who, Sum> = BTreeMap::new();
    for (name, figures) in keys {
        let sum = sums.entry(name.clone().map_or(Who::Unnamed, Who::Named)).or_default();
        (sum.asked, sum.first_token_p95) = (figures.tokens, figures.first_token_p95);
    }
    for line in &split.lines {
        let sum = sums.entry(line.who.clone()).or_default();
        sum.billed = line.tokens;
        (sum.allocated, sum.used) = (line.allocated.total(), line.used.total());
    }
    let (mut named, mut rest) = (Vec::new(), Vec::new());
    for (who, sum) in sums {
        match who {
            Who::Named(name) => named.push((name, sum)),
            Who::Unnamed => rest.push(sum.line(KeyKind::Unnamed, None)),
            Who::Idle => rest.push(sum.line(KeyKind::Idle, None)),
            Who::Unattributed => rest.push(sum.line(KeyKind::Unattributed, None)),
        }
    }
    named.sort_by(|(a, of_a), (b, of_b)| {
        (of_b.allocated, of_b.asked.requests, a).cmp(&(of_a.allocated, of_a.asked.requests, b))
    });
    let beyond = named.split_off(named.len().min(LINES_MAX));
    let left_out = beyond.len() as u64;
    if left_out > 0 {
        let mut others = Sum::default();
        beyond.iter().for_each(|(_, sum)| others.add(sum));
        rest.push(others.line(KeyKind::Others, None));
    }
    rest.sort_by_key(|line| line.kind);
    let mut lines: Vec<KeyLine> = named.into_iter().map(|(name, sum)| sum.line(KeyKind::Named, Some(name))).collect();
    lines.extend(rest);
    (lines, left_out)
}

#[cfg(test)]
mod tests {
    use super::super::split::{HourBill, HourUse, split};
    use super::*;

    #[test]
    fn what_is_not_listed_is_summed_and_the_lines_sum_to_the_bill() {
        let uses = (0..150_u64).map(|at| HourUse {
            hour_micros: 0,
            who: Some(format!("t{at:03}")),
            tokens: Tokens { requests: 1, failed: 0, input: 10 + at, cached: 0, output: 5 },
            timed: 0,
            prefill_seconds: 0.0,
            decode_seconds: 0.0,
        });
        let uses: Vec<HourUse> = uses.collect();
        let keys = uses.iter().map(|u| (u.who.clone(), KeyFigures { tokens: u.tokens, first_token_p95: None }));
        let bills = [(0, HourBill { used: Micros(1_000_003), idle: Micros(77) })].into();
        let (found, left_out) = lines(&split(&bills, uses.clone()), &keys.collect());
        assert_eq!((found.len(), left_out), (102, 50), "a hundred, the others, and idle time");
        assert_eq!(found[0].name.as_deref(), Some("t149"), "most costly first");
        assert_eq!((found[100].kind, found[100].requests), (KeyKind::Others, 50));
        assert_eq!(found[101].kind, KeyKind::Idle);
        assert_eq!(found.iter().map(|line| line.used_micros).sum::<i64>(), 1_000_080);
        assert_eq!(found.iter().map(|line| line.allocated_micros).sum::<i64>(), 1_000_080);
        assert_eq!(found.iter().map(|line| line.requests).sum::<u64>(), 150);
    }

    #[test]
    fn who_asked_without_a_bill_is_listed_without_a_cost() {
        let keys = [(None, KeyFigures { tokens: Tokens { requests: 3, ..Tokens::default() }, first_token_p95: None })];
        let (found, _) = lines(&Split::default(), &keys.into());
        assert_eq!((found[0].kind, found[0].requests, found[0].used_micros), (KeyKind::Unnamed, 3, 0));
        assert_eq!(found[0].used_per_million, None);
    }
}
