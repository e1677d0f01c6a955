//! The question `node`: one host, its GPUs, its own load, what happened to it.

use super::ask::{Asking, bounded, each_row, text};
use super::buckets::Buckets;
use super::fleet::Scene;
use super::gpu_fold::GpuFold;
use super::rack::rack;
use super::samples::Scope;
use super::series::{self, Wanted};
use super::{Engine, QueryError, events, job_names, mig};
use contract::answers::{FleetGpu, NodeDetail, Range, Series};

/// Summed or averaged over the node's GPUs.
const POWER: &str = "power_watts";
const BUSY: &str = "gpu_busy_ratio";

impl Engine {
    pub async fn node(&self, cluster: &str, node: &str, range: Range) -> Result<NodeDetail, QueryError> {
        let scope = Scope { cluster: Some(cluster.to_owned()), node: Some(node.to_owned()), ..Scope::default() };
        let buckets = Buckets::over(range)?;
        let asking = Asking::new(self)?;
        let (cluster, node) = (cluster.to_owned(), node.to_owned());
        bounded(self, async move { detail(&asking, &scope, buckets, cluster, node).await }).await
    }
}

async fn detail(
    asking: &Asking,
    scope: &Scope,
    buckets: Buckets,
    cluster: String,
    node: String,
) -> Result<NodeDetail, QueryError> {
    let scene = Scene::ask(asking, scope, buckets, &[POWER, BUSY]).await?;
    if scene.gpus.is_empty() && !exists(asking, &cluster, &node).await? {
        return Err(QueryError::NotFound { what: "node", name: format!("{cluster}/{node}") });
    }
    let gpus: Vec<FleetGpu> = scene.counted().map(|gpu| scene.show(gpu, Vec::new())).collect();
    let mut all =
        series::ask(asking, "host_samples", scope, &buckets, &Wanted::of("host_samples", &["load_1m"])).await?;
    all.extend(of_gpus(&scene));
    let jobs = job_names::of_node(gpus.iter().map(|gpu| gpu.jobs.as_slice()));
    let events = events::with_holders(events::list(asking, scope, buckets.range).await?, &gpus);
    Ok(NodeDetail {
        range: buckets.range,
        rack: rack(&node),
        cluster,
        node,
        gpus,
        bucket_seconds: buckets.seconds(),
        times_unix_micros: buckets.times(),
        series: all,
        events,
        jobs,
    })
}

/// Whether any row ever came from the node.
async fn exists(asking: &Asking, cluster: &str, node: &str) -> Result<bool, QueryError> {
    for table in ["host_samples", "gpu_samples"] {
        let sql = format!("select 1 from {table} where cluster = $1 and node = $2 limit 1");
        if each_row(&asking.rows(&sql, vec![text(cluster), text(node)]).await?).next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Power sums over the GPUs, busy ratios average over them; a GPU that reports nothing adds nothing.
fn of_gpus(scene: &Scene) -> [Series; 2] {
    let boards = mig::boards(&scene.gpus, |gpu| gpu.cells[0].values().iter().any(Option::is_some));
    let counted: Vec<&GpuFold> = scene.counted().collect();
    let over = |gpus: &[&GpuFold], metric: usize, mean: bool| {
        let mut sums = vec![(0.0, 0u32); scene.buckets.count];
        for gpu in gpus {
            for (sum, value) in sums.iter_mut().zip(gpu.cells[metric].values()) {
                if let Some(value) = value {
                    *sum = (sum.0 + value, sum.1 + 1);
                }
            }
        }
        let value = |(sum, count): &(f64, u32)| (*count > 0).then(|| if mean { sum / f64::from(*count) } else { *sum });
        sums.iter().map(value).collect()
    };
    [
        Series { name: "gpu_power_watts".to_owned(), unit: "watts".to_owned(), values: over(&boards, 0, false) },
        Series { name: BUSY.to_owned(), unit: "ratio".to_owned(), values: over(&counted, 1, true) },
    ]
}
