//! What people ask for: the jobs of one pool of nodes from one maintenance to the next.
//!
//! Owns arrivals, sizes and lengths. Must not know when a job gets its GPUs. **Invariant:** requests are in
//! order of submission and fit the pool.

use super::draw::Draw;
use super::outages::{CYCLE, DAY, HOUR, MINUTE, opens_at};
use super::topology::{GPUS_PER_NODE, Role};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Many nodes for days.
    Pretrain,
    /// A node for a day.
    Train,
    Finetune,
    Evaluate,
    /// Dies within minutes, and is tried again.
    Broken,
    Notebook,
    /// A notebook on a MIG instance.
    Slice,
    Serve,
    /// An interactive allocation in which little happens.
    Hold,
    Abandoned,
    Parked,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub submit: i64,
    pub kind: Kind,
    pub gpus: usize,
    /// How long it runs if nothing comes between.
    pub seconds: i64,
    pub draw: Draw,
}

/// Places of a pool: how many devices each of its nodes has for allocation.
pub(super) struct Pool<'a> {
    pub role: Role,
    pub node_sizes: &'a [usize],
    pub draw: Draw,
}

/// Nothing is submitted in the last hours before a maintenance that is announced.
const QUIET: i64 = 6 * HOUR;

/// The requests of a pool within a cycle.
pub(super) fn requests(pool: &Pool<'_>, cycle: i64) -> Vec<Request> {
    let draw = pool.draw.of("demand").of(cycle);
    let mut requests = match pool.role {
        Role::Serve => services(pool, draw, cycle),
        Role::Abandoned => relay(draw, cycle, Kind::Abandoned, 56 * HOUR, (0, 56 * HOUR - 20 * MINUTE)),
        Role::Relief => relay(draw, cycle, Kind::Abandoned, 56 * HOUR, (44 * HOUR, 22 * HOUR)),
        Role::Parked => relay(draw, cycle, Kind::Parked, 28 * HOUR, (0, 28 * HOUR - 12 * MINUTE)),
        Role::Train | Role::Dev | Role::Mig | Role::Mixed => stream(pool, draw, cycle),
    };
    requests.sort_by_key(|r| r.submit);
    requests
}

/// One job after the other on a whole node: `(delay, length)` within each turn.
fn relay(draw: Draw, cycle: i64, kind: Kind, turn: i64, (delay, seconds): (i64, i64)) -> Vec<Request> {
    let open = opens_at(cycle) + 5 * MINUTE;
    (0..)
        .map(|number| (number, open + number * turn + delay))
        .take_while(|(_, submit)| *submit < cycle + CYCLE - HOUR)
        .map(|(number, submit)| Request { submit, kind, gpus: GPUS_PER_NODE, seconds, draw: draw.of(number) })
        .collect()
}

/// Replicas that fill their nodes and are deployed anew every week or so.
fn services(pool: &Pool<'_>, draw: Draw, cycle: i64) -> Vec<Request> {
    let mut requests = Vec::new();
    for (node, size) in pool.node_sizes.iter().enumerate() {
        let draw = draw.of("node").of(node);
        let shapes: [&[usize]; 4] = [&[8], &[4, 4], &[2, 2, 4], &[1, 1, 2, 2, 1]];
        let mut left = *size;
        for (replica, gpus) in draw.of("shape").pick(&shapes).iter().enumerate() {
            if *gpus > left {
                continue;
            }
            left -= gpus;
            let draw = draw.of("replica").of(replica);
            let mut submit = opens_at(cycle) + draw.of("first").seconds(2 * MINUTE, 40 * MINUTE);
            for number in 0.. {
                let draw = draw.of("deployment").of(number);
                let seconds = draw.of("seconds").seconds(4 * DAY, 12 * DAY);
                requests.push(Request { submit, kind: Kind::Serve, gpus: *gpus, seconds, draw });
                submit += seconds + draw.of("next").seconds(MINUTE, 20 * MINUTE);
                if submit > cycle + CYCLE - QUIET {
                    break;
                }
            }
        }
    }
    requests
}

/// How busy people are: 0.25 at night and on weekends to 1.6 in the afternoon.
fn bustle(time: i64) -> f64 {
    let hour = time.rem_euclid(DAY) as f64 / HOUR as f64;
    // Day 0 of the epoch was a Thursday.
    let weekday = (time.div_euclid(DAY) + 3).rem_euclid(7);
    let day = (1.0 - ((hour - 14.0) / 7.5).powi(2)).max(0.0);
    if weekday >= 5 { 0.25 + 0.3 * day } else { 0.25 + 1.35 * day }
}

