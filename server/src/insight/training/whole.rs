//! The question as a whole: what was gathered, put together.

use super::advice::advice;
use super::causes::cause;
use super::checkpoints::{Seen, checkpoints};
use super::gather::{self, Attempt, Fleet, Job, Totals};
use super::goodput::{Category, Held, Spent, Timed, charged, goodput};
use super::launches::{Launch, launches};
use super::mfu::{Computed, mfu};
use super::peaks::{Peak, peak_of};
use super::period::period;
use crate::answers::{JobTraining, TrainingAttempt, TrainingPeriod, TrainingSteps};
use crate::cost::Micros;
use crate::query::{Engine, QueryError};
use crate::shelf::Shelved;
use std::collections::BTreeMap;

/// No span for this many steps, and for so long at least, is a stall.
const STALL_STEPS: f64 = 10.0;
const STALL_SECONDS_MIN: f64 = 60.0;
/// Spans of steps that ranks are compared in; of more, every so many are.
const COMPARED_MAX: u64 = 2_000_000;
/// Attempts whose end is looked into, the latest.
const ENDS_MAX: usize = 5;
/// Parts of a chart that a trend is told from.
const TREND_BUCKETS_MIN: usize = 8;
/// Samples further apart than this many intervals do not follow each other.
const FOLLOWS: f64 = 1.5;

/// What the job's time was for. `now_micros` is the end of what still runs.
pub async fn training(
    engine: &Engine,
    peaks: &[Shelved<Vec<Peak>>],
    (cluster, job_id): (&str, &str),
    now_micros: i64,
) -> Result<JobTraining, QueryError> {
    let attempts = gather::attempts(engine, cluster, job_id).await?;
    if attempts.is_empty() {
        return Err(QueryError::NotFound { what: "job", name: format!("{cluster}/{job_id}") });
    }
    let mut answer = JobTraining { cluster: cluster.to_owned(), job_id: job_id.to_owned(), ..JobTraining::default() };
    let started: Vec<Attempt> = attempts.iter().filter(|a| a.started_micros.is_some()).cloned().collect();
    answer.attempts = attempts.iter().map(told).collect();
    let Some(from_micros) = started.first().and_then(|attempt| attempt.started_micros) else { return Ok(answer) };
    let to_micros =
        started.iter().map(|attempt| attempt.ended_micros.unwrap_or(now_micros)).max().unwrap_or(now_micros);
    let job = Job { engine, cluster, job_id, from_micros, to_micros }.widened();
    let latest = started.last().and_then(|attempt| attempt.started_micros).unwrap_or(from_micros);
    let fleet = gather::fleet(&job, latest).await?;
    let (runs, dropped) = gather::runs(&job, &attempt_at(&started)).await?;
    answer.spans_dropped = dropped;
    let launches = launches(runs);
    let gathered = Gathered { job, attempts: started, launches, fleet, now_micros };
    match gathered.launches.is_empty() {
        true => gathered.infer(&mut answer).await?,
        false => gathered.measure(&mut answer, peaks).await?,
    }
    gathered.add_causes(&mut answer).await?;
    answer.advice = advice(&answer);
    Ok(answer)
}

fn told(attempt: &Attempt) -> TrainingAttempt {
    TrainingAttempt {
        attempt: attempt.attempt,
        state: attempt.state.clone(),
        started_unix_micros: attempt.started_micros,
        ended_unix_micros: attempt.ended_micros,
        ..TrainingAttempt::default()
    }
}

/// An SQL expression of the attempt by the time of a span; clocks that differ move none to an attempt before.
fn attempt_at(started: &[Attempt]) -> String {
    let begin = |attempt: &Attempt| attempt.started_micros.unwrap_or_default();
    let later = started.iter().skip(1).rev();
    let cases: String =
        later.map(|a| format!(" when cast(time as bigint) >= {} then {}", begin(a), a.attempt)).collect();
    let first = started.first().map_or(0, |attempt| attempt.attempt);
    if cases.is_empty() { format!("cast({first} as bigint)") } else { format!("case{cases} else {first} end") }
}

