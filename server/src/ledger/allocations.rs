//! Which GPUs schedulers have given to which jobs, as the ledger needs it: by GPU, and by day.
//!
//! Jobs that accounting alone charges are left out. One that names nodes only and asked for as many GPUs as these have
//! holds them all. **Invariant:** the same `job_events` and `usage_hourly` give the
//! same holdings, whatever the order in which these came.

use super::LedgerError;
use super::days::{DAY, JOB_DAYS_MAX};
use super::inputs::{Job, Jobs, Seen};
use super::read::{Names, Rows, rows_of};
use crate::cost::{CLOCK_SKEW_MAX_MICROS, GpuPlace, Held, Holding, Pools};
use crate::query::Engine;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Everything that schedulers say of GPUs.
#[derive(Default)]
pub(super) struct Allocations {
    gpus: Vec<Held>,
}

/// Cluster, and UUID of a GPU.
type Gpu = (Arc<str>, Arc<str>);

/// A GPU as telemetry knows it.
struct Known {
    place: Arc<GpuPlace>,
    is_instance: bool,
}

/// What telemetry knows of GPUs.
#[derive(Default)]
struct Telemetry {
    gpus: HashMap<Gpu, Known>,
    /// By cluster and node, and there by index; without instances of MIG.
    by_node: HashMap<(Arc<str>, Arc<str>), BTreeMap<i64, Arc<str>>>,
}

impl Telemetry {
    async fn ask(engine: &Engine, pools: &Pools, names: &mut Names) -> Result<Self, LedgerError> {
        let sql = "select cluster, gpu_uuid, node, gpu_index, gpu_model, parent_gpu_uuid, max(time) from usage_hourly \
                   group by cluster, gpu_uuid, node, gpu_index, gpu_model, parent_gpu_uuid \
                   order by max(time), cluster, gpu_uuid, node, gpu_index, gpu_model";
        let mut telemetry = Self::default();
        // The latest word counts.
        for batch in rows_of(engine, sql, Vec::new()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let mut text = |at| names.get(rows.text(at, row).unwrap_or_default());
                let (cluster, uuid, node, model) = (text(0), text(1), text(2), text(4));
                let is_instance = rows.text(5, row).is_some();
                let place = Arc::new(pools.place(&cluster, Some(&node), Some(&model)));
                if let Some(index) = rows.int(3, row).filter(|_| !is_instance) {
                    let of_node = telemetry.by_node.entry((Arc::clone(&cluster), node)).or_default();
                    of_node.insert(index, Arc::clone(&uuid));
                }
                telemetry.gpus.insert((cluster, uuid), Known { place, is_instance });
            }
        }
        Ok(telemetry)
    }

    /// Gives a job all GPUs of its nodes, if it asked for so many.
    fn hold_nodes(&self, job: &Job, jobs: &Jobs, gpus: &mut BTreeMap<Gpu, Held>) {
        let cluster = &job.run.cluster;
        let mut nodes = job.nodes.clone();
        nodes.sort_unstable();
        nodes.dedup();
        let there = nodes.iter().flat_map(|node| self.by_node.get(&(Arc::clone(cluster), Arc::clone(node))));
        let there: Vec<&Arc<str>> = there.flat_map(BTreeMap::values).collect();
        let Some(from_micros) = job.run.started_micros.filter(|_| job.run.gpus == i64::try_from(there.len()).ok())
        else {
            return;
        };
        for uuid in there {
            let gpu = (Arc::clone(cluster), Arc::clone(uuid));
            let held = gpus.entry(gpu).or_insert_with_key(|gpu| Held {
                cluster: Arc::clone(&gpu.0),
                gpu_uuid: Arc::clone(&gpu.1),
                place: self.gpus.get(gpu).map(|known| Arc::clone(&known.place)),
                holdings: Vec::new(),
            });
            held.holdings.push(Holding {
                job: Arc::clone(&job.run),
                from_micros,
                to_micros: job.run.ended_micros.unwrap_or(i64::MAX),
                heard_to_micros: jobs.end(&job.run),
                shares: None,
                is_inferred: true,
            });
        }
    }

    /// Where a GPU is charged while nobody measures it. Of an instance of MIG nobody knows then how large it is.
    fn place(&self, gpu: &Gpu, node: Option<&Arc<str>>, pools: &Pools) -> Option<Arc<GpuPlace>> {
        match self.gpus.get(gpu) {
            Some(known) if known.is_instance => None,
            Some(known) => Some(Arc::clone(&known.place)),
            None if gpu.1.starts_with("MIG-") => None,
            None => Some(Arc::new(pools.place(&gpu.0, node, None))),
        }
    }
}

const SQL: &str = "select cluster, job_id, attempt, node, gpu_uuid, gpu_index, share_count, started_at, ended_at \
                   from allocations";

