//! The ledger against a provider's bill: by how much they differ, and why, in parts that sum to the difference.
//!
//! **Invariant:** the parts in the ledger's currency sum to bill minus ledger, exactly; what a quotient rounds is a part
//! of its own. Amounts in other currencies are converted by the rates of their days, or told beside it and not added.

mod map;
mod reason;

pub use map::{BillMap, BillMapError, BillRule};
pub use reason::Reason;

use super::bill::{BillLine, ChargeCategory, Period};
use super::exact::ExactSum;
use super::money::Micros;
use super::rates::ExchangeRates;
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lines of the bill that a part names; further ones are counted.
const LINES_SHOWN_MAX: usize = 100;
/// Digits after the point of parts that come from a quotient.
const PART_DIGITS: u32 = 6;

/// What the ledger has of one kind of use in the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerUse {
    pub cluster: Arc<str>,
    pub pool: Option<Arc<str>>,
    pub region: Option<Arc<str>>,
    pub gpu_model: Option<Arc<str>>,
    /// A shared cost that no provider bills.
    pub is_overhead: bool,
    pub gpu_hours: Decimal,
    /// None where there is no price.
    pub cost: Option<Micros>,
}

/// Which amount of the bill is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillBasis {
    /// What is invoiced.
    Billed,
    /// With prepaid amounts spread over their use.
    Effective,
}

/// One part of the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Rule of the map, from 0; none of what no rule takes.
    pub rule: Option<usize>,
    pub reason: Reason,
    /// Bill minus ledger; in its own currency for [`Reason::OtherCurrency`].
    pub amount: ExactSum,
    /// GPU-hours that the part is about, where it is about hours.
    pub gpu_hours: Option<Decimal>,
    /// Lines of the bill behind it, the first hundred.
    pub lines: Vec<u64>,
    pub lines_total: u64,
}

/// What one rule of the map takes of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleSums {
    pub bill: ExactSum,
    pub bill_gpu_hours: Decimal,
    pub bill_lines: u64,
    pub ledger: ExactSum,
    pub ledger_gpu_hours: Decimal,
    /// Of the ledger, beside the others.
    pub unpriced_gpu_hours: Decimal,
}

/// Amounts of one currency of the bill, and what they are in the ledger's by the rates of their days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurrencySums {
    pub amount: ExactSum,
    pub in_ledger_currency: ExactSum,
    pub lines: u64,
}

/// Bill and ledger of one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// In the ledger's currency.
    pub bill: ExactSum,
    pub ledger: ExactSum,
    /// `bill - ledger`: the sum of the parts in the ledger's currency.
    pub difference: ExactSum,
    /// What both have, at the ledger's prices: the ledger without what it has alone.
    pub matched: ExactSum,
    /// By rule and reason; parts of 0 are left out.
    pub parts: Vec<Explained>,
    /// In the order of the map.
    pub rules: Vec<RuleSums>,
    /// By currency of the bill, without the ledger's own.
    pub converted: BTreeMap<String, CurrencySums>,
    pub lines: u64,
    /// Lines whose charge period starts outside of the period; they are not compared.
    pub lines_outside: u64,
}

/// Amount, hours and lines of one rule and reason.
#[derive(Debug, Clone, Default)]
struct Part {
    amount: ExactSum,
    gpu_hours: Option<Decimal>,
    lines: Vec<u64>,
    lines_total: u64,
}

impl Part {
    fn add(&mut self, amount: ExactSum, line: u64) {
        self.amount += amount;
        self.lines_total += 1;
        if self.lines.len() < LINES_SHOWN_MAX {
            self.lines.push(line);
        }
    }
}

/// What one rule takes of both.
#[derive(Debug, Clone, Default)]
struct Both {
    billed: Part,
    billed_hours: Decimal,
    seen: ExactSum,
    seen_hours: Decimal,
    hours_without_price: Decimal,
}

type Parts = BTreeMap<(Option<usize>, Reason), Part>;

/// What bill and ledger are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Comparing<'a> {
    pub map: &'a BillMap,
    pub period: Period,
    /// The ledger's.
    pub currency: &'a str,
    pub basis: BillBasis,
    pub rates: &'a ExchangeRates,
}