/// A part of an amount, by time.
pub(super) fn part_of(cost: Option<i64>, seconds: f64, all_seconds: f64) -> Option<i64> {
    let weight = |seconds: f64| (seconds * 1e6).max(0.0) as u64;
    let weights = [weight(seconds), weight(all_seconds - seconds)];
    cost.map(|cost| Micros(cost).split(&weights)[0].0)
}

/// All that later questions need.
struct Gathered<'a> {
    job: Job<'a>,
    /// Those that started.
    attempts: Vec<Attempt>,
    launches: Vec<Launch>,
    fleet: Fleet,
    now_micros: i64,
}

impl Gathered<'_> {
    /// Of an attempt: as the scheduler says, else as samples show, else one a rank.
    fn gpus(&self, attempt: &Attempt) -> f64 {
        let ranks = self.launches.iter().map(|launch| launch.run.ranks).max().unwrap_or(0);
        let stated = attempt.gpus.filter(|gpus| *gpus > 0).map(|gpus| gpus as u64);
        stated.unwrap_or(if self.fleet.gpus > 0 { self.fleet.gpus } else { ranks }) as f64
    }

    fn gpus_of(&self, launch: &Launch) -> f64 {
        let attempt = self.attempts.iter().find(|attempt| attempt.attempt == launch.run.attempt);
        attempt.or(self.attempts.last()).map_or(0.0, |attempt| self.gpus(attempt))
    }

    fn failed(&self, attempt: &Attempt) -> bool {
        let repeated = self.attempts.last().is_some_and(|last| last.attempt != attempt.attempt);
        let words = ["FAIL", "ERROR", "LOST", "OUT_OF", "OOM", "TIMEOUT", "PREEMPT", "EVICT", "CANCEL", "DEADLINE"];
        let state = attempt.state.as_deref().unwrap_or_default().to_uppercase();
        attempt.ended_micros.is_some()
            && (repeated || attempt.exit_code.is_some_and(|code| code != 0) || words.iter().any(|w| state.contains(w)))
    }

    async fn measure(&self, answer: &mut JobTraining, peaks: &[Shelved<Vec<Peak>>]) -> Result<(), QueryError> {
        answer.source = Some("measured".to_owned());
        let (job, launches) = (&self.job, &self.launches);
        let totals = gather::totals(job, launches).await?;
        let costs = gather::costs(job).await?;
        let steps = gather::steps(job, launches).await?;
        let median = steps.as_ref().map_or(0.0, |steps| steps.p50);
        let stall_seconds = (STALL_STEPS * median).max(STALL_SECONDS_MIN);
        let gaps = gather::gaps(job, launches, stall_seconds).await?;
        let held = self.held(&totals, &gaps, &costs);
        let charged: Vec<(Spent, Option<Vec<Micros>>)> = held.iter().map(|held| charged(held, stall_seconds)).collect();
        let mut found = goodput(&charged);
        found.restarts = launches.len().saturating_sub(1) as u64;
        self.add_lost(answer, &totals, &charged);
        found.lost_steps = answer.attempts.iter().map(|attempt| attempt.lost_steps).sum();
        let starts = held.windows(2).map(|pair| (pair[1].from_micros - pair[0].to_micros).max(0));
        found.waiting_seconds = starts.sum::<i64>() as f64 / 1e6;
        let peak = |model: &str, dtype: &str| peak_of(peaks, model, dtype);
        let computed = self.computed(&totals);
        answer.mfu = Some(mfu(&computed, found.gpu_seconds, self.fleet.gpu_model.clone(), peak));
        let (cost, gpu_seconds) = (found.cost_micros, found.gpu_seconds);
        answer.goodput = Some(found);
        if let Some(steps) = steps {
            let spans = totals.iter().filter(|t| t.name == "step").map(|t| t.spans).sum::<u64>();
            self.add_steps(answer, &steps, spans, (cost, gpu_seconds)).await?;
        }
        self.add_checkpoints(answer, &held).await
    }

    fn held(&self, totals: &[Totals], gaps: &[(usize, f64)], costs: &BTreeMap<i64, Micros>) -> Vec<Held> {
        let timed = |(at, launch): (usize, &Launch)| Timed {
            from_micros: launch.run.from_micros,
            to_micros: launch.run.to_micros,
            ranks: launch.run.ranks,
            rank_seconds: spent_by(totals.iter().filter(|t| t.launch == at)),
            gap_seconds: gaps.iter().find(|(launch, _)| *launch == at).map_or(0.0, |(_, seconds)| *seconds),
        };
        let held = |attempt: &Attempt| Held {
            from_micros: attempt.started_micros.unwrap_or_default(),
            to_micros: attempt.ended_micros.unwrap_or(self.now_micros),
            gpus: self.gpus(attempt),
            cost: costs.get(&attempt.attempt).copied(),
            failed: self.failed(attempt),
            launches: self.of(attempt).map(timed).collect(),
        };
        self.attempts.iter().map(held).collect()
    }

    /// Launches of an attempt, with their positions.
    fn of(&self, attempt: &Attempt) -> impl Iterator<Item = (usize, &Launch)> {
        let attempt = attempt.attempt;
        self.launches.iter().enumerate().filter(move |(_, launch)| launch.run.attempt == attempt)
    }

    fn computed(&self, totals: &[Totals]) -> Vec<Computed> {
        let of = |(at, launch): (usize, &Launch)| {
            let counted = totals.iter().find(|t| t.launch == at && t.name == "step" && !t.lost);
            Computed {
                flops: counted.and_then(|steps| steps.flops),
                tokens: counted.and_then(|steps| steps.tokens),
                step_seconds: counted.map_or(0.0, |steps| steps.seconds),
                ranks: launch.run.ranks,
                gpus: self.gpus_of(launch),
                parameters: launch.run.parameters,
                dtype: launch.run.dtype.clone(),
            }
        };
        self.launches.iter().enumerate().map(of).collect()
    }

    fn add_lost(&self, answer: &mut JobTraining, totals: &[Totals], charged: &[(Spent, Option<Vec<Micros>>)]) {
        for (attempt, (gpu_seconds, cost)) in self.attempts.iter().zip(charged) {
            let Some(told) = answer.attempts.iter_mut().find(|told| told.attempt == attempt.attempt) else { continue };
            told.lost_gpu_seconds = gpu_seconds[Category::LostWork];
            told.lost_micros = cost.as_ref().map(|cost| cost[Category::LostWork as usize].0);
            for (at, launch) in self.of(attempt) {
                told.first_step = [told.first_step, launch.run.first_step].into_iter().flatten().min();
                told.last_step = told.last_step.max(launch.run.last_step);
                let lost = totals.iter().filter(|t| t.launch == at && t.lost && t.name == "step");
                told.lost_steps += lost.map(|t| t.spans).sum::<u64>().div_ceil(launch.run.ranks.max(1));
            }
        }
    }

    async fn add_steps(
        &self,
        answer: &mut JobTraining,
        steps: &gather::Step,
        spans: u64,
        (cost, gpu_seconds): (Option<i64>, f64),
    ) -> Result<(), QueryError> {
        let (job, launches) = (&self.job, &self.launches);
        let every = spans.div_ceil(COMPARED_MAX).max(1);
        let mut buckets = gather::buckets(job, launches, steps).await?;
        let width = gather::bucket_width(steps);
        for (at, work) in gather::work_by_bucket(job, launches, (every, steps.first, width)).await? {
            let of = |bucket: &&mut _| bucket_of(bucket, steps.first, width) == at;
            if let Some(bucket) = buckets.iter_mut().find(of) {
                bucket.work_seconds = Some(work);
            }
        }
        let gpus = self.attempts.last().map_or(0.0, |attempt| self.gpus(attempt));
        answer.stragglers = gather::stragglers(job, launches, every).await?;
        for straggler in &mut answer.stragglers {
            straggler.lost_gpu_seconds *= gpus;
            straggler.cost_micros = part_of(cost, straggler.lost_gpu_seconds, gpu_seconds);
        }
        let slow = gather::slow_steps(job, launches, every).await?;
        let is_straggler = |rank: i64| answer.stragglers.iter().any(|straggler| straggler.rank == rank);
        answer.slow_steps = slow.into_iter().filter(|slow| !is_straggler(slow.rank)).collect();
        for slow in &mut answer.slow_steps {
            slow.lost_gpu_seconds *= gpus;
            slow.cost_micros = part_of(cost, slow.lost_gpu_seconds, gpu_seconds);
        }
        answer.steps = Some(TrainingSteps {
            count: steps.count,
            ranks: launches.last().map_or(0, |launch| launch.run.ranks),
            mean_seconds: steps.mean,
            p50_seconds: steps.p50,
            p90_seconds: steps.p90,
            p99_seconds: steps.p99,
            trend_ratio: trend(&buckets.iter().map(|bucket| bucket.p50_seconds).collect::<Vec<_>>()),
            sampled_every: every,
            buckets,
        });
        Ok(())
    }

    async fn add_checkpoints(&self, answer: &mut JobTraining, held: &[Held]) -> Result<(), QueryError> {
        let found = gather::checkpoints(&self.job, &self.launches).await?;
        let mut seen = Seen::default();
        let (mut save, mut restore, mut span, mut spaces) = (0.0, 0.0, 0.0, 0_u64);
        for one in &found {
            let seconds = one.seconds * one.count as f64;
            match one.is_save {
                true => {
                    (seen.saves, save) = (seen.saves + one.count, save + seconds);
                    (spaces, span) = (spaces + one.count.saturating_sub(1), span + one.span_seconds);
                }
                false => (seen.restores, restore) = (seen.restores + one.count, restore + seconds),
            }
        }
        let each = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        seen.save_seconds = each(save, seen.saves);
        seen.restore_seconds = each(restore, seen.restores);
        seen.interval_seconds = each(span, spaces);
        let with_launch = self.attempts.iter().filter(|attempt| self.of(attempt).next().is_some()).count();
        let in_place = self.launches.len().saturating_sub(with_launch) as u64;
        seen.failures = in_place + self.attempts.iter().filter(|attempt| self.failed(attempt)).count() as u64;
        seen.held_seconds = held.iter().map(|held| (held.to_micros - held.from_micros).max(0) as f64 / 1e6).sum();
        let gpus = held.last().map_or(0.0, |held| held.gpus);
        if seen.failures == 0 && seen.saves > 0 && gpus > 0.0 {
            let of_cluster = gather::cluster_failure_gpu_seconds(&self.job).await?;
            seen.cluster_failure_seconds = of_cluster.map(|gpu_seconds| gpu_seconds / gpus);
        }
        answer.checkpoints = checkpoints(&seen);
        Ok(())
    }

    /// Without spans: whether a GPU repeats itself.
    async fn infer(&self, answer: &mut JobTraining) -> Result<(), QueryError> {
        let Some(gpu_uuid) = self.fleet.gpu_uuid.clone() else { return Ok(()) };
        let samples = gather::samples(&self.job, gpu_uuid).await?;
        type Value = fn(&(i64, Option<f64>, Option<f64>)) -> Option<f64>;
        let metrics: [(&str, Value); 2] = [("tensor_active_ratio", |s| s.2), ("power_watts", |s| s.1)];
        let found = metrics.iter().filter_map(|(metric, value)| {
            let series: Vec<(i64, f64)> = samples.iter().filter_map(|s| Some((s.0, value(s)?))).collect();
            let (values, interval) = following(&series)?;
            let (seconds, confidence_ratio) = period(&values, interval)?;
            let samples = values.len() as u64;
            Some(TrainingPeriod { seconds, confidence_ratio, metric: (*metric).to_owned(), samples })
        });
        answer.inferred = found.max_by(|a, b| a.confidence_ratio.total_cmp(&b.confidence_ratio));
        answer.source = answer.inferred.as_ref().map(|_| "inferred".to_owned());
        Ok(())
    }

    async fn add_causes(&self, answer: &mut JobTraining) -> Result<(), QueryError> {
        let failed = self.attempts.iter().rev().filter(|attempt| self.failed(attempt)).take(ENDS_MAX);
        for attempt in failed {
            let Some(ended) = attempt.ended_micros else { continue };
            let repeated = self.attempts.last().is_some_and(|last| last.attempt != attempt.attempt);
            let ending = gather::ending(&self.job, attempt, ended, repeated).await?;
            if let Some(told) = answer.attempts.iter_mut().find(|told| told.attempt == attempt.attempt) {
                told.cause = cause(&ending);
            }
        }
        Ok(())
    }
}

