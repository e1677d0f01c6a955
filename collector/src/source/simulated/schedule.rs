//! Who holds which GPU when: a queue with backfill over one pool of nodes, for one cycle.
//!
//! Owns placement, waits, failures and requeues. Must not know what a job does with its GPUs.
//! **Invariants:** a device is held by at most one run at a time and never while it is away; runs of a device
//! come in order of time; everything has ended when the cycle ends.

use super::demand::{Kind, Request};
use super::draw::Draw;
use super::outages::{CYCLE, HOUR, MINUTE, Outage};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// One attempt of a job on its devices.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub request: usize,
    pub attempt: i64,
    /// When this attempt began to wait.
    pub queued: i64,
    pub start: i64,
    pub end: i64,
    pub outcome: Outcome,
    pub devices: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Completed,
    Cancelled,
    Timeout,
    /// The program failed by itself.
    Failed,
    /// A GPU or node went away under it.
    NodeFail,
    /// The maintenance came before it was done.
    Preempted,
}

impl Outcome {
    /// The scheduler's word and the exit status.
    pub(super) fn words(self) -> (&'static str, i64) {
        match self {
            Self::Completed => ("COMPLETED", 0),
            Self::Cancelled => ("CANCELLED", 130),
            Self::Timeout => ("TIMEOUT", 143),
            Self::Failed => ("FAILED", 1),
            Self::NodeFail => ("NODE_FAIL", 137),
            Self::Preempted => ("PREEMPTED", 143),
        }
    }
}

/// How often a job is tried again before its owner gives up.
const ATTEMPTS_MAX: i64 = 5;
/// For a job that waits longer, the nodes that will be free first are kept free, so that large ones get theirs.
const PATIENCE: i64 = 6 * HOUR;
/// How deep the queue is searched for something that fits, as schedulers bound it too.
const BACKFILL_DEPTH: usize = 100;
/// Work that waits, by the time in which the whole pool could do it, from which on people submit no more.
const CROWDED: i64 = 10 * HOUR;
/// Nothing is worth starting this short before a maintenance.
const TOO_LATE: i64 = 30 * MINUTE;
/// The scheduler looks at its queue this often.
const TURN: i64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Back(usize),
    End(usize),
    Away(usize),
    Arrive(usize),
}

#[derive(Debug, Clone, Copy)]
struct Place {
    device: usize,
    holder: Option<usize>,
    away: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    request: usize,
    attempt: i64,
    queued: i64,
    seconds: i64,
}

struct Queue<'a> {
    requests: &'a [Request],
    end: i64,
    places: Vec<Place>,
    nodes: Vec<Vec<usize>>,
    waiting: Vec<Waiting>,
    events: BinaryHeap<Reverse<(i64, Event)>>,
    runs: Vec<Run>,
    turned_away: HashSet<usize>,
}

/// What became of the requests of a pool.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub runs: Vec<Run>,
    /// Requests that nobody submitted, because the queue was so long.
    pub turned_away: HashSet<usize>,
}

/// Who runs when in the pool; `nodes` lists the devices of each node.
pub(super) fn schedule(nodes: &[Vec<usize>], requests: &[Request], outages: &[Outage], cycle: i64) -> Scheduled {
    let mut queue = Queue {
        requests,
        end: cycle + CYCLE,
        places: Vec::new(),
        nodes: Vec::new(),
        waiting: Vec::new(),
        events: BinaryHeap::new(),
        runs: Vec::new(),
        turned_away: HashSet::new(),
    };
    let mut place_of = HashMap::new();
    for devices in nodes {
        let first = queue.places.len();
        for device in devices {
            place_of.insert(*device, queue.places.len());
            queue.places.push(Place { device: *device, holder: None, away: false });
        }
        queue.nodes.push((first..queue.places.len()).collect());
    }
    for outage in outages.iter().filter(|o| o.cause.stops()) {
        if let Some(place) = place_of.get(&outage.device) {
            queue.events.push(Reverse((outage.from.max(cycle), Event::Away(*place))));
            queue.events.push(Reverse((outage.until, Event::Back(*place))));
        }
    }
    for (number, request) in requests.iter().enumerate() {
        queue.events.push(Reverse((request.submit, Event::Arrive(number))));
    }
    queue.work();
    Scheduled { runs: queue.runs, turned_away: queue.turned_away }
}

