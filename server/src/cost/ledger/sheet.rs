//! The hour that is being computed, and what is remembered from one GPU to the next.

use super::super::money::Micros;
use super::super::ownership::{Owners, UNOWNED};
use super::super::period::instant_text;
use super::super::policy::Policy;
use super::super::rows::{Elsewhen, GpuPlace, JobRun, LedgerRow, Owner, Price, Priced, Prices};
use super::Inputs;
use super::notice::{NoticeKind, Notices};
use super::spread::Payers;
use rust_decimal::Decimal;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// No GPU costs a million an hour; sums over any fleet and year have room above it.
const PER_HOUR_MAX: i64 = 1_000_000;

/// The price of a place, or what happened instead and why.
type Found = Result<Arc<Price>, (NoticeKind, String)>;

pub(super) struct Sheet<'i> {
    pub(super) policy: &'i Policy,
    prices: &'i dyn Prices,
    pub(super) owners: Owners<'i>,
    pub(super) hour: i64,
    pub(super) known_to: i64,
    /// By the address of the place, within the hour.
    shared: HashMap<usize, Arc<Price>>,
    /// By the value of the place, within the hour.
    priced: HashMap<GpuPlace, Found>,
    nobody: Arc<Owner>,
    unowned_jobs: HashSet<(Arc<str>, Arc<str>, i64)>,
    pub(super) rows: Vec<LedgerRow>,
    /// Rows of the hour that nobody has worked for, before they are spread.
    pub(super) idle: Vec<LedgerRow>,
    pub(super) payers: Payers,
    pub(super) notices: Notices,
}

impl<'i> Sheet<'i> {
    pub(super) fn new(inputs: &Inputs<'i>) -> Self {
        let mut owners = Owners::new(inputs.ownership);
        Self {
            policy: inputs.policy,
            prices: inputs.prices,
            nobody: owners.unowned(),
            owners,
            hour: inputs.from_micros,
            known_to: inputs.known_to_micros,
            shared: HashMap::new(),
            priced: HashMap::new(),
            unowned_jobs: HashSet::new(),
            rows: Vec::with_capacity(inputs.gpu_hours.len() * 2),
            idle: Vec::new(),
            payers: Payers::for_policy(inputs.policy),
            notices: Notices::default(),
        }
    }

    /// Starts an hour.
    pub(super) fn open(&mut self, hour: i64) {
        self.hour = hour;
        self.shared.clear();
        self.priced.clear();
        self.payers.clear();
    }

    /// The price of a place in this hour. Without one, what happened is noted for whom it concerns.
    pub(super) fn price(&mut self, place: &GpuPlace, whom: impl FnOnce() -> String) -> Option<Arc<Price>> {
        let hour = self.hour;
        match self.found(place).clone() {
            Ok(price) => Some(price),
            Err((kind, why)) => {
                let example = |thing: &str| format!("{thing} at {}{why}", instant_text(hour));
                self.notices.note_example(kind, whom(), example);
                None
            }
        }
    }

    /// The price of a place that may do without one.
    pub(super) fn price_if_any(&mut self, place: &GpuPlace) -> Option<Arc<Price>> {
        // Whose price it is not is nobody's concern.
        self.found(place).clone().ok()
    }

    /// The price of a place that many GPUs have, by its address.
    pub(super) fn price_of_shared(
        &mut self,
        place: &Arc<GpuPlace>,
        whom: impl FnOnce() -> String,
    ) -> Option<Arc<Price>> {
        let at = Arc::as_ptr(place) as usize;
        if let Some(price) = self.shared.get(&at) {
            return Some(Arc::clone(price));
        }
        let price = self.price(place, whom)?;
        self.shared.insert(at, Arc::clone(&price));
        Some(price)
    }

    fn found(&mut self, place: &GpuPlace) -> &Found {
        if !self.priced.contains_key(place) {
            let found = find(self.prices, place, self.hour);
            self.priced.insert(place.clone(), found);
        }
        &self.priced[place]
    }

    pub(super) fn unowned(&self) -> Arc<Owner> {
        Arc::clone(&self.nobody)
    }

    /// Who pays for a job in this hour; a job that nobody owns is noted once.
    pub(super) fn owner(&mut self, job: &Arc<JobRun>) -> Arc<Owner> {
        let owner = self.owners.owner(job, self.hour);
        if &*owner.team == UNOWNED {
            let id = (Arc::clone(&job.cluster), Arc::clone(&job.job_id), job.attempt);
            if self.unowned_jobs.insert(id) {
                self.notices.note(NoticeKind::UnknownOwner, job_text(job));
            }
        }
        owner
    }

    /// Time of units that are paid by the hour; what is beyond a ledger is noted and has no cost.
    pub(super) fn cost(
        &mut self,
        rate: Decimal,
        units: Decimal,
        micros: u64,
        whom: impl FnOnce() -> String,
    ) -> Option<Micros> {
        let cost = Micros::of_time(rate, units, micros);
        if cost.is_err() {
            self.notices.note(NoticeKind::AmountTooLarge, whom());
        }
        // Noted.
        cost.ok()
    }
}

fn find(prices: &dyn Prices, place: &GpuPlace, hour: i64) -> Found {
    match prices.price(place, hour) {
        Priced::Price(price) if sane(&price) => Ok(Arc::new(price)),
        Priced::Price(price) => {
            let why = format!(": {} an hour is no price", price.per_gpu_hour);
            Err((NoticeKind::AmountTooLarge, why))
        }
        Priced::Ambiguous(by) => {
            let lines: Vec<String> = by.iter().map(|by| format!("{} line {}", by.version, by.line)).collect();
            Err((NoticeKind::OverlappingPrices, format!(": {}", lines.join(" and "))))
        }
        Priced::Unpriced => Err(match prices.elsewhen(place, hour) {
            Some(Elsewhen::Ended(at)) => (NoticeKind::PriceEnded, format!(": the price ended at {}", instant_text(at))),
            Some(Elsewhen::Begins(at)) => (NoticeKind::PriceBegins, format!(": priced from {} on", instant_text(at))),
            None => (NoticeKind::MissingPrice, String::new()),
        }),
    }
}

/// Neither below zero nor beyond what sums have room for.
fn sane(price: &Price) -> bool {
    let optional = [price.per_cpu_hour, price.per_memory_gib_hour, price.electricity.map(|e| e.per_kwh)];
    let mut rates = optional.into_iter().flatten().chain([price.per_gpu_hour]);
    rates.all(|rate| (rate.is_zero() || !rate.is_sign_negative()) && rate <= Decimal::from(PER_HOUR_MAX))
}

pub(super) fn job_text(job: &JobRun) -> String {
    let user = job.user.as_deref().map(|user| format!(" of user {user:?}")).unwrap_or_default();
    let attempt = if job.attempt == 0 { String::new() } else { format!(" (attempt {})", job.attempt) };
    format!("job {:?}{attempt}{user} in cluster {:?}", &*job.job_id, &*job.cluster)
}
