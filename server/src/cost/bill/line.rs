//! One charge of a bill, and how a row becomes one.

use super::cells;
use super::columns::{Column, Places};
use super::{BillFault, ChargeCategory};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A span of time in Unix microseconds; the end does not belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    pub start_micros: i64,
    pub end_micros: i64,
}

impl Period {
    /// Microseconds that both have.
    pub fn overlap_micros(self, other: Self) -> i64 {
        let (start, end) = (self.start_micros.max(other.start_micros), self.end_micros.min(other.end_micros));
        end.saturating_sub(start).max(0)
    }
}

/// One row of a bill, as the columns of FOCUS have it. Amounts are in `currency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// Line of the file where the row starts, from 1; the header is line 1.
    pub line: u64,
    pub billed: Decimal,
    pub effective: Decimal,
    /// Null is against the standard, yet some providers have it.
    pub list: Option<Decimal>,
    /// Likewise.
    pub contracted: Option<Decimal>,
    pub currency: String,
    pub billing_account_id: Option<String>,
    pub billing_account_name: Option<String>,
    pub billing_period: Period,
    pub charge_period: Period,
    pub charge_category: ChargeCategory,
    /// The row corrects a period that was invoiced before.
    pub is_correction: bool,
    pub charge_description: Option<String>,
    pub charge_frequency: Option<String>,
    pub service_category: Option<String>,
    pub service_name: Option<String>,
    /// `ServiceProviderName`, or `ProviderName` of older versions.
    pub provider: Option<String>,
    pub invoice_issuer: Option<String>,
    pub invoice_id: Option<String>,
    pub pricing_category: Option<String>,
    pub pricing_quantity: Option<Decimal>,
    pub pricing_unit: Option<String>,
    pub list_unit_price: Option<Decimal>,
    pub contracted_unit_price: Option<Decimal>,
    pub consumed_quantity: Option<Decimal>,
    pub consumed_unit: Option<String>,
    pub commitment_discount_id: Option<String>,
    pub commitment_discount_status: Option<String>,
    pub region_id: Option<String>,
    pub region_name: Option<String>,
    pub availability_zone: Option<String>,
    pub resource_id: Option<String>,
    pub resource_name: Option<String>,
    pub resource_type: Option<String>,
    pub sku_id: Option<String>,
    pub sku_price_id: Option<String>,
    pub sub_account_id: Option<String>,
    pub sub_account_name: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// Cells of one row, and what is wrong with them.
struct Row<'a> {
    line: u64,
    places: &'a Places,
    record: &'a csv::ByteRecord,
    faults: Vec<BillFault>,
}

/// The line of a row, or all faults of the row.
pub(super) fn line_of(line: u64, places: &Places, record: &csv::ByteRecord) -> Result<BillLine, Vec<BillFault>> {
    if record.len() != places.width {
        let what = format!("has {} cells, the header has {}", record.len(), places.width);
        return Err(vec![BillFault { line, column: None, what }]);
    }
    let mut row = Row { line, places, record, faults: Vec::new() };
    let read = BillLine {
        line,
        billed: row.amount(Column::BilledCost),
        effective: row.amount(Column::EffectiveCost),
        list: row.number(Column::ListCost),
        contracted: row.number(Column::ContractedCost),
        currency: row.currency(),
        billing_account_id: row.text(Column::BillingAccountId),
        billing_account_name: row.text(Column::BillingAccountName),
        billing_period: row.period(Column::BillingPeriodStart, Column::BillingPeriodEnd),
        charge_period: row.period(Column::ChargePeriodStart, Column::ChargePeriodEnd),
        charge_category: row.charge_category(),
        is_correction: row.is_correction(),
        charge_description: row.text(Column::ChargeDescription),
        charge_frequency: row.text(Column::ChargeFrequency),
        service_category: row.text(Column::ServiceCategory),
        service_name: row.text(Column::ServiceName),
        provider: row.text(Column::ServiceProviderName).or_else(|| row.text(Column::ProviderName)),
        invoice_issuer: row.text(Column::InvoiceIssuerName),
        invoice_id: row.text(Column::InvoiceId),
        pricing_category: row.text(Column::PricingCategory),
        pricing_quantity: row.number(Column::PricingQuantity),
        pricing_unit: row.text(Column::PricingUnit),
        list_unit_price: row.number(Column::ListUnitPrice),
        contracted_unit_price: row.number(Column::ContractedUnitPrice),
        consumed_quantity: row.number(Column::ConsumedQuantity),
        consumed_unit: row.text(Column::ConsumedUnit),
        commitment_discount_id: row.text(Column::CommitmentDiscountId),
        commitment_discount_status: row.text(Column::CommitmentDiscountStatus),
        region_id: row.text(Column::RegionId),
        region_name: row.text(Column::RegionName),
        availability_zone: row.text(Column::AvailabilityZone),
        resource_id: row.text(Column::ResourceId),
        resource_name: row.text(Column::ResourceName),
        resource_type: row.text(Column::ResourceType),
        sku_id: row.text(Column::SkuId),
        sku_price_id: row.text(Column::SkuPriceId),
        sub_account_id: row.text(Column::SubAccountId),
        sub_account_name: row.text(Column::SubAccountName),
        tags: row.tags(),
    };
    if row.faults.is_empty() { Ok(read) } else { Err(row.faults) }
}