/// Takes lines of the bill and use of the ledger one by one, and keeps sums only.
///
/// Hours of the bill are pricing quantities of usage lines times the rule's GPUs per unit. Amounts in other currencies
/// are converted at the rate of the day on which their charge begins, to 12 digits after the point.
pub struct Reconciling<'a> {
    by: Comparing<'a>,
    result: Reconciliation,
    parts: Parts,
    both: Vec<Both>,
}

impl<'a> Reconciling<'a> {
    pub fn new(by: Comparing<'a>) -> Self {
        let both = vec![Both::default(); by.map.rules.len()];
        Self { by, result: Reconciliation::default(), parts: Parts::new(), both }
    }

    /// A line of the bill.
    pub fn add_line(&mut self, line: &BillLine) {
        let by = self.by;
        if !(by.period.start_micros..by.period.end_micros).contains(&line.charge_period.start_micros) {
            self.result.lines_outside += 1;
            return;
        }
        self.result.lines += 1;
        let own = if by.basis == BillBasis::Billed { line.billed } else { line.effective };
        let rule = by.map.of_line(line);
        let Some(amount) = self.in_ledger_currency(line, own) else {
            let reason = Reason::OtherCurrency(line.currency.clone());
            self.parts.entry((rule, reason)).or_default().add(own.into(), line.line);
            return;
        };
        self.result.bill += amount;
        match (rule, no_use(line)) {
            (_, Some(reason)) => self.parts.entry((rule, reason)).or_default().add(amount, line.line),
            (None, None) => {
                let reason = Reason::NotMapped(line.service_name.clone());
                self.parts.entry((None, reason)).or_default().add(amount, line.line);
            }
            (Some(rule), None) => {
                let quantity = line.pricing_quantity.unwrap_or_default();
                let hours = quantity.saturating_mul(by.map.rules[rule].gpus_per_unit);
                self.both[rule].billed_hours = self.both[rule].billed_hours.saturating_add(hours);
                self.both[rule].billed.add(amount, line.line);
            }
        }
    }

    fn in_ledger_currency(&mut self, line: &BillLine, amount: Decimal) -> Option<ExactSum> {
        if line.currency == self.by.currency {
            return Some(amount.into());
        }
        let hour = line.charge_period.start_micros;
        let (converted, _) = self.by.rates.convert(amount, &line.currency, self.by.currency, hour)?;
        let sums = self.result.converted.entry(line.currency.clone()).or_default();
        sums.amount += amount.into();
        sums.in_ledger_currency += converted.into();
        sums.lines += 1;
        Some(converted.into())
    }

    /// What the ledger has of one kind of use.
    pub fn add_use(&mut self, used: LedgerUse) {
        let cost = used.cost.map(|cost| ExactSum::from(cost.decimal()));
        self.result.ledger += cost.unwrap_or_default();
        let rule = self.by.map.of_use(&used).filter(|_| !used.is_overhead);
        match (rule, cost) {
            (None, None) => (),
            (None, Some(cost)) => {
                let of = if used.is_overhead { Reason::Overhead } else { Reason::NotOnTheBill };
                let part = self.parts.entry((None, of(used.cluster))).or_default();
                part.amount += -cost;
                part.gpu_hours = Some(part.gpu_hours.unwrap_or_default().saturating_add(used.gpu_hours));
            }
            (Some(rule), Some(cost)) => {
                self.both[rule].seen += cost;
                self.both[rule].seen_hours = self.both[rule].seen_hours.saturating_add(used.gpu_hours);
            }
            (Some(rule), None) => {
                let hours = &mut self.both[rule].hours_without_price;
                *hours = hours.saturating_add(used.gpu_hours);
            }
        }
    }

