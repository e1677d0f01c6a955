//! The question `gpu`: one device, all that it reported, what it did and what happened to it.

use super::ask::{Asking, bounded, each_row, text};
use super::buckets::Buckets;
use super::fleet::Scene;
use super::gpu_fold::GpuFold;
use super::samples::{self, Scope};
use super::series::{self, Wanted};
use super::{Engine, QueryError, events, timeline};
use contract::answers::{GpuDetail, Range, StateSpan};

/// Spans of one answer, the latest: a lane of a page cannot show more.
const STATE_SPANS_MAX: usize = 2000;

impl Engine {
    pub async fn gpu(&self, gpu_uuid: &str, range: Range) -> Result<GpuDetail, QueryError> {
        let buckets = Buckets::over(range)?;
        let asking = Asking::new(self)?;
        let gpu_uuid = gpu_uuid.to_owned();
        bounded(self, async move { detail(&asking, &gpu_uuid, buckets).await }).await
    }
}

async fn detail(asking: &Asking, gpu_uuid: &str, buckets: Buckets) -> Result<GpuDetail, QueryError> {
    let scope = Scope { gpu_uuid: Some(gpu_uuid.to_owned()), ..Scope::default() };
    let mut scene = Scene::ask(asking, &scope, buckets, &[]).await?;
    if scene.gpus.is_empty() {
        scene.gpus.push(last_seen(asking, &scope, gpu_uuid, buckets).await?);
    }
    let gpu = &scene.gpus[0];
    let range = buckets.range;
    let pieces = timeline::pieces(&gpu.spans, &scene.presences.of(gpu), range.from_unix_micros, range.to_unix_micros);
    let mut states: Vec<StateSpan> = Vec::new();
    for piece in pieces {
        match states.last_mut() {
            Some(before) if before.state == piece.state => before.to_unix_micros = piece.to,
            _ => states.push(StateSpan { state: piece.state, from_unix_micros: piece.from, to_unix_micros: piece.to }),
        }
    }
    let shown = scene.show(gpu, Vec::new());
    let happened = events::list(asking, &scope, range).await?;
    Ok(GpuDetail {
        range,
        cluster: gpu.identity.cluster.clone(),
        node: gpu.identity.node.clone(),
        bucket_seconds: buckets.seconds(),
        times_unix_micros: buckets.times(),
        series: series::ask(asking, "gpu_samples", &scope, &buckets, &Wanted::of("gpu_samples", &[])).await?,
        states: states.split_off(states.len().saturating_sub(STATE_SPANS_MAX)),
        events: events::with_holders(happened, std::slice::from_ref(&shown)),
        gpu: shown,
    })
}

/// A GPU without rows near the range is shown as it was last seen before the range's end, or first after.
async fn last_seen(asking: &Asking, scope: &Scope, gpu_uuid: &str, buckets: Buckets) -> Result<GpuFold, QueryError> {
    let unknown = || QueryError::NotFound { what: "GPU", name: gpu_uuid.to_owned() };
    let sql = "select max(time) from gpu_samples where gpu_uuid = $1";
    let rows = asking.rows(sql, vec![text(gpu_uuid)]).await?;
    let time = each_row(&rows).next().and_then(|row| row.time(0)).ok_or_else(unknown)?;
    let around = Range { from_unix_micros: time.max(0), to_unix_micros: time.max(0) + 1 };
    let mut seen = samples::fold(asking, scope, time, &Buckets::over(around)?, &[]).await?.pop().ok_or_else(unknown)?;
    // What was seen after the range says who the GPU is, not what it did within it.
    seen.spans.retain(|span| span.from < buckets.range.to_unix_micros);
    Ok(seen)
}