fn bucket_of(bucket: &crate::answers::TrainingBucket, first: i64, width: i64) -> i64 {
    (bucket.first_step - first).div_euclid(width.max(1))
}

/// Seconds of ranks by what they were for.
fn spent_by<'t>(totals: impl Iterator<Item = &'t Totals>) -> Spent {
    let mut spent = Spent::default();
    for total in totals {
        let category = Category::of_phase(&total.name);
        match (total.name.as_str(), total.lost, total.within) {
            ("step", true, _) => spent[Category::LostWork] += total.seconds,
            ("step", false, _) => spent[Category::Productive] += total.seconds,
            // Of a step that was lost, it is part of that.
            (_, true, _) => {}
            // Exchange and phases with names of their own are part of a step.
            (_, false, true) if category == Category::Other => {}
            (_, false, true) => {
                spent[category] += total.seconds;
                spent[Category::Productive] -= total.seconds;
            }
            (_, false, false) => spent[category] += total.seconds,
        }
    }
    spent[Category::Productive] = spent[Category::Productive].max(0.0);
    spent
}

/// Last quarter against the first.
fn trend(medians: &[f64]) -> Option<f64> {
    let quarter = medians.len() / 4;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let first = (medians.len() >= TREND_BUCKETS_MIN).then(|| mean(&medians[..quarter])).filter(|first| *first > 0.0)?;
    Some(mean(&medians[medians.len() - quarter..]) / first - 1.0)
}

