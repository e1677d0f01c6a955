//! `job_events` and `device_events` of a made-up cell.
//!
//! Owns what is told of a job's life and of a device's troubles. **Invariants:** events of a window have their time
//! within it; a job's events agree with the rows that carry its id; a silent node tells nothing.

use super::cycle::{Cycle, Job};
use super::draw::Draw;
use super::load::Mode;
use super::outages::{CYCLE, Cause, HOUR, MINUTE, Outage};
use super::schedule::{Outcome, Run};
use super::topology::{Role, Topology};
use super::wear::Wear;
use crate::source::{DeviceEventRow, JobEventRow, NodeIdentity};
use std::ops::Range;
use std::sync::Arc;

const MICROS: i64 = 1_000_000;
const GIB: i64 = 1 << 30;

/// Which events are wanted.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub range: Range<i64>,
    /// Also what happened earlier and still matters at its start: jobs that wait or run, devices that are down.
    pub with_open: bool,
}

impl Window {
    fn has(&self, time: i64) -> bool {
        self.range.contains(&time)
    }
}

/// The job events of a cell within a window.
pub(super) fn jobs(fleet: &Topology, cycle: &Cycle, nodes: &[NodeIdentity], window: &Window) -> Vec<JobEventRow> {
    let teller = Teller { fleet, nodes, cycle };
    let mut rows = Vec::new();
    let mut last_end = vec![i64::MIN; cycle.jobs.len()];
    for run in &cycle.runs {
        last_end[run.request] = last_end[run.request].max(run.end);
    }
    for (number, job) in cycle.jobs.iter().enumerate() {
        let end = if job.given_up { cycle.start + CYCLE - 1 } else { last_end[number] };
        let open = window.with_open && job.submit < window.range.start && end >= window.range.start;
        let mut told = |row: JobEventRow| {
            let time = row.time_unix_micros.div_euclid(MICROS);
            if window.has(time) || (open && time < window.range.start) {
                rows.push(row);
            }
        };
        if end < window.range.start || job.submit >= window.range.end {
            continue;
        }
        told(teller.job_event(job, 0, job.submit, "submitted", "PENDING"));
        if job.given_up {
            let mut row = teller.job_event(job, 0, end, "ended", "CANCELLED");
            row.ended_unix_micros = Some(end * MICROS);
            told(row);
        }
    }
    for run in &cycle.runs {
        let open = window.with_open
            && cycle.jobs[run.request].submit < window.range.start
            && last_end[run.request] >= window.range.start;
        for row in teller.run_events(run) {
            let time = row.time_unix_micros.div_euclid(MICROS);
            if window.has(time) || (open && time < window.range.start) {
                rows.push(row);
            }
        }
    }
    rows.sort_by_key(|row| row.time_unix_micros);
    rows
}

struct Teller<'a> {
    fleet: &'a Topology,
    nodes: &'a [NodeIdentity],
    cycle: &'a Cycle,
}

