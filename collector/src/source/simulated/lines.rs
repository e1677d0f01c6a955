//! What programs of made-up jobs write, and what their scheduler adds. Owns the words.

use super::columns::MICROS;
use super::cycle::{Cycle, Job};
use super::demand::Kind;
use super::draw::Draw;
use super::load::{Mode, phases};
use super::log_rows::{Level, Line};
use super::outages::{HOUR, MINUTE};
use super::request_rows::Replica;
use super::schedule::{Outcome, Run};
use super::span_rows::{failure, parameters};
use super::steps::Attempt;
use super::topology::Topology;
use std::ops::Range;

/// The last line of a run comes so long after its end, in seconds.
pub(super) const AFTER_END: i64 = 2;
/// How often a program says how far it is: real ones do so each ten seconds, and nobody reads it.
const PROGRESS: i64 = 15 * MINUTE;
/// A collective that takes longer has hung.
const WATCHDOG: i64 = 10 * MINUTE;

/// The name under which a job's lines come.
pub(super) fn service(job: &Job) -> &str {
    match job.kind {
        Kind::Serve => job.name.as_str(),
        Kind::Notebook | Kind::Slice | Kind::Abandoned => "jupyter",
        Kind::Hold | Kind::Parked => "shell",
        _ => "training",
    }
}

/// The lines of a run, or at least those within a stretch of time, in microseconds.
pub(super) fn of_run(fleet: &Topology, cycle: &Cycle, number: usize, within: &Range<i64>, lines: &mut Vec<Line>) {
    let run = &cycle.runs[number];
    let job = &cycle.jobs[run.request];
    let node = |device: &usize| fleet.nodes[fleet.devices[*device].node].name.as_str();
    let host = run.devices.first().map_or("", node);
    let mut said = Said { job, run, host, within, lines };
    let devices = run.devices.len();
    said.at(run.start, Level::Info, || {
        format!("job {} attempt {}: {devices} GPUs, {}", job.job_id, run.attempt, job.name)
    });
    match job.kind {
        Kind::Serve => said.serve(cycle, number),
        Kind::Pretrain | Kind::Train | Kind::Finetune => {
            if let Some(attempt) = Attempt::of(cycle, number) {
                said.train(&attempt);
            }
        }
        Kind::Evaluate => said.evaluate(),
        Kind::Notebook | Kind::Slice | Kind::Abandoned => {
            said.at(run.start + 40, Level::Info, || format!("Jupyter Server is running at http://{host}:8888/lab"));
        }
        Kind::Broken | Kind::Hold | Kind::Parked => {}
    }
    said.end();
}

struct Said<'a> {
    job: &'a Job,
    run: &'a Run,
    /// The node of the first rank.
    host: &'a str,
    within: &'a Range<i64>,
    lines: &'a mut Vec<Line>,
}