/// The latest values that follow each other, in order of time, and their distance; `series` has the latest first.
fn following(series: &[(i64, f64)]) -> Option<(Vec<f64>, f64)> {
    let mut distances: Vec<i64> = series.windows(2).map(|pair| pair[0].0 - pair[1].0).collect();
    distances.sort_unstable();
    let usual = *distances.get(distances.len() / 2).filter(|usual| **usual > 0)?;
    let follows = |pair: &&[(i64, f64)]| (pair[0].0 - pair[1].0) as f64 <= usual as f64 * FOLLOWS;
    let count = 1 + series.windows(2).take_while(follows).count();
    Some((series[..count].iter().rev().map(|(_, value)| *value).collect(), usual as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_within_steps_is_told_apart_and_lost_steps_keep_theirs() {
        let total = |name: &str, within, lost, seconds| Totals {
            name: name.to_owned(),
            within,
            lost,
            seconds,
            ..Totals::default()
        };
        let all = [
            total("step", true, false, 100.0),
            total("step", true, true, 40.0),
            total("data_loading", true, false, 10.0),
            total("data_loading", true, true, 4.0),
            total("communication", true, false, 20.0),
            total("checkpoint_save", false, false, 7.0),
            total("other", true, false, 3.0),
            total("other", false, false, 2.0),
        ];
        let spent = spent_by(all.iter());
        use Category::*;
        let found = [Productive, LostWork, DataLoading, CheckpointSave, Other].map(|at| spent[at]);
        assert_eq!(found, [90.0, 40.0, 10.0, 7.0, 2.0]);
    }

    #[test]
    fn a_trend_needs_some_steps() {
        assert_eq!(trend(&[1.0; 7]), None);
        assert_eq!(trend(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]), Some(1.0));
        assert_eq!(trend(&[0.0; 8]), None);
    }

    #[test]
    fn only_samples_that_follow_each_other_are_a_series() {
        let series: Vec<(i64, f64)> = [50, 40, 30, 10, 0].map(|at| (at * 1_000_000, at as f64)).into();
        assert_eq!(following(&series), Some((vec![30.0, 40.0, 50.0], 10.0)));
        assert_eq!(following(&series[..1]), None);
    }

    #[test]
    fn attempts_are_told_apart_by_their_starts() {
        let attempt = |attempt, started| Attempt { attempt, started_micros: Some(started), ..Attempt::default() };
        assert_eq!(attempt_at(&[attempt(2, 5)]), "cast(2 as bigint)");
        let two = attempt_at(&[attempt(0, 5), attempt(1, 90)]);
        assert_eq!(two, "case when cast(time as bigint) >= 90 then 1 else 0 end");
        assert_eq!((part_of(Some(10), 1.0, 3.0), part_of(None, 1.0, 3.0)), (Some(3), None));
    }
}
