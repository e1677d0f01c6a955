//! Money: what use costs, to the micro. Pure arithmetic over values; no I/O, no clock, no Arrow.
//!
//! **Invariants:** a quantity becomes money in [`Micros::of`] and nowhere else; what is split sums to what it was
//! split from ([`Micros::split`]); what has no price has no cost, neither 0 nor a guess.

mod book;
mod document;
mod hours;
mod money;
mod pattern;
mod pools;
mod rates;
mod rows;

pub use book::{Book, Electricity, Gap, Price, PriceRow, Priced};
pub use document::{Document, Fault};
pub use money::{Micros, MoneyError, parse_decimal};
pub use pools::Pools;
pub use rates::ExchangeRates;
pub use rows::{Category, GpuHour, GpuPlace, JobRun, LedgerRow, Owner, PricedBy, Use};
