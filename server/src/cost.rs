//! Money: what use costs, to the micro. Pure arithmetic over values; no I/O, no clock, no Arrow.
//!
//! **Invariants:** a quantity becomes money in [`Micros::of`] and nowhere else; what is split sums to what it was
//! split from ([`Micros::split`]); what has no price has no cost, neither 0 nor a guess.

mod anomaly;
mod bill;
mod book;
mod budget;
mod carbon;
mod catalog;
mod charges;
mod close;
mod compare;
mod dimension;
mod document;
mod exact;
mod fields;
mod focus;
mod forecast;
mod hours;
mod ledger;
mod money;
mod ownership;
mod pattern;
mod period;
mod policy;
mod pools;
mod rates;
mod reconcile;
mod rows;
mod waterfall;

#[cfg(test)]
mod tests;

pub use anomaly::{Anomaly, DayCosts, DayPart, Driver, anomalies};
pub use bill::{
    BillError, BillFault, BillGroups, BillLine, BillReading, BillSummary, BillSums, ChargeCategory, NO_VALUE,
    Period as BillPeriod, Taken, read_bill,
};
pub use book::{Book, Gap, PriceRow};
pub use budget::{Budget, BurnDown, Crossing, DayCost, Every};
pub use carbon::{GridFactor, GridFactors, grams};
pub use catalog::{CatalogMap, Converted};
pub use charges::Charge;
pub use close::{Adjustment, adjustments};
pub use compare::{Compared, Comparison};
pub use dimension::{DIMENSIONS, LedgerDimension};
pub use document::{Document, Fault};
pub use exact::ExactSum;
pub use fields::{Document as TomlDocument, Fault as LineFault, Fields as TomlFields, span as parse_span};
pub use focus::{
    DECIMAL_DIGITS as FOCUS_DECIMAL_DIGITS, FocusColumn, FocusCsv, FocusError, FocusExport, FocusGrain, FocusNames,
    FocusNote, FocusRow, FocusSource, FocusType, FocusValue, FocusVersion, QUANTITY_DIGITS as FOCUS_QUANTITY_DIGITS,
    UnpricedUse, focus_metadata, focus_quantity,
};
pub use forecast::Forecast;
pub use ledger::{CLOCK_SKEW_MAX_MICROS, Inputs, Noted, Notice, NoticeKind, day};
pub use money::{Micros, MoneyError, parse_decimal};
pub use ownership::{Move, Moves, Owners, Ownership, UNOWNED};
pub use period::{DAY_MICROS, HOUR_MICROS, Period, hour_of, known_from, known_to};
pub use policy::{Idle, NodeSplit, Overhead, Policy, PoolOwner, SharedGpus, Spread};
pub use pools::Pools;
pub use rates::ExchangeRates;
pub use reconcile::{
    BillBasis, BillMap, BillMapError, BillRule, Comparing, CurrencySums, Explained, LedgerUse, Reason, Reconciliation,
    Reconciling, RuleSums,
};
pub use rows::{
    Category, Electricity, Elsewhen, GpuHour, GpuPlace, Held, Holding, JobRun, LedgerRow, Owner, Price, Priced,
    PricedBy, Prices, Processes, Request, Unit, Use,
};
pub use waterfall::{Activity, Amount, Stage, Step, UnitCosts, Waterfall};
