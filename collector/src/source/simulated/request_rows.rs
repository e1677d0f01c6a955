//! `inference_requests` and the engines' `metrics` of made-up services.
//!
//! **Invariants:** a replica that does not work answers nothing; however large the fleet, its requests are no more
//! than those of [`GPUS_FULL`] GPUs; a request follows from its replica and its place in time.

use super::columns::{MICROS, batch, texts, times};
use super::cycle::{Cycle, Job};
use super::demand::Kind;
use super::draw::Draw;
use super::gpu_rows::Stretch;
use super::load::Mode;
use super::topology::Topology;
use crate::batch::TableBatch;
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::error::ArrowError;
use std::sync::Arc;

/// A replica may answer a request in each such time.
const SLOT_SECONDS: i64 = 20;
/// Beyond so many GPUs each replica answers less often: rows of requests are there to be looked at, not to fill disks.
const GPUS_FULL: i64 = 256;
const TENANTS: [(&str, f64); 5] =
    [("acme", 0.34), ("globex", 0.24), ("initech", 0.18), ("umbrella", 0.14), ("internal", 0.10)];
/// What the engine of every made-up service is.
const GAUGES: [(&str, &str); 3] = [
    ("vllm:num_requests_running", "{request}"),
    ("vllm:num_requests_waiting", "{request}"),
    ("vllm:kv_cache_usage_perc", "1"),
];

/// A request that was answered.
struct Request {
    micros: i64,
    service: String,
    model: &'static str,
    tenant: Option<&'static str>,
    user: Option<String>,
    input: i64,
    cached: i64,
    output: i64,
    queue: f64,
    first: f64,
    duration: f64,
    status: &'static str,
}

/// A gauge of an engine.
struct Point {
    micros: i64,
    gauge: usize,
    value: f64,
    node: Arc<str>,
    service: String,
    job_id: String,
}

#[derive(Default)]
pub(super) struct RequestRows {
    requests: Vec<Request>,
    points: Vec<Point>,
    cluster: Arc<str>,
}

impl RequestRows {
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: Arc::from(cluster), ..Self::default() }
    }

    /// Adds what the services of a cell did in a stretch of time.
    pub(super) fn add(&mut self, fleet: &Topology, cycle: &Cycle, stretch: Stretch) {
        let slot = SLOT_SECONDS * ((fleet.gpus as i64 + GPUS_FULL - 1) / GPUS_FULL).max(1);
        for (number, run) in cycle.runs.iter().enumerate() {
            let job = &cycle.jobs[run.request];
            let is_here = run.start < stretch.until && run.end > stretch.from;
            let Some(device) = run.devices.first().filter(|_| job.kind == Kind::Serve && is_here) else { continue };
            let replica = Replica { cycle, job, run: number, at: device - cycle.first_device };
            let node: Arc<str> = Arc::from(fleet.nodes[fleet.devices[*device].node].name.as_str());
            let (from, until) = (stretch.from.max(run.start), stretch.until.min(run.end));
            // One slot more than fit: the last one began before.
            for at in from.div_euclid(slot)..=until.div_euclid(slot) {
                let request = replica.request(at * slot, slot);
                let within = |request: &Request| (from * MICROS..until * MICROS).contains(&request.micros);
                self.requests.extend(request.filter(within));
            }
            for time in (from..until).step_by(usize::try_from(stretch.step).unwrap_or(1)) {
                self.points.extend(replica.points(time, stretch.step, &node));
            }
        }
    }

    /// The rows, without a table that has none.
    pub(super) fn finish(self) -> Result<Vec<TableBatch>, ArrowError> {
        let mut all = Vec::new();
        if !self.requests.is_empty() {
            all.push(batch("inference_requests", self.requests.len(), |name| requests_column(&self.requests, name))?);
        }
        if !self.points.is_empty() {
            all.push(batch("metrics", self.points.len(), |name| points_column(&self.points, &self.cluster, name))?);
        }
        Ok(all)
    }
}