impl Said<'_> {
    /// A line at a second of the run; it is only put into words if it is wanted.
    fn at(&mut self, seconds: i64, level: Level, body: impl FnOnce() -> String) {
        let draw = self.job.draw.of("line").of(seconds).of(level as i64);
        let micros = seconds * MICROS + draw.seconds(0, MICROS);
        if self.within.contains(&micros) {
            self.lines.push(Line { micros, level, body: body() });
        }
    }

    /// Times at which something is said again and again, within the stretch.
    fn every(&self, seconds: i64, range: Range<i64>) -> impl Iterator<Item = i64> + use<> {
        let from = range.start.max(self.within.start.div_euclid(MICROS) - seconds);
        let first = range.start + (from - range.start).div_euclid(seconds) * seconds;
        (first..range.end.min(self.within.end.div_euclid(MICROS) + 1))
            .step_by(usize::try_from(seconds).unwrap_or(1))
            .filter(move |at| *at > range.start)
    }

    fn train(&mut self, attempt: &Attempt) {
        let (job, run) = (self.job, self.run);
        let ranks = run.devices.len();
        if let (Some(loads), Some(ready)) = (attempt.loads(), attempt.ready()) {
            if ranks > 1 {
                let draw = job.draw.of("nccl");
                self.at(loads + 2, Level::Info, || {
                    format!(
                        "NCCL INFO ncclCommInitRankConfig comm 0x{:x} rank 0 nranks {ranks} - Init START",
                        draw.bits() >> 20
                    )
                });
            }
            let billions = parameters(job.owner.model) / 1e9;
            self.at(loads + 5, Level::Info, || {
                format!("building {} with {billions:.1} B parameters in bf16", job.owner.model)
            });
            if attempt.first > 0 {
                self.at(ready - 5, Level::Info, || format!("restored checkpoint of step {}", attempt.first - 1));
            }
            self.at(ready, Level::Info, || format!("starting at step {}", attempt.first));
            for at in self.every(PROGRESS, ready..run.end) {
                self.progress(attempt, at);
            }
        }
        self.saves(attempt);
        self.waits(attempt);
    }

    fn progress(&mut self, attempt: &Attempt, at: i64) {
        let job = self.job;
        let works =
            attempt.phases.iter().any(|phase| phase.mode == Mode::Work && (phase.from..phase.until).contains(&at));
        let Some(step) = attempt.reached(job, at).filter(|_| works) else { return };
        let draw = job.draw.of("progress").of(step);
        let (loss, norm) = (loss(job, step), draw.of("norm").spread(0.3, 2.4));
        self.at(at, Level::Info, || format!("step {step} loss {loss:.4} grad_norm {norm:.3} lr {:.2e}", rate(step)));
        if norm > 2.25 {
            self.at(at, Level::Warn, || format!("grad_norm {norm:.2} at step {step} is clipped to 1.00"));
        }
        if self.run.devices.len() > 8 && draw.of("network").chance(0.02) {
            let peer = draw.of("peer").seconds(1, 240);
            self.at(at + 20, Level::Warn, || {
                format!("NCCL WARN NET/IB : Got async event : port error, retrying QP to 10.40.0.{peer}")
            });
        }
    }

    fn saves(&mut self, attempt: &Attempt) {
        let job = self.job;
        for (number, stretch) in attempt.stretches.iter().enumerate() {
            let Some((from, until)) = stretch.save.filter(|_| stretch.count > 0) else { continue };
            let step = stretch.next() - 1;
            self.at(until, Level::Info, || {
                format!("saved checkpoint /ckpt/{}/step-{step:06} in {} s", job.name, until - from)
            });
            if (number + 1) % 8 == 0 {
                self.at(until + 1, Level::Info, || {
                    format!("epoch {} finished, validation loss {:.4}", (number + 1) / 8, loss(job, step) * 1.04)
                });
            }
        }
    }

    /// A file system that is slow, and the hang before the end.
    fn waits(&mut self, attempt: &Attempt) {
        for wait in attempt.waits().copied().collect::<Vec<_>>() {
            if wait.until >= self.run.end {
                let sequence = attempt.next() * 41;
                self.at(wait.from + WATCHDOG, Level::Error, || {
                    format!(
                        "[rank0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum={sequence}, OpType=ALLREDUCE) ran for {}000 milliseconds before timing out",
                        WATCHDOG
                    )
                });
                continue;
            }
            self.at(wait.from + MINUTE, Level::Warn, || {
                "data loader has waited for 60 s: 0 of 8 batches are ready".to_owned()
            });
            let seconds = wait.until - wait.from;
            self.at(wait.until, Level::Info, || format!("data loader goes on after {seconds} s"));
        }
    }

    fn evaluate(&mut self) {
        let (job, run) = (self.job, self.run);
        let phases = phases(job.kind, job.draw, run);
        let Some(work) = phases.iter().find(|phase| phase.mode == Mode::Work) else { return };
        let all = job.draw.of("samples").seconds(2_000, 40_000);
        for at in self.every(PROGRESS, work.from..work.until) {
            let done = all * (at - work.from) / (work.until - work.from).max(1);
            self.at(at, Level::Info, || format!("evaluated {done} of {all} samples"));
        }
        if run.outcome == Outcome::Completed {
            let score = job.draw.of("score").between(0.42, 0.91);
            self.at(run.end - 1, Level::Info, || format!("evaluated {all} of {all} samples, accuracy {score:.4}"));
        }
    }

    fn serve(&mut self, cycle: &Cycle, number: usize) {
        let (job, run) = (self.job, self.run);
        let Some(device) = run.devices.first() else { return };
        let replica = Replica { cycle, job, run: number, at: device - cycle.first_device };
        let phases = phases(job.kind, job.draw, run);
        if let Some(loads) = phases.iter().find(|phase| phase.mode == Mode::Idle) {
            let took = loads.until - loads.from;
            self.at(loads.from, Level::Info, || format!("Starting to load model {}...", job.owner.model));
            self.at(loads.until - 2, Level::Info, || format!("Loading weights took {took} seconds"));
            self.at(loads.until, Level::Info, || "Application startup complete.".to_owned());
        }
        for at in self.every(PROGRESS, run.start..run.end) {
            let Some(load) = replica.load(at, MINUTE) else { continue };
            let draw = job.draw.of("engine").of(at);
            let (running, waiting) = ((load * 40.0).round(), ((load - 0.55).max(0.0) * 60.0).round());
            let (prompt, generated) = (load * 9_000.0 * draw.of("prompt").between(0.7, 1.3), load * 1_800.0);
            let cache = (8.0 + load * 125.0).min(99.0);
            self.at(at, Level::Info, || {
                format!(
                    "Engine 000: Avg prompt throughput: {prompt:.1} tokens/s, Avg generation throughput: {generated:.1} tokens/s, \
                     Running: {running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: {cache:.1}%"
                )
            });
            if cache > 90.0 {
                self.at(at + 3, Level::Warn, || {
                    format!("Sequence group {} is preempted: not enough KV cache space", draw.bits() % 9_999)
                });
            }
            if draw.of("fails").chance(0.01) {
                self.at(at + 30, Level::Error, || {
                    format!("request cmpl-{:012x} failed: client disconnected", draw.bits() >> 16)
                });
            }
        }
    }

    /// What the end of the run leaves behind.
    fn end(&mut self) {
        let (job, run, host) = (self.job, self.run, self.host);
        let cut = |why: &str| format!("slurmstepd: error: *** JOB {} ON {host} CANCELLED DUE TO {why} ***", job.job_id);
        match run.outcome {
            Outcome::Failed => {
                let error = if job.kind == Kind::Broken { broken(job.draw) } else { failure(job, run) };
                self.at(run.end, Level::Error, || {
                    format!("Traceback (most recent call last):\n  File \"/workspace/train.py\", line 412, in <module>\n    main()\n  File \"/workspace/train.py\", line 237, in main\n    loss = step(batch)\n{error}")
                });
                self.at(run.end + 1, Level::Error, || format!("srun: error: {host}: task 0: Exited with exit code 1"));
            }
            Outcome::NodeFail => self.at(run.end, Level::Error, || cut("NODE FAILURE")),
            Outcome::Timeout => self.at(run.end, Level::Error, || cut("TIME LIMIT")),
            Outcome::Preempted => self.at(run.end, Level::Warn, || cut("PREEMPTION")),
            Outcome::Cancelled => {
                self.at(run.end, Level::Warn, || format!("job {} was cancelled by its user", job.job_id))
            }
            Outcome::Completed => {
                let hours = (run.end - run.start) as f64 / HOUR as f64;
                self.at(run.end, Level::Info, || format!("job {} finished after {hours:.2} h", job.job_id));
            }
        }
    }
}

/// Falls as losses do, with noise that belongs to the step.
fn loss(job: &Job, step: i64) -> f64 {
    let noise = job.draw.of("loss").of(step).between(-0.04, 0.04);
    1.75 + 8.5 / (1.0 + step as f64 / 30.0).powf(0.55) + noise
}

/// The learning rate: up for the first hundred steps, then slowly down.
fn rate(step: i64) -> f64 {
    3e-4 * (step as f64 / 100.0).min(1.0) / (1.0 + step as f64 / 4_000.0)
}

fn broken(draw: Draw) -> &'static str {
    draw.of("broken").pick(&[
        "KeyError: 'learning_rate'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/shards/train.idx'",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (4096x1024 and 4096x1024)",
        "ModuleNotFoundError: No module named 'flash_attn'",
    ])
}