    /// The difference and its parts.
    pub fn finish(self) -> Reconciliation {
        let Self { mut result, mut parts, both, .. } = self;
        for (rule, both) in both.into_iter().enumerate() {
            result.rules.push(RuleSums {
                bill: both.billed.amount,
                bill_gpu_hours: both.billed_hours,
                bill_lines: both.billed.lines_total,
                ledger: both.seen,
                ledger_gpu_hours: both.seen_hours,
                unpriced_gpu_hours: both.hours_without_price,
            });
            explain(rule, both, &mut parts);
        }
        result.difference = result.bill - result.ledger;
        let alone = parts.iter().filter(|((_, reason), _)| reason.is_of_the_ledger());
        result.matched = result.ledger + alone.map(|(_, part)| part.amount).sum::<ExactSum>();
        // Lines of the bill are told of although they sum to nothing.
        let is_told =
            |rule: &Option<usize>, part: &Part| !part.amount.is_zero() || (rule.is_none() && part.lines_total > 0);
        let told = parts.into_iter().filter(|((rule, _), part)| is_told(rule, part));
        result.parts = told.map(|((rule, reason), part)| explained(rule, reason, part)).collect();
        result
    }
}

fn explained(rule: Option<usize>, reason: Reason, part: Part) -> Explained {
    let Part { amount, gpu_hours, lines, lines_total } = part;
    Explained { rule, reason, amount, gpu_hours, lines, lines_total }
}

fn no_use(line: &BillLine) -> Option<Reason> {
    if line.is_correction {
        return Some(Reason::Correction);
    }
    (line.charge_category != ChargeCategory::Usage).then_some(Reason::Charge(line.charge_category))
}

/// Splits what the bill's use costs more than the ledger's: hours at the price of the side that has them, the hours of
/// both at the difference of prices, and the rest is rounding.
fn explain(rule: usize, both: Both, parts: &mut Parts) {
    let Both { billed, billed_hours, seen, seen_hours, hours_without_price } = both;
    let whole = billed.amount - seen;
    let (bill_rate, ledger_rate) = (rate(billed.amount, billed_hours), rate(seen, seen_hours));
    let mut left = whole;
    let mut tell = |reason, amount: ExactSum, hours: Option<Decimal>| {
        let (lines, lines_total) = match reason {
            Reason::SeenNotBilled | Reason::Rounding => (Vec::new(), 0),
            _ => (billed.lines.clone(), billed.lines_total),
        };
        left = left - amount;
        parts.insert((Some(rule), reason), Part { amount, gpu_hours: hours, lines, lines_total });
    };
    let surplus = billed_hours.saturating_sub(seen_hours);
    match (bill_rate, ledger_rate) {
        (Some(bill_rate), ledger_rate) => {
            let unpriced = hours_without_price.min(surplus).max(Decimal::ZERO);
            tell(Reason::WithoutPrice, amount(unpriced, bill_rate), Some(unpriced));
            let unseen = surplus.saturating_sub(unpriced);
            if unseen > Decimal::ZERO {
                tell(Reason::BilledNotSeen, amount(unseen, bill_rate), Some(unseen));
            }
            if ledger_rate.is_none() {
                tell(Reason::SeenNotBilled, -seen, None);
            }
            if let Some(ledger_rate) = ledger_rate {
                if surplus < Decimal::ZERO {
                    tell(Reason::SeenNotBilled, amount(surplus, ledger_rate), Some(surplus));
                }
                let common = billed_hours.min(seen_hours);
                let more = bill_rate.saturating_sub(ledger_rate);
                tell(Reason::Price, amount(common, more), Some(common));
            }
        }
        (None, _) => {
            tell(Reason::SeenNotBilled, -seen, Some(seen_hours));
            tell(Reason::BilledNotSeen, billed.amount, None);
        }
    }
    let rest = left;
    parts.insert((Some(rule), Reason::Rounding), Part { amount: rest, ..Part::default() });
}

/// What an hour costs; none without hours.
fn rate(amount: ExactSum, hours: Decimal) -> Option<Decimal> {
    if hours <= Decimal::ZERO { None } else { amount.decimal()?.checked_div(hours) }
}

/// Rounded to the digits of a part; nothing where it would overflow, so that it is told as rounding.
fn amount(hours: Decimal, rate: Decimal) -> ExactSum {
    let product = hours.checked_mul(rate).unwrap_or_default();
    product.round_dp_with_strategy(PART_DIGITS, RoundingStrategy::MidpointNearestEven).into()
}

#[cfg(test)]
mod tests;
