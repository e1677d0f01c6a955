//! What a service's GPUs cost, split over who asked, hour by hour. Pure.
//!
//! **Invariants:** on either basis the lines sum to the bill, to the micro; the same hours and uses in any order give
//! the same lines; hours without a request, and time in which nothing was worked, have lines of their own.

use crate::cost::Micros;
use std::collections::BTreeMap;

/// A token that a cache served counts as a tenth of a token of the prompt: it is read, not computed.
pub(super) const PROMPT_WEIGHT: u64 = 10;
pub(super) const CACHED_WEIGHT: u64 = 1;
/// Where nobody says how long the prompt took, a generated token counts as four of the prompt.
pub(super) const OUTPUT_WEIGHT: u64 = 40;

/// What the GPUs of a service cost in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HourBill {
    /// While they worked.
    pub(super) used: Micros,
    /// While they were held and did not, or nobody knows.
    pub(super) idle: Micros,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// Those that a cache served among them.
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
}

impl Tokens {
    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
    }

    /// Of the prompt, in tenths of a token that was computed.
    pub(super) fn prompt_weight(&self) -> u64 {
        let cached = self.cached.min(self.input);
        (self.input - cached).saturating_mul(PROMPT_WEIGHT).saturating_add(cached.saturating_mul(CACHED_WEIGHT))
    }
}

/// What one of those who ask did in an hour.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HourUse {
    pub(super) hour_micros: i64,
    /// None where requests do not say.
    pub(super) who: Option<String>,
    pub(super) tokens: Tokens,
    /// Requests that say when their first token came.
    pub(super) timed: u64,
    /// Of these, from the end of the queue to the first token.
    pub(super) prefill_seconds: f64,
    /// From the first token to the last.
    pub(super) decode_seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Named(String),
    /// Requests that do not say.
    Unnamed,
    /// Time that was held and not worked in.
    Idle,
    /// Work in hours from which no request is known.
    Unattributed,
}

/// An amount by what it was spent on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Phased {
    pub(super) prefill: Micros,
    pub(super) decode: Micros,
    /// Neither: idle, or not known.
    pub(super) other: Micros,
}

impl Phased {
    pub(super) fn total(&self) -> Micros {
        self.prefill + self.decode + self.other
    }

    fn add(&mut self, other: Self) {
        self.prefill = self.prefill + other.prefill;
        self.decode = self.decode + other.decode;
        self.other = self.other + other.other;
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) who: Who,
    /// Of hours that are in the bill.
    pub(super) tokens: Tokens,
    /// Idle time has a line of its own.
    pub(super) used: Phased,
    /// Idle time is spread over those who asked in its hour.
    pub(super) allocated: Phased,
}

/// How many hours told the phases apart by time, and how many by tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PhasedBy {
    pub(super) time: u64,
    pub(super) tokens: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Named ones in order of their names, then the others.
    pub(super) lines: Vec<Line>,
    pub(super) by: PhasedBy,
    /// Requests of hours that no bill is known of.
    pub(super) unbilled_requests: u64,
}

impl Split {
    /// What all lines sum to, on the basis of use and on that of allocation.
    pub(super) fn totals(&self) -> (Phased, Phased, Tokens) {
        let mut sums = (Phased::default(), Phased::default(), Tokens::default());
        for line in &self.lines {
            sums.0.add(line.used);
            sums.1.add(line.allocated);
            sums.2.add(line.tokens);
        }
        sums
    }
}