impl Teller<'_> {
    fn job_event(&self, job: &Job, attempt: i64, time: i64, kind: &'static str, state: &str) -> JobEventRow {
        let text = |text: &str| -> Arc<str> { Arc::from(text) };
        let cpus = job.gpus as i64 * if job.role == Role::Mig { 6 } else { 24 };
        JobEventRow {
            time_unix_micros: time * MICROS,
            cluster: Arc::clone(&self.nodes[0].cluster),
            job_id: text(&job.job_id),
            attempt,
            kind,
            state: Some(text(state)),
            name: Some(text(&job.name)),
            user: Some(text(job.owner.user)),
            account: Some(text(job.owner.team.account)),
            project: Some(text(job.owner.team.project)),
            queue: Some(text(queue(job.role))),
            gpus_requested: Some(job.gpus as i64),
            cpus_requested: Some(cpus),
            memory_requested_bytes: Some(cpus * 10 * GIB),
            submitted_unix_micros: Some(job.submit * MICROS),
            labels: vec![(text("team"), text(job.owner.team.name)), (text("model"), text(job.owner.model))],
            ..JobEventRow::default()
        }
    }

    fn run_events(&self, run: &Run) -> Vec<JobEventRow> {
        let job = &self.cycle.jobs[run.request];
        let (state, exit_code) = run.outcome.words();
        let devices = run.devices.iter().map(|d| &self.fleet.devices[*d]);
        let mut nodes: Vec<Arc<str>> = Vec::new();
        for device in devices.clone() {
            let name = &self.nodes[device.node].node;
            if nodes.last() != Some(name) {
                nodes.push(Arc::clone(name));
            }
        }
        let uuids: Vec<Arc<str>> = devices.map(|d| Arc::from(d.uuid.as_str())).collect();
        let mut rows = Vec::with_capacity(3);
        if run.attempt > 0 {
            let mut row = self.job_event(job, run.attempt, run.queued, "requeued", "PENDING");
            row.submitted_unix_micros = Some(run.queued * MICROS);
            rows.push(row);
        }
        for (time, kind, state) in [(run.start, "started", "RUNNING"), (run.end, "ended", state)] {
            let mut row = self.job_event(job, run.attempt, time, kind, state);
            row.nodes = Some(nodes.clone());
            row.gpu_uuids = Some(uuids.clone());
            row.submitted_unix_micros = Some(run.queued * MICROS);
            row.started_unix_micros = Some(run.start * MICROS);
            if kind == "ended" {
                row.ended_unix_micros = Some(run.end * MICROS);
                row.exit_code = Some(exit_code);
            }
            rows.push(row);
        }
        rows
    }
}

fn queue(role: Role) -> &'static str {
    match role {
        Role::Train => "train",
        Role::Serve => "inference",
        Role::Mig => "mig",
        Role::Dev | Role::Abandoned | Role::Relief | Role::Parked => "dev",
        Role::Mixed => "batch",
    }
}

/// The device events of a cell within a window.
pub(super) fn devices(fleet: &Topology, cycle: &Cycle, nodes: &[NodeIdentity], window: &Window) -> Vec<DeviceEventRow> {
    let mut teller = Troubles { fleet, cycle, nodes, window, rows: Vec::new() };
    for (at, timeline) in cycle.timelines.iter().enumerate() {
        let number = cycle.first_device + at;
        for outage in timeline.outages.iter().filter(|o| o.cause.is_down()) {
            teller.outage(number, outage);
        }
        teller.wear(number);
        if fleet.devices[number].is_straggler {
            teller.heat(number);
        }
    }
    for run in cycle.runs.iter().filter(|run| run.outcome == Outcome::Failed) {
        teller.failure(run);
    }
    teller.rows.sort_by_key(|row| row.time_unix_micros);
    teller.rows
}

struct Troubles<'a> {
    fleet: &'a Topology,
    cycle: &'a Cycle,
    nodes: &'a [NodeIdentity],
    window: &'a Window,
    rows: Vec<DeviceEventRow>,
}

/// What an event says besides where and when.
struct Said {
    kind: &'static str,
    code: Option<i64>,
    severity: &'static str,
    message: String,
}

