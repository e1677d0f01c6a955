//! The steps of a made-up training job: when each began and ended, and when the model was saved.
//!
//! Owns the program's own time, where `load` owns the device's. **Invariants:** steps lie within work, end before
//! their attempt does, and follow from the attempt and those before it; the device rests while the model is saved.

use super::cycle::{Cycle, Job};
use super::demand::Kind;
use super::load::{Load, Mode, Phase, phases};
use super::schedule::Run;

/// Steps of an attempt that follow each other without a save between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// In seconds.
    pub from: i64,
    /// The number of the first.
    pub first: i64,
    pub count: i64,
    /// Of each, on average.
    pub seconds: f64,
    /// The save that follows, if it comes to its end.
    pub save: Option<(i64, i64)>,
}

impl Stretch {
    /// When a step begins, in seconds since the stretch does: steps are not all alike.
    fn begins(&self, job: &Job, at: i64) -> f64 {
        if at == 0 || at == self.count {
            return at as f64 * self.seconds;
        }
        let jitter = job.draw.of("step").of(self.first + at).between(-0.06, 0.06);
        (at as f64 + jitter) * self.seconds
    }

    /// Beginning and end of one of its steps, in microseconds.
    pub(super) fn step(&self, job: &Job, at: i64) -> (i64, i64) {
        let micros = |seconds: f64| self.from * 1_000_000 + (seconds * 1e3).round() as i64 * 1_000;
        (micros(self.begins(job, at)), micros(self.begins(job, at + 1)))
    }

    pub(super) fn next(&self) -> i64 {
        self.first + self.count
    }
}

/// What the program of one attempt did.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attempt {
    pub phases: Vec<Phase>,
    /// The step that it began with: that after the last save of the attempt before.
    pub first: i64,
    pub stretches: Vec<Stretch>,
}

impl Attempt {
    /// Of a run of a job that trains; none of another.
    pub(super) fn of(cycle: &Cycle, number: usize) -> Option<Self> {
        let run = &cycle.runs[number];
        let job = &cycle.jobs[run.request];
        if !matches!(job.kind, Kind::Pretrain | Kind::Train | Kind::Finetune) {
            return None;
        }
        let mut first = 0;
        let mut earlier: Vec<usize> = (0..cycle.runs.len())
            .filter(|at| cycle.runs[*at].request == run.request && cycle.runs[*at].attempt < run.attempt)
            .collect();
        earlier.sort_by_key(|at| cycle.runs[*at].attempt);
        for at in earlier {
            let attempt = Self::begun(job, &cycle.runs[at], &cycle.loads[at], first);
            let saved = attempt.stretches.iter().rfind(|stretch| stretch.save.is_some());
            first = saved.map_or(first, Stretch::next);
        }
        Some(Self::begun(job, run, &cycle.loads[number], first))
    }

    fn begun(job: &Job, run: &Run, load: &Load, first: i64) -> Self {
        let seconds = step_seconds(job);
        let phases = phases(job.kind, job.draw, run);
        let mut stretches: Vec<Stretch> = Vec::new();
        for phase in phases.iter().filter(|phase| phase.mode == Mode::Work) {
            let mut from = phase.from;
            while from < phase.until {
                let save = load.rest_after(from).filter(|(_, end)| *end <= phase.until);
                let until = save.map_or(phase.until, |(begin, _)| begin);
                let fit = (until - from) as f64 / seconds;
                // What is cut off by the end of work never ends; before a save the last step does.
                let count = if save.is_some() { fit.round() as i64 } else { fit.floor() as i64 };
                let seconds = if save.is_some() && count > 0 { (until - from) as f64 / count as f64 } else { seconds };
                let first = stretches.last().map_or(first, Stretch::next);
                stretches.push(Stretch { from, first, count, seconds, save });
                let Some((_, end)) = save else { break };
                from = end;
            }
        }
        Self { phases, first, stretches }
    }

    /// When the program is ready for its first step.
    pub(super) fn ready(&self) -> Option<i64> {
        self.phases.iter().find(|phase| phase.mode == Mode::Work).map(|phase| phase.from)
    }

    /// When it began to load.
    pub(super) fn loads(&self) -> Option<i64> {
        self.phases.iter().find(|phase| phase.mode == Mode::Idle).map(|phase| phase.from)
    }

    /// Times in which it waited though it had begun to work.
    pub(super) fn waits(&self) -> impl Iterator<Item = &Phase> {
        let ready = self.ready().unwrap_or(i64::MAX);
        self.phases.iter().filter(move |phase| phase.mode == Mode::Idle && phase.from >= ready)
    }

    /// The last step that came to its end before a time.
    pub(super) fn reached(&self, job: &Job, seconds: i64) -> Option<i64> {
        let stretch = self.stretches.iter().rfind(|stretch| stretch.from < seconds)?;
        let done = (0..stretch.count).take_while(|at| stretch.step(job, *at).1 <= seconds * 1_000_000).count() as i64;
        (stretch.first + done > self.first).then_some(stretch.first + done - 1)
    }

    pub(super) fn next(&self) -> i64 {
        self.stretches.last().map_or(self.first, Stretch::next)
    }
}

/// Large batches: a step is gathered over many passes.
pub(super) fn step_seconds(job: &Job) -> f64 {
    let draw = job.draw.of("step").of("seconds");
    match job.kind {
        Kind::Pretrain => draw.spread(90.0, 200.0),
        Kind::Train => draw.spread(70.0, 150.0),
        _ => draw.spread(20.0, 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outages::cycle_start;
    use super::super::topology::Topology;
    use super::*;

    #[test]
    fn steps_lie_within_work_and_a_later_attempt_goes_on_from_the_last_save() {
        let fleet = Topology::new(7, 256, "demo");
        let (mut checked, mut repeated) = (0, 0);
        for cell in 0..fleet.cells.len() {
            let cycle = Cycle::new(&fleet, cell, cycle_start(cell, 1_790_000_000));
            for (number, run) in cycle.runs.iter().enumerate() {
                let Some(attempt) = Attempt::of(&cycle, number) else { continue };
                let job = &cycle.jobs[run.request];
                let works = |from: i64, until: i64| {
                    attempt.phases.iter().any(|phase| {
                        let (begin, end) = (phase.from * 1_000_000, phase.until * 1_000_000);
                        phase.mode == Mode::Work && begin <= from && until <= end
                    })
                };
                let mut next = attempt.first;
                let mut last_end = run.start * 1_000_000;
                for stretch in &attempt.stretches {
                    assert_eq!(stretch.first, next, "{} {}", job.name, run.attempt);
                    next = stretch.next();
                    for at in 0..stretch.count {
                        let (from, until) = stretch.step(job, at);
                        assert!(
                            last_end <= from && from < until && works(from, until),
                            "{} {at} of {stretch:?}",
                            job.name
                        );
                        last_end = until;
                        checked += 1;
                    }
                    if let Some((from, until)) = stretch.save {
                        assert!(last_end <= from * 1_000_000 && works(from * 1_000_000, until * 1_000_000));
                        last_end = until * 1_000_000;
                    }
                }
                assert!(last_end <= run.end * 1_000_000);
                let later = cycle.runs.iter().position(|r| r.request == run.request && r.attempt == run.attempt + 1);
                if let Some(later) = later.and_then(|later| Attempt::of(&cycle, later)) {
                    assert!(later.first <= attempt.next() && later.first >= attempt.first);
                    repeated += usize::from(later.first < attempt.next());
                }
            }
        }
        assert!(checked > 50_000 && repeated > 3, "{checked} steps, {repeated} attempts that did work again");
    }
}