fn requests_column(rows: &[Request], name: &str) -> Option<ArrayRef> {
    let int = |of: fn(&Request) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let float = |of: fn(&Request) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) };
    Some(match name {
        "time" => times(rows.iter().map(|r| r.micros)),
        "service" => texts(rows.iter().map(|r| Some(r.service.as_str()))),
        "model" => texts(rows.iter().map(|r| Some(r.model))),
        "tenant" => texts(rows.iter().map(|r| r.tenant)),
        "user" => texts(rows.iter().map(|r| r.user.as_deref())),
        "input_tokens" => int(|r| r.input),
        "cached_tokens" => int(|r| r.cached),
        "output_tokens" => int(|r| r.output),
        "queue_seconds" => float(|r| r.queue),
        "time_to_first_token_seconds" => float(|r| r.first),
        "duration_seconds" => float(|r| r.duration),
        "status" => texts(rows.iter().map(|r| Some(r.status))),
        _ => return None,
    })
}

fn points_column(rows: &[Point], cluster: &str, name: &str) -> Option<ArrayRef> {
    Some(match name {
        "time" => times(rows.iter().map(|p| p.micros)),
        "name" => texts(rows.iter().map(|p| Some(GAUGES[p.gauge].0))),
        "unit" => texts(rows.iter().map(|p| Some(GAUGES[p.gauge].1))),
        "kind" => texts(rows.iter().map(|_| Some("gauge"))),
        "value" => Arc::new(Float64Array::from_iter_values(rows.iter().map(|p| p.value))),
        "cluster" => texts(rows.iter().map(|_| Some(cluster))),
        "node" => texts(rows.iter().map(|p| Some(&*p.node))),
        "service" => texts(rows.iter().map(|p| Some(p.service.as_str()))),
        "job_id" => texts(rows.iter().map(|p| Some(p.job_id.as_str()))),
        _ => return None,
    })
}

/// A run of a service, by its first device.
pub(super) struct Replica<'a> {
    pub cycle: &'a Cycle,
    pub job: &'a Job,
    pub run: usize,
    pub at: usize,
}

/// How long prompts and answers of a model are, and how fast it is.
struct Shape {
    input: (f64, f64),
    output: (f64, f64),
    prefill_per_token: f64,
    decode_per_token: f64,
}

fn shape(model: &str) -> Shape {
    match model {
        "embed-l" | "rerank-m" => {
            Shape { input: (80.0, 4_000.0), output: (0.0, 0.0), prefill_per_token: 8e-6, decode_per_token: 0.0 }
        }
        "code-34b" => {
            Shape { input: (800.0, 12_000.0), output: (16.0, 700.0), prefill_per_token: 7e-5, decode_per_token: 0.021 }
        }
        _ => Shape {
            input: (300.0, 16_000.0),
            output: (40.0, 1_600.0),
            prefill_per_token: 9e-5,
            decode_per_token: 0.028,
        },
    }
}

impl Replica<'_> {
    /// Its load at a time, 0 to 1; none while it does not work.
    pub(super) fn load(&self, time: i64, seconds: i64) -> Option<f64> {
        let timeline = &self.cycle.timelines[self.at];
        let segment = timeline.segments.get(timeline.seek(time))?;
        let works = segment.mode == Mode::Work && segment.run == Some(self.run as u32);
        let load = &self.cycle.loads[self.run];
        let mean = (load.integral(time + seconds) - load.integral(time)) / seconds as f64;
        (works && !timeline.is_away(time, time + 1)).then_some(mean.clamp(0.0, 1.0))
    }

    /// The request of a slot, more often under load.
    fn request(&self, start: i64, slot: i64) -> Option<Request> {
        let load = self.load(start, slot)?;
        let draw = self.job.draw.of("request").of(start);
        if !draw.of("comes").chance(0.15 + load * 1.4) {
            return None;
        }
        let model = self.job.owner.model;
        let shape = shape(model);
        let count = |key: &str, (low, high): (f64, f64)| match high > 0.0 {
            true => draw.of(key).spread(low, high) as i64,
            false => 0,
        };
        let (input, output) = (count("input", shape.input), count("output", shape.output));
        let cached = if draw.of("cached").chance(0.45) { input * draw.of("part").seconds(2, 9) / 10 } else { 0 };
        let busy = (load * 1.6).min(0.96);
        let queue = draw.of("queue").gap(0.02 + 0.12 * busy / (1.0 - busy));
        let computed = (input - cached) as f64 + cached as f64 * 0.1;
        let first =
            queue + 0.03 + computed * shape.prefill_per_token * (1.0 + load) * draw.of("pace").between(0.85, 1.3);
        let per_token = shape.decode_per_token * (1.0 + 0.7 * load) * draw.of("token").between(0.9, 1.25);
        let failed = draw.of("fails").chance(0.006 + 0.03 * (busy - 0.85).max(0.0));
        let output = if failed { output / 8 } else { output };
        let (tenant, user) = who(draw);
        Some(Request {
            micros: start * MICROS + draw.of("when").seconds(0, slot * MICROS),
            service: self.job.name.clone(),
            model,
            tenant,
            user,
            input,
            cached,
            output,
            queue,
            first,
            duration: first + per_token * (output - 1).max(0) as f64,
            status: if failed { draw.of("why").pick(&["timeout", "cancelled", "500"]) } else { "ok" },
        })
    }

    /// What its engine says at a time.
    fn points(&self, time: i64, seconds: i64, node: &Arc<str>) -> Vec<Point> {
        let Some(load) = self.load(time, seconds) else { return Vec::new() };
        let draw = self.job.draw.of("engine").of(time);
        let running = (load * 40.0 * draw.of("running").between(0.8, 1.2)).round();
        let waiting = ((load - 0.55).max(0.0) * 60.0 * draw.of("waiting").between(0.2, 1.4)).round();
        let kv = (0.08 + load * 1.25 * draw.of("kv").between(0.9, 1.1)).min(0.99);
        let point = |(gauge, value)| Point {
            micros: (time + seconds) * MICROS - 1,
            gauge,
            value,
            node: Arc::clone(node),
            service: self.job.name.clone(),
            job_id: self.job.job_id.clone(),
        };
        [running, waiting, kv].into_iter().enumerate().map(point).collect()
    }
}

