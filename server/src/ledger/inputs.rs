//! What the ledger is computed from: the use of GPUs by hour, and jobs.

use super::LedgerError;
use super::read::{Names, Rows, rows_of};
use crate::cost::{GpuHour, GpuPlace, JobRun, Pools, Use};
use crate::query::{Engine, Parameter};
use contract::{ByState, GpuState};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A job's attempt, and what decides whether telemetry knows of it.
pub(super) struct Job {
    pub(super) run: Arc<JobRun>,
    pub(super) nodes: Vec<Arc<str>>,
}

/// All attempts that have started.
pub(super) struct Jobs {
    pub(super) all: Vec<Job>,
    /// By cluster and id, in order of their starts.
    by_id: HashMap<(Arc<str>, Arc<str>), Vec<usize>>,
    /// The last time that anything was heard of the jobs of each cluster, Unix microseconds.
    pub(super) heard: HashMap<Arc<str>, i64>,
}

const JOBS_SQL: &str = "select cluster, job_id, attempt, name, \"user\", account, project, queue, labels, \
    gpus_requested, cpus_requested, memory_requested_bytes, started_at, ended_at, nodes, time, \
    array_length(gpu_uuids) > 0 from jobs";

impl Jobs {
    pub(super) async fn ask(engine: &Engine) -> Result<Self, LedgerError> {
        let (mut names, mut all, mut heard) = (Names::default(), Vec::new(), HashMap::new());
        for batch in rows_of(engine, JOBS_SQL, Vec::new()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let cluster = names.get(rows.text(0, row).unwrap_or_default());
                let last = heard.entry(Arc::clone(&cluster)).or_insert(i64::MIN);
                *last = rows.int(15, row).map_or(*last, |time| time.max(*last));
                if rows.int(12, row).or(rows.int(13, row)).is_none() {
                    continue;
                }
                let mut text = |at| names.maybe(rows.text(at, row));
                let run = JobRun {
                    cluster,
                    job_id: rows.text(1, row).unwrap_or_default().into(),
                    attempt: rows.int(2, row).unwrap_or_default(),
                    name: text(3),
                    user: text(4),
                    account: text(5),
                    project: text(6),
                    queue: text(7),
                    labels: rows.pairs(8, row).into_iter().map(|(k, v)| (names.get(k), names.get(v))).collect(),
                    gpus: rows.int(9, row),
                    cpus: rows.int(10, row),
                    memory_bytes: rows.int(11, row),
                    started_micros: rows.int(12, row),
                    ended_micros: rows.int(13, row),
                    says_gpus: rows.bool(16, row).unwrap_or_default(),
                };
                let nodes = rows.texts(14, row).into_iter().map(|node| names.get(node)).collect();
                all.push(Job { run: Arc::new(run), nodes });
            }
        }
        all.sort_by(|a, b| a.run.cmp(&b.run));
        let mut by_id: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, job) in all.iter().enumerate() {
            let key = (Arc::clone(&job.run.cluster), Arc::clone(&job.run.job_id));
            by_id.entry(key).or_default().push(at);
        }
        for attempts in by_id.values_mut() {
            attempts.sort_by_key(|at| all[*at].run.started_micros);
        }
        Ok(Self { all, by_id, heard })
    }

    /// When a run ends, as far as anybody knows: one without an end goes on while its cluster is heard of.
    pub(super) fn end(&self, run: &JobRun) -> i64 {
        run.ended_micros.or_else(|| self.heard.get(&run.cluster).copied()).unwrap_or(i64::MIN)
    }

    /// The attempt of a job that ran in an hour, or the last one before it.
    pub(super) fn at(&self, key: &(Arc<str>, Arc<str>), hour_micros: i64) -> Option<Arc<JobRun>> {
        let attempts = self.by_id.get(key)?;
        let begun = |at: &&usize| self.all[**at].run.started_micros.is_some_and(|s| s < hour_micros + HOUR);
        let at = attempts.iter().rev().find(begun).or(attempts.first())?;
        Some(Arc::clone(&self.all[*at].run))
    }
}

const HOUR: i64 = 3_600_000_000;

/// Cluster, node and model of GPUs.
type NodeModel = (Arc<str>, Arc<str>, Arc<str>);

/// What telemetry has seen at all.
#[derive(Default)]
pub(super) struct Seen {
    clusters: HashSet<Arc<str>>,
    nodes: HashSet<(Arc<str>, Arc<str>)>,
    jobs: HashSet<(Arc<str>, Arc<str>)>,
}