impl Troubles<'_> {
    fn tell(&mut self, number: usize, time: i64, said: Said) {
        let timeline = &self.cycle.timelines[number - self.cycle.first_device];
        let segment = timeline.segments[timeline.seek((time - 1).max(self.cycle.start))];
        // The event that ends a run happens at the end of its last segment.
        let run = segment.run.map(|run| &self.cycle.jobs[self.cycle.runs[run as usize].request].job_id);
        if timeline.is_silent(time) && said.kind != "lost" && said.kind != "reset" {
            return;
        }
        let device = &self.fleet.devices[number];
        self.rows.push(DeviceEventRow {
            time_unix_micros: time * MICROS,
            node: self.nodes[device.node].clone(),
            gpu_uuid: Some(Arc::from(device.uuid.as_str())),
            kind: said.kind,
            code: said.code,
            job_id: run.map(|id| Arc::from(id.as_str())),
            severity: said.severity,
            message: said.message,
        });
    }

    /// The device leaves and comes back; both are told in the cycle in which they happen.
    fn outage(&mut self, number: usize, outage: &Outage) {
        let cycle = self.cycle.start..self.cycle.start + CYCLE;
        let is_open = self.window.with_open && (outage.from..outage.until).contains(&self.window.range.start);
        if (self.window.has(outage.from) && cycle.contains(&outage.from)) || is_open {
            if outage.cause == Cause::Maintenance {
                let message = "node taken out of service for maintenance".to_owned();
                self.tell(number, outage.from, Said { kind: "lost", code: None, severity: "info", message });
            } else {
                let (code, what) = self.fleet.devices[number].draw.of("xid").of(outage.from).pick(&[
                    (79, "GPU has fallen off the bus"),
                    (79, "GPU has fallen off the bus"),
                    (119, "Timeout waiting for RPC from GSP"),
                    (64, "row remapping failed, the GPU must be reset"),
                ]);
                if self.fleet.devices[number].mig.is_none() {
                    let message = format!("Xid {code}: {what}");
                    let said = Said { kind: "xid", code: Some(code), severity: "critical", message };
                    self.tell(number, outage.from, said);
                }
                let message = "the GPU no longer answers".to_owned();
                self.tell(number, outage.from, Said { kind: "lost", code: None, severity: "critical", message });
            }
        }
        if self.window.has(outage.until) && cycle.contains(&outage.until) {
            let message = "the GPU is back and its driver loaded".to_owned();
            self.tell(number, outage.until, Said { kind: "reset", code: None, severity: "info", message });
        }
    }

    fn wear(&mut self, number: usize) {
        let wear = Wear::new(&self.fleet.devices[number], self.cycle);
        for fault in wear.faults.iter().filter(|f| self.window.has(f.time)) {
            if fault.uncorrected > 0 {
                let message = "Xid 48: double bit ECC error".to_owned();
                self.tell(number, fault.time, Said { kind: "xid", code: Some(48), severity: "critical", message });
            }
            if fault.remapped > 0 {
                let message = "Xid 63: a memory row was remapped".to_owned();
                self.tell(number, fault.time, Said { kind: "xid", code: Some(63), severity: "warning", message });
                let message = format!("{} row remapped", fault.remapped);
                let said = Said { kind: "remap", code: Some(fault.remapped), severity: "warning", message };
                self.tell(number, fault.time, said);
            }
            if fault.corrected > 0 {
                let message = format!("{} corrected memory errors", fault.corrected);
                let said = Said { kind: "ecc", code: Some(fault.corrected), severity: "info", message };
                self.tell(number, fault.time, said);
            }
        }
    }

    /// A GPU that gets too hot says so when it has worked for a while.
    fn heat(&mut self, number: usize) {
        let timeline = &self.cycle.timelines[number - self.cycle.first_device];
        let long = timeline.segments.iter().filter(|s| s.mode == Mode::Work && s.until - s.from > HOUR);
        let times: Vec<i64> = long.map(|s| s.from + 6 * MINUTE).filter(|time| self.window.has(*time)).collect();
        for time in times {
            let message = "clocks fall because the GPU is too hot".to_owned();
            self.tell(number, time, Said { kind: "throttle", code: Some(0x60), severity: "warning", message });
        }
    }

    /// Some failures leave a trace in the kernel's log.
    fn failure(&mut self, run: &Run) {
        let draw: Draw = self.cycle.jobs[run.request].draw.of("trace").of(run.attempt);
        if !self.window.has(run.end) || run.devices.is_empty() || !draw.of("whether").chance(0.3) {
            return;
        }
        let (code, severity, what) = draw.of("code").pick(&[
            (31, "error", "MMU page fault"),
            (31, "error", "MMU page fault"),
            (13, "error", "graphics engine exception"),
            (94, "error", "contained memory error"),
            (74, "critical", "NVLink error"),
        ]);
        let number = draw.of("device").pick(&run.devices);
        let message = format!("Xid {code}: {what}");
        self.tell(number, run.end, Said { kind: "xid", code: Some(code), severity, message });
    }
}
