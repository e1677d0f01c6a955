//! The question `fleet`: rack × GPU × time. Also how a GPU is shown in every answer.

use super::ask::{Asking, bounded};
use super::buckets::Buckets;
use super::events::Presences;
use super::gpu_fold::GpuFold;
use super::job_names::JobNames;
use super::rack::rack;
use super::samples::{self, FLEET_MEMORY_MICROS, Scope};
use super::timeline::{self, Presence, fresh_until};
use super::{Engine, QueryError, mig};
use contract::GpuState;
use contract::answers::{Fleet, FleetGpu, FleetNode, Range};

const STATE: &str = "state";

/// The gauges of a table: what has a unit and does not only rise.
pub(super) fn gauges(table: &str) -> Vec<&'static contract::Column> {
    let units = ["ratio", "bytes", "watts", "celsius", "hertz"];
    let columns = contract::table(table).map_or(&[][..], |t| t.columns);
    columns.iter().filter(|c| units.contains(&c.unit) && !c.name.ends_with("_total")).collect()
}

impl Engine {
    /// One cell a GPU and bucket: the metric's mean, or the state that was held longest.
    pub async fn fleet(&self, range: Range, cluster: Option<&str>, metric: &str) -> Result<Fleet, QueryError> {
        let gauges = gauges("gpu_samples");
        if metric != STATE && gauges.iter().all(|c| c.name != metric) {
            let known = std::iter::once(STATE).chain(gauges.iter().map(|c| c.name)).map(str::to_owned).collect();
            return Err(QueryError::UnknownName { what: "metric", name: metric.to_owned(), known });
        }
        let scope = Scope { cluster: cluster.map(str::to_owned), ..Scope::default() };
        let buckets = Buckets::over(range)?;
        let asking = Asking::new(self)?;
        let metric = metric.to_owned();
        bounded(self, async move { fleet(&asking, &scope, buckets, metric).await }).await
    }
}

async fn fleet(asking: &Asking, scope: &Scope, buckets: Buckets, metric: String) -> Result<Fleet, QueryError> {
    let metrics: &[&str] = if metric == STATE { &[] } else { &[&metric] };
    let scene = Scene::ask(asking, scope, buckets, metrics).await?;
    let mut nodes: Vec<FleetNode> = Vec::new();
    for gpu in scene.counted() {
        let cells = match gpu.cells.first() {
            Some(means) => means.values(),
            None => scene.state_cells(gpu),
        };
        let shown = scene.show(gpu, cells);
        let identity = &gpu.identity;
        match nodes.last_mut() {
            Some(node) if node.node == identity.node && node.cluster == identity.cluster => node.gpus.push(shown),
            _ => nodes.push(FleetNode {
                cluster: identity.cluster.clone(),
                node: identity.node.clone(),
                rack: rack(&identity.node),
                gpus: vec![shown],
            }),
        }
    }
    nodes.sort_by(|a, b| {
        let place = |n: &FleetNode| (n.cluster.clone(), n.rack.clone());
        place(a).cmp(&place(b)).then_with(|| super::rack::natural(&a.node).cmp(&super::rack::natural(&b.node)))
    });
    let times_unix_micros = buckets.times();
    Ok(Fleet { range: buckets.range, metric, bucket_seconds: buckets.seconds(), times_unix_micros, nodes })
}

/// All GPUs of a range with what is needed to show them.
pub(super) struct Scene {
    pub(super) buckets: Buckets,
    pub(super) gpus: Vec<GpuFold>,
    pub(super) presences: Presences,
    pub(super) names: JobNames,
}

impl Scene {
    pub(super) async fn ask(
        asking: &Asking,
        scope: &Scope,
        buckets: Buckets,
        metrics: &[&str],
    ) -> Result<Self, QueryError> {
        let since = buckets.range.from_unix_micros - FLEET_MEMORY_MICROS;
        let gpus = samples::fold(asking, scope, since, &buckets, metrics).await?;
        let presences = Presences::ask(asking, scope, since, buckets.range.to_unix_micros).await?;
        let names = JobNames::of(asking, &gpus).await?;
        Ok(Self { buckets, gpus, presences, names })
    }

    /// Those that count at the end of the range: of a GPU and its instances the one or the others.
    pub(super) fn counted(&self) -> impl Iterator<Item = &GpuFold> {
        self.gpus.iter().filter(|gpu| mig::counts_at(&gpu.gone, self.buckets.range.to_unix_micros))
    }

    /// The state held longest in each bucket; none where the GPU did not count.
    fn state_cells(&self, gpu: &GpuFold) -> Vec<Option<f64>> {
        let mut held = vec![[0i64; 6]; self.buckets.count];
        let Range { from_unix_micros, to_unix_micros } = self.buckets.range;
        let all = timeline::pieces(&gpu.spans, &self.presences.of(gpu), from_unix_micros, to_unix_micros);
        for piece in mig::counted(all, &gpu.gone) {
            self.buckets.spread(piece.from, piece.to, |bucket, micros| held[bucket][piece.state.index()] += micros);
        }
        let longest = |states: &[i64; 6]| (0..6).rev().max_by_key(|s| states[*s]).filter(|s| states[*s] > 0);
        held.iter().map(|states| longest(states).map(|s| s as f64)).collect()
    }

    pub(super) fn state_now(&self, gpu: &GpuFold) -> GpuState {
        state_now(gpu, &self.presences.of(gpu), self.buckets.range.to_unix_micros)
    }

    /// The values are of the end of the range: null where the latest row is no longer news.
    pub(super) fn show(&self, gpu: &GpuFold, cells: Vec<Option<f64>>) -> FleetGpu {
        let state = self.state_now(gpu);
        let latest = &gpu.latest;
        // A row that leaves the state unknown may still say how warm the GPU is.
        let fresh = self.buckets.range.to_unix_micros <= fresh_until(latest.time, latest.until - latest.time);
        let there = state != GpuState::Down && (state != GpuState::Unknown || fresh);
        let job_id = latest.job.clone().filter(|_| there);
        let (_, user) = job_id.as_deref().map(|job| self.names.get(&gpu.identity.cluster, job)).unwrap_or_default();
        FleetGpu {
            gpu_uuid: gpu.uuid.clone(),
            gpu_index: gpu.identity.gpu_index,
            gpu_model: gpu.identity.gpu_model.clone(),
            mig_profile: gpu.identity.mig_profile.clone(),
            state,
            job_id,
            user,
            gpu_busy_ratio: latest.busy.filter(|_| there),
            power_watts: latest.power.filter(|_| there),
            temperature_celsius: latest.temperature.filter(|_| there),
            memory_used_bytes: latest.memory_used.filter(|_| there),
            memory_total_bytes: latest.memory_total,
            cells,
            jobs: self.names.spans(gpu, self.buckets.range),
        }
    }
}

pub(super) fn state_now(gpu: &GpuFold, presences: &[Presence], to: i64) -> GpuState {
    timeline::at_end(&gpu.spans, presences, to)
}
