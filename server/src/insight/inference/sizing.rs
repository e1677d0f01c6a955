//! How many replicas a service needs for its objective, by what they were seen to do. Pure.
//!
//! Work is counted in tokens that are generated, with those of prompts by their weight. What a replica can do is the
//! most that it did while the objective held, or the least that it did when it was missed; how much there is to do,
//! by what came in last. **Invariant:** where too little is known there is no number, and a service that never
//! missed its objective is never told to grow.

use super::error::InferenceError;
use super::split::OUTPUT_WEIGHT;

/// Periods from which something can be said, and from which it is well founded.
pub(super) const PERIODS_MIN: usize = 6;
const PERIODS_MANY: usize = 24;
/// Requests of a period that is judged: fewer have no 95th percentile worth its name.
const REQUESTS_MIN: u64 = 10;
/// The objective was missed because of load where a replica had at least this part of the most that it can do; else
/// something else was wrong with it.
const LOADED: f64 = 0.5;
/// More at once would be a mistake in the numbers.
const REPLICAS_MAX: f64 = 10_000.0;
/// Nobody waits an hour for an answer to begin.
const SECONDS_MAX: f64 = 3600.0;

/// What shall hold, and how full replicas may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// For 95 of 100 requests.
    pub first_token_seconds: f64,
    /// Likewise.
    pub queue_seconds: f64,
    /// Of what a replica can do.
    pub utilisation_ratio: f64,
}

impl Objective {
    /// People wait two seconds for an answer to begin; a fifth is left for what comes suddenly.
    pub const DEFAULT: Self = Self { first_token_seconds: 2.0, queue_seconds: 1.0, utilisation_ratio: 0.8 };

    /// What is not said is as in [`Self::DEFAULT`].
    pub fn of(
        first_token_seconds: Option<f64>,
        queue_seconds: Option<f64>,
        utilisation_ratio: Option<f64>,
    ) -> Result<Self, InferenceError> {
        let within = |name: &str, value: Option<f64>, default: f64, max: f64| match value {
            None => Ok(default),
            Some(value) if value > 0.0 && value <= max => Ok(value),
            Some(value) => {
                let text = format!("{name} {value} is no objective, give more than 0 and {max} at most");
                Err(InferenceError::Objective(text))
            }
        };
        Ok(Self {
            first_token_seconds: within(
                "time_to_first_token_seconds",
                first_token_seconds,
                Self::DEFAULT.first_token_seconds,
                SECONDS_MAX,
            )?,
            queue_seconds: within("queue_seconds", queue_seconds, Self::DEFAULT.queue_seconds, SECONDS_MAX)?,
            utilisation_ratio: within("utilisation_ratio", utilisation_ratio, Self::DEFAULT.utilisation_ratio, 1.0)?,
        })
    }
}

/// What a service did in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Period {
    pub(super) seconds: f64,
    pub(super) requests: u64,
    /// Tokens, those of prompts by their weight against generated ones.
    pub(super) work_tokens: f64,
    /// Durations of all requests together.
    pub(super) busy_seconds: f64,
    pub(super) first_token_p95: Option<f64>,
    pub(super) queue_p95: Option<f64>,
    /// None where nobody knows.
    pub(super) replicas: Option<u64>,
    /// Requests that wait, as the engines say.
    pub(super) waiting: Option<f64>,
}

impl Period {
    /// Work of prompts and answers, whose weights are those of costs.
    pub(super) fn work(prompt_weight: f64, output: f64) -> f64 {
        prompt_weight / OUTPUT_WEIGHT as f64 + output
    }

    fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.work_tokens / self.seconds } else { 0.0 }
    }

    /// Work a second and replica.
    fn load(&self) -> Option<f64> {
        let replicas = self.replicas.filter(|replicas| *replicas > 0)?;
        Some(self.per_second() / replicas as f64)
    }

    /// Whether the objective held; unknown where nothing tells.
    fn holds(&self, objective: &Objective) -> Option<bool> {
        let first = self.first_token_p95.map(|seconds| seconds <= objective.first_token_seconds);
        let queue = self.queue_p95.map(|seconds| seconds <= objective.queue_seconds);
        match (first, queue) {
            (None, None) => None,
            (first, queue) => Some(first.unwrap_or(true) && queue.unwrap_or(true)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// What a replica can do was met, in many periods.
    High,
    /// It was met in few.
    Medium,
    /// It was never met: what is said is a bound, or a step in the right direction.
    Low,
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    pub replicas: Option<u64>,
    pub wanted: Option<u64>,
    pub confidence: Option<Confidence>,
    /// What came in last, a second.
    pub work_per_second: f64,
    pub requests_per_second: f64,
    /// Requests that are worked at together, by Little's law: arrivals a second × the time of each.
    pub concurrency: f64,
    /// Work a second that a replica can do within the objective, or did at least.
    pub capacity: Option<f64>,
    /// Whether it was seen that it can do no more.
    pub is_saturated: bool,
    /// Of what all replicas can do.
    pub utilisation_ratio: Option<f64>,
    /// Periods that were judged.
    pub periods: u64,
    /// All of it in a sentence.
    pub text: String,
}

/// What a replica can do.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Capacity {
    work: f64,
    is_saturated: bool,
    periods: usize,
}

fn capacity(learned: &[Period], objective: &Objective) -> Option<Capacity> {
    let judged = |period: &&Period| period.requests >= REQUESTS_MIN;
    let loads: Vec<(f64, bool)> = learned
        .iter()
        .filter(judged)
        .filter_map(|period| Some((period.load()?, period.holds(objective)?)))
        .filter(|(load, _)| load.is_finite() && *load > 0.0)
        .collect();
    if loads.len() < PERIODS_MIN {
        return None;
    }
    let most = loads.iter().filter(|(_, holds)| *holds).map(|(load, _)| *load).max_by(f64::total_cmp)?;
    let missed = loads.iter().filter(|(load, holds)| !holds && *load >= most * LOADED).map(|(load, _)| *load);
    let least_missed = missed.min_by(f64::total_cmp);
    let work = least_missed.map_or(most, |least| least.min(most));
    Some(Capacity { work, is_saturated: least_missed.is_some(), periods: loads.len() })
}

/// `learned` are periods that lie behind, `now` is the last one.
pub(super) fn size(learned: &[Period], now: &Period, objective: &Objective) -> Sizing {
    let capacity = capacity(learned, objective);
    let work = now.per_second();
    let mut sizing = Sizing {
        replicas: now.replicas,
        wanted: None,
        confidence: None,
        work_per_second: work,
        requests_per_second: if now.seconds > 0.0 { now.requests as f64 / now.seconds } else { 0.0 },
        concurrency: if now.seconds > 0.0 { now.busy_seconds / now.seconds } else { 0.0 },
        capacity: capacity.map(|capacity| capacity.work),
        is_saturated: capacity.is_some_and(|capacity| capacity.is_saturated),
        utilisation_ratio: None,
        periods: capacity.map_or(0, |capacity| capacity.periods as u64),
        text: String::new(),
    };
    let replicas = match now.replicas {
        Some(replicas) if replicas > 0 => replicas,
        _ => {
            sizing.text = "Nobody knows how many replicas run: no job is known whose label or name is the service's, \
                           and no engine reports."
                .to_owned();
            return sizing;
        }
    };
    sizing.utilisation_ratio = capacity.map(|capacity| work / (capacity.work * replicas as f64));
    let misses = now.requests >= REQUESTS_MIN && now.holds(objective) == Some(false);
    let waits = now.waiting.is_some_and(|waiting| waiting >= replicas as f64);
    match capacity {
        None if misses || waits => {
            sizing.wanted = Some(replicas + 1);
            sizing.confidence = Some(Confidence::Low);
            sizing.text = format!(
                "One more than the {replicas} that run: the objective is missed now, and too little is known of what \
                 a replica can do."
            );
        }
        None => {
            sizing.text = format!(
                "Too little is known yet: it takes {PERIODS_MIN} periods with {REQUESTS_MIN} requests each that say \
                 when their first token came or how long they queued."
            );
        }
        Some(capacity) => decide(&mut sizing, capacity, replicas, misses || waits, objective),
    }
    sizing
}

fn decide(sizing: &mut Sizing, capacity: Capacity, replicas: u64, misses: bool, objective: &Objective) {
    let work = sizing.work_per_second;
    let target = if capacity.is_saturated { capacity.work * objective.utilisation_ratio } else { capacity.work };
    let needed = (work / target).ceil().clamp(1.0, REPLICAS_MAX) as u64;
    let digits = |value: f64| match value {
        100.0.. => format!("{value:.0}"),
        ..0.05 => "less than 0.1".to_owned(),
        _ => format!("{value:.1}"),
    };
    let each = digits(work / replicas as f64);
    let most = digits(capacity.work);
    let run = if replicas == 1 { "1 runs".to_owned() } else { format!("{replicas} run") };
    let (wanted, confidence, why) = match (capacity.is_saturated, misses) {
        (true, false) => {
            let confidence = if capacity.periods >= PERIODS_MANY { Confidence::High } else { Confidence::Medium };
            (
                needed,
                confidence,
                format!("each does {each} of the {most} tokens a second that it can within the objective"),
            )
        }
        (_, true) if needed <= replicas => {
            let why = format!(
                "the objective is missed now although each does only {each} of {most} tokens a second; prompts may be \
                 longer than usual, or a replica slow"
            );
            (replicas + 1, Confidence::Low, why)
        }
        (_, true) => (
            needed,
            Confidence::Medium,
            format!("the objective is missed now at {each} tokens a second each, of {most}"),
        ),
        (false, false) => {
            let why = format!(
                "the objective was never missed, at up to {most} tokens a second each; what a replica can do at most \
                 is not known"
            );
            (needed.min(replicas), Confidence::Low, why)
        }
    };
    sizing.wanted = Some(wanted);
    sizing.confidence = Some(confidence);
    let are = if wanted == 1 { "1 replica is" } else { &format!("{wanted} replicas are") };
    let why = match (sizing.requests_per_second > 0.0, misses) {
        (true, _) => why,
        (false, true) => "requests wait now, and none came to an end in this time".to_owned(),
        (false, false) => format!("no requests in this time; {most} tokens a second each is what they are known to do"),
    };
    sizing.text = format!("{are} wanted and {run}: {why}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OBJECTIVE: Objective = Objective::DEFAULT;

    fn period(replicas: u64, load: f64, first: f64) -> Period {
        Period {
            seconds: 600.0,
            requests: 1_000,
            work_tokens: load * 600.0 * replicas as f64,
            busy_seconds: 3_000.0,
            first_token_p95: Some(first),
            queue_p95: None,
            replicas: Some(replicas),
            waiting: None,
        }
    }

    /// A replica that can do a thousand tokens a second.
    fn day(loads: &[f64]) -> Vec<Period> {
        loads.iter().map(|load| period(2, *load, if *load > 1000.0 { 5.0 } else { 0.3 })).collect()
    }

    #[test]
    fn a_saturated_service_is_sized_by_what_a_replica_can_do() {
        let learned = day(&[200.0, 400.0, 700.0, 1000.0, 1200.0, 900.0, 300.0]);
        let sizing = size(&learned, &period(2, 1000.0, 0.5), &OBJECTIVE);
        // 2,000 tokens a second, 800 for each.
        assert_eq!((sizing.wanted, sizing.capacity), (Some(3), Some(1000.0)));
        assert_eq!((sizing.confidence, sizing.is_saturated), (Some(Confidence::Medium), true));
        assert!((sizing.utilisation_ratio.unwrap_or(0.0) - 1.0).abs() < 1e-9);
        assert!((sizing.concurrency - 5.0).abs() < 1e-9, "3,000 s of requests in 600 s");
        assert_eq!(
            sizing.text,
            "3 replicas are wanted and 2 run: each does 1000 of the 1000 tokens a second that it can within the objective."
        );
        let quiet = size(&learned, &period(2, 100.0, 0.2), &OBJECTIVE);
        assert_eq!(quiet.wanted, Some(1));
        assert!(quiet.text.starts_with("1 replica is wanted and 2 run"), "{}", quiet.text);
    }

    #[test]
    fn a_service_that_never_missed_its_objective_does_not_grow() {
        let learned = day(&[100.0, 150.0, 200.0, 180.0, 120.0, 160.0]);
        let sizing = size(&learned, &period(2, 260.0, 0.3), &OBJECTIVE);
        assert_eq!((sizing.wanted, sizing.confidence), (Some(2), Some(Confidence::Low)));
        let quiet = size(&learned, &period(2, 90.0, 0.3), &OBJECTIVE);
        assert_eq!(quiet.wanted, Some(1));
    }

    #[test]
    fn what_misses_its_objective_now_grows_by_one_at_least() {
        let learned = day(&[100.0, 150.0, 200.0, 180.0, 120.0, 160.0]);
        let sizing = size(&learned, &period(2, 100.0, 9.0), &OBJECTIVE);
        assert_eq!((sizing.wanted, sizing.confidence), (Some(3), Some(Confidence::Low)));
        let waits = Period { waiting: Some(12.0), ..period(2, 100.0, 0.3) };
        assert_eq!(size(&learned, &waits, &OBJECTIVE).wanted, Some(3));
        assert_eq!(size(&[], &period(4, 100.0, 9.0), &OBJECTIVE).wanted, Some(5));
    }

    #[test]
    fn what_has_nothing_to_do_is_told_in_words() {
        let learned = day(&[200.0, 400.0, 700.0, 1000.0, 1200.0, 900.0, 300.0]);
        let idle = Period { requests: 0, work_tokens: 0.0, first_token_p95: None, ..period(2, 0.0, 0.0) };
        let sizing = size(&learned, &idle, &OBJECTIVE);
        assert_eq!(sizing.wanted, Some(1));
        assert_eq!(
            sizing.text,
            "1 replica is wanted and 2 run: no requests in this time; 1000 tokens a second each is what they are known to do."
        );
        let stuck = size(&learned, &Period { waiting: Some(9.0), ..idle }, &OBJECTIVE);
        assert_eq!(stuck.wanted, Some(3));
        assert_eq!(
            stuck.text,
            "3 replicas are wanted and 2 run: requests wait now, and none came to an end in this time."
        );
        let few = Period { requests: 1, work_tokens: 1.0, ..idle };
        assert!(size(&learned, &few, &OBJECTIVE).text.contains("each does less than 0.1 of the 1000"));
    }

    #[test]
    fn too_little_says_nothing() {
        let sizing = size(&day(&[100.0; 5]), &period(2, 100.0, 0.3), &OBJECTIVE);
        assert_eq!((sizing.wanted, sizing.confidence), (None, None));
        assert!(sizing.text.starts_with("Too little is known yet"));
        let unknown = Period { replicas: None, ..period(2, 100.0, 0.3) };
        let sizing = size(&day(&[100.0; 9]), &unknown, &OBJECTIVE);
        assert_eq!(sizing.wanted, None);
        assert!(sizing.text.starts_with("Nobody knows"));
        let silent: Vec<Period> = day(&[100.0; 9]).into_iter().map(|p| Period { first_token_p95: None, ..p }).collect();
        assert_eq!(size(&silent, &period(2, 100.0, 0.3), &OBJECTIVE).wanted, None);
    }

    #[test]
    fn an_objective_that_is_missed_without_load_says_nothing_of_capacity() {
        let mut learned = day(&[800.0, 900.0, 1000.0, 700.0, 600.0, 500.0]);
        learned.push(period(2, 50.0, 30.0));
        let found = capacity(&learned, &OBJECTIVE).expect("there are enough");
        assert_eq!((found.work, found.is_saturated), (1000.0, false));
    }

    #[test]
    fn an_objective_can_be_met() {
        assert!(matches!(Objective::of(None, None, None), Ok(all) if all == Objective::DEFAULT));
        assert!(matches!(Objective::of(Some(0.5), None, Some(1.0)), Ok(all) if all.first_token_seconds == 0.5));
        for (first, queue, ratio) in [
            (Some(0.0), None, None),
            (None, Some(f64::NAN), None),
            (None, None, Some(1.1)),
            (Some(f64::INFINITY), None, None),
        ] {
            assert!(Objective::of(first, queue, ratio).is_err(), "{first:?} {queue:?} {ratio:?}");
        }
    }

    fn any_period() -> impl Strategy<Value = Period> {
        let seconds = prop_oneof![Just(None), (0.0..10.0_f64).prop_map(Some)];
        (
            0.0..1e6_f64,
            0..10_000_u64,
            seconds.clone(),
            seconds,
            prop::option::of(0..50_u64),
            prop::option::of(0.0..100.0_f64),
        )
            .prop_map(|(work_tokens, requests, first_token_p95, queue_p95, replicas, waiting)| Period {
                seconds: 600.0,
                requests,
                work_tokens,
                busy_seconds: 10.0,
                first_token_p95,
                queue_p95,
                replicas,
                waiting,
            })
    }

    proptest! {
        #[test]
        fn a_number_has_a_confidence_and_is_never_wild(
            learned in prop::collection::vec(any_period(), 0..40),
            now in any_period(),
        ) {
            let sizing = size(&learned, &now, &OBJECTIVE);
            prop_assert_eq!(sizing.wanted.is_some(), sizing.confidence.is_some());
            prop_assert!(!sizing.text.is_empty());
            if let Some(wanted) = sizing.wanted {
                prop_assert!(wanted >= 1 && wanted as f64 <= REPLICAS_MAX);
                let misses = now.holds(&OBJECTIVE) == Some(false) || now.waiting.is_some_and(|w| w >= 1.0);
                prop_assert!(sizing.is_saturated || misses || Some(wanted) <= now.replicas);
            }
        }
    }
}
