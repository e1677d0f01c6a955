//! The question `overview`: what the fleet does, did, and who should look where.

use super::ask::{Asking, bounded};
use super::attention::{self, Told};
use super::buckets::Buckets;
use super::events::Presences;
use super::gpu_fold::GpuFold;
use super::job_names::{self, JobNames};
use super::rack::rack;
use super::samples::{self, FLEET_MEMORY_MICROS, Scope};
use super::timeline::{self, Piece};
use super::{Engine, QueryError, fleet, mig};
use contract::answers::{NodeCell, Overview, Range, StateBucket};
use contract::{ByState, GpuState};

const MICROS_PER_HOUR: f64 = 3.6e9;

impl Engine {
    pub async fn overview(&self, range: Range, cluster: Option<&str>) -> Result<Overview, QueryError> {
        let scope = Scope { cluster: cluster.map(str::to_owned), ..Scope::default() };
        let buckets = Buckets::over(range)?;
        let asking = Asking::new(self)?;
        bounded(self, async move { overview(&asking, &scope, buckets).await }).await
    }
}

async fn overview(asking: &Asking, scope: &Scope, buckets: Buckets) -> Result<Overview, QueryError> {
    let range = buckets.range;
    let length = range.to_unix_micros - range.from_unix_micros;
    let before = Range { from_unix_micros: range.from_unix_micros - length, to_unix_micros: range.from_unix_micros };
    let since = before.from_unix_micros - FLEET_MEMORY_MICROS;
    let all = samples::fold(asking, scope, since, &buckets, &[]).await?;
    let presences = Presences::ask(asking, scope, since, range.to_unix_micros).await?;
    let told_of = Range { from_unix_micros: since, to_unix_micros: range.to_unix_micros };
    let whole: Vec<Vec<Piece>> = all.iter().map(|gpu| pieces(gpu, &presences, told_of)).collect();
    let hours_before = hours_before(&all, &whole, before);
    let (gpus, whole): (Vec<GpuFold>, Vec<Vec<Piece>>) =
        all.into_iter().zip(whole).filter(|(gpu, _)| seen(gpu, range)).unzip();
    let pieces: Vec<Vec<Piece>> = whole.iter().map(|pieces| timeline::clip(pieces, range)).collect();
    let now: Vec<GpuState> =
        gpus.iter().map(|gpu| fleet::state_now(gpu, &presences.of(gpu), range.to_unix_micros)).collect();
    let names = JobNames::of(asking, &gpus).await?;
    let told = Told { gpus: &gpus, pieces: &whole, now: &now, names: &names, range };
    let attention = attention::list(asking, scope, &told).await?;
    let nodes = node_cells(&gpus, &now, range);
    let mut gpus_now = ByState::default();
    for state in GpuState::ALL {
        *gpus_now.get_mut(state) = nodes.iter().map(|node| *node.gpus.get(state)).sum();
    }
    let counted = gpus.iter().zip(&pieces).filter(|(_, pieces)| !pieces.is_empty()).map(|(gpu, _)| gpu);
    let busy = counted.fold((0.0, 0.0), |sum, gpu| (sum.0 + gpu.busy.0, sum.1 + gpu.busy.1));
    let boards = mig::boards(&gpus, |gpu| gpu.joules.is_some());
    Ok(Overview {
        range,
        gpus_now,
        nodes_now: nodes.len() as u64,
        gpu_hours: hours(pieces.iter().flatten()),
        gpu_hours_before: hours_before,
        gpu_busy_ratio_mean: (busy.1 > 0.0).then(|| busy.0 / busy.1),
        energy_joules: boards.iter().filter_map(|gpu| gpu.joules).reduce(|a, b| a + b),
        jobs: job_names::counts(asking, range, scope.cluster.as_deref()).await?,
        bucket_seconds: buckets.seconds(),
        over_time: over_time(&pieces, &buckets),
        attention,
        nodes,
    })
}

/// A GPU belongs to the fleet of a range if it had a row in it or in the week before.
fn seen(gpu: &GpuFold, range: Range) -> bool {
    let since = range.from_unix_micros - FLEET_MEMORY_MICROS;
    gpu.spans.iter().any(|span| span.to > since && span.from < range.to_unix_micros)
}

fn pieces(gpu: &GpuFold, presences: &Presences, range: Range) -> Vec<Piece> {
    let all = timeline::pieces(&gpu.spans, &presences.of(gpu), range.from_unix_micros, range.to_unix_micros);
    mig::counted(all, &gpu.gone)
}

fn hours<'a>(pieces: impl Iterator<Item = &'a Piece>) -> ByState<f64> {
    let mut micros: ByState<i64> = ByState::default();
    pieces.for_each(|piece| *micros.get_mut(piece.state) += piece.to - piece.from);
    let mut hours = ByState::default();
    for state in GpuState::ALL {
        *hours.get_mut(state) = *micros.get(state) as f64 / MICROS_PER_HOUR;
    }
    hours
}

/// `whole` are the pieces of the GPUs from before that range on.
fn hours_before(gpus: &[GpuFold], whole: &[Vec<Piece>], before: Range) -> Option<ByState<f64>> {
    let covered = |span: &timeline::Span| span.to > before.from_unix_micros && span.from < before.to_unix_micros;
    if !gpus.iter().any(|gpu| gpu.spans.iter().any(covered)) {
        return None;
    }
    let there = gpus.iter().zip(whole).filter(|(gpu, _)| seen(gpu, before));
    let pieces: Vec<Piece> = there.flat_map(|(_, pieces)| timeline::clip(pieces, before)).collect();
    Some(hours(pieces.iter()))
}

fn over_time(pieces: &[Vec<Piece>], buckets: &Buckets) -> Vec<StateBucket> {
    let mut held = vec![[0i64; 6]; buckets.count];
    for piece in pieces.iter().flatten() {
        buckets.spread(piece.from, piece.to, |bucket, micros| held[bucket][piece.state.index()] += micros);
    }
    let times = buckets.times();
    let bucket = |(at, held): (usize, &[i64; 6])| {
        let mut gpus = ByState::default();
        for state in GpuState::ALL {
            *gpus.get_mut(state) = held[state.index()] as f64 / buckets.length(at) as f64;
        }
        StateBucket { time_unix_micros: times[at], gpus }
    };
    held.iter().enumerate().map(bucket).collect()
}

fn node_cells(gpus: &[GpuFold], now: &[GpuState], range: Range) -> Vec<NodeCell> {
    let mut nodes: Vec<NodeCell> = Vec::new();
    for (gpu, state) in gpus.iter().zip(now) {
        let identity = &gpu.identity;
        if nodes.last().is_none_or(|node| node.node != identity.node || node.cluster != identity.cluster) {
            nodes.push(NodeCell {
                cluster: identity.cluster.clone(),
                node: identity.node.clone(),
                rack: rack(&identity.node),
                gpus: ByState::default(),
            });
        }
        if let Some(node) = nodes.last_mut().filter(|_| mig::counts_at(&gpu.gone, range.to_unix_micros)) {
            *node.gpus.get_mut(*state) += 1;
        }
    }
    nodes
}
