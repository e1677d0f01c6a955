//! What a reader of the ledger has to know of it: each outcome that is not plain has a name and a sentence.

use std::collections::BTreeMap;

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
}

/// An outcome, how often it happened, and where for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    pub count: u64,
    pub example: String,
}

impl NoticeKind {
    pub const ALL: [Self; 15] = [
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
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
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
                ["Jobs", "come twice for the same time and are charged once", "Look at the accounting's export"]
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
        }
    }
}

impl Notice {
    /// A sentence for a document.
    pub fn sentence(&self) -> String {
        let [what, became, remedy] = self.kind.words();
        format!("{what} that {became}: {} (the first: {}). {remedy}.", self.count, self.example)
    }
}

/// The outcomes so far.
#[derive(Default)]
pub(super) struct Notices {
    by_kind: BTreeMap<NoticeKind, (u64, String)>,
}

impl Notices {
    pub(super) fn note(&mut self, kind: NoticeKind, example: impl FnOnce() -> String) {
        self.by_kind.entry(kind).or_insert_with(|| (0, example())).0 += 1;
    }

    pub(super) fn into_list(self) -> Vec<Notice> {
        self.by_kind.into_iter().map(|(kind, (count, example))| Notice { kind, count, example }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_code_and_a_sentence() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.code()), Some(kind));
            let sentence = Notice { kind, count: 3, example: "job 7".to_owned() }.sentence();
            assert!(sentence.contains(": 3 (the first: job 7). "), "{sentence}");
        }
    }
}
