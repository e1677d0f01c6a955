//! One cell from one maintenance to the next: its jobs, its runs, and a timeline for each device.
//!
//! Owns the join of demand, schedule, load and outages. Must not know rows. **Invariants:** a cycle follows from
//! the fleet and its start alone; the segments of a device cover the cycle without gaps, in order; counters are
//! exact at every instant, because each segment starts with the sum of those before it.

use super::demand::{self, Kind, Pool, Request};
use super::draw::Draw;
use super::load::{Load, Mode, phases};
use super::outages::{self, CYCLE, Cause, Outage, opens_at};
use super::people::{self, Owner};
use super::schedule::{self, Run, Scheduled};
use super::topology::{Device, Role, Topology};
use std::ops::Range;

/// Power of a GPU on which a process waits, on top of its idle power: its clocks stay up.
const CONTEXT_WATTS: f64 = 42.0;
/// Numbers of jobs count from here, a minute each; 2024-01-02.
const JOB_NUMBERS_FROM: i64 = 1_704_182_400;

/// Energy, PCIe received and sent, NVLink received and sent.
pub(super) const COUNTERS: usize = 5;
pub(super) type Counters = [f64; COUNTERS];

#[derive(Debug)]
pub(super) struct Job {
    pub job_id: String,
    pub name: String,
    pub kind: Kind,
    pub role: Role,
    pub owner: Owner,
    pub gpus: usize,
    pub submit: i64,
    pub draw: Draw,
    /// It was still waiting when the maintenance came.
    pub given_up: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub from: i64,
    pub until: i64,
    pub mode: Mode,
    /// Index of the run that holds the device.
    pub run: Option<u32>,
    integral: f64,
    base: Counters,
}

/// The life of one device within the cycle.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub segments: Vec<Segment>,
    pub outages: Vec<Outage>,
    /// When the driver was loaded, and the sums at that time.
    pub boots: Vec<(i64, Counters)>,
}

#[derive(Debug)]
pub(super) struct Cycle {
    pub start: i64,
    pub jobs: Vec<Job>,
    pub runs: Vec<Run>,
    pub loads: Vec<Load>,
    /// Of the devices from `first_device` on.
    pub timelines: Vec<Timeline>,
    pub first_device: usize,
}

impl Cycle {
    /// The cycle of a cell that starts at `start`.
    pub(super) fn new(fleet: &Topology, cell: usize, start: i64) -> Self {
        let nodes = fleet.cells[cell].nodes.clone();
        let outages = outages::of_cell(fleet, &fleet.cells[cell], start);
        let mut cycle = Self {
            start,
            jobs: Vec::new(),
            runs: Vec::new(),
            loads: Vec::new(),
            timelines: Vec::new(),
            first_device: fleet.nodes[nodes.start].devices.start,
        };
        for role in
            [Role::Train, Role::Serve, Role::Dev, Role::Mig, Role::Mixed, Role::Abandoned, Role::Relief, Role::Parked]
        {
            cycle.add_pool(fleet, cell, role, &outages);
        }
        cycle.number_jobs(fleet.cells.len() as i64, cell as i64);
        cycle.runs.sort_by_key(|run| (run.start, run.request, run.attempt));
        cycle.loads = cycle
            .runs
            .iter()
            .map(|run| Load::of_run(cycle.jobs[run.request].kind, cycle.jobs[run.request].draw, run))
            .collect();
        let devices = cycle.first_device..fleet.nodes[nodes.end - 1].devices.end;
        cycle.draw_timelines(fleet, devices, &outages);
        cycle
    }

    fn add_pool(&mut self, fleet: &Topology, cell: usize, role: Role, outages: &[Outage]) {
        let range = fleet.cells[cell].nodes.clone();
        let mut nodes: Vec<Vec<usize>> = Vec::new();
        for node in &fleet.nodes[range.clone()] {
            let devices = || node.devices.clone().filter(|d| !fleet.devices[*d].is_cut);
            match (role, node.role) {
                (Role::Mig, Role::Mig) => nodes.push(devices().filter(|d| fleet.devices[*d].mig.is_some()).collect()),
                // What is not cut of a MIG node is for development.
                (Role::Dev, Role::Mig) => nodes.push(devices().filter(|d| fleet.devices[*d].mig.is_none()).collect()),
                (role, of_node) if role == of_node => nodes.push(devices().collect()),
                _ => {}
            }
        }
        nodes.retain(|devices| !devices.is_empty());
        if nodes.is_empty() {
            return;
        }
        // Replicas stay on their node, where the next deployment finds its place again.
        let pools: Vec<&[Vec<usize>]> = if role == Role::Serve { nodes.chunks(1).collect() } else { vec![&nodes] };
        for (number, nodes) in pools.into_iter().enumerate() {
            let draw = fleet.draw.of("pool").of(cell).of(role as usize).of(number);
            let sizes: Vec<usize> = nodes.iter().map(Vec::len).collect();
            let requests = demand::requests(&Pool { role, node_sizes: &sizes, draw }, self.start);
            self.add_jobs(role, &requests, schedule::schedule(nodes, &requests, outages, self.start));
        }
    }