/// Most requests say for whom they are.
fn who(draw: Draw) -> (Option<&'static str>, Option<String>) {
    if draw.of("unsaid").chance(0.04) {
        return (None, None);
    }
    let mut at = draw.of("tenant").unit();
    let drawn = TENANTS.iter().find(|(_, weight)| {
        at -= weight;
        at < 0.0
    });
    let tenant = drawn.map_or(TENANTS[0].0, |(name, _)| *name);
    (Some(tenant), Some(format!("{tenant}-{}", draw.of("user").seconds(1, 6))))
}

#[cfg(test)]
mod tests {
    use super::super::outages::DAY;
    use super::super::{Fleet, Span};
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
    use arrow::record_batch::RecordBatch;

    const FROM: i64 = 1_790_000_000 / DAY * DAY;

    fn requests(gpus: usize, pieces: &[(i64, i64)]) -> Vec<RecordBatch> {
        let mut fleet = Fleet::new(7, gpus, "c");
        let mut all = Vec::new();
        for (from, until) in pieces {
            let span = Span { from: FROM + from, until: FROM + until, step: 300, is_first: *from == 0 };
            let batches = fleet.rows(span).expect("rows are made up");
            all.extend(
                batches.into_iter().filter(|(table, _)| table.name == "inference_requests").map(|(_, rows)| rows),
            );
        }
        all
    }

    fn times(batches: &[RecordBatch]) -> Vec<i64> {
        let column = |batch: &RecordBatch| {
            let times =
                batch.column_by_name("time").expect("a time").as_primitive::<TimestampMicrosecondType>().clone();
            times.values().to_vec()
        };
        let mut all: Vec<i64> = batches.iter().flat_map(column).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn requests_are_the_same_however_time_is_cut_and_their_times_go_together() {
        let whole = requests(256, &[(0, 7_200)]);
        let times_of_whole = times(&whole);
        assert!(times_of_whole.len() > 500, "{}", times_of_whole.len());
        let range = FROM * 1_000_000..(FROM + 7_200) * 1_000_000;
        assert!(times_of_whole.iter().all(|time| range.contains(time)));
        assert_eq!(times(&requests(256, &[(0, 300), (300, 3_900), (3_900, 7_200)])), times_of_whole);
        for batch in &whole {
            let float = |name: &str| batch.column_by_name(name).expect(name).as_primitive::<Float64Type>().clone();
            let (queue, first, duration) =
                (float("queue_seconds"), float("time_to_first_token_seconds"), float("duration_seconds"));
            for row in 0..batch.num_rows() {
                assert!(queue.value(row) <= first.value(row) && first.value(row) <= duration.value(row));
            }
            assert_eq!(queue.null_count(), 0);
        }
    }

    #[test]
    fn a_large_fleet_does_not_send_more() {
        let (small, large) = (times(&requests(256, &[(0, 3_600)])).len(), times(&requests(2_048, &[(0, 3_600)])).len());
        assert!(large < small * 2, "{small} and {large}");
    }
}
