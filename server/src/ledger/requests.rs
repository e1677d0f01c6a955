//! What measured jobs request beside GPUs, where the books have prices for it.

use super::days;
use crate::cost::{Book, GpuHour, GpuPlace, Pools, Request};
use std::collections::HashMap;
use std::sync::Arc;

/// Jobs that run within `[from, to)`, Unix microseconds, and are not charged by accounting alone, with the places of
/// their nodes as `hours` know them.
pub(super) fn requests(all: &days::All<'_>, hours: &[GpuHour], (from, to): (i64, i64)) -> Vec<Request> {
    if !has_prices(&all.statements.book) {
        return Vec::new();
    }
    let mut places: HashMap<(&str, &str), &Arc<GpuPlace>> = HashMap::new();
    for hour in hours {
        if let Some(node) = &hour.place.node {
            places.entry((&hour.place.cluster, node)).or_insert(&hour.place);
        }
    }
    let pools: &Pools = &all.statements.pools;
    let mut found = Vec::new();
    for job in &all.jobs.all {
        let run = &job.run;
        let asks = run.cpus.is_some_and(|cpus| cpus > 0) || run.memory_bytes.is_some_and(|bytes| bytes > 0);
        let within = run.started_micros.is_some_and(|start| start < to) && all.jobs.end(run) > from;
        if !asks || !within || !all.seen.measures(job) {
            continue;
        }
        let place = |node: &Arc<str>| match places.get(&(&*run.cluster, &**node)) {
            Some(place) => Arc::clone(place),
            None => Arc::new(pools.place(&run.cluster, Some(node), None)),
        };
        let mut of_nodes: Vec<Arc<GpuPlace>> = job.nodes.iter().map(place).collect();
        if of_nodes.is_empty() {
            of_nodes.push(Arc::new(pools.place(&run.cluster, None, None)));
        }
        of_nodes.sort();
        let mut run = Arc::clone(run);
        if run.ended_micros.is_none() {
            // While its scheduler is heard of.
            Arc::make_mut(&mut run).ended_micros = Some(all.jobs.end(&job.run));
        }
        found.push(Request { job: run, places: of_nodes });
    }
    found
}

fn has_prices(book: &Book) -> bool {
    book.rows().any(|row| row.price_per_cpu_hour().is_some() || row.price_per_memory_gib_hour().is_some())
}