    fn add_jobs(&mut self, role: Role, requests: &[Request], scheduled: Scheduled) {
        let mut places = vec![0; requests.len()];
        for (number, request) in requests.iter().enumerate() {
            if scheduled.turned_away.contains(&number) {
                continue;
            }
            places[number] = self.jobs.len();
            let owner = people::owner(request.kind, request.draw);
            let name = people::job_name(request.kind, &owner, request.draw);
            self.jobs.push(Job {
                job_id: String::new(),
                name,
                kind: request.kind,
                role,
                owner,
                gpus: request.gpus,
                submit: request.submit,
                draw: request.draw,
                given_up: true,
            });
        }
        self.runs.extend(scheduled.runs.into_iter().map(|run| Run { request: places[run.request], ..run }));
    }

    /// Ids as the schedulers give them: numbers that rise with submission, and pods for services.
    fn number_jobs(&mut self, cells: i64, cell: i64) {
        for run in &self.runs {
            self.jobs[run.request].given_up = false;
        }
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|job| self.jobs[*job].submit);
        let mut last = 0;
        for job in order {
            let job = &mut self.jobs[job];
            last = (last + 1).max((job.submit - JOB_NUMBERS_FROM) / 60);
            job.job_id = match job.kind {
                Kind::Serve => {
                    let pod = job.draw.of("pod").bits();
                    let hash = (pod >> 20) & 0x00FF_FFFF_FFFF;
                    format!("inference/{}-{hash:010x}-{:05x}", job.name, pod & 0xF_FFFF)
                }
                _ => (last * cells + cell).to_string(),
            };
        }
    }

    fn draw_timelines(&mut self, fleet: &Topology, devices: Range<usize>, outages: &[Outage]) {
        let mut timelines: Vec<Timeline> = devices.clone().map(|_| Timeline::default()).collect();
        for outage in outages {
            timelines[outage.device - devices.start].outages.push(*outage);
        }
        for (number, run) in self.runs.iter().enumerate() {
            let job = &self.jobs[run.request];
            let phases = phases(job.kind, job.draw, run);
            for device in &run.devices {
                let timeline = &mut timelines[device - devices.start];
                timeline.free_until(run.start, self.start);
                for phase in &phases {
                    timeline.segments.push(Segment {
                        from: phase.from,
                        until: phase.until,
                        mode: phase.mode,
                        run: Some(number as u32),
                        integral: self.loads[number].integral(phase.from),
                        base: [0.0; COUNTERS],
                    });
                }
            }
        }
        for (device, timeline) in devices.zip(&mut timelines) {
            timeline.free_until(self.start + CYCLE, self.start);
            self.sum_up(&fleet.devices[device], timeline);
        }
        self.timelines = timelines;
    }

    /// Gives each segment the sums of those before it, and each boot the sums at its time.
    fn sum_up(&self, device: &Device, timeline: &mut Timeline) {
        let mut sums = [0.0; COUNTERS];
        for segment in &mut timeline.segments {
            segment.base = sums;
            sums = self.counters_in(device, segment, segment.until);
        }
        let mut boots = vec![opens_at(self.start)];
        boots.extend(timeline.outages.iter().filter(|o| o.cause.stops()).map(|o| o.until));
        timeline.boots =
            boots.into_iter().map(|time| (time, self.counters_at(device, timeline, &mut 0, time))).collect();
        timeline.boots.sort_by_key(|boot| boot.0);
    }

    /// The load of a device in a segment, from its start to `time`, in seconds of full load.
    pub(super) fn load_until(&self, device: &Device, segment: &Segment, time: i64) -> f64 {
        match (segment.mode, segment.run) {
            (Mode::Work, Some(run)) => (self.loads[run as usize].integral(time) - segment.integral) * pace(device),
            _ => 0.0,
        }
    }

    /// The device's sums at a time within a segment.
    fn counters_in(&self, device: &Device, segment: &Segment, time: i64) -> Counters {
        let seconds = (time - segment.from) as f64;
        let load = self.load_until(device, segment, time);
        let profile = segment.run.map(|run| self.loads[run as usize].profile);
        let span = device.model.power_limit_watts() - device.idle_watts - CONTEXT_WATTS;
        let held = if segment.mode >= Mode::Idle { CONTEXT_WATTS } else { 0.0 };
        // A MIG instance adds its part to what its GPU draws anyway.
        let (idle, part) = match device.mig {
            Some(mig) => (0.0, f64::from(mig.sevenths) / 7.0),
            None => (device.idle_watts, 1.0),
        };
        let mut sums = segment.base;
        sums[0] += (idle + held * part) * seconds;
        sums[1] += 2_000.0 * seconds;
        sums[2] += 1_500.0 * seconds;
        if let Some(profile) = profile {
            sums[0] += span * part * profile.power.min(0.985) * load;
            sums[1] += profile.pcie_receive * part * load;
            sums[2] += profile.pcie_transmit * part * load;
            sums[3] += profile.nvlink * load;
            sums[4] += profile.nvlink * load;
        }
        sums
    }

    /// The device's sums at `time`; `cursor` is a segment at or before it, and moves there.
    pub(super) fn counters_at(&self, device: &Device, timeline: &Timeline, cursor: &mut usize, time: i64) -> Counters {
        let segment = timeline.segment_at(cursor, time);
        self.counters_in(device, segment, time.clamp(segment.from, segment.until))
    }
}

