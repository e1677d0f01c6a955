//! `spans` of made-up training jobs: steps and phases of some of their ranks, as the Python package sends them.
//!
//! **Invariants:** a span is told when it has ended, and what is within a step with the step; however large the fleet, jobs
//! that send spans are no more than those of [`GPUS_FULL`] GPUs.

use super::columns::{MICROS, batch, maps, texts, times};
use super::cycle::{Cycle, Job};
use super::demand::Kind;
use super::draw::Draw;
use super::gpu_rows::Stretch as Window;
use super::schedule::{Outcome, Run};
use super::steps::{Attempt, Stretch, step_seconds};
use super::topology::{Model, Topology};
use crate::batch::TableBatch;
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// Beyond so many GPUs fewer jobs send spans: they are there to be looked at, not to fill disks.
const GPUS_FULL: f64 = 256.0;
/// Ranks of a job that send spans: enough to compare them.
const RANKS_MAX: usize = 3;

type Pairs = Arc<[(&'static str, String)]>;

struct SpanRow {
    from: i64,
    until: i64,
    trace: Draw,
    span: Draw,
    parent: Option<Draw>,
    name: &'static str,
    step: Option<i64>,
    tokens: Option<i64>,
    error: Option<&'static str>,
    rank: i64,
    node: Arc<str>,
    job_id: Arc<str>,
    resource: Pairs,
}

#[derive(Default)]
pub(super) struct SpanRows {
    rows: Vec<SpanRow>,
    cluster: Arc<str>,
}

impl SpanRows {
    pub(super) fn new(cluster: &str) -> Self {
        Self { rows: Vec::new(), cluster: Arc::from(cluster) }
    }

    /// Adds the spans of a cell's jobs that ended in a stretch of time.
    pub(super) fn add(&mut self, fleet: &Topology, cycle: &Cycle, window: Window) {
        for (number, run) in cycle.runs.iter().enumerate() {
            let job = &cycle.jobs[run.request];
            // A step may have begun before the window.
            let is_here = run.start < window.until && run.end >= window.from;
            if !is_here || !sends(fleet, job) {
                continue;
            }
            let Some(attempt) = Attempt::of(cycle, number) else { continue };
            for rank in ranks(fleet, run) {
                let program = Program::new(fleet, job, run, rank, &self.cluster);
                program.tell(&attempt, window.from * MICROS..window.until * MICROS, &mut self.rows);
            }
        }
    }

    /// The rows, without a table that has none.
    pub(super) fn finish(self) -> Result<Option<TableBatch>, ArrowError> {
        let is_any = !self.rows.is_empty();
        is_any.then(|| batch("spans", self.rows.len(), |name| column(&self.rows, &self.cluster, name))).transpose()
    }
}

/// Whether the owner of a job has its program send spans.
fn sends(fleet: &Topology, job: &Job) -> bool {
    let often = match job.kind {
        Kind::Pretrain => 0.16,
        Kind::Train => 0.18,
        _ => 0.02,
    };
    job.draw.of("spans").chance(often * (GPUS_FULL / fleet.gpus as f64).min(1.0))
}

/// Some ranks from the first to the last, and one that is slow.
fn ranks(fleet: &Topology, run: &Run) -> Vec<usize> {
    let all = run.devices.len();
    let count = all.min(RANKS_MAX);
    let mut ranks: Vec<usize> = (0..count).map(|at| at * (all - 1) / (count - 1).max(1)).collect();
    let slow = (0..all).find(|rank| fleet.devices[run.devices[*rank]].is_straggler);
    if let (Some(slow), Some(last)) = (slow, ranks.last_mut()) {
        *last = slow;
    }
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// The program of one rank.
struct Program<'a> {
    job: &'a Job,
    run: &'a Run,
    rank: usize,
    is_slow: bool,
    tokens: i64,
    node: Arc<str>,
    job_id: Arc<str>,
    resource: Pairs,
}

impl<'a> Program<'a> {
    fn new(fleet: &Topology, job: &'a Job, run: &'a Run, rank: usize, cluster: &str) -> Self {
        let device = &fleet.devices[run.devices[rank]];
        let node: Arc<str> = Arc::from(fleet.nodes[device.node].name.as_str());
        let parameters = parameters(job.owner.model);
        let peak = if device.model == Model::A100 { 312e12 } else { 989e12 };
        let reached = job.draw.of("mfu").between(0.28, 0.46);
        // Those that send stand for all of them.
        let each_for = run.devices.len() as f64 / ranks(fleet, run).len().max(1) as f64;
        let tokens = each_for * reached * peak * step_seconds(job) / (6.0 * parameters);
        let resource = [
            ("service.name", "training".to_owned()),
            ("host.name", node.to_string()),
            ("coulomb.job_id", job.job_id.clone()),
            ("coulomb.cluster", cluster.to_owned()),
            ("coulomb.rank", rank.to_string()),
            ("coulomb.world_size", run.devices.len().to_string()),
            ("coulomb.run", format!("{}.{}", job.job_id, run.attempt)),
            ("coulomb.model.name", job.owner.model.to_owned()),
            ("coulomb.model.parameters", format!("{parameters:.0}")),
            ("coulomb.model.dtype", "bf16".to_owned()),
        ];
        Self {
            job,
            run,
            rank,
            is_slow: device.is_straggler,
            tokens: ((tokens / 1024.0).round() as i64).max(1) * 1024,
            node,
            job_id: Arc::from(job.job_id.as_str()),
            resource: Arc::from(resource),
        }
    }

    /// The spans that end in a window.
    fn tell(&self, attempt: &Attempt, window: Range<i64>, rows: &mut Vec<SpanRow>) {
        let mut others = Vec::new();
        self.begin(attempt, &mut others);
        self.fail(attempt, &mut others);
        let reaches = |stretch: &&Stretch| {
            let end = stretch.save.map_or(self.run.end, |(_, end)| end);
            stretch.from * MICROS < window.end && end * MICROS >= window.start
        };
        for stretch in attempt.stretches.iter().filter(reaches) {
            for at in 0..stretch.count {
                let (from, until) = stretch.step(self.job, at);
                if window.contains(&until) {
                    self.step(stretch.first + at, from..until, rows);
                }
            }
            if let Some((from, until)) = stretch.save {
                others.push(self.span("checkpoint_save", from * MICROS..until * MICROS, stretch.next(), None));
            }
        }
        rows.extend(others.into_iter().filter(|row| window.contains(&row.until)));
    }

    /// What comes before the first step.
    fn begin(&self, attempt: &Attempt, rows: &mut Vec<SpanRow>) {
        let (Some(loads), Some(ready)) = (attempt.loads(), attempt.ready()) else { return };
        let (loads, ready) = (loads * MICROS, ready * MICROS);
        if loads >= ready {
            return;
        }
        // A program that was launched before reads what that one saved.
        let restores = if attempt.first > 0 { ready - (ready - loads) / 4 } else { ready };
        rows.push(self.span("initialization", loads..restores, -1, None));
        if restores < ready {
            rows.push(self.span("checkpoint_restore", restores..ready, -2, None));
        }
    }

    fn step(&self, number: i64, time: Range<i64>, rows: &mut Vec<SpanRow>) {
        let length = (time.end - time.start) as f64;
        let draw = self.job.draw.of("parts").of(number).of(self.rank);
        let loading = draw.of("loading").between(0.01, 0.035);
        // Who is quick waits for the others in the exchange at the end.
        let waiting = if self.is_slow { 0.03 } else { draw.of("waiting").between(0.16, 0.2) };
        let whole = |part: f64| (length * part / 1e3).round() as i64 * 1_000;
        let step = SpanRow { tokens: Some(self.tokens), ..self.span("step", time.clone(), number, None) };
        // The first rank reads for all of them.
        let loading = (self.rank == 0).then(|| ("data_loading", time.start..time.start + whole(loading)));
        let exchange = ("communication", time.end - whole(waiting)..time.end);
        for (name, time) in loading.into_iter().chain([exchange]) {
            rows.push(SpanRow { step: Some(number), ..self.span(name, time, number, Some(step.span)) });
        }
        rows.push(SpanRow { step: Some(number), ..step });
    }

    /// A program that fails by itself says so with the step that it was at.
    fn fail(&self, attempt: &Attempt, rows: &mut Vec<SpanRow>) {
        if self.run.outcome != Outcome::Failed {
            return;
        }
        let Some(last) = attempt.stretches.last() else { return };
        let (from, until) = (last.step(self.job, last.count).0, self.run.end * MICROS);
        if from < until && last.save.is_none() {
            let mut row = self.span("step", from..until, last.next(), None);
            (row.step, row.error) = (Some(last.next()), Some(failure(self.job, self.run)));
            rows.push(row);
        }
    }

    /// A span by its name and its number in the job.
    fn span(&self, name: &'static str, time: Range<i64>, number: i64, parent: Option<Draw>) -> SpanRow {
        let trace = self.job.draw.of("trace of step").of(self.run.attempt).of(number);
        SpanRow {
            from: time.start,
            until: time.end,
            trace,
            span: trace.of(name).of(self.rank),
            parent,
            name,
            step: None,
            tokens: None,
            error: None,
            rank: self.rank as i64,
            node: Arc::clone(&self.node),
            job_id: Arc::clone(&self.job_id),
            resource: Arc::clone(&self.resource),
        }
    }
}

/// Why an attempt failed by itself: what its device said, if that said anything.
pub(super) fn failure(job: &Job, run: &Run) -> &'static str {
    let draw = job.draw.of("trace").of(run.attempt);
    if draw.of("whether").chance(0.3) {
        return "RuntimeError: CUDA error: unspecified launch failure";
    }
    draw.of("said").pick(&[
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.31 GiB",
        "ValueError: loss is nan",
        "OSError: [Errno 5] Input/output error: '/data/shards/part-01734.tar'",
        "RuntimeError: DataLoader worker (pid 4711) is killed by signal: Killed",
    ])
}

/// How many a model has.
pub(super) fn parameters(model: &str) -> f64 {
    match model {
        "llm-7b" => 7e9,
        "llm-13b" => 13e9,
        "llm-70b" | "chat-70b" => 70e9,
        "code-34b" => 34e9,
        "protein-lm" => 15e9,
        "diffusion-xl" => 2.6e9,
        "asr-large" => 1.5e9,
        "ranker-v9" => 1.2e9,
        _ => 0.6e9,
    }
}

fn column(rows: &[SpanRow], cluster: &str, name: &str) -> Option<ArrayRef> {
    let int = |of: fn(&SpanRow) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let same = |text: &'static str| texts(rows.iter().map(move |_| Some(text)));
    let ids = |of: &dyn Fn(&SpanRow) -> Option<String>| {
        let ids: Vec<Option<String>> = rows.iter().map(of).collect();
        texts(ids.iter().map(Option::as_deref))
    };
    let span_id = |draw: Draw| format!("{:016x}", draw.bits());
    Some(match name {
        "time" => times(rows.iter().map(|row| row.from)),
        "time_nanos" => int(|_| 0),
        "trace_id" => ids(&|row| Some(format!("{:016x}{:016x}", row.trace.bits(), row.trace.of("low").bits()))),
        "span_id" => ids(&|row| Some(span_id(row.span))),
        "parent_span_id" => ids(&|row| row.parent.map(span_id)),
        "name" => texts(rows.iter().map(|row| Some(row.name))),
        "kind" => same("internal"),
        "duration_seconds" => {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| (row.until - row.from) as f64 / 1e6)))
        }
        "duration_nanos" => int(|row| (row.until - row.from) * 1_000),
        "status_code" => texts(rows.iter().map(|row| Some(if row.error.is_some() { "error" } else { "unset" }))),
        "status_message" => texts(rows.iter().map(|row| row.error)),
        "service" => same("training"),
        "scope_name" => same("coulomb"),
        "resource" => maps(rows.iter().map(|row| &*row.resource)),
        "attributes" => {
            let pairs: Vec<Vec<(&str, String)>> = rows.iter().map(attributes).collect();
            maps(pairs.iter().map(Vec::as_slice))
        }
        "cluster" => texts(rows.iter().map(|_| Some(cluster))),
        "node" => texts(rows.iter().map(|row| Some(&*row.node))),
        "job_id" => texts(rows.iter().map(|row| Some(&*row.job_id))),
        "rank" => int(|row| row.rank),
        "step" => Arc::new(rows.iter().map(|row| row.step).collect::<Int64Array>()),
        _ => return None,
    })
}

fn attributes(row: &SpanRow) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("coulomb.phase", row.name.to_owned())];
    pairs.extend(row.step.map(|step| ("coulomb.step", step.to_string())));
    pairs.extend(row.tokens.map(|tokens| ("coulomb.tokens", tokens.to_string())));
    pairs
}