impl Seen {
    pub(super) async fn ask(engine: &Engine) -> Result<Self, LedgerError> {
        let sql = "select cluster, node, job_id from usage_hourly group by cluster, node, job_id";
        let (mut seen, mut names) = (Self::default(), Names::default());
        for batch in rows_of(engine, sql, Vec::new()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let cluster = names.get(rows.text(0, row).unwrap_or_default());
                seen.nodes.insert((Arc::clone(&cluster), names.get(rows.text(1, row).unwrap_or_default())));
                if let Some(job) = rows.text(2, row) {
                    seen.jobs.insert((Arc::clone(&cluster), names.get(job)));
                }
                seen.clusters.insert(cluster);
            }
        }
        Ok(seen)
    }

    /// Whether a job's GPUs are among those that are measured, so that their use is its cost. A job that names no
    /// nodes is measured where its cluster is.
    pub(super) fn measures(&self, job: &Job) -> bool {
        let Job { run, nodes } = job;
        let of_cluster = |name: &Arc<str>| (Arc::clone(&run.cluster), Arc::clone(name));
        match nodes.is_empty() {
            true => self.clusters.contains(&run.cluster),
            false => nodes.iter().any(|node| self.nodes.contains(&of_cluster(node))),
        }
        .max(self.jobs.contains(&of_cluster(&run.job_id)))
    }
}

fn usage_sql() -> String {
    let states = GpuState::ALL.map(|state| format!(", {}_seconds", state.as_str())).concat();
    format!(
        "select time, cluster, node, gpu_uuid, gpu_model, parent_gpu_uuid, mig_profile, job_id, energy_joules{states} \
         from usage_hourly where time >= $1 and time < $2 order by time, gpu_uuid, job_id"
    )
}

/// The GPU-hours that begin within `[from, to)`, Unix microseconds, in order of hour and GPU.
pub(super) async fn gpu_hours(
    engine: &Engine,
    pools: &Pools,
    jobs: &Jobs,
    (from, to): (i64, i64),
) -> Result<Vec<GpuHour>, LedgerError> {
    let batches = rows_of(engine, &usage_sql(), vec![Parameter::Time(from), Parameter::Time(to)]).await?;
    let mut names = Names::default();
    let mut places: BTreeMap<NodeModel, Arc<GpuPlace>> = BTreeMap::new();
    let mut strangers: HashMap<(Arc<str>, Arc<str>), Arc<JobRun>> = HashMap::new();
    let mut hours: Vec<GpuHour> = Vec::new();
    for batch in batches {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            let mut text = |at| names.get(rows.text(at, row).unwrap_or_default());
            let (cluster, node, gpu_uuid, model) = (text(1), text(2), text(3), text(4));
            let hour_micros = rows.int(0, row).unwrap_or_default();
            let job = rows.text(7, row).map(|id| {
                let key = (Arc::clone(&cluster), names.get(id));
                jobs.at(&key, hour_micros).unwrap_or_else(|| stranger(&mut strangers, key))
            });
            let key = (Arc::clone(&cluster), Arc::clone(&node), Arc::clone(&model));
            let place = places.entry(key).or_insert_with(|| Arc::new(pools.place(&cluster, Some(&node), Some(&model))));
            let mut micros = ByState::<i64>::default();
            for (i, state) in GpuState::ALL.into_iter().enumerate() {
                *micros.get_mut(state) = (rows.float(9 + i, row).unwrap_or_default() * 1e6).round() as i64;
            }
            let used = Use { job, micros, energy_joules: rows.float(8, row) };
            match hours.last_mut() {
                Some(last) if last.hour_micros == hour_micros && last.gpu_uuid == gpu_uuid => last.uses.push(used),
                _ => hours.push(GpuHour {
                    hour_micros,
                    place: Arc::clone(place),
                    gpu_uuid,
                    parent_gpu_uuid: names.maybe(rows.text(5, row)),
                    mig_profile: names.maybe(rows.text(6, row)),
                    uses: vec![used],
                    processes: Vec::new(),
                }),
            }
        }
    }
    Ok(hours)
}

/// A job that samples name, and no scheduler.
fn stranger(known: &mut HashMap<(Arc<str>, Arc<str>), Arc<JobRun>>, key: (Arc<str>, Arc<str>)) -> Arc<JobRun> {
    let (cluster, job_id) = key.clone();
    Arc::clone(known.entry(key).or_insert_with(|| Arc::new(JobRun { cluster, job_id, ..JobRun::default() })))
}