/// Each GPU is a little faster or slower than the next; one that is too hot, much.
fn pace(device: &Device) -> f64 {
    let pace = 0.985 + 0.015 * (device.draw.of("pace").unit() * 2.0 - 1.0);
    if device.is_straggler { pace * 0.72 } else { pace }
}

impl Timeline {
    fn free_until(&mut self, until: i64, start: i64) {
        let from = self.segments.last().map_or(start, |s| s.until);
        if from < until {
            let mode = Mode::Free;
            self.segments.push(Segment { from, until, mode, run: None, integral: 0.0, base: [0.0; COUNTERS] });
        }
    }

    /// The segment in which `time` lies, searched from `cursor` on.
    pub(super) fn segment_at(&self, cursor: &mut usize, time: i64) -> &Segment {
        let last = self.segments.len() - 1;
        while *cursor < last && self.segments[*cursor].until <= time {
            *cursor += 1;
        }
        &self.segments[*cursor]
    }

    /// The index of the segment in which `time` lies.
    pub(super) fn seek(&self, time: i64) -> usize {
        self.segments.partition_point(|s| s.until <= time).min(self.segments.len() - 1)
    }

    /// The sums at the last boot before `time`.
    pub(super) fn since_boot(&self, time: i64) -> (i64, Counters) {
        let at = self.boots.partition_point(|boot| boot.0 <= time);
        self.boots[at.saturating_sub(1)]
    }

    /// Whether an outage takes away any of `from..until`.
    pub(super) fn is_away(&self, from: i64, until: i64) -> bool {
        let at = self.outages.partition_point(|o| o.until <= from);
        self.outages.get(at).is_some_and(|o| o.from < until)
    }

    /// The outage that covers `time`, if it leaves no telemetry at all.
    pub(super) fn is_silent(&self, time: i64) -> bool {
        let at = self.outages.partition_point(|o| o.until <= time);
        self.outages.get(at).is_some_and(|o| o.from < time && matches!(o.cause, Cause::Silent | Cause::Crash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn devices_have_one_holder_at_a_time_and_none_while_away() {
        for (seed, gpus) in [(7, 256), (1, 1), (2, 12), (3, 100)] {
            let fleet = Topology::new(seed, gpus, "x");
            for cell in 0..fleet.cells.len() {
                let cycle = Cycle::new(&fleet, cell, outages::cycle_start(cell, 1_790_000_000));
                for timeline in &cycle.timelines {
                    let segments = &timeline.segments;
                    assert_eq!(segments[0].from, cycle.start);
                    assert_eq!(segments[segments.len() - 1].until, cycle.start + CYCLE);
                    for pair in segments.windows(2) {
                        assert_eq!(pair[0].until, pair[1].from);
                        assert!(pair[0].base.iter().zip(&pair[1].base).all(|(a, b)| a <= b));
                    }
                    for outage in timeline.outages.iter().filter(|o| o.cause.stops()) {
                        let held = segments.iter().filter(|s| s.run.is_some());
                        assert!(held.clone().all(|s| s.until <= outage.from || s.from >= outage.until));
                    }
                }
                let ids: HashSet<&str> = cycle.jobs.iter().map(|j| j.job_id.as_str()).collect();
                assert_eq!(ids.len(), cycle.jobs.len());
            }
        }
    }
}
