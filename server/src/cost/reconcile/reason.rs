//! Why bill and ledger differ, in a word for programs and in words for people.

use super::super::bill::ChargeCategory;
use std::sync::Arc;

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
    /// Shared overheads of this cluster, which only the ledger has.
    Overhead(Arc<str>),
    /// What rounding of hours and prices leaves.
    Rounding,
    /// Amounts in this currency for which there is no exchange rate, outside of the difference.
    OtherCurrency(String),
}

impl Reason {
    /// One word that programs know it by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::BilledNotSeen => "billed_not_seen",
            Self::SeenNotBilled => "seen_not_billed",
            Self::WithoutPrice => "without_price",
            Self::Charge(ChargeCategory::Usage) => "usage",
            Self::Charge(ChargeCategory::Purchase) => "purchase",
            Self::Charge(ChargeCategory::Tax) => "tax",
            Self::Charge(ChargeCategory::Credit) => "credit",
            Self::Charge(ChargeCategory::Adjustment) => "adjustment",
            Self::Correction => "correction",
            Self::NotMapped(_) => "not_mapped",
            Self::NotOnTheBill(_) => "not_on_the_bill",
            Self::Overhead(_) => "overhead",
            Self::Rounding => "rounding",
            Self::OtherCurrency(_) => "other_currency",
        }
    }

    /// The service, cluster or currency that it is about.
    pub fn about(&self) -> Option<&str> {
        match self {
            Self::NotMapped(service) => service.as_deref(),
            Self::NotOnTheBill(cluster) | Self::Overhead(cluster) => Some(cluster),
            Self::OtherCurrency(currency) => Some(currency),
            _ => None,
        }
    }

    /// What it means, for people.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Price => "hours that both have cost more or less than the ledger's prices say",
            Self::BilledNotSeen => "hours on the bill that the ledger does not have",
            Self::SeenNotBilled => "hours in the ledger that the bill does not have",
            Self::WithoutPrice => "hours that both have and the ledger has no price for",
            Self::Charge(ChargeCategory::Usage) => "use",
            Self::Charge(ChargeCategory::Purchase) => "purchases, which are no use",
            Self::Charge(ChargeCategory::Tax) => "taxes",
            Self::Charge(ChargeCategory::Credit) => "credits",
            Self::Charge(ChargeCategory::Adjustment) => "adjustments of the provider",
            Self::Correction => "corrections of earlier bills",
            Self::NotMapped(_) => "lines of the bill that no rule of the map takes",
            Self::NotOnTheBill(_) => "use in the ledger that no rule of the map takes",
            Self::Overhead(_) => "shared overheads, which only the ledger has",
            Self::Rounding => "what rounding of hours and prices leaves",
            Self::OtherCurrency(_) => "amounts without an exchange rate, outside of the difference",
        }
    }

    /// Whether the amount is the ledger's alone.
    pub(super) fn is_of_the_ledger(&self) -> bool {
        matches!(self, Self::SeenNotBilled | Self::NotOnTheBill(_) | Self::Overhead(_))
    }
}
