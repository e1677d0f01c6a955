//! `host_samples` and `process_samples` of made-up nodes.
//!
//! **Invariant:** a host has no row while all of its devices are away; its counters start again when it boots.

use super::cycle::{COUNTERS, Counters, Cycle};
use super::draw::Draw;
use super::gpu_rows::{Stretch, memory_of};
use super::load::Mode;
use super::outages::{CYCLE, Cause, opens_at};
use super::people::command;
use super::topology::{Device, Topology};
use crate::source::{HostRow, Interval, NodeIdentity, ProcessRow};
use std::sync::Arc;

const GIB: i64 = 1 << 30;
const MICROS: i64 = 1_000_000;
/// A process list each hour tells as much about a month as one each minute.
const PROCESSES_EVERY_HISTORY: i64 = 3600;
const PROCESSES_EVERY_LIVE: i64 = 60;
/// Below this step rows are live ones.
const LIVE_STEP: i64 = 60;

/// The host rows of one node.
pub(super) fn hosts(
    fleet: &Topology,
    cycle: &Cycle,
    node: usize,
    name: &NodeIdentity,
    stretch: Stretch,
) -> Vec<HostRow> {
    let devices: Vec<(&Device, usize)> =
        fleet.nodes[node].devices.clone().map(|d| (&fleet.devices[d], d - cycle.first_device)).collect();
    let mut cursors: Vec<usize> = devices.iter().map(|(_, d)| cycle.timelines[*d].seek(stretch.from)).collect();
    let sums = |cursors: &mut [usize], time: i64| -> Counters {
        let mut sums = [0.0; COUNTERS];
        for ((device, at), cursor) in devices.iter().zip(cursors) {
            let part = cycle.counters_at(device, &cycle.timelines[*at], cursor, time);
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sums
    };
    let boots: Vec<(i64, Counters)> =
        boots(cycle, devices[0].1).into_iter().map(|time| (time, sums(&mut vec![0; devices.len()], time))).collect();
    let mut rows = Vec::new();
    let draw = fleet.nodes[node].draw.of("host");
    for time in (stretch.from..stretch.until).step_by(stretch.step as usize) {
        let end = time + stretch.step;
        let away = |at: usize| cycle.timelines[at].is_away(time, end);
        if end > cycle.start + CYCLE || devices.iter().all(|(_, at)| away(*at)) {
            continue;
        }
        let modes = devices.iter().zip(&mut cursors).map(|((_, at), c)| cycle.timelines[*at].segment_at(c, time).mode);
        let (mut works, mut held) = (0, 0);
        for mode in modes {
            works += i64::from(mode == Mode::Work);
            held += i64::from(mode >= Mode::Idle);
        }
        // Sums at the end of the row may lie in a later segment; the cursors stay at its start.
        let now = sums(&mut cursors.clone(), end);
        let boot = boots.iter().rfind(|boot| boot.0 <= time).unwrap_or(&boots[0]);
        let since: Counters = std::array::from_fn(|i| now[i] - boot.1[i]);
        let load = Load { works, held, noise: draw.of(time).unit() };
        rows.push(host_row(
            name,
            Interval { time_unix_micros: time * MICROS, seconds: stretch.step as f64 },
            &load,
            &since,
            end - boot.0,
        ));
    }
    rows
}

struct Load {
    works: i64,
    held: i64,
    /// 0 to 1.
    noise: f64,
}

fn host_row(name: &NodeIdentity, interval: Interval, load: &Load, since: &Counters, uptime: i64) -> HostRow {
    let cpu = 0.015 + 0.055 * load.works as f64 + 0.006 * load.held as f64 + 0.03 * load.noise;
    let uptime = uptime as f64;
    HostRow {
        interval,
        node: name.clone(),
        cpu_busy_ratio: (cpu.min(1.0) * 1000.0).round() / 1000.0,
        load_1m: (cpu * 192.0 * 100.0).round() / 100.0,
        memory_used_bytes: (38 + 46 * load.held + (load.noise * 9.0) as i64) * GIB,
        memory_total_bytes: 2015 * GIB,
        disk_read_bytes_total: (250_000.0 * uptime + 0.06 * since[1]) as i64,
        disk_write_bytes_total: (420_000.0 * uptime + 0.05 * since[2]) as i64,
        network_receive_bytes_total: (90_000.0 * uptime + 0.16 * since[1]) as i64,
        network_transmit_bytes_total: (70_000.0 * uptime + 0.12 * since[2]) as i64,
        rdma_receive_bytes_total: Some((0.07 * since[3]) as i64),
        rdma_transmit_bytes_total: Some((0.07 * since[4]) as i64),
        power_watts: Some((310.0 + 620.0 * cpu).round()),
    }
}

/// When the node came up, judged by its first device.
fn boots(cycle: &Cycle, device: usize) -> Vec<i64> {
    let node_wide =
        cycle.timelines[device].outages.iter().filter(|o| matches!(o.cause, Cause::Crash | Cause::Maintenance));
    let mut boots = vec![opens_at(cycle.start)];
    boots.extend(node_wide.map(|o| o.until));
    boots.sort_unstable();
    boots
}

/// The process rows of one node, of those intervals in which the list was taken.
pub(super) fn processes(
    fleet: &Topology,
    cycle: &Cycle,
    node: usize,
    name: &NodeIdentity,
    stretch: Stretch,
) -> Vec<ProcessRow> {
    let every = if stretch.step < LIVE_STEP { PROCESSES_EVERY_LIVE } else { PROCESSES_EVERY_HISTORY };
    let mut rows = Vec::new();
    for time in (stretch.from..stretch.until).step_by(stretch.step as usize) {
        if time.rem_euclid(every) >= stretch.step || time + stretch.step > cycle.start + CYCLE {
            continue;
        }
        for number in fleet.nodes[node].devices.clone() {
            let device = &fleet.devices[number];
            let timeline = &cycle.timelines[number - cycle.first_device];
            if timeline.is_away(time, time + stretch.step) {
                continue;
            }
            let segment = timeline.segments[timeline.seek(time)];
            let (used, count) = memory_of(cycle, device, &segment);
            let Some(run) = segment.run else { continue };
            let job = &cycle.jobs[cycle.runs[run as usize].request];
            let until = (time + stretch.step).min(segment.until);
            let load = cycle.load_until(device, &segment, until) - cycle.load_until(device, &segment, time);
            let busy = load / (until - time) as f64;
            for process in 0..count {
                rows.push(ProcessRow {
                    interval: Interval { time_unix_micros: time * MICROS, seconds: stretch.step as f64 },
                    node: name.clone(),
                    gpu_uuid: Arc::from(device.uuid.as_str()),
                    pid: pid(job.draw, run, number, process),
                    user: Some(Arc::from(job.owner.user)),
                    command: Some(Arc::from(command(job.kind))),
                    job_id: Some(Arc::from(job.job_id.as_str())),
                    memory_used_bytes: Some((used - device.memory_reserved_bytes) / count),
                    // Drivers do not tell the processes of an instance apart.
                    sm_busy_ratio: device
                        .mig
                        .is_none()
                        .then(|| (busy / count as f64 * 100.0).round().min(100.0) / 100.0),
                });
            }
        }
    }
    rows
}

fn pid(job: Draw, run: u32, device: usize, process: i64) -> i64 {
    job.of("pid").of(run).of(device).of(process).seconds(20_000, 4_000_000)
}