impl Queue<'_> {
    fn work(&mut self) {
        while let Some(Reverse((time, event))) = self.events.pop() {
            if time >= self.end {
                break;
            }
            self.hear(time, event);
            while let Some(Reverse((next, _))) = self.events.peek()
                && *next == time
            {
                if let Some(Reverse((_, event))) = self.events.pop() {
                    self.hear(time, event);
                }
            }
            self.start_what_fits(time);
        }
    }

    fn hear(&mut self, time: i64, event: Event) {
        match event {
            Event::Arrive(request) if self.is_crowded(request) => drop(self.turned_away.insert(request)),
            Event::Arrive(request) => {
                let seconds = self.requests[request].seconds;
                self.waiting.push(Waiting { request, attempt: 0, queued: time, seconds });
            }
            Event::Back(place) => self.places[place].away = false,
            Event::Away(place) => {
                self.places[place].away = true;
                if let Some(run) = self.places[place].holder {
                    self.runs[run].outcome = Outcome::NodeFail;
                    self.finish(run, time);
                }
            }
            // An earlier end has been heard already.
            Event::End(run) if self.runs[run].end == time => self.finish(run, time),
            Event::End(_) => {}
        }
    }

    /// People look at the queue before they submit: with much of it waiting, small jobs go elsewhere and large ones
    /// wait for another week.
    fn is_crowded(&self, request: usize) -> bool {
        let kind = self.requests[request].kind;
        if matches!(kind, Kind::Serve | Kind::Abandoned | Kind::Parked) {
            return false;
        }
        let waiting: i64 = self.waiting.iter().map(|w| self.requests[w.request].gpus as i64 * w.seconds).sum();
        waiting > CROWDED * self.places.len() as i64
    }

    /// Takes a run off its devices and puts it back into the queue if it is tried again.
    fn finish(&mut self, number: usize, time: i64) {
        let mut held = false;
        for place in &mut self.places {
            if place.holder == Some(number) {
                place.holder = None;
                held = true;
            }
        }
        if !held {
            return;
        }
        let run = &mut self.runs[number];
        let planned = run.end;
        run.end = time;
        // It was chosen, but not yet started.
        run.start = run.start.min(time);
        let request = &self.requests[run.request];
        let again = match run.outcome {
            Outcome::NodeFail => true,
            Outcome::Failed => matches!(request.kind, Kind::Pretrain | Kind::Train | Kind::Broken),
            _ => false,
        };
        if again && run.attempt < ATTEMPTS_MAX && time < self.end - TOO_LATE {
            // What came after the last checkpoint is done again.
            let redone = if request.kind == Kind::Serve { 0 } else { (time - run.start) / 20 };
            let left = (planned - time).max(request.seconds - (time - run.start)).max(10 * MINUTE) + redone;
            let again = Waiting { request: run.request, attempt: run.attempt + 1, queued: time, seconds: left };
            self.waiting.insert(0, again);
        }
    }

    fn start_what_fits(&mut self, time: i64) {
        if time > self.end - TOO_LATE {
            return;
        }
        let mut kept_free: Vec<usize> = Vec::new();
        // Where a job does not fit, no larger one does.
        let mut too_many = usize::MAX;
        let mut at = 0;
        while at < self.waiting.len().min(BACKFILL_DEPTH) {
            let waiting = self.waiting[at];
            let gpus = self.requests[waiting.request].gpus;
            if gpus >= too_many && !(kept_free.is_empty() && time - waiting.queued > PATIENCE) {
                at += 1;
                continue;
            }
            match self.find(gpus, &kept_free) {
                Some(places) => {
                    self.waiting.remove(at);
                    self.start(waiting, &places, time);
                }
                None => {
                    too_many = too_many.min(gpus);
                    if kept_free.is_empty() && time - waiting.queued > PATIENCE {
                        kept_free = self.free_first(gpus);
                    }
                    at += 1;
                }
            }
        }
    }

    /// The nodes that will be free first, as many as the job needs.
    fn free_first(&self, gpus: usize) -> Vec<usize> {
        let size = self.nodes.iter().map(Vec::len).max().unwrap_or(1);
        let free_at = |node: &usize| {
            let ends = self.nodes[*node].iter().map(|place| match &self.places[*place] {
                Place { away: true, .. } => i64::MAX,
                Place { holder: Some(run), .. } => self.runs[*run].end,
                Place { holder: None, .. } => 0,
            });
            ends.max()
        };
        let whole = (0..self.nodes.len()).filter(|node| gpus < size || self.nodes[*node].len() == size);
        let mut nodes: Vec<usize> = whole.collect();
        nodes.sort_by_key(free_at);
        nodes.truncate(gpus.div_ceil(size));
        nodes
    }

    /// Whole nodes for as many GPUs as a node has and more, else the fullest node that still has room.
    fn find(&self, gpus: usize, kept_free: &[usize]) -> Option<Vec<usize>> {
        let size = self.nodes.iter().map(Vec::len).max()?;
        let free = |node: &usize| -> Vec<usize> {
            let places = self.nodes[*node].iter().copied();
            places.filter(|p| self.places[*p].holder.is_none() && !self.places[*p].away).collect()
        };
        let mut nodes = (0..self.nodes.len()).filter(|node| !kept_free.contains(node));
        if gpus >= size {
            let mut places = Vec::new();
            while places.len() < gpus {
                let free = free(&nodes.next()?);
                if free.len() == size {
                    places.extend(free);
                }
            }
            places.truncate(gpus);
            return Some(places);
        }
        let best = nodes.map(|node| free(&node)).filter(|free| free.len() >= gpus).min_by_key(Vec::len)?;
        Some(best[..gpus].to_vec())
    }

    fn start(&mut self, waiting: Waiting, places: &[usize], time: i64) {
        let request = &self.requests[waiting.request];
        let draw = request.draw.of("attempt").of(waiting.attempt);
        let start = time + draw.of("turn").seconds(1, TURN);
        let (seconds, mut outcome) = plan(request.kind, waiting.seconds, waiting.attempt, draw);
        let mut end = start + seconds;
        let close = self.end - draw.of("close").seconds(1, 20 * MINUTE);
        if end > close {
            (end, outcome) = (close, Outcome::Preempted);
        }
        let number = self.runs.len();
        for place in places {
            self.places[*place].holder = Some(number);
        }
        let devices = places.iter().map(|p| self.places[*p].device).collect();
        let Waiting { request, attempt, queued, .. } = waiting;
        self.runs.push(Run { request, attempt, queued, start, end, outcome, devices });
        self.events.push(Reverse((end, Event::End(number))));
    }
}

/// How an attempt would go if nothing came between: its length and its end.
fn plan(kind: Kind, seconds: i64, attempt: i64, draw: Draw) -> (i64, Outcome) {
    let fails = match kind {
        Kind::Pretrain => 0.3,
        Kind::Train => 0.14,
        Kind::Finetune => 0.09,
        Kind::Evaluate => 0.06,
        Kind::Broken if attempt < 3 => 1.0,
        _ => 0.0,
    };
    if draw.of("fails").chance(fails) {
        let part = if kind == Kind::Broken { 1.0 } else { draw.of("when").between(0.02, 0.95) };
        return (((seconds as f64 * part) as i64).max(MINUTE), Outcome::Failed);
    }
    let outcome = match kind {
        Kind::Notebook | Kind::Slice | Kind::Abandoned | Kind::Hold | Kind::Parked => {
            draw.of("how").pick(&[Outcome::Cancelled, Outcome::Timeout, Outcome::Completed])
        }
        Kind::Finetune | Kind::Train if draw.of("slow").chance(0.06) => Outcome::Timeout,
        _ => Outcome::Completed,
    };
    (seconds.max(MINUTE), outcome)
}
