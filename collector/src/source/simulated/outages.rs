//! What breaks: lost GPUs, crashed nodes, silent collectors, dark racks, and the monthly maintenance.
//!
//! Owns when a device is away and how that looks. Must not know jobs. **Invariants:** outages follow from the
//! seed and absolute time; those of one device neither touch nor overlap; at any time after its first days a
//! fleet of 32 GPUs or more has at least one GPU down.

use super::draw::Draw;
use super::topology::{Cell, Role, Topology};
use std::ops::Range;

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// A cell is scheduled from one maintenance to the next.
pub(super) const CYCLE: i64 = 28 * DAY;
/// A Tuesday, 08:00 UTC: the first cycle of the first cell.
const ANCHOR: i64 = 1_704_182_400;
const MAINTENANCE: i64 = 4 * HOUR;
/// One GPU after the other falls ill; the next one before the last one is well.
const RELAY: i64 = 56 * HOUR;
const GPUS_FOR_RELAY: usize = 32;
/// Outages start just behind a full history interval, as their last row then still counts.
const GRID: i64 = 300;
/// No outage but maintenance lasts longer; generators look this far back.
const OUTAGE_MAX: i64 = 5 * DAY;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The collector or its network is away; the jobs go on.
    Silent,
    /// The node crashed: no word of it, and its jobs die.
    Crash,
    /// The GPU fell off the bus.
    Lost,
    Maintenance,
}

impl Cause {
    /// A `lost` event says so, and the GPU is `down` instead of `unknown`.
    pub(super) fn is_down(self) -> bool {
        matches!(self, Self::Lost | Self::Maintenance)
    }

