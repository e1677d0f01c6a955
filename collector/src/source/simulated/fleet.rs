//! The fleet through time: cycles are made up as they are needed and forgotten when they are over.

use super::cycle::Cycle;
use super::events::{self, Window};
use super::gpu_rows::{GpuRows, Stretch};
use super::load::Mode;
use super::log_rows::LogRows;
use super::names::Names;
use super::node_rows;
use super::outages::{CYCLE, cycle_start};
use super::request_rows::RequestRows;
use super::span_rows::SpanRows;
use super::topology::{Model, Topology};
use crate::batch::{self, TableBatch};
use crate::source::{NodeIdentity, Sample};
use contract::{ByState, GpuState};
use std::fmt::Write as _;
use std::sync::Arc;

/// Rows of one batch of GPU samples: about 6 MB before compression.
pub(crate) const BATCH_ROWS: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SimulateError {
    #[error("made-up rows do not form a batch: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Batch(#[from] batch::BatchError),
}

/// A stretch of time whose rows are wanted; all in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: i64,
    pub until: i64,
    pub step: i64,
    /// The first of all: it also tells which jobs run and which devices are down at its start.
    pub is_first: bool,
}

/// A fleet that was never built.
#[derive(Debug)]
pub(crate) struct Fleet {
    topology: Topology,
    names: Names,
    nodes: Vec<NodeIdentity>,
    /// Of each cell: the cycles that were last asked for, newest last.
    cycles: Vec<Vec<Arc<Cycle>>>,
    /// The die temperature of each device after its last row, NaN after a pause.
    temperatures: Vec<f64>,
}

impl Fleet {
    pub(crate) fn new(seed: u64, gpus: usize, cluster: &str) -> Self {
        let topology = Topology::new(seed, gpus, cluster);
        let cluster_name: Arc<str> = Arc::from(cluster);
        let identity = |node: &str| NodeIdentity { cluster: Arc::clone(&cluster_name), node: Arc::from(node) };
        Self {
            names: Names::new(&topology, cluster),
            nodes: topology.nodes.iter().map(|n| identity(&n.name)).collect(),
            cycles: topology.cells.iter().map(|_| Vec::new()).collect(),
            temperatures: vec![f64::NAN; topology.devices.len()],
            topology,
        }
    }

    /// Rows of `gpu_samples` for one interval.
    pub(crate) fn devices(&self) -> usize {
        self.topology.devices.len()
    }

    /// A UUID that follows from the seed and these words.
    pub(crate) fn uuid(&self, words: &str) -> String {
        self.topology.draw.of("writer").of(words).uuid()
    }

    fn cycle(&mut self, cell: usize, time: i64) -> Arc<Cycle> {
        let start = cycle_start(cell, time);
        let known = &mut self.cycles[cell];
        if let Some(cycle) = known.iter().find(|cycle| cycle.start == start) {
            return Arc::clone(cycle);
        }
        let cycle = Arc::new(Cycle::new(&self.topology, cell, start));
        // Two at a time: a span may reach from one into the next.
        if known.len() == 2 {
            known.remove(0);
        }
        known.push(Arc::clone(&cycle));
        cycle
    }

    /// All rows of a span, events first.
    pub(crate) fn rows(&mut self, span: Span) -> Result<Vec<TableBatch>, SimulateError> {
        let mut sample = Sample::default();
        let mut gpus = GpuRows::new();
        let mut batches = Vec::new();
        let cluster = Arc::clone(&self.nodes[0].cluster);
        let (mut requests, mut spans, mut logs) =
            (RequestRows::new(&cluster), SpanRows::new(&cluster), LogRows::new(&cluster));
        for cell in 0..self.topology.cells.len() {
            let mut from = span.from;
            while from < span.until {
                let cycle = self.cycle(cell, from);
                // A step that reaches over the end still belongs to the cycle in which it starts.
                let steps = (cycle.start + CYCLE - from + span.step - 1) / span.step;
                let until = span.until.min(from + steps * span.step);
                let is_first = span.is_first && from == span.from;
                let end = until.min(cycle.start + CYCLE);
                self.add_events(&cycle, Window { range: from.max(cycle.start)..end, with_open: is_first }, &mut sample);
                if end < until {
                    let next = self.cycle(cell, end);
                    self.add_events(&next, Window { range: end..until, with_open: false }, &mut sample);
                }
                let stretch = Stretch { from, until, step: span.step };
                self.add_nodes(cell, &cycle, stretch, &mut sample);
                requests.add(&self.topology, &cycle, stretch);
                spans.add(&self.topology, &cycle, stretch);
                logs.add(&self.topology, &cycle, stretch);
                self.add_gpus(cell, &cycle, stretch, &mut gpus, &mut batches)?;
                from = until;
            }
        }
        sample.jobs.sort_by_key(|row| row.time_unix_micros);
        sample.events.sort_by_key(|row| row.time_unix_micros);
        logs.add_kernel(&self.topology, &sample.events, &(span.from..span.until));
        let mut all = batch::batches(&sample)?;
        // Who holds a GPU is known before its rows come.
        all.sort_by_key(|(table, _)| !table.name.ends_with("_events"));
        if gpus.len() > 0 {
            batches.push(gpus.finish(&self.names)?);
        }
        let table = contract::table("gpu_samples").expect("the contract has gpu_samples");
        all.extend(batches.into_iter().map(|batch| (table, batch)));
        all.extend(requests.finish()?);
        all.extend(spans.finish()?);
        all.extend(logs.finish()?);
        Ok(all)
    }

