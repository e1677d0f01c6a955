//! What a job does with a GPU: when it works, and how hard.
//!
//! Owns the phases of a run and its load curve. **Invariants:** phases cover a run without gaps, in order;
//! the load is between [`LOAD_MIN`] and 1 and has a closed integral, so that a counter at any instant is exact
//! and needs no history.

use super::demand::Kind;
use super::draw::Draw;
use super::outages::{DAY, HOUR, MINUTE};
use super::schedule::{Outcome, Run};
use std::f64::consts::TAU;

/// Work is never less than this, so that it is never mistaken for idling.
pub(super) const LOAD_MIN: f64 = 0.04;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// No job.
    Free,
    /// A job without a process.
    Empty,
    /// A process without work.
    Idle,
    Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase {
    pub from: i64,
    pub until: i64,
    pub mode: Mode,
}

/// `level + Σ amplitude·sin(…) − depth` during dips; all in seconds of absolute time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    level: f64,
    waves: [Wave; 3],
    dip: Option<Dip>,
    /// Angles stay small and exact when time counts from here.
    origin: i64,
    pub profile: Profile,
}

#[derive(Debug, Clone, Copy, Default)]
struct Wave {
    amplitude: f64,
    period: f64,
    phase: f64,
}

/// Checkpoints and evaluations: every `period` the load falls by `depth` for `length`.
#[derive(Debug, Clone, Copy)]
struct Dip {
    depth: f64,
    period: f64,
    length: f64,
}

/// What a unit of load means for each metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub busy_floor: f64,
    pub busy: f64,
    pub sm: f64,
    pub occupancy: f64,
    pub tensor: f64,
    pub dram: f64,
    /// Of the span between idle and limit.
    pub power: f64,
    /// Share of the device's memory.
    pub memory: f64,
    pub processes: i64,
    /// Bytes a second at full load: PCIe in and out, NVLink each way.
    pub pcie_receive: f64,
    pub pcie_transmit: f64,
    pub nvlink: f64,
}

impl Load {
    pub(super) fn of_run(kind: Kind, request: Draw, run: &Run) -> Self {
        // An attempt of the same program looks like the one before.
        let draw = request.of("load");
        let (level, amplitude) = level(kind, draw);
        let mut waves = [Wave::default(); 3];
        for (number, wave) in waves.iter_mut().enumerate() {
            let draw = draw.of("wave").of(number);
            let low = [17.0, 140.0, 560.0][number] * 60.0;
            *wave = Wave {
                amplitude: amplitude * [0.3, 0.35, 0.35][number] * draw.of("amplitude").between(0.5, 1.0),
                period: draw.of("period").between(low, low * 2.3),
                phase: draw.of("phase").between(0.0, TAU),
            };
        }
        let mut origin = run.start;
        if kind == Kind::Serve {
            // Traffic is highest at 15:00 and lowest at 03:00.
            let amplitude = level - LOAD_MIN - 0.05 - waves[0].amplitude - waves[1].amplitude;
            waves[2] = Wave { amplitude: amplitude.max(0.0), period: DAY as f64, phase: 0.0 };
            origin = run.start.div_euclid(DAY) * DAY + 9 * HOUR;
        }
        let dip = dip(kind, draw, level - LOAD_MIN - waves.iter().map(|w| w.amplitude).sum::<f64>());
        Self { level, waves, dip, origin, profile: profile(kind, draw, run.devices.len()) }
    }

    /// The integral of the load from the origin to `time`, in seconds.
    pub(super) fn integral(&self, time: i64) -> f64 {
        let t = (time - self.origin) as f64;
        let mut sum = self.level * t;
        for wave in self.waves.iter().filter(|w| w.amplitude > 0.0) {
            sum -= wave.amplitude * wave.period / TAU * (TAU / wave.period * t + wave.phase).cos();
        }
        if let Some(dip) = self.dip {
            let turns = (t / dip.period).floor();
            // The dip is the last part of each turn.
            let within = (t - turns * dip.period - (dip.period - dip.length)).max(0.0);
            sum -= dip.depth * (turns * dip.length + within);
        }
        sum
    }

    /// The first time from `time` on in which the device rests: its beginning and its end, in whole seconds.
    pub(super) fn rest_after(&self, time: i64) -> Option<(i64, i64)> {
        let dip = self.dip?;
        let turn = ((time - self.origin) as f64 / dip.period).floor();
        let rest = |turn: f64| {
            let end = (turn + 1.0) * dip.period;
            (self.origin + (end - dip.length).round() as i64, self.origin + end.round() as i64)
        };
        let (begin, end) = rest(turn);
        Some(if begin > time { (begin, end) } else { rest(turn + 1.0) })
    }
}

fn level(kind: Kind, draw: Draw) -> (f64, f64) {
    let level = draw.of("level");
    match kind {
        Kind::Pretrain => (level.between(0.72, 0.86), 0.06),
        Kind::Train => (level.between(0.50, 0.82), 0.10),
        Kind::Finetune => (level.between(0.35, 0.75), 0.14),
        Kind::Evaluate => (level.between(0.25, 0.60), 0.16),
        Kind::Serve => (level.between(0.26, 0.46), 0.06),
        Kind::Broken => (level.between(0.3, 0.5), 0.05),
        Kind::Notebook | Kind::Slice | Kind::Hold | Kind::Abandoned | Kind::Parked => (level.between(0.15, 0.45), 0.08),
    }
}

