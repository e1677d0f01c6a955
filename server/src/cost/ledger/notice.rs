//! What a reader of the ledger has to know of it: each outcome that is not plain has a name and a sentence.

use std::collections::{BTreeMap, HashMap};

/// Things of a kind that are told apart; the others are counted as one.
const THINGS_MAX: usize = 10_000;

/// Outcomes that are told, in the order in which a document tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    MissingPrice,
    /// The prices of the place are in the past.
    PriceEnded,
    /// The prices of the place are in the future.
    PriceBegins,
    OverlappingPrices,
    AmountTooLarge,
    EnergyNotMeasured,
    UnknownOwner,
    WorkWithoutJob,
    JobWithoutEnd,
    EndBeforeStart,
    ZeroGpuJob,
    DuplicateJob,
    UnknownSlices,
    /// Two jobs on one GPU that was not shared.
    OverlappingAllocations,
    /// Work of a job where its scheduler did not put it.
    NotAsAllocated,
    /// A job that names nodes only, and asked for all of their GPUs.
    InferredAllocation,
}

/// What happened to one thing, a GPU or a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub kind: NoticeKind,
    /// Empty for all that are not told apart.
    pub thing: String,
    /// How often.
    pub count: u64,
    /// The first time, in words.
    pub example: String,
}

/// An outcome: to how many things it happened, how often, and where for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    pub things: u64,
    pub count: u64,
    pub example: String,
}

impl NoticeKind {
    pub const ALL: [Self; 16] = [
        Self::MissingPrice,
        Self::PriceEnded,
        Self::PriceBegins,
        Self::OverlappingPrices,
        Self::AmountTooLarge,
        Self::EnergyNotMeasured,
        Self::UnknownOwner,
        Self::WorkWithoutJob,
        Self::JobWithoutEnd,
        Self::EndBeforeStart,
        Self::ZeroGpuJob,
        Self::DuplicateJob,
        Self::UnknownSlices,
        Self::OverlappingAllocations,
        Self::NotAsAllocated,
        Self::InferredAllocation,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::MissingPrice => "missing_price",
            Self::PriceEnded => "price_ended",
            Self::PriceBegins => "price_begins_later",
            Self::OverlappingPrices => "overlapping_prices",
            Self::AmountTooLarge => "amount_too_large",
            Self::EnergyNotMeasured => "energy_not_measured",
            Self::UnknownOwner => "unknown_owner",
            Self::WorkWithoutJob => "work_without_job",
            Self::JobWithoutEnd => "job_without_end",
            Self::EndBeforeStart => "end_before_start",
            Self::ZeroGpuJob => "zero_gpu_job",
            Self::DuplicateJob => "duplicate_job",
            Self::UnknownSlices => "unknown_slices",
            Self::OverlappingAllocations => "overlapping_allocations",
            Self::NotAsAllocated => "not_as_allocated",
            Self::InferredAllocation => "inferred_allocation",
        }
    }

    /// A heading for a document.
    pub fn title(self) -> &'static str {
        match self {
            Self::MissingPrice => "Missing price",
            Self::PriceEnded => "Price in the past",
            Self::PriceBegins => "Price in the future",
            Self::OverlappingPrices => "Overlapping prices",
            Self::AmountTooLarge => "Amount too large",
            Self::EnergyNotMeasured => "Electricity not measured",
            Self::UnknownOwner => "Unknown owner",
            Self::WorkWithoutJob => "Work without a job",
            Self::JobWithoutEnd => "Job without end",
            Self::EndBeforeStart => "End before start",
            Self::ZeroGpuJob => "Job without GPUs",
            Self::DuplicateJob => "Duplicate job",
            Self::UnknownSlices => "Unknown MIG slices",
            Self::OverlappingAllocations => "Allocations that overlap",
            Self::NotAsAllocated => "Work that is not as allocated",
            Self::InferredAllocation => "Allocation inferred from nodes",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether things are counted, rather than how often it happened to them.
    fn counts_things(self) -> bool {
        let of_jobs = [Self::UnknownOwner, Self::JobWithoutEnd, Self::EndBeforeStart, Self::ZeroGpuJob];
        of_jobs.contains(&self) || matches!(self, Self::DuplicateJob | Self::InferredAllocation)
    }

    /// What is counted, what became of it, and what to do.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::MissingPrice => {
                ["Hours of GPUs or jobs", "have no price, so they have no cost", "Add one to the price book"]
            }
            Self::PriceEnded => [
                "Hours of GPUs or jobs",
                "lie after the end of their last price, so they have no cost",
                "Prolong it or add one",
            ],
            Self::PriceBegins => {
                ["Hours of GPUs or jobs", "lie before their first price, so they have no cost", "Let one begin earlier"]
            }
            Self::OverlappingPrices => [
                "Hours of GPUs or jobs",
                "have several prices of which none is more specific, so they have no cost",
                "End one of them",
            ],
            Self::AmountTooLarge => {
                ["Amounts", "are beyond what a ledger can hold, so they are left out", "Look at the price"]
            }
            Self::EnergyNotMeasured => [
                "Hours of owned GPUs or jobs on them",
                "lack measured energy, so they cost less than they did by their electricity",
                "Look at their collectors",
            ],
            Self::UnknownOwner => ["Jobs", "match no ownership rule and are charged to \"unowned\"", "Add a rule"],
            Self::WorkWithoutJob => [
                "Hours of GPUs",
                "have work of which no job is known, charged to \"unowned\"",
                "Look for processes beside the scheduler",
            ],
            Self::JobWithoutEnd => {
                ["Jobs", "have no end and are charged until what is known ends", "See whether they run still"]
            }
            Self::EndBeforeStart => {
                ["Jobs", "end before they start and are charged nothing", "Correct them in accounting"]
            }
            Self::ZeroGpuJob => ["Jobs", "asked for no GPU and are charged for none", "Nothing needs to be done"],
            Self::DuplicateJob => {
                ["Jobs", "come twice under one id and are charged once", "Look at the accounting's export"]
            }
            Self::UnknownSlices => [
                "Hours of MIG instances",
                "have no profile that says their size and count as one slice",
                "Look at their collectors",
            ],
            Self::OverlappingAllocations => [
                "Hours of GPUs",
                "were given to several jobs at once without being shared, so these pay alike",
                "Look at the scheduler's records",
            ],
            Self::NotAsAllocated => [
                "Hours of GPUs",
                "have work of a job where its scheduler did not put it, charged as the scheduler says",
                "Compare the clocks, and look for processes that outlive their job",
            ],
            Self::InferredAllocation => [
                "Jobs",
                "name whole nodes and no GPUs are charged for all of their GPUs",
                "Let the scheduler say which GPUs they hold, if that is not so",
            ],
        }
    }
}