    fn add_events(&self, cycle: &Cycle, window: Window, sample: &mut Sample) {
        sample.jobs.extend(events::jobs(&self.topology, cycle, &self.nodes, &window));
        sample.events.extend(events::devices(&self.topology, cycle, &self.nodes, &window));
    }

    fn add_nodes(&self, cell: usize, cycle: &Cycle, stretch: Stretch, sample: &mut Sample) {
        for node in self.topology.cells[cell].nodes.clone() {
            sample.hosts.extend(node_rows::hosts(&self.topology, cycle, node, &self.nodes[node], stretch));
            sample.processes.extend(node_rows::processes(&self.topology, cycle, node, &self.nodes[node], stretch));
        }
    }

    fn add_gpus(
        &mut self,
        cell: usize,
        cycle: &Cycle,
        stretch: Stretch,
        gpus: &mut GpuRows,
        batches: &mut Vec<arrow::record_batch::RecordBatch>,
    ) -> Result<(), SimulateError> {
        for node in self.topology.cells[cell].nodes.clone() {
            for device in self.topology.nodes[node].devices.clone() {
                let temperature = &mut self.temperatures[device];
                gpus.add_device(&self.topology, cycle, device, stretch, temperature);
                if gpus.len() >= BATCH_ROWS {
                    batches.push(std::mem::replace(gpus, GpuRows::new()).finish(&self.names)?);
                }
            }
        }
        Ok(())
    }

    /// GPUs and MIG instances by state at `time`.
    pub(crate) fn states(&mut self, time: i64) -> ByState<u64> {
        let mut states = ByState::default();
        for cell in 0..self.topology.cells.len() {
            let cycle = self.cycle(cell, time);
            for (at, timeline) in cycle.timelines.iter().enumerate() {
                if self.topology.devices[cycle.first_device + at].is_cut {
                    continue;
                }
                let outage = timeline.outages.iter().find(|o| o.from <= time && time < o.until);
                let state = match (outage, timeline.segments[timeline.seek(time)].mode) {
                    (Some(outage), _) if outage.cause.is_down() => GpuState::Down,
                    (Some(_), _) => GpuState::Unknown,
                    (None, Mode::Free) => GpuState::Unallocated,
                    (None, Mode::Empty) => GpuState::HeldEmpty,
                    (None, Mode::Idle) => GpuState::HeldIdle,
                    (None, Mode::Work) => GpuState::Active,
                };
                *states.get_mut(state) += 1;
            }
        }
        states
    }

    /// What the fleet consists of and does at `time`, in a few lines.
    pub(crate) fn summary(&mut self, time: i64) -> String {
        let fleet = &self.topology;
        let mut text = format!(
            "{} GPUs on {} nodes in {} racks, {} cells that are scheduled apart\n",
            fleet.gpus,
            fleet.nodes.len(),
            fleet.racks,
            fleet.cells.len()
        );
        for model in Model::ALL {
            let of_model = |d: &&super::topology::Device| d.model == model && d.mig.is_none();
            let gpus = fleet.devices.iter().filter(of_model).count();
            if gpus > 0 {
                let nodes: Vec<&str> =
                    fleet.nodes.iter().filter(|n| n.model == model).map(|n| n.name.as_str()).collect();
                let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
                writeln!(text, "  {gpus:>6} {:<24} {first} to {last}", model.name()).expect("a string takes all");
            }
        }
        let instances = fleet.devices.iter().filter(|d| d.mig.is_some()).count();
        if instances > 0 {
            writeln!(text, "  {instances:>6} MIG instances").expect("a string takes all");
        }
        let (mut running, mut waiting) = (0, 0);
        for cell in 0..self.topology.cells.len() {
            let cycle = self.cycle(cell, time);
            running += cycle.runs.iter().filter(|r| r.start <= time && time < r.end).count();
            waiting += cycle.runs.iter().filter(|r| r.queued <= time && time < r.start).count();
        }
        let states = self.states(time);
        text.push_str("  now:");
        for state in GpuState::ALL {
            write!(text, " {} {},", states.get(state), state.as_str()).expect("a string takes all");
        }
        writeln!(text, " {running} jobs running, {waiting} waiting").expect("a string takes all");
        text
    }
}
