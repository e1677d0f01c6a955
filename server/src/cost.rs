//! Money: what use costs, to the micro. Pure arithmetic over values; no I/O, no clock, no Arrow.
//!
//! **Invariants:** a quantity becomes money in [`Micros::of`] and nowhere else; what is split sums to what it was
//! split from ([`Micros::split`]); what has no price has no cost, neither 0 nor a guess.

mod money;
mod rows;

pub use money::{Micros, MoneyError, parse_decimal};
pub use rows::{Category, GpuHour, GpuPlace, JobRun, LedgerRow, Owner, PricedBy, Use};