/// Arrivals at random, as many as it takes to ask for the pool's whole time, more by day than by night.
fn stream(pool: &Pool<'_>, draw: Draw, cycle: i64) -> Vec<Request> {
    const BUSTLE_MAX: f64 = 1.6;
    const BUSTLE_MEAN: f64 = 0.69;
    const SAMPLES: usize = 400;
    let asked = match pool.role {
        Role::Train => 1.08,
        Role::Mixed => 0.85,
        _ => 0.88,
    };
    let shape = Shape::of(pool);
    let mean = |r: &(Kind, usize, i64)| (r.1 as i64 * r.2) as f64;
    let job_seconds =
        (0..SAMPLES).map(|i| mean(&shape.job(pool.role, draw.of("mean").of(i)))).sum::<f64>() / SAMPLES as f64;
    let gap = job_seconds / (asked * shape.devices as f64) * BUSTLE_MEAN / BUSTLE_MAX;
    let mut requests = Vec::new();
    // What waited during the maintenance starts with its end.
    let mut time = (opens_at(cycle) - 2 * HOUR) as f64;
    for number in 0_usize.. {
        let draw = draw.of("job").of(number);
        time += draw.of("gap").gap(gap);
        let submit = time as i64;
        if submit > cycle + CYCLE - QUIET {
            break;
        }
        if draw.of("thin").chance(bustle(submit) / BUSTLE_MAX) {
            let (kind, gpus, seconds) = shape.job(pool.role, draw);
            requests.push(Request { submit, kind, gpus, seconds, draw });
        }
    }
    requests
}

struct Shape {
    devices: usize,
    node: usize,
    nodes: usize,
}

impl Shape {
    fn of(pool: &Pool<'_>) -> Self {
        let node = pool.node_sizes.iter().copied().max().unwrap_or(1);
        let nodes = pool.node_sizes.iter().filter(|size| **size == node).count();
        Self { devices: pool.node_sizes.iter().sum(), node, nodes }
    }

    /// Kind, GPUs and seconds of a job.
    fn job(&self, role: Role, draw: Draw) -> (Kind, usize, i64) {
        use Kind::{Broken, Evaluate, Finetune, Hold, Notebook, Pretrain, Slice, Train};
        let weights: &[(Kind, f64)] = match role {
            Role::Train => &[(Pretrain, 0.05), (Train, 0.17), (Finetune, 0.40), (Evaluate, 0.32), (Broken, 0.06)],
            Role::Mig => &[(Slice, 1.0)],
            Role::Mixed => {
                &[(Train, 0.12), (Finetune, 0.36), (Evaluate, 0.3), (Notebook, 0.14), (Hold, 0.05), (Broken, 0.03)]
            }
            _ => &[(Notebook, 0.36), (Finetune, 0.32), (Evaluate, 0.24), (Hold, 0.08)],
        };
        let mut at = draw.of("kind").unit();
        let kind = weights.iter().find(|(_, weight)| {
            at -= weight;
            at < 0.0
        });
        let kind = kind.map_or(Evaluate, |(kind, _)| *kind);
        let (gpus, hours) = self.size(kind, draw);
        (kind, gpus, (hours * HOUR as f64) as i64)
    }

    fn size(&self, kind: Kind, draw: Draw) -> (usize, f64) {
        let whole = |nodes: usize| nodes.clamp(1, self.nodes) * self.node;
        let part = |gpus: usize| gpus.min(self.node);
        let (size, long) = (draw.of("size"), draw.of("long"));
        match kind {
            Kind::Pretrain => {
                (whole(size.pick(&[2, 2, 3, 4, self.nodes / 3, self.nodes / 2])), long.spread(16.0, 110.0))
            }
            Kind::Train => (whole(1), long.spread(3.0, 40.0)),
            Kind::Finetune => (part(size.pick(&[1, 1, 2, 2, 4, 4])), long.spread(0.7, 14.0)),
            Kind::Evaluate => (part(size.pick(&[1, 1, 1, 2, 4])), long.spread(0.1, 2.5)),
            Kind::Broken => (whole(1), long.spread(0.04, 0.3)),
            Kind::Notebook => (part(size.pick(&[1, 1, 1, 1, 2])), long.spread(1.5, 18.0)),
            Kind::Slice => (1, long.spread(1.5, 20.0)),
            Kind::Hold => (part(size.pick(&[1, 2, 4])), long.spread(0.5, 8.0)),
            Kind::Serve | Kind::Abandoned | Kind::Parked => (whole(1), 24.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outages::cycle_start;
    use super::*;

    #[test]
    fn requests_fit_their_pool_and_come_in_order() {
        let cycle = cycle_start(0, 1_790_000_000);
        for (role, sizes) in [
            (Role::Train, vec![8; 11]),
            (Role::Serve, vec![8, 8, 3]),
            (Role::Mixed, vec![1]),
            (Role::Mixed, vec![8, 8, 5]),
            (Role::Mig, vec![7]),
            (Role::Parked, vec![8]),
        ] {
            let pool = Pool { role, node_sizes: &sizes, draw: Draw::new(5) };
            let requests = requests(&pool, cycle);
            assert!(!requests.is_empty(), "{role:?}");
            assert!(requests.windows(2).all(|w| w[0].submit <= w[1].submit));
            for r in &requests {
                assert!(r.gpus >= 1 && r.gpus <= sizes.iter().sum(), "{role:?} {r:?}");
                assert!(r.seconds > 0 && r.submit >= cycle && r.submit < cycle + CYCLE, "{role:?} {r:?}");
            }
        }
    }

    #[test]
    fn people_are_busiest_on_weekday_afternoons() {
        // 2026-09-16 was a Wednesday, 2026-09-19 a Saturday.
        let (wednesday, saturday) = (1_789_516_800, 1_789_776_000);
        assert!(bustle(wednesday + 14 * HOUR) > 1.5 && bustle(wednesday + 3 * HOUR) < 0.3);
        assert!(bustle(saturday + 14 * HOUR) < 0.6);
    }
}
