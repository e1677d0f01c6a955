//! The ledger against a provider's bill: by how much they differ, and why, in parts that sum to the difference.
//!
//! **Invariant:** the parts in the ledger's currency sum to bill minus ledger, exactly; what a quotient rounds is a part
//! of its own. Amounts in other currencies are told beside it and never added.

mod map;

pub use map::{BillMap, BillMapError, BillRule};

use super::bill::{BillLine, ChargeCategory, Period};
use super::exact::ExactSum;
use super::money::Micros;
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

/// Why bill and ledger differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The hours that both have cost more or less than the ledger's prices say.
    Price,
    /// Hours on the bill that no telemetry or accounting has seen.
    BilledNotSeen,
    /// Hours in the ledger that the bill does not have.
    SeenNotBilled,
    /// Hours that both have and the ledger has no price for.
    WithoutPrice,
    /// Taxes, credits, adjustments or purchases, which are no use.
    Charge(ChargeCategory),
    /// Corrections of earlier periods.
    Correction,
    /// Lines that no rule of the map takes, of this service.
    NotMapped(Option<String>),
    /// Use of this cluster that no rule of the map takes.
    NotOnTheBill(Arc<str>),
    /// What rounding of hours and prices leaves.
    Rounding,
    /// Amounts in this currency, outside of the difference.
    OtherCurrency(String),
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

/// Bill and ledger of one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// In the ledger's currency.
    pub bill: ExactSum,
    pub ledger: ExactSum,
    /// `bill - ledger`: the sum of the parts in the ledger's currency.
    pub difference: ExactSum,
    /// By rule and reason; parts of 0 are left out.
    pub parts: Vec<Explained>,
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

/// Compares what the bill and the ledger have for `period`; `currency` is the ledger's.
///
/// Hours of the bill are pricing quantities of usage lines times the rule's GPUs per unit.
pub fn reconcile(
    map: &BillMap,
    period: Period,
    currency: &str,
    basis: BillBasis,
    bill: impl IntoIterator<Item = BillLine>,
    ledger: impl IntoIterator<Item = LedgerUse>,
) -> Reconciliation {
    let mut result = Reconciliation::default();
    let (mut parts, mut both) = (Parts::new(), vec![Both::default(); map.rules.len()]);
    for line in bill {
        if !(period.start_micros..period.end_micros).contains(&line.charge_period.start_micros) {
            result.lines_outside += 1;
            continue;
        }
        let amount = ExactSum::from(if basis == BillBasis::Billed { line.billed } else { line.effective });
        let rule = map.of_line(&line);
        if line.currency != currency {
            parts.entry((rule, Reason::OtherCurrency(line.currency))).or_default().add(amount, line.line);
            continue;
        }
        result.bill += amount;
        match (rule, no_use(&line)) {
            (_, Some(reason)) => parts.entry((rule, reason)).or_default().add(amount, line.line),
            (None, None) => {
                parts.entry((None, Reason::NotMapped(line.service_name))).or_default().add(amount, line.line);
            }
            (Some(rule), None) => {
                let quantity = line.pricing_quantity.unwrap_or_default();
                let hours = quantity.saturating_mul(map.rules[rule].gpus_per_unit);
                both[rule].billed_hours = both[rule].billed_hours.saturating_add(hours);
                both[rule].billed.add(amount, line.line);
            }
        }
    }
    for used in ledger {
        let cost = used.cost.map(|cost| ExactSum::from(cost.decimal()));
        result.ledger += cost.unwrap_or_default();
        match (map.of_use(&used), cost) {
            (None, None) => (),
            (None, Some(cost)) => {
                let part = parts.entry((None, Reason::NotOnTheBill(used.cluster))).or_default();
                part.amount += -cost;
                part.gpu_hours = Some(part.gpu_hours.unwrap_or_default().saturating_add(used.gpu_hours));
            }
            (Some(rule), Some(cost)) => {
                both[rule].seen += cost;
                both[rule].seen_hours = both[rule].seen_hours.saturating_add(used.gpu_hours);
            }
            (Some(rule), None) => {
                let hours = &mut both[rule].hours_without_price;
                *hours = hours.saturating_add(used.gpu_hours);
            }
        }
    }
    for (rule, both) in both.into_iter().enumerate() {
        explain(rule, both, &mut parts);
    }
    result.difference = result.bill - result.ledger;
    let told = parts.into_iter().filter(|(_, part)| !part.amount.is_zero());
    result.parts = told.map(|((rule, reason), part)| explained(rule, reason, part)).collect();
    result
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