fn dip(kind: Kind, draw: Draw, depth: f64) -> Option<Dip> {
    let (period, length, depth) = match kind {
        Kind::Pretrain => (draw.of("dip").between(40.0, 75.0) * 60.0, draw.of("write").between(45.0, 150.0), depth),
        Kind::Train => (draw.of("dip").between(25.0, 60.0) * 60.0, draw.of("write").between(30.0, 200.0), depth),
        Kind::Finetune => {
            (draw.of("dip").between(12.0, 40.0) * 60.0, draw.of("write").between(20.0, 90.0), depth * 0.8)
        }
        _ => return None,
    };
    (depth > 0.0).then_some(Dip { depth, period, length })
}

fn profile(kind: Kind, draw: Draw, gpus: usize) -> Profile {
    let vary = |key: &str, around: f64| around * draw.of(key).between(0.85, 1.15);
    let several = gpus > 1;
    let (tensor, dram, power, memory) = match kind {
        Kind::Pretrain => (vary("tensor", 0.58), vary("dram", 0.55), draw.of("power").between(0.98, 1.1), 0.86),
        Kind::Train => (vary("tensor", 0.50), vary("dram", 0.60), draw.of("power").between(0.85, 1.05), 0.78),
        Kind::Finetune => (vary("tensor", 0.42), vary("dram", 0.55), draw.of("power").between(0.75, 1.0), 0.62),
        Kind::Serve => (vary("tensor", 0.30), vary("dram", 1.05), draw.of("power").between(0.7, 0.95), 0.91),
        Kind::Evaluate => (vary("tensor", 0.35), vary("dram", 0.70), draw.of("power").between(0.7, 0.9), 0.45),
        _ => (vary("tensor", 0.18), vary("dram", 0.45), draw.of("power").between(0.55, 0.8), 0.28),
    };
    let trains = matches!(kind, Kind::Pretrain | Kind::Train | Kind::Finetune);
    Profile {
        busy_floor: if trains { 0.62 } else { 0.05 },
        busy: if trains { 0.5 } else { 1.3 },
        sm: vary("sm", 1.02),
        occupancy: vary("occupancy", 0.42),
        tensor,
        dram,
        power,
        memory: (memory * draw.of("memory").between(0.72, 1.08)).min(0.97),
        processes: if kind == Kind::Slice { 1 } else { 1 + i64::from(draw.of("processes").chance(0.2)) },
        pcie_receive: draw.of("receive").spread(1e8, 3e9),
        pcie_transmit: draw.of("transmit").spread(3e7, 8e8),
        nvlink: if several { draw.of("nvlink").spread(8e9, 1.2e11) } else { 0.0 },
    }
}

/// The phases of a run, from its start to its end.
pub(super) fn phases(kind: Kind, request: Draw, run: &Run) -> Vec<Phase> {
    let draw = request.of("phases").of(run.attempt);
    let mut plan = Plan { at: run.start, end: run.end, phases: Vec::new() };
    let wide = run.devices.len() as f64;
    match kind {
        Kind::Parked => {}
        Kind::Hold => hold(&mut plan, draw),
        Kind::Notebook | Kind::Slice => notebook(&mut plan, draw),
        Kind::Abandoned => {
            plan.go(Mode::Empty, draw.of("image").seconds(30, 90));
            plan.go(Mode::Idle, draw.of("look").seconds(5 * MINUTE, 15 * MINUTE));
            plan.go(Mode::Work, draw.of("try").seconds(20 * MINUTE, 80 * MINUTE));
            plan.rest(Mode::Idle);
        }
        Kind::Serve => serve(&mut plan, draw, request),
        Kind::Evaluate => {
            plan.go(Mode::Empty, draw.of("image").seconds(10, 90));
            plan.go(Mode::Idle, draw.of("load").seconds(20, 240));
            plan.rest(Mode::Work);
        }
        Kind::Pretrain | Kind::Train | Kind::Finetune | Kind::Broken => {
            plan.go(Mode::Empty, draw.of("image").seconds(30, 200) + (wide * 3.0) as i64);
            plan.go(Mode::Idle, draw.of("load").seconds(60, 420) + (wide * 4.0) as i64);
            if draw.of("stalls").chance(0.25) {
                // The file system is slow for a while, and all ranks wait.
                plan.go(Mode::Work, draw.of("before").seconds(30 * MINUTE, 9 * HOUR));
                plan.go(Mode::Idle, draw.of("stall").seconds(12 * MINUTE, 70 * MINUTE));
            }
            if run.outcome == Outcome::Timeout || draw.of("hangs").chance(0.05) {
                // It hangs at the end, until somebody or the time limit notices.
                let hang = draw.of("hang").spread(0.3, 4.0) * HOUR as f64;
                plan.go(Mode::Work, (run.end - plan.at - hang as i64).max(0));
                plan.rest(Mode::Idle);
            }
            plan.rest(Mode::Work);
        }
    }
    plan.rest(Mode::Empty);
    plan.phases
}

