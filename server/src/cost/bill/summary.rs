//! What a bill sums to, by what finance asks for first. Amounts of different currencies are never added.

use super::super::exact::ExactSum;
use super::{BillError, BillLine};
use std::collections::BTreeMap;

/// Distinct values of a column that are summed. A bill has some dozens; a column with more is not what it says.
const GROUPS_MAX: usize = 10_000;

/// The name of the group of lines that have no value.
pub const NO_VALUE: &str = "(none)";

/// The four costs of FOCUS, summed exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BillSums {
    pub rows: u64,
    /// What is invoiced.
    pub billed: ExactSum,
    /// With discounts, and prepaid amounts spread over their use.
    pub effective: ExactSum,
    /// At list prices.
    pub list: ExactSum,
    /// At negotiated prices, before commitments.
    pub contracted: ExactSum,
    /// Rows whose list cost is null, so that `list` lacks them.
    pub rows_without_list: u64,
    /// Likewise of `contracted`.
    pub rows_without_contracted: u64,
}

impl BillSums {
    fn add(&mut self, line: &BillLine) {
        self.rows += 1;
        self.billed += line.billed.into();
        self.effective += line.effective.into();
        self.list += line.list.unwrap_or_default().into();
        self.contracted += line.contracted.unwrap_or_default().into();
        self.rows_without_list += u64::from(line.list.is_none());
        self.rows_without_contracted += u64::from(line.contracted.is_none());
    }
}

/// Sums by currency and value.
pub type BillGroups = BTreeMap<(String, String), BillSums>;

/// Sums of the lines of a bill. The first of each key is the currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillSummary {
    pub rows: u64,
    pub by_currency: BTreeMap<String, BillSums>,
    /// `Usage`, `Purchase`, `Tax`, `Credit`, `Adjustment`.
    pub by_charge_category: BillGroups,
    pub by_service_category: BillGroups,
    pub by_provider: BillGroups,
}

impl BillSummary {
    pub(super) fn add(&mut self, line: &BillLine) -> Result<(), BillError> {
        self.rows += 1;
        if !self.by_currency.contains_key(&line.currency) && self.by_currency.len() >= GROUPS_MAX {
            return Err(BillError::Groups("BillingCurrency"));
        }
        self.by_currency.entry(line.currency.clone()).or_default().add(line);
        grouped(&mut self.by_charge_category, line, Some(line.charge_category.as_str()), "ChargeCategory")?;
        grouped(&mut self.by_service_category, line, line.service_category.as_deref(), "ServiceCategory")?;
        grouped(&mut self.by_provider, line, line.provider.as_deref(), "ServiceProviderName")
    }
}

fn grouped(
    groups: &mut BillGroups,
    line: &BillLine,
    value: Option<&str>,
    column: &'static str,
) -> Result<(), BillError> {
    let key = (line.currency.clone(), value.unwrap_or(NO_VALUE).to_owned());
    if !groups.contains_key(&key) && groups.len() >= GROUPS_MAX {
        return Err(BillError::Groups(column));
    }
    groups.entry(key).or_default().add(line);
    Ok(())
}