impl Allocations {
    pub(super) async fn ask(engine: &Engine, pools: &Pools, jobs: &Jobs, seen: &Seen) -> Result<Self, LedgerError> {
        let batches = rows_of(engine, SQL, Vec::new()).await?;
        let whole: Vec<&Job> = jobs.all.iter().filter(|job| may_hold_nodes(job) && seen.measures(job)).collect();
        if whole.is_empty() && batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Self::default());
        }
        let mut names = Names::default();
        let telemetry = Telemetry::ask(engine, pools, &mut names).await?;
        let runs: HashMap<(&str, &str, i64), &Job> =
            jobs.all.iter().map(|job| ((&*job.run.cluster, &*job.run.job_id, job.run.attempt), job)).collect();
        let mut gpus: BTreeMap<Gpu, Held> = BTreeMap::new();
        for batch in &batches {
            let rows = Rows::new(batch);
            for row in 0..batch.num_rows() {
                let text = |at| rows.text(at, row).unwrap_or_default();
                let run = runs.get(&(text(0), text(1), rows.int(2, row).unwrap_or_default()));
                let Some(job) = run.filter(|job| seen.measures(job)) else { continue };
                let (cluster, node) = (names.get(text(0)), names.maybe(rows.text(3, row)));
                let uuid = match (names.maybe(rows.text(4, row)), &node, rows.int(5, row)) {
                    (Some(uuid), ..) => uuid,
                    (None, Some(node), Some(index)) => {
                        let of_node = telemetry.by_node.get(&(Arc::clone(&cluster), Arc::clone(node)));
                        let uuid = of_node.and_then(|of_node| of_node.get(&index)).cloned();
                        uuid.unwrap_or_else(|| names.get(&format!("{node}/{index}")))
                    }
                    _ => continue,
                };
                let gpu = (cluster, uuid);
                let held = gpus.entry(gpu).or_insert_with_key(|gpu| Held {
                    cluster: Arc::clone(&gpu.0),
                    gpu_uuid: Arc::clone(&gpu.1),
                    place: telemetry.place(gpu, node.as_ref(), pools),
                    holdings: Vec::new(),
                });
                held.holdings.extend(rows.int(7, row).map(|from_micros| Holding {
                    job: Arc::clone(&job.run),
                    from_micros,
                    to_micros: rows.int(8, row).unwrap_or(i64::MAX),
                    heard_to_micros: rows.int(8, row).unwrap_or(jobs.end(&job.run)),
                    shares: rows.int(6, row).map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
                    is_inferred: false,
                }));
            }
        }
        whole.into_iter().for_each(|job| telemetry.hold_nodes(job, jobs, &mut gpus));
        gpus.values_mut().for_each(|held| end_where_others_begin(&mut held.holdings));
        Ok(Self { gpus: gpus.into_values().collect() })
    }

    /// What touches `[from, to)`, Unix microseconds.
    pub(super) fn within(&self, (from, to): (i64, i64)) -> Vec<Held> {
        let near = |holding: &&Holding| touches(holding, from, to);
        let narrow = |held: &Held| Held {
            cluster: Arc::clone(&held.cluster),
            gpu_uuid: Arc::clone(&held.gpu_uuid),
            place: held.place.clone(),
            holdings: held.holdings.iter().filter(near).cloned().collect(),
        };
        self.gpus.iter().map(narrow).filter(|held| !held.holdings.is_empty()).collect()
    }

    /// A digest of each holding for each day on which it counts.
    pub(super) fn each_day(&self, known_to: i64, used: &BTreeSet<i64>, mut add: impl FnMut(i64, u64)) {
        for held in &self.gpus {
            for holding in &held.holdings {
                let mut whole = DefaultHasher::new();
                let job = (&holding.job.cluster, &holding.job.job_id, holding.job.attempt);
                (&held.gpu_uuid, &held.place, job, holding.shares, holding.is_inferred).hash(&mut whole);
                let whole = whole.finish();
                // No calendar goes so far back.
                let (start, end) = (holding.from_micros.max(i64::MIN / 2), holding.to_micros.min(known_to));
                let days = (start - CLOCK_SKEW_MAX_MICROS).div_euclid(DAY)
                    ..=(end.max(start) + CLOCK_SKEW_MAX_MICROS).div_euclid(DAY);
                for day in days.take(JOB_DAYS_MAX as usize) {
                    let (open, close) = (day * DAY, (day + 1) * DAY);
                    let heard = open < holding.heard_to_micros && close > start;
                    if !touches(holding, open, close) || (!used.contains(&day) && !heard) {
                        continue;
                    }
                    let mut part = DefaultHasher::new();
                    let within = |time: i64| time.clamp(open - CLOCK_SKEW_MAX_MICROS, close + CLOCK_SKEW_MAX_MICROS);
                    let times = [start, holding.to_micros, holding.heard_to_micros].map(within);
                    (whole, times).hash(&mut part);
                    add(day, part.finish());
                }
            }
        }
    }
}

/// Whether a job names nodes and no GPUs, and asked for some.
fn may_hold_nodes(job: &Job) -> bool {
    !job.run.says_gpus && !job.nodes.is_empty() && job.run.gpus.is_some_and(|gpus| gpus > 0)
}

/// Whether it matters in `[from, to)`, where clocks may be apart.
fn touches(holding: &Holding, from: i64, to: i64) -> bool {
    holding.from_micros < to + CLOCK_SKEW_MAX_MICROS && holding.to_micros.saturating_add(CLOCK_SKEW_MAX_MICROS) > from
}

/// A job of which nobody says that it has ended has left a GPU when another job gets all of it.
fn end_where_others_begin(holdings: &mut [Holding]) {
    holdings.sort_unstable_by(|a, b| (a.from_micros, a).cmp(&(b.from_micros, b)));
    for at in 0..holdings.len() {
        let (from, goes_on) = (holdings[at].from_micros, holdings[at].to_micros == i64::MAX);
        if !goes_on || holdings[at].shares.is_some() {
            continue;
        }
        let job = &holdings[at].job;
        let another = |next: &&Holding| next.from_micros > from && next.shares.is_none() && &next.job != job;
        if let Some(next) = holdings[at + 1..].iter().find(another).map(|next| next.from_micros) {
            holdings[at].to_micros = next;
            holdings[at].heard_to_micros = holdings[at].heard_to_micros.min(next);
        }
    }
}