struct Plan {
    at: i64,
    end: i64,
    phases: Vec<Phase>,
}

impl Plan {
    fn go(&mut self, mode: Mode, seconds: i64) {
        let until = (self.at + seconds).min(self.end);
        if until > self.at {
            match self.phases.last_mut() {
                Some(last) if last.mode == mode => last.until = until,
                _ => self.phases.push(Phase { from: self.at, until, mode }),
            }
            self.at = until;
        }
    }

    fn rest(&mut self, mode: Mode) {
        self.go(mode, self.end - self.at);
    }

    fn is_over(&self) -> bool {
        self.at >= self.end
    }
}

fn is_working_hour(time: i64) -> bool {
    let weekday = (time.div_euclid(DAY) + 3).rem_euclid(7);
    weekday < 5 && (8 * HOUR..19 * HOUR).contains(&time.rem_euclid(DAY))
}

fn notebook(plan: &mut Plan, draw: Draw) {
    plan.go(Mode::Empty, draw.of("image").seconds(20, 120));
    plan.go(Mode::Idle, draw.of("look").seconds(2 * MINUTE, 10 * MINUTE));
    let keen = draw.of("keen").between(0.5, 1.6);
    for cell in 0.. {
        if plan.is_over() {
            return;
        }
        let draw = draw.of("cell").of(cell);
        if is_working_hour(plan.at) || draw.of("late").chance(0.12) {
            plan.go(Mode::Work, (draw.of("run").spread(300.0, 5400.0) * keen) as i64);
            plan.go(Mode::Idle, draw.of("think").spread(240.0, 2400.0) as i64);
        } else {
            plan.go(Mode::Idle, 2 * HOUR);
        }
    }
}

fn hold(plan: &mut Plan, draw: Draw) {
    for step in 0.. {
        if plan.is_over() {
            return;
        }
        let draw = draw.of("step").of(step);
        plan.go(Mode::Empty, draw.of("empty").seconds(10 * MINUTE, 80 * MINUTE));
        plan.go(Mode::Idle, 60);
        plan.go(Mode::Work, draw.of("try").seconds(2 * MINUTE, 25 * MINUTE));
    }
}

/// Some replicas get no traffic at night, and stay up all the same.
fn serve(plan: &mut Plan, draw: Draw, request: Draw) {
    plan.go(Mode::Empty, draw.of("image").seconds(40, 240));
    plan.go(Mode::Idle, draw.of("weights").seconds(60, 300));
    if request.of("surplus").chance(0.18) {
        while !plan.is_over() {
            let hour = plan.at.rem_euclid(DAY);
            let (wakes, sleeps) = (6 * HOUR + draw.of("wakes").seconds(0, HOUR), 22 * HOUR);
            if hour < wakes {
                plan.go(Mode::Idle, wakes - hour);
            } else if hour < sleeps {
                plan.go(Mode::Work, sleeps - hour);
            } else {
                plan.go(Mode::Idle, DAY - hour);
            }
        }
    }
    plan.rest(Mode::Work);
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 11] = [
        Kind::Pretrain,
        Kind::Train,
        Kind::Finetune,
        Kind::Evaluate,
        Kind::Broken,
        Kind::Notebook,
        Kind::Slice,
        Kind::Serve,
        Kind::Hold,
        Kind::Abandoned,
        Kind::Parked,
    ];

    fn run(start: i64, end: i64, gpus: usize) -> Run {
        let devices = (0..gpus).collect();
        Run { request: 0, attempt: 0, queued: start, start, end, outcome: Outcome::Timeout, devices }
    }

    #[test]
    fn phases_cover_each_run() {
        for kind in KINDS {
            for (seed, seconds) in [(1, 61), (2, 5_000), (3, 400_000)] {
                let run = run(1_790_000_000, 1_790_000_000 + seconds, 8);
                let phases = phases(kind, Draw::new(seed), &run);
                assert_eq!(phases[0].from, run.start, "{kind:?}");
                assert_eq!(phases[phases.len() - 1].until, run.end, "{kind:?}");
                assert!(phases.windows(2).all(|p| p[0].until == p[1].from && p[0].mode != p[1].mode), "{kind:?}");
            }
        }
    }

    #[test]
    fn load_stays_between_its_bounds_over_any_stretch() {
        for kind in KINDS {
            for seed in 0..40 {
                let start = 1_790_000_000 + seed as i64 * 7919;
                let load = Load::of_run(kind, Draw::new(seed), &run(start, start + 5 * DAY, 8));
                for step in [10, 300] {
                    for at in (start..start + 2 * DAY).step_by(977) {
                        let mean = (load.integral(at + step) - load.integral(at)) / step as f64;
                        assert!((LOAD_MIN - 1e-6..=1.0).contains(&mean), "{kind:?} {seed}: {mean}");
                    }
                }
            }
        }
    }
}
