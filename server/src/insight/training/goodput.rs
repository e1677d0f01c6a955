//! Into what the time of a job that held GPUs falls, and what each part of it cost. Pure.
//!
//! **Invariant:** parts sum to the time in which GPUs were held, and their costs to what the ledger has, to the micro.

use crate::answers::{TrainingGoodput, TrainingPart};
use crate::cost::Micros;
use std::ops::{Index, IndexMut};

/// What time was for, in the order in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// Steps that counted.
    Productive,
    /// From the start of an attempt to its first span, and what says so itself.
    Initialization,
    DataLoading,
    CheckpointSave,
    CheckpointRestore,
    Evaluation,
    /// Steps that were computed again after a restart, and those that broke off.
    LostWork,
    /// Between two launches of one attempt.
    Restart,
    /// Long times without any span.
    Stalled,
    /// Between spans, and phases with names of their own.
    Other,
    /// Attempts without spans of a job that has some.
    Unknown,
}

impl Category {
    pub(super) const ALL: [Self; 11] = [
        Self::Productive,
        Self::Initialization,
        Self::DataLoading,
        Self::CheckpointSave,
        Self::CheckpointRestore,
        Self::Evaluation,
        Self::LostWork,
        Self::Restart,
        Self::Stalled,
        Self::Other,
        Self::Unknown,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Productive => "productive",
            Self::Initialization => "initialization",
            Self::DataLoading => "data_loading",
            Self::CheckpointSave => "checkpoint_save",
            Self::CheckpointRestore => "checkpoint_restore",
            Self::Evaluation => "evaluation",
            Self::LostWork => "lost_work",
            Self::Restart => "restart",
            Self::Stalled => "stalled",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    /// Of a span by its name; those with other names are `Other`.
    pub(super) fn of_phase(name: &str) -> Self {
        let phases =
            [Self::Initialization, Self::DataLoading, Self::CheckpointSave, Self::CheckpointRestore, Self::Evaluation];
        phases.into_iter().find(|phase| phase.as_str() == name).unwrap_or(Self::Other)
    }
}

/// Seconds by category.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent([f64; Category::ALL.len()]);

impl Index<Category> for Spent {
    type Output = f64;
    fn index(&self, at: Category) -> &f64 {
        &self.0[at as usize]
    }
}

impl IndexMut<Category> for Spent {
    fn index_mut(&mut self, at: Category) -> &mut f64 {
        &mut self.0[at as usize]
    }
}

impl Spent {
    fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    fn times(&self, factor: f64) -> Self {
        Self(self.0.map(|seconds| seconds * factor))
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// One launch of the program on all ranks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timed {
    pub(super) from_micros: i64,
    pub(super) to_micros: i64,
    pub(super) ranks: u64,
    /// Sums over ranks of what spans say.
    pub(super) rank_seconds: Spent,
    /// Long times between steps.
    pub(super) gap_seconds: f64,
}

/// One attempt, and what it held.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    pub(super) from_micros: i64,
    pub(super) to_micros: i64,
    pub(super) gpus: f64,
    pub(super) cost: Option<Micros>,
    /// Ended before its work was done.
    pub(super) failed: bool,
    /// In their order.
    pub(super) launches: Vec<Timed>,
}

fn seconds(from: i64, to: i64) -> f64 {
    (to - from).max(0) as f64 / 1e6
}

/// Seconds of an attempt by category; they sum to its length. A tail without spans that is longer than
/// `stall_seconds` is a stall.
pub(super) fn spent(held: &Held, stall_seconds: f64) -> Spent {
    let length = seconds(held.from_micros, held.to_micros);
    let mut spent = Spent::default();
    let (Some(first), Some(last)) = (held.launches.first(), held.launches.last()) else {
        spent[Category::Unknown] = length;
        return spent;
    };
    spent[Category::Initialization] += seconds(held.from_micros, first.from_micros);
    for pair in held.launches.windows(2) {
        spent[Category::Restart] += seconds(pair[0].to_micros, pair[1].from_micros);
    }
    for launch in &held.launches {
        let own = launch.rank_seconds.times(1.0 / launch.ranks.max(1) as f64);
        let rest = (seconds(launch.from_micros, launch.to_micros) - own.sum()).max(0.0);
        let stalled = launch.gap_seconds.clamp(0.0, rest);
        spent.add(&own);
        spent[Category::Stalled] += stalled;
        spent[Category::Other] += rest - stalled;
    }
    let tail = seconds(last.to_micros, held.to_micros);
    let of_tail = match held.failed {
        _ if tail > stall_seconds => Category::Stalled,
        true => Category::LostWork,
        false => Category::Other,
    };
    spent[of_tail] += tail;
    // Clocks of nodes differ by a little, and a repeated request keeps spans twice.
    match spent.sum() {
        sum if sum > length => spent.times(length / sum),
        sum => {
            spent[Category::Other] += length - sum;
            spent
        }
    }
}

/// The GPU-seconds of an attempt with their costs, by category.
pub(super) fn charged(held: &Held, stall_seconds: f64) -> (Spent, Option<Vec<Micros>>) {
    let gpu_seconds = spent(held, stall_seconds).times(held.gpus);
    let weights = gpu_seconds.0.map(|seconds| (seconds * 1e6).max(0.0) as u64);
    (gpu_seconds, held.cost.map(|cost| cost.split(&weights)))
}

/// All attempts together.
pub(super) fn goodput(all: &[(Spent, Option<Vec<Micros>>)]) -> TrainingGoodput {
    let mut sum = Spent::default();
    let mut costs: Option<Vec<Micros>> = None;
    for (gpu_seconds, cost) in all {
        sum.add(gpu_seconds);
        if let Some(cost) = cost {
            let costs = costs.get_or_insert_with(|| vec![Micros::ZERO; Category::ALL.len()]);
            costs.iter_mut().zip(cost).for_each(|(mine, theirs)| *mine = *mine + *theirs);
        }
    }
    let gpu_seconds = sum.sum();
    let cost_of = |at: usize| costs.as_ref().map(|costs| costs[at].0);
    let part = |(at, category): (usize, &Category)| TrainingPart {
        category: category.as_str().to_owned(),
        gpu_seconds: sum[*category],
        cost_micros: cost_of(at),
    };
    let is_something = |part: &TrainingPart| part.gpu_seconds > 0.0 || part.cost_micros.is_some_and(|cost| cost != 0);
    TrainingGoodput {
        ratio: (gpu_seconds > 0.0).then(|| sum[Category::Productive] / gpu_seconds),
        gpu_seconds,
        cost_micros: costs.as_ref().map(|costs| costs.iter().copied().sum::<Micros>().0),
        parts: Category::ALL.iter().enumerate().map(part).filter(is_something).collect(),
        ..TrainingGoodput::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;

    fn launch(from: i64, to: i64, ranks: u64, parts: &[(Category, f64)]) -> Timed {
        let mut rank_seconds = Spent::default();
        parts.iter().for_each(|(category, seconds)| rank_seconds[*category] += seconds);
        Timed { from_micros: from * SECOND, to_micros: to * SECOND, ranks, rank_seconds, gap_seconds: 0.0 }
    }

    #[test]
    fn an_attempt_that_failed_and_one_that_ended_well() {
        use Category::*;
        let failed = Held {
            to_micros: 100 * SECOND,
            gpus: 8.0,
            cost: Some(Micros(1_000)),
            failed: true,
            launches: vec![launch(10, 95, 2, &[(Productive, 100.0), (LostWork, 20.0), (DataLoading, 30.0)])],
            ..Held::default()
        };
        let (gpu_seconds, cost) = charged(&failed, 60.0);
        let all = [Productive, LostWork, DataLoading, Initialization, Other].map(|at| gpu_seconds[at] / 8.0);
        assert_eq!(all, [50.0, 15.0, 15.0, 10.0, 10.0], "its tail is work that was lost");
        let cost = cost.expect("it has a price");
        assert_eq!((cost[0], cost.iter().copied().sum::<Micros>()), (Micros(500), Micros(1_000)));
        let without = Held { from_micros: 100 * SECOND, to_micros: 150 * SECOND, gpus: 2.0, ..Held::default() };
        let found = goodput(&[(gpu_seconds, Some(cost)), charged(&without, 60.0)]);
        assert_eq!((found.gpu_seconds, found.ratio, found.cost_micros), (900.0, Some(400.0 / 900.0), Some(1_000)));
        let unknown = found.parts.iter().find(|part| part.category == "unknown").expect("an attempt has no spans");
        assert_eq!((unknown.gpu_seconds, unknown.cost_micros), (100.0, Some(0)));
    }

    #[test]
    fn long_silence_is_a_stall_and_between_launches_a_restart() {
        use Category::*;
        let mut first = launch(0, 100, 1, &[(Productive, 40.0)]);
        first.gap_seconds = 50.0;
        let held = Held {
            to_micros: 400 * SECOND,
            gpus: 1.0,
            launches: vec![first, launch(120, 220, 1, &[(Productive, 100.0)])],
            ..Held::default()
        };
        let spent = spent(&held, 60.0);
        let all = [Productive, Restart, Stalled, Other].map(|at| spent[at]);
        assert_eq!(all, [140.0, 20.0, 50.0 + 180.0, 10.0]);
    }

    #[test]
    fn no_span_makes_more_time_than_there_was() {
        let twice = Held {
            to_micros: 10 * SECOND,
            gpus: 1.0,
            launches: vec![launch(0, 10, 1, &[(Category::Productive, 20.0)])],
            ..Held::default()
        };
        let spent = spent(&twice, 60.0);
        assert_eq!((spent[Category::Productive], spent.sum()), (10.0, 10.0));
    }

    proptest! {
        #[test]
        fn parts_sum_to_all(
            length in 1..10_000_i64, gpus in 1..5_000_u32, cost in 0..i64::MAX / 4, failed: bool,
            launches in prop::collection::vec((0..5_000_i64, 0..5_000_i64, 0..50_u64, 0.0..1e5, 0.0..1e5, 0.0..1e4), 0..4),
        ) {
            let launches = launches.into_iter().map(|(from, long, ranks, a, b, gap_seconds)| Timed {
                gap_seconds, ..launch(from, from + long, ranks, &[(Category::Productive, a), (Category::Evaluation, b)])
            });
            let held = Held {
                to_micros: length * SECOND, gpus: f64::from(gpus), cost: Some(Micros(cost)), failed,
                launches: launches.collect(), ..Held::default()
            };
            let found = goodput(&[charged(&held, 60.0)]);
            let all = length as f64 * f64::from(gpus);
            prop_assert!((found.gpu_seconds - all).abs() <= 1e-9 * all);
            prop_assert_eq!(found.parts.iter().filter_map(|part| part.cost_micros).sum::<i64>(), cost);
            prop_assert!(found.parts.iter().all(|part| part.gpu_seconds >= 0.0));
        }
    }
}
