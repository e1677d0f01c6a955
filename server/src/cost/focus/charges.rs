//! Rows of the ledger gathered into origin charges, and each origin split into what its jobs and its idle time cost.

use super::super::bill::Period;
use super::super::exact::ExactSum;
use super::super::money::Micros;
use super::super::rows::Category;
use super::{DECIMAL_DIGITS, FocusError, FocusGrain, FocusNames, FocusRow, FocusSource, reserved, rounded};
use chrono::{DateTime, Datelike, Days, Months, Utc};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Different charges of one GPU in one period that are held at once: more than jobs fit into a month.
const CHARGES_MAX: usize = 1_000_000;
/// Kinds of use without a price that the note lists; rows of further ones are counted only.
const UNPRICED_MAX: usize = 10_000;
/// Ratios have 12 digits after the point, and sum to 1.
const RATIO_WHOLE: Micros = Micros(1_000_000_000_000);
const RATIO_DIGITS: u32 = 12;

/// Use that has no price, so that no charge stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedUse {
    pub cluster: Arc<str>,
    pub gpu_model: Option<Arc<str>>,
    pub category: Category,
    pub unit: Arc<str>,
    pub rows: u64,
    pub quantity: Decimal,
}

impl fmt::Display for UnpricedUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quantity, unit, category) = (self.quantity.normalize(), &self.unit, self.category.as_str());
        let model = self.gpu_model.as_deref().map(|model| format!(" on {model}")).unwrap_or_default();
        write!(
            f,
            "cluster {}: {quantity} {unit} of {category}{model} have no price and are not in the file",
            self.cluster
        )
    }
}

/// What became of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FocusNote {
    pub rows: u64,
    pub charges: u64,
    pub unpriced_rows: u64,
    pub unpriced: Vec<UnpricedUse>,
    /// Of all charges, by currency: what the priced rows cost.
    pub effective: BTreeMap<Arc<str>, ExactSum>,
}

/// What rows with the same dimensions sum to.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    quantity: Decimal,
    cost: Micros,
    rows: u32,
}

/// Charges of the same dimensions but for whom they are for. Keys are sources without quantity and cost.
type Origins = BTreeMap<FocusSource, BTreeMap<FocusSource, Share>>;

/// Turns rows into charges, one GPU and period at a time.
///
/// Give the rows of one GPU (or of one job without a GPU) and period one after the other; rows that come apart from
/// theirs are an origin of their own, and all sums hold.
pub struct FocusExport {
    names: Arc<FocusNames>,
    grain: FocusGrain,
    held_for: Option<FocusSource>,
    held: Origins,
    held_charges: usize,
    note: FocusNote,
}

impl FocusExport {
    pub fn new(names: FocusNames, grain: FocusGrain) -> Self {
        let (names, held, note) = (Arc::new(names), Origins::new(), FocusNote::default());
        Self { names, grain, held_for: None, held, held_charges: 0, note }
    }

    /// Takes a row, and gives the charges that no further row can change to `each`.
    ///
    /// # Errors
    /// What `each` says; a charge is beyond what a file can hold.
    pub fn push(
        &mut self,
        mut source: FocusSource,
        each: impl FnMut(FocusRow) -> Result<(), FocusError>,
    ) -> Result<(), FocusError> {
        self.note.rows += 1;
        source.quantity = rounded(source.quantity);
        let Some(cost) = source.cost else {
            self.leave_out(&source);
            return Ok(());
        };
        source.charge_period = at_grain(source.charge_period, self.grain);
        if self.grain != FocusGrain::Hour {
            source.state = None;
        }
        let (quantity, share) = (source.quantity, without_amounts(source));
        let holder = holder(&share);
        if self.held_for.as_ref() != Some(&holder) {
            self.flush(each)?;
            self.held_for = Some(holder);
        }
        let shares = self.held.entry(origin(&share)).or_default();
        let count = shares.len();
        let sum = shares.entry(share).or_default();
        let too_large = || FocusError::TooLarge(quantity.to_string());
        sum.quantity = sum.quantity.checked_add(quantity).ok_or_else(too_large)?;
        sum.cost = Micros(sum.cost.0.checked_add(cost.0).ok_or_else(too_large)?);
        sum.rows = sum.rows.saturating_add(1);
        self.held_charges += shares.len() - count;
        if self.held_charges > CHARGES_MAX { Err(FocusError::TooManyCharges(CHARGES_MAX)) } else { Ok(()) }
    }