/// Splits each hour's bill over the uses of that hour. A use of an hour and name that comes twice counts twice.
pub(super) fn split(bills: &BTreeMap<i64, HourBill>, mut uses: Vec<HourUse>) -> Split {
    uses.sort_by(|a, b| {
        (a.hour_micros, &a.who, a.tokens.input, a.tokens.output).cmp(&(
            b.hour_micros,
            &b.who,
            b.tokens.input,
            b.tokens.output,
        ))
    });
    let mut lines: BTreeMap<Who, Line> = BTreeMap::new();
    let mut found = Split::default();
    let mut rest = uses.as_slice();
    let mut billed = Vec::new();
    while let Some(first) = rest.first() {
        let here = rest.partition_point(|used| used.hour_micros <= first.hour_micros);
        let (hour, later) = rest.split_at(here);
        rest = later;
        match bills.get(&first.hour_micros) {
            Some(bill) => {
                billed.push(first.hour_micros);
                charge(bill, hour, &mut lines, &mut found.by);
            }
            None => found.unbilled_requests += hour.iter().map(|used| used.tokens.requests).sum::<u64>(),
        }
    }
    for (_, bill) in bills.iter().filter(|(hour, _)| billed.binary_search(hour).is_err()) {
        // Nobody asked: what was worked is told apart from what was only held.
        for (who, amount) in [(Who::Idle, bill.idle), (Who::Unattributed, bill.used)] {
            let line = line(&mut lines, who);
            line.used.other = line.used.other + amount;
            line.allocated.other = line.allocated.other + amount;
        }
    }
    found.lines = lines.into_values().filter(|line| *line != Line::of(line.who.clone())).collect();
    found
}

impl Line {
    fn of(who: Who) -> Self {
        Self { who, tokens: Tokens::default(), used: Phased::default(), allocated: Phased::default() }
    }
}

fn line(lines: &mut BTreeMap<Who, Line>, who: Who) -> &mut Line {
    lines.entry(who.clone()).or_insert_with(|| Line::of(who))
}

/// An hour in which somebody asked.
fn charge(bill: &HourBill, uses: &[HourUse], lines: &mut BTreeMap<Who, Line>, by: &mut PhasedBy) {
    let (phases, is_timed) = phases(uses);
    if is_timed {
        by.time += 1
    } else {
        by.tokens += 1
    }
    let used = shares(bill.used, phases, uses);
    let allocated = shares(bill.used + bill.idle, phases, uses);
    for ((one, used), allocated) in uses.iter().zip(used).zip(allocated) {
        let line = line(lines, one.who.clone().map_or(Who::Unnamed, Who::Named));
        line.tokens.add(one.tokens);
        line.used.add(used);
        line.allocated.add(allocated);
    }
    let idle = line(lines, Who::Idle);
    idle.used.other = idle.used.other + bill.idle;
}

/// What an hour spends on prompts and on answers, and whether that is by time.
fn phases(uses: &[HourUse]) -> ([u64; 2], bool) {
    let sum = |of: fn(&HourUse) -> u64| uses.iter().map(of).fold(0_u64, u64::saturating_add);
    let (prompts, outputs) = (sum(|u| u.tokens.prompt_weight()), sum(|u| u.tokens.output));
    let seconds = |of: fn(&HourUse) -> f64| (uses.iter().map(of).sum::<f64>().max(0.0) * 1e6).round() as u64;
    let by_time = [seconds(|u| u.prefill_seconds), seconds(|u| u.decode_seconds)];
    let is_timed = sum(|u| u.timed) * 2 >= sum(|u| u.tokens.requests) && by_time.iter().any(|part| *part > 0);
    let mut phases = if is_timed { by_time } else { [prompts, outputs.saturating_mul(OUTPUT_WEIGHT)] };
    // What has no tokens to fall on falls on the other.
    match (prompts, outputs) {
        (0, 0) => phases = [1, 0],
        (0, _) => phases = [0, 1],
        (_, 0) => phases = [1, 0],
        _ => {}
    }
    (phases, is_timed)
}

/// Prompts pay by the tokens that were computed for them, answers by their tokens.
fn shares(whole: Micros, phases: [u64; 2], uses: &[HourUse]) -> Vec<Phased> {
    let parts = whole.split(&phases);
    let mut prompts: Vec<u64> = uses.iter().map(|u| u.tokens.prompt_weight()).collect();
    if prompts.iter().all(|weight| *weight == 0) {
        prompts = uses.iter().map(|u| u.tokens.requests).collect();
    }
    let outputs: Vec<u64> = uses.iter().map(|u| u.tokens.output).collect();
    let of_prompts = parts[0].split(&prompts);
    let of_outputs = parts[1].split(&outputs);
    of_prompts
        .into_iter()
        .zip(of_outputs)
        .map(|(prefill, decode)| Phased { prefill, decode, other: Micros::ZERO })
        .collect()
}

#[cfg(test)]
mod tests;