    /// Jobs end and counters start again.
    pub(super) fn stops(self) -> bool {
        self != Self::Silent
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub device: usize,
    pub from: i64,
    pub until: i64,
    pub cause: Cause,
}

/// The start of the cycle of a cell in which `time` lies. Cells take turns, a week or a day apart.
pub(super) fn cycle_start(cell: usize, time: i64) -> i64 {
    let anchor = ANCHOR + (cell % 4) as i64 * WEEK + (cell / 4 % 3) as i64 * DAY;
    anchor + (time - anchor).div_euclid(CYCLE) * CYCLE
}

/// When the cell works again after its maintenance.
pub(super) fn opens_at(cycle: i64) -> i64 {
    cycle + MAINTENANCE
}

/// The outages of a cell's devices that touch a cycle, by device and time.
pub(super) fn of_cell(fleet: &Topology, cell: &Cell, cycle: i64) -> Vec<Outage> {
    let range = cycle..cycle + CYCLE;
    let mut found = Vec::new();
    let devices = fleet.nodes[cell.nodes.start].devices.start..fleet.nodes[cell.nodes.end - 1].devices.end;
    // Nobody takes away everything at once: a fleet of one cell only drains, so that it reports at any hour.
    let is_maintained = fleet.cells.len() > 1;
    for device in devices.clone() {
        if is_maintained {
            found.push(Outage { device, from: cycle, until: opens_at(cycle), cause: Cause::Maintenance });
        }
        lost_gpus(fleet, device, &range, &mut found);
    }
    if fleet.gpus >= GPUS_FOR_RELAY {
        relay(fleet, &devices, &range, &mut found);
    }
    for node in cell.nodes.clone() {
        node_outages(fleet, node, &range, &mut found);
    }
    // Some nodes are there to be found idle at any time; only maintenance comes between.
    let spared = |o: &Outage| {
        let role = fleet.nodes[fleet.devices[o.device].node].role;
        matches!(role, Role::Abandoned | Role::Relief | Role::Parked) && o.cause != Cause::Maintenance
    };
    found.retain(|o| o.until > range.start && o.from < range.end && !spared(o));
    merged(found)
}

fn weeks(range: &Range<i64>) -> Range<i64> {
    (range.start - OUTAGE_MAX).div_euclid(WEEK)..range.end.div_euclid(WEEK) + 1
}

fn on_grid(time: i64) -> i64 {
    time.div_euclid(GRID) * GRID + 1
}

/// The instances of a GPU go with it.
fn with_instances(fleet: &Topology, device: usize) -> Range<usize> {
    let instances = fleet.devices[device + 1..].iter().take_while(|d| d.mig.is_some_and(|m| m.parent == device));
    device..device + 1 + instances.count()
}

fn lost_gpus(fleet: &Topology, device: usize, range: &Range<i64>, found: &mut Vec<Outage>) {
    if fleet.devices[device].mig.is_some() {
        return;
    }
    for week in weeks(range) {
        let draw = fleet.devices[device].draw.of("lost").of(week);
        // A few lemons are lost again and again.
        let often = if fleet.devices[device].draw.of("lemon").chance(0.02) { 0.5 } else { 0.05 };
        if draw.of("whether").chance(often) {
            let from = on_grid(week * WEEK + draw.of("from").seconds(0, WEEK));
            let until = from + draw.of("until").spread(1.5, 30.0).mul_add(HOUR as f64, 0.0) as i64;
            for device in with_instances(fleet, device) {
                found.push(Outage { device, from, until, cause: Cause::Lost });
            }
        }
    }
}

fn relay(fleet: &Topology, devices: &Range<usize>, range: &Range<i64>, found: &mut Vec<Outage>) {
    for turn in (range.start - 2 * RELAY).div_euclid(RELAY)..=range.end.div_euclid(RELAY) {
        let draw = fleet.draw.of("relay").of(turn);
        let device = ill_device(fleet, draw.of("device"));
        if devices.contains(&device) {
            let from = on_grid(turn * RELAY + draw.of("from").seconds(0, 10 * HOUR));
            let until = (turn + 1) * RELAY + 12 * HOUR + draw.of("until").seconds(0, 4 * HOUR);
            for device in with_instances(fleet, device) {
                found.push(Outage { device, from, until, cause: Cause::Lost });
            }
        }
    }
}

/// A GPU of a node that works for a living.
fn ill_device(fleet: &Topology, draw: Draw) -> usize {
    let works = |node: Role| !matches!(node, Role::Abandoned | Role::Relief | Role::Parked | Role::Mig);
    let drawn = (0_usize..).map(|n| (draw.of(n).unit() * fleet.devices.len() as f64) as usize);
    let mut drawn = drawn.filter(|device| works(fleet.nodes[fleet.devices[*device].node].role));
    drawn.next().expect("most nodes of a fleet work for a living")
}

fn node_outages(fleet: &Topology, node: usize, range: &Range<i64>, found: &mut Vec<Outage>) {
    let draw = fleet.nodes[node].draw;
    let rack = fleet.draw.of("rack").of(fleet.nodes[node].rack);
    let mut away = |from: i64, seconds: f64, cause| {
        let until = on_grid(from) + seconds as i64;
        found.extend(fleet.nodes[node].devices.clone().map(|device| Outage {
            device,
            from: on_grid(from),
            until,
            cause,
        }));
    };
    for week in weeks(range) {
        let at = |draw: Draw| week * WEEK + draw.of("from").seconds(0, WEEK);
        let (crash, silent, dark) = (draw.of("crash").of(week), draw.of("silent").of(week), rack.of("dark").of(week));
        if crash.of("whether").chance(0.075) {
            away(at(crash), crash.of("long").spread(1.0, 30.0) * HOUR as f64, Cause::Crash);
        }
        if silent.of("whether").chance(0.05) {
            away(at(silent), silent.of("long").spread(8.0, 70.0) * HOUR as f64, Cause::Silent);
        }
        // A switch in the rack: everything behind it falls silent.
        if fleet.racks > 1 && dark.of("whether").chance(0.1) {
            away(at(dark), dark.of("long").between(25.0, 80.0) * MINUTE as f64, Cause::Silent);
        }
    }
}

/// Overlapping and touching outages of a device become one, with the gravest cause.
fn merged(mut outages: Vec<Outage>) -> Vec<Outage> {
    outages.sort_by_key(|o| (o.device, o.from, o.until));
    let mut merged: Vec<Outage> = Vec::with_capacity(outages.len());
    for outage in outages {
        match merged.last_mut() {
            Some(last) if last.device == outage.device && outage.from <= last.until + GRID => {
                last.until = last.until.max(outage.until);
                last.cause = last.cause.max(outage.cause);
            }
            _ => merged.push(outage),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_of_a_device_do_not_overlap_and_share_out_as_meant() {
        let fleet = Topology::new(7, 256, "x");
        let (mut down, mut unknown) = (0, 0);
        for (number, cell) in fleet.cells.iter().enumerate() {
            let cycle = cycle_start(number, 1_790_000_000);
            let outages = of_cell(&fleet, cell, cycle);
            for pair in outages.windows(2) {
                assert!(pair[0].device != pair[1].device || pair[0].until < pair[1].from);
            }
            for o in &outages {
                let seconds = o.until.min(cycle + CYCLE) - o.from.max(cycle);
                *(if o.cause.is_down() { &mut down } else { &mut unknown }) += seconds;
            }
        }
        let all = CYCLE * fleet.devices.len() as i64;
        let (down, unknown) = (down as f64 / all as f64, unknown as f64 / all as f64);
        assert!((0.008..0.022).contains(&down), "{down}");
        assert!((0.008..0.022).contains(&unknown), "{unknown}");
    }

    #[test]
    fn no_hour_takes_away_a_whole_fleet() {
        for gpus in [16, 64, 256] {
            let fleet = Topology::new(3, gpus, "x");
            for hour in 0..24 * 28 {
                let now = 1_790_000_000 + hour * HOUR;
                let gone = |number: usize, cell: &Cell| {
                    let outages = of_cell(&fleet, cell, cycle_start(number, now));
                    let down =
                        outages.iter().filter(|o| o.cause == Cause::Maintenance && o.from <= now && now < o.until);
                    down.count()
                };
                let gone: usize = fleet.cells.iter().enumerate().map(|(number, cell)| gone(number, cell)).sum();
                assert!(gone < fleet.devices.len(), "{gone} of {gpus} GPUs at {now}");
            }
        }
    }

    #[test]
    fn one_gpu_is_always_down() {
        let fleet = Topology::new(3, 64, "x");
        for hour in 0..24 * 30 {
            let now = 1_790_000_000 + hour * HOUR;
            let down = fleet.cells.iter().enumerate().any(|(number, cell)| {
                of_cell(&fleet, cell, cycle_start(number, now))
                    .iter()
                    .any(|o| o.cause.is_down() && o.from <= now && now < o.until)
            });
            assert!(down, "hour {hour}");
        }
    }

    #[test]
    fn cycles_cover_time_without_gaps() {
        for cell in 0..20 {
            let start = cycle_start(cell, 1_790_000_000);
            assert!(start <= 1_790_000_000 && start + CYCLE > 1_790_000_000);
            assert_eq!(cycle_start(cell, start + CYCLE), start + CYCLE);
            assert_eq!(cycle_start(cell, start - 1), start - CYCLE);
        }
    }
}