impl Notice {
    /// A sentence for a document.
    pub fn sentence(&self) -> String {
        let [what, became, remedy] = self.kind.words();
        let count = if self.kind.counts_things() { self.things } else { self.count };
        format!("{what} that {became}: {count} (the first: {}). {remedy}.", self.example)
    }

    /// Those of many things, in order of their kinds.
    pub fn of(noted: &[Noted]) -> Vec<Self> {
        let mut by_kind: BTreeMap<NoticeKind, Self> = BTreeMap::new();
        for Noted { kind, count, example, .. } in noted {
            let new = || Self { kind: *kind, things: 0, count: 0, example: example.clone() };
            let notice = by_kind.entry(*kind).or_insert_with(new);
            notice.things += 1;
            notice.count += count;
        }
        by_kind.into_values().collect()
    }
}

/// The outcomes so far.
#[derive(Default)]
pub(super) struct Notices {
    /// Of each kind, in order of their first times.
    by_kind: BTreeMap<NoticeKind, Vec<Noted>>,
    places: HashMap<(NoticeKind, String), usize>,
}

impl Notices {
    pub(super) fn note(&mut self, kind: NoticeKind, thing: String) {
        self.note_example(kind, thing, str::to_owned);
    }

    /// Likewise; its first time is told in more words than the thing's name.
    pub(super) fn note_example(&mut self, kind: NoticeKind, thing: String, example: impl FnOnce(&str) -> String) {
        let all = self.by_kind.entry(kind).or_default();
        let mut key = (kind, thing);
        if all.len() >= THINGS_MAX && !self.places.contains_key(&key) {
            key.1.clear();
        }
        let place = *self.places.entry(key).or_insert_with_key(|(kind, thing)| {
            all.push(Noted { kind: *kind, example: example(thing), thing: thing.clone(), count: 0 });
            all.len() - 1
        });
        all[place].count += 1;
    }

    pub(super) fn into_list(self) -> Vec<Noted> {
        self.by_kind.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_once_and_those_beyond_the_bound_as_one() {
        let mut notices = Notices::default();
        for at in 0..THINGS_MAX + 5 {
            notices.note(NoticeKind::UnknownOwner, format!("job {at}"));
            notices.note(NoticeKind::MissingPrice, "GPU 1".to_owned());
        }
        let told = Notice::of(&notices.into_list());
        assert_eq!((told[0].kind, told[0].things, told[0].count), (NoticeKind::MissingPrice, 1, 10_005));
        assert_eq!((told[1].things, told[1].count), (10_001, 10_005));
        assert!(told[0].sentence().contains(": 10005 (the first: GPU 1)"), "{}", told[0].sentence());
        assert!(told[1].sentence().contains(": 10001 (the first: job 0)"), "{}", told[1].sentence());
    }

    #[test]
    fn every_outcome_has_a_code_and_a_sentence() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.code()), Some(kind));
            let sentence = Notice { kind, things: 3, count: 3, example: "job 7".to_owned() }.sentence();
            assert!(sentence.contains(": 3 (the first: job 7). "), "{sentence}");
        }
    }
}