    /// Gives the last charges, and tells what became of all rows.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(mut self, each: impl FnMut(FocusRow) -> Result<(), FocusError>) -> Result<FocusNote, FocusError> {
        self.flush(each)?;
        Ok(self.note)
    }

    fn flush(&mut self, mut each: impl FnMut(FocusRow) -> Result<(), FocusError>) -> Result<(), FocusError> {
        self.held_charges = 0;
        for shares in std::mem::take(&mut self.held).into_values() {
            for row in charges(shares, &self.names)? {
                self.note.charges += 1;
                *self.note.effective.entry(Arc::clone(&row.of.currency)).or_default() += row.effective.into();
                each(row)?;
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, source: &FocusSource) {
        self.note.unpriced_rows += 1;
        let same = |u: &&mut UnpricedUse| {
            (&u.cluster, &u.gpu_model, u.category, &u.unit)
                == (&source.cluster, &source.gpu_model, source.category, &source.unit)
        };
        let has_room = self.note.unpriced.len() < UNPRICED_MAX;
        match self.note.unpriced.iter_mut().find(same) {
            Some(known) => {
                known.rows += 1;
                known.quantity = known.quantity.saturating_add(source.quantity);
            }
            None if has_room => self.note.unpriced.push(UnpricedUse {
                cluster: Arc::clone(&source.cluster),
                gpu_model: source.gpu_model.clone(),
                category: source.category,
                unit: Arc::clone(&source.unit),
                rows: 1,
                quantity: source.quantity,
            }),
            None => (),
        }
    }
}

fn without_amounts(source: FocusSource) -> FocusSource {
    FocusSource { quantity: Decimal::ZERO, cost: None, ..source }
}

/// The dimensions of the origin: all but for whom, and what the GPU did. Idle time of capacity that was reserved has
/// another status than its use, so it is an origin of its own. Charges without a GPU are not split.
fn origin(share: &FocusSource) -> FocusSource {
    let idle_is_remainder = share.category == Category::Idle && reserved(share).is_none();
    let category = if idle_is_remainder { Category::Gpu } else { share.category };
    match share.gpu_uuid {
        None => share.clone(),
        Some(_) => FocusSource { category, state: None, ..without_owner(share) },
    }
}

fn without_owner(source: &FocusSource) -> FocusSource {
    FocusSource {
        job_id: None,
        job_name: None,
        user: None,
        account: None,
        project: None,
        queue: None,
        team: None,
        cost_centre: None,
        ..source.clone()
    }
}

/// What is held together: a GPU in a period, or a job that has none.
fn holder(share: &FocusSource) -> FocusSource {
    let nothing = FocusSource {
        // A correction is billed later than what it corrects.
        billing_period: Period::default(),
        category: Category::Gpu,
        state: None,
        unit: Arc::from(""),
        rate: None,
        price_kind: None,
        price_version: None,
        price_line: None,
        policy_version: None,
        corrects: None,
        ..without_owner(share)
    };
    match share.gpu_uuid {
        Some(_) => nothing,
        None => FocusSource { job_id: share.job_id.clone(), ..nothing },
    }
}

/// The charges of one origin.
fn charges(shares: BTreeMap<FocusSource, Share>, names: &Arc<FocusNames>) -> Result<Vec<FocusRow>, FocusError> {
    let ratios = ratios(&shares.values().copied().collect::<Vec<_>>());
    let Some((first, _)) = shares.first_key_value() else { return Ok(Vec::new()) };
    let (is_split, is_correction) = (first.gpu_uuid.is_some(), first.corrects.is_some());
    let total = shares.values().fold(Share::default(), |sum, share| Share {
        quantity: sum.quantity.saturating_add(share.quantity),
        cost: Micros(sum.cost.0.saturating_add(share.cost.0)),
        rows: sum.rows.saturating_add(share.rows),
    });
    let unit_price = if is_correction { None } else { unit_price(first.rate.unwrap_or_default(), total) };
    let by_unit = total.quantity.is_zero() && !total.cost.decimal().is_zero() && !is_correction;
    let mut rows = Vec::with_capacity(shares.len());
    for ((key, share), ratio) in shares.into_iter().zip(ratios) {
        let effective = share.cost.decimal().normalize();
        let quantity = if by_unit { ratio } else { share.quantity };
        let contracted = unit_price.map_or(Ok(effective), |price| product(price, quantity))?;
        rows.push(FocusRow {
            names: Arc::clone(names),
            ratio: is_split.then_some(ratio),
            pricing_quantity: quantity,
            pricing_unit: if by_unit { Arc::from("Unit") } else { Arc::clone(&key.unit) },
            unit_price,
            contracted,
            effective,
            of: FocusSource { quantity: share.quantity, cost: Some(share.cost), ..key },
        });
    }
    Ok(rows)
}

/// Shares of 1, by cost; by quantity where costs are none or of both signs.
fn ratios(shares: &[Share]) -> Vec<Decimal> {
    let costs = || shares.iter().map(|share| share.cost.0);
    let by_cost = costs().any(|c| c != 0) && (costs().all(|c| c >= 0) || costs().all(|c| c <= 0));
    let nano = Decimal::from(1_000_000_000);
    let weight = |share: &Share| match by_cost {
        true => share.cost.0.unsigned_abs(),
        // A quantity beyond what fits weighs as much as one that just fits.
        false => u64::try_from(share.quantity.abs().saturating_mul(nano)).unwrap_or(u64::MAX),
    };
    let parts = RATIO_WHOLE.split(&shares.iter().map(weight).collect::<Vec<_>>());
    parts.into_iter().map(|part| Decimal::new(part.0, RATIO_DIGITS).normalize()).collect()
}

/// The rate, where the rows cost rate × quantity but for their rounding to micros; else what they cost a unit. Without
/// a quantity the whole is one unit. None where the price would be negative.
fn unit_price(rate: Decimal, total: Share) -> Option<Decimal> {
    let (price, cost, rows) = (rounded(rate), total.cost.decimal(), Decimal::from(total.rows));
    let nano = Decimal::new(1, super::QUANTITY_DIGITS);
    let rounding = rows.checked_mul(Decimal::new(1, 6))?;
    let digits = total.quantity.abs().checked_add(rows.checked_mul(price)?)?.checked_mul(nano)?;
    let off = price.checked_mul(total.quantity)?.checked_sub(cost)?.abs();
    let chosen = if off <= rounding.checked_add(digits)? {
        price
    } else if total.quantity.is_zero() {
        cost.normalize()
    } else {
        rounded(cost.checked_div(total.quantity)?)
    };
    (!chosen.is_sign_negative() || chosen.is_zero()).then_some(chosen)
}

/// Exactly, or not at all.
fn product(price: Decimal, quantity: Decimal) -> Result<Decimal, FocusError> {
    let digits = (price.mantissa(), quantity.mantissa(), price.scale() + quantity.scale());
    let exact = digits.0.checked_mul(digits.1).filter(|_| digits.2 <= DECIMAL_DIGITS);
    let exact = exact.and_then(|mantissa| Decimal::try_from_i128_with_scale(mantissa, digits.2).ok());
    exact.map(|product| product.normalize()).ok_or_else(|| FocusError::TooLarge(format!("{quantity} at {price}")))
}

/// The day or month that a period lies in; one that reaches beyond stays as it is.
fn at_grain(period: Period, grain: FocusGrain) -> Period {
    let wider = || {
        let start = DateTime::<Utc>::from_timestamp_micros(period.start_micros)?.date_naive();
        let (start, end) = match grain {
            FocusGrain::Hour => return None,
            FocusGrain::Day => (start, start.checked_add_days(Days::new(1))?),
            FocusGrain::Month => {
                let first = start.with_day(1)?;
                (first, first.checked_add_months(Months::new(1))?)
            }
        };
        let micros = |date: chrono::NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
        Some(Period { start_micros: micros(start), end_micros: micros(end) })
    };
    wider().filter(|wide| wide.end_micros >= period.end_micros).unwrap_or(period)
}
