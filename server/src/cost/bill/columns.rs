//! The columns of FOCUS 1.0 to 1.4 by name, which of them a bill must have, and where a file has them.

use super::BillError;

/// More columns than any bill has; a header beyond it is no header.
const COLUMNS_MAX: usize = 4096;

macro_rules! columns {
    ($($name:ident),* $(,)?) => {
        /// A column of FOCUS, spelled as the specification does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Column {
            $($name),*
        }

        impl Column {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

columns! {
    AllocatedMethodDetails, AllocatedMethodId, AllocatedResourceId, AllocatedResourceName, AllocatedTags,
    AvailabilityZone, BilledCost, BillingAccountId, BillingAccountName, BillingAccountType, BillingCurrency,
    BillingPeriodEnd, BillingPeriodStart, CapacityReservationId, CapacityReservationStatus, ChargeCategory,
    ChargeClass, ChargeDescription, ChargeFrequency, ChargePeriodEnd, ChargePeriodStart, CommitmentDiscountCategory,
    CommitmentDiscountId, CommitmentDiscountName, CommitmentDiscountQuantity, CommitmentDiscountStatus,
    CommitmentDiscountType, CommitmentDiscountUnit, CommitmentProgramEligibilityDetails, ConsumedQuantity,
    ConsumedUnit, ContractApplied, ContractedCost, ContractedUnitPrice, EffectiveCost, HostProviderName,
    InvoiceDetailId, InvoiceId, InvoiceIssuerName, ListCost, ListUnitPrice, PricingCategory, PricingCurrency,
    PricingCurrencyContractedUnitPrice, PricingCurrencyEffectiveCost, PricingCurrencyListUnitPrice, PricingQuantity,
    PricingUnit, ProviderName, PublisherName, RegionId, RegionName, ResourceId, ResourceName, ResourceType,
    ServiceCategory, ServiceName, ServiceProviderName, ServiceSubcategory, SkuId, SkuMeter, SkuPriceDetails,
    SkuPriceId, SubAccountId, SubAccountName, SubAccountType, Tags,
}

/// Mandatory in every version from 1.0 to 1.4. Who sells is `ProviderName` before 1.4 and `ServiceProviderName` from
/// 1.3 on: one of the two.
const MANDATORY: [Column; 19] = [
    Column::BilledCost,
    Column::BillingAccountId,
    Column::BillingAccountName,
    Column::BillingCurrency,
    Column::BillingPeriodEnd,
    Column::BillingPeriodStart,
    Column::ChargeCategory,
    Column::ChargeClass,
    Column::ChargeDescription,
    Column::ChargePeriodEnd,
    Column::ChargePeriodStart,
    Column::ContractedCost,
    Column::EffectiveCost,
    Column::InvoiceIssuerName,
    Column::ListCost,
    Column::PricingQuantity,
    Column::PricingUnit,
    Column::ServiceCategory,
    Column::ServiceName,
];

/// Where a file has the columns.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// In the order of [`Column::ALL`].
    at: Vec<Option<usize>>,
    /// Cells of a whole row.
    pub(super) width: usize,
    /// Names that FOCUS does not have, in the order of the file.
    pub(super) unknown: Vec<String>,
}

impl Places {
    pub(super) fn of(header: &csv::ByteRecord) -> Result<Self, BillError> {
        if header.len() > COLUMNS_MAX {
            return Err(BillError::Header(format!("has {} columns, at most {COLUMNS_MAX} are read", header.len())));
        }
        let mut places = Self { at: vec![None; Column::ALL.len()], width: header.len(), unknown: Vec::new() };
        for (position, cell) in header.iter().enumerate() {
            let name = String::from_utf8_lossy(cell);
            match Column::ALL.iter().position(|column| column.name() == name) {
                None => places.unknown.push(name.chars().take(100).collect()),
                Some(known) if places.at[known].is_some() => {
                    return Err(BillError::Header(format!("names {name:?} twice")));
                }
                Some(known) => places.at[known] = Some(position),
            }
        }
        let mut missing: Vec<&str> =
            MANDATORY.iter().filter(|c| places.position(**c).is_none()).map(|c| c.name()).collect();
        if !places.has(Column::ProviderName) && !places.has(Column::ServiceProviderName) {
            missing.push("ServiceProviderName (ProviderName before FOCUS 1.4)");
        }
        if missing.is_empty() { Ok(places) } else { Err(BillError::Missing(missing.join(", "))) }
    }

    fn position(&self, column: Column) -> Option<usize> {
        self.at[column as usize]
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }

    /// The cell of a column; none where the file has no such column.
    pub(super) fn cell<'a>(&self, record: &'a csv::ByteRecord, column: Column) -> Option<&'a [u8]> {
        record.get(self.position(column)?)
    }

    /// The oldest version that has all columns of the file.
    pub(super) fn version(&self) -> &'static str {
        let any = |columns: &[Column]| columns.iter().any(|c| self.has(*c));
        if any(&[Column::InvoiceDetailId, Column::CommitmentProgramEligibilityDetails])
            || !self.has(Column::ProviderName)
        {
            return "1.4";
        }
        if any(&[Column::ServiceProviderName, Column::HostProviderName, Column::ContractApplied])
            || any(&[Column::AllocatedMethodId, Column::AllocatedResourceId, Column::AllocatedTags])
        {
            return "1.3";
        }
        if any(&[Column::InvoiceId, Column::BillingAccountType, Column::SubAccountType, Column::PricingCurrency]) {
            return "1.2";
        }
        if any(&[Column::ServiceSubcategory, Column::SkuMeter, Column::SkuPriceDetails])
            || any(&[Column::CapacityReservationId, Column::CommitmentDiscountQuantity])
        {
            return "1.1";
        }
        "1.0"
    }
}