impl Row<'_> {
    fn fault(&mut self, column: Column, what: String) {
        self.faults.push(BillFault { line: self.line, column: Some(column.name()), what });
    }

    fn cell(&mut self, column: Column) -> Option<&str> {
        match cells::text(self.places.cell(self.record, column)) {
            Ok(text) => text,
            Err(what) => {
                self.fault(column, what);
                None
            }
        }
    }

    fn text(&mut self, column: Column) -> Option<String> {
        self.cell(column).map(str::to_owned)
    }

    fn number(&mut self, column: Column) -> Option<Decimal> {
        match self.cell(column).map(cells::decimal)? {
            Ok(number) => Some(number),
            Err(what) => {
                self.fault(column, what);
                None
            }
        }
    }

    /// A number that must be there. The 0 in the place of a fault goes nowhere: the row is refused.
    fn amount(&mut self, column: Column) -> Decimal {
        let before = self.faults.len();
        let number = self.number(column);
        if number.is_none() && self.faults.len() == before {
            self.fault(column, "is null".to_owned());
        }
        number.unwrap_or_default()
    }

    fn currency(&mut self) -> String {
        let text = self.text(Column::BillingCurrency).unwrap_or_default();
        if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_uppercase()) {
            self.fault(Column::BillingCurrency, format!("{:?} is not a currency code like USD", cells::shown(&text)));
        }
        text
    }

    fn time(&mut self, column: Column) -> i64 {
        match self.cell(column).map_or_else(|| Err("is null".to_owned()), cells::time_micros) {
            Ok(micros) => micros,
            Err(what) => {
                self.fault(column, what);
                0
            }
        }
    }

    fn period(&mut self, start: Column, end: Column) -> Period {
        let before = self.faults.len();
        let period = Period { start_micros: self.time(start), end_micros: self.time(end) };
        if self.faults.len() == before && period.end_micros < period.start_micros {
            self.fault(end, format!("is before {}", start.name()));
        }
        period
    }

    fn charge_category(&mut self) -> ChargeCategory {
        let text = self.text(Column::ChargeCategory).unwrap_or_default();
        ChargeCategory::ALL.into_iter().find(|c| c.as_str() == text).unwrap_or_else(|| {
            let known = ChargeCategory::ALL.map(ChargeCategory::as_str).join(", ");
            self.fault(Column::ChargeCategory, format!("{:?} is none of {known}", cells::shown(&text)));
            ChargeCategory::Usage
        })
    }

    fn is_correction(&mut self) -> bool {
        let text = self.text(Column::ChargeClass);
        if let Some(other) = text.as_deref().filter(|t| *t != "Correction") {
            let what = format!("{:?} is not Correction, the only class", cells::shown(other));
            self.fault(Column::ChargeClass, what);
        }
        text.is_some()
    }

    fn tags(&mut self) -> BTreeMap<String, String> {
        match self.cell(Column::Tags).map_or_else(|| Ok(BTreeMap::new()), cells::tags) {
            Ok(tags) => tags,
            Err(what) => {
                self.fault(Column::Tags, what);
                BTreeMap::new()
            }
        }
    }
}
