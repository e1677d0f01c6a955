//! The ledger of some hours: what each GPU cost in each of them, for whom and in which state.
//!
//! **Invariants:** for each hour and GPU the rows sum to its price, to the micro; no row is negative; the same inputs
//! in any order give the same rows in the same order; what has no price has rows without cost, and a notice.

mod accounting;
mod attribution;
mod demand;
mod gpu;
mod mig;
mod notice;
mod part;
mod requests;
mod sheet;
mod spread;
mod stated;

pub use demand::CLOCK_SKEW_MAX_MICROS;
pub use notice::{Noted, Notice, NoticeKind};

use super::charges::Charge;
use super::money::Micros;
use super::ownership::Ownership;
use super::period::{HOUR_MICROS, hour_of};
use super::policy::Policy;
use super::rows::{GpuHour, Held, JobRun, LedgerRow, Prices, Request};
use accounting::Accounting;
use requests::Requests;
use sheet::Sheet;
use std::sync::Arc;

/// A month and a day: more is asked for by the month.
const HOURS_MAX: i64 = 32 * 24;

/// What the ledger of some hours is computed from.
#[derive(Clone, Copy)]
pub struct Inputs<'i> {
    /// Unix microseconds of the first hour, and of the end of the last one; at most 32 days apart, what is beyond
    /// them is not computed.
    pub from_micros: i64,
    pub to_micros: i64,
    /// Until when everything is known, Unix microseconds: a job without an end is charged until then.
    pub known_to_micros: i64,
    /// In any order. Those of other hours are passed over.
    pub gpu_hours: &'i [GpuHour],
    /// What schedulers say, which overrules the jobs that samples name; each GPU once.
    pub held: &'i [Held],
    /// Jobs that are charged by accounting in the hours in which none of `gpu_hours` has them.
    pub accounting_jobs: &'i [Arc<JobRun>],
    /// What other jobs hold beside GPUs.
    pub requests: &'i [Request],
    /// In an order that stays.
    pub charges: &'i [Charge],
    pub prices: &'i dyn Prices,
    pub ownership: &'i Ownership,
    pub policy: &'i Policy,
}

/// The rows of the hours, in order of the hours, and what a reader has to know of them.
pub fn day(inputs: &Inputs<'_>) -> (Vec<LedgerRow>, Vec<Noted>) {
    let from = hour_of(inputs.from_micros);
    let to = inputs.to_micros.min(from.saturating_add(HOURS_MAX * HOUR_MICROS));
    let mut sheet = Sheet::new(inputs);
    let attributed = attribution::attributed(inputs, from, to, &mut sheet.notices);
    let gpu_hours: Vec<&GpuHour> = attributed.iter().map(AsRef::as_ref).collect();
    let mut accounting = Accounting::of(inputs, from, to, &mut sheet.notices);
    let requests = Requests::of(inputs, from, to);
    let mut rest = gpu_hours.as_slice();
    let mut hour = from;
    while hour < to {
        let here = rest.partition_point(|gpu| gpu.hour_micros < hour.saturating_add(HOUR_MICROS));
        let (gpus, later) = rest.split_at(here);
        rest = later;
        sheet.open(hour);
        for family in gpus.chunk_by(|a, b| gpu::root(a) == gpu::root(b)) {
            gpu::charge(&mut sheet, family);
        }
        accounting.charge(&mut sheet, gpus);
        requests.charge(&mut sheet);
        spread::idle(&mut sheet);
        spread::overheads(&mut sheet);
        stated::charges(&mut sheet, inputs.charges);
        hour = hour.saturating_add(HOUR_MICROS);
    }
    (sheet.rows, sheet.notices.into_list())
}
