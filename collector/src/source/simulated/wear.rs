//! Memory errors of a device: corrected ones, those that could not be, and rows that were remapped.
//!
//! **Invariant:** remapped rows count over the life of a device and never fall; errors count since the boot.

use super::cycle::Cycle;
use super::outages::{CYCLE, DAY};
use super::topology::Device;

/// Remapped rows are counted from cycles that start after this; 2024-01-02.
const LIFE_FROM: i64 = 1_704_182_400;

/// Something that happened to the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub time: i64,
    pub corrected: i64,
    pub uncorrected: i64,
    pub remapped: i64,
}

/// The faults of a device in one cycle, and what it had before.
#[derive(Debug)]
pub(super) struct Wear {
    pub faults: Vec<Fault>,
    remapped_before: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Worn {
    pub corrected: i64,
    pub uncorrected: i64,
    pub remapped: i64,
}

impl Wear {
    pub(super) fn new(device: &Device, cycle: &Cycle) -> Self {
        let mut faults = Vec::new();
        let mut remapped_before = i64::from(device.draw.of("born").chance(0.04));
        // Instances share the memory of their GPU, which counts.
        if device.mig.is_none() {
            for start in (0..).map(|n| cycle.start - n * CYCLE).take_while(|start| *start > LIFE_FROM).skip(1) {
                remapped_before += remap(device, start).map_or(0, |fault| fault.remapped);
            }
            faults.extend(remap(device, cycle.start));
            let often = if device.draw.of("weak").chance(0.02) { 0.35 } else { 0.004 };
            for day in 0..CYCLE / DAY {
                let draw = device.draw.of("flip").of(cycle.start / DAY + day);
                if draw.of("whether").chance(often) {
                    let time = cycle.start + day * DAY + draw.of("when").seconds(0, DAY);
                    let corrected = draw.of("count").spread(1.0, 30.0) as i64;
                    faults.push(Fault { time, corrected, uncorrected: 0, remapped: 0 });
                }
            }
            faults.sort_by_key(|fault| fault.time);
        }
        Self { faults, remapped_before }
    }

    /// What the driver reports at `time` when it was loaded at `booted`.
    pub(super) fn at(&self, booted: i64, time: i64) -> Worn {
        let mut worn = Worn { remapped: self.remapped_before, ..Worn::default() };
        for fault in self.faults.iter().take_while(|fault| fault.time <= time) {
            worn.remapped += fault.remapped;
            if fault.time > booted {
                worn.corrected += fault.corrected;
                worn.uncorrected += fault.uncorrected;
            }
        }
        worn
    }
}

/// The row that a device loses in a cycle, rarely.
fn remap(device: &Device, cycle: i64) -> Option<Fault> {
    let draw = device.draw.of("remap").of(cycle);
    draw.of("whether").chance(0.008).then(|| Fault {
        time: cycle + draw.of("when").seconds(DAY, CYCLE),
        corrected: 0,
        uncorrected: i64::from(draw.of("lost").chance(0.5)),
        remapped: 1,
    })
}
