//! `GET /metrics`: the server about itself, in Prometheus' text format.

use super::serve::State;
use crate::ingest::Counted;
use crate::insight::inference::{Objective, Scaling};
use actix_web::{HttpResponse, web};
use coulomb_telemetry::{Family, Line, text};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Labels = Vec<(&'static str, String)>;

/// Counted since the start. Labels are routes and tables that exist, so there are few.
#[derive(Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), Total>>,
    queries: Mutex<BTreeMap<&'static str, Total>>,
    queries_running: Arc<AtomicU64>,
}

/// Counts a query as running until it is dropped, with the last row or when the asker has gone.
pub(super) struct RunningQuery(Arc<AtomicU64>);

impl Drop for RunningQuery {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default, Clone, Copy)]
struct Total {
    count: u64,
    seconds: f64,
}

impl Total {
    fn add(&mut self, seconds: f64) {
        self.count += 1;
        self.seconds += seconds;
    }
}

impl Metrics {
    pub(super) fn count_request(&self, method: &str, route: &'static str, status: u16, seconds: f64) {
        let methods = ["GET", "POST", "DELETE", "HEAD"];
        let method = methods.into_iter().find(|m| *m == method).unwrap_or("other");
        self.requests.lock().entry((route, method, status)).or_default().add(seconds);
    }

    pub(super) fn start_query(&self) -> RunningQuery {
        self.queries_running.fetch_add(1, Ordering::Relaxed);
        RunningQuery(Arc::clone(&self.queries_running))
    }

    pub(super) fn count_query(&self, seconds: f64, answered: bool) {
        let outcome = if answered { "answered" } else { "refused" };
        self.queries.lock().entry(outcome).or_default().add(seconds);
    }
}

pub(super) async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text(&families(&state)))
}

/// All numbers of the server.
pub(super) fn families(state: &State) -> Vec<Family> {
    let metrics = &state.metrics;
    let mut families = vec![Family::gauge(
        "coulomb_build_info",
        "Version of the server.",
        vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)],
    )];
    let requests: Vec<(Labels, Total)> = metrics
        .requests
        .lock()
        .iter()
        .map(|((route, method, status), total)| {
            let [route, method] = [route, method].map(|text| (*text).to_owned());
            (vec![("route", route), ("method", method), ("status", status.to_string())], *total)
        })
        .collect();
    let outcome = |(outcome, total): (&&str, &Total)| (vec![("outcome", (*outcome).to_owned())], *total);
    let queries: Vec<(Labels, Total)> = metrics.queries.lock().iter().map(outcome).collect();
    let counts = |totals: &[(Labels, Total)]| totals.iter().map(|(l, t)| (l.clone(), t.count as f64)).collect();
    let seconds = |totals: &[(Labels, Total)]| totals.iter().map(|(l, t)| (l.clone(), t.seconds)).collect();
    families.push(Family::counter("coulomb_http_requests_total", "Requests answered.", counts(&requests)));
    families.push(Family::counter("coulomb_http_request_seconds_total", "Time spent on them.", seconds(&requests)));
    families.push(Family::counter("coulomb_queries_total", "SQL statements.", counts(&queries)));
    families.push(Family::counter("coulomb_query_seconds_total", "Time until their first rows.", seconds(&queries)));
    families.push(Family::gauge("coulomb_queries_running", "SQL statements at work.", one(&metrics.queries_running)));
    let counters = state.ingest.counters();
    let ingested = counters.tables();
    let lines = |of: fn(&Counted) -> u64| {
        ingested.iter().map(|(table, counted)| (vec![("table", table.to_string())], of(counted) as f64)).collect()
    };
    families.push(Family::counter("coulomb_ingest_rows_total", "Rows kept.", lines(|i| i.rows)));
    families.push(Family::counter(
        "coulomb_ingest_duplicates_total",
        "Bodies that were kept before.",
        lines(|i| i.duplicates),
    ));
    let (rejected, refused) = (one(&counters.rejected_rows), one(&counters.refused_requests));
    families.push(Family::counter("coulomb_ingest_rejected_rows_total", "Rows not kept.", rejected));
    families.push(Family::counter("coulomb_ingest_refused_total", "Bodies refused whole.", refused));
    families.push(Family::gauge("coulomb_ingest_receiving_bytes", "Bodies in memory now.", one(&state.body_bytes)));
    let computing = vec![(vec![], f64::from(u8::from(state.ledger.is_computing())))];
    families.push(Family::gauge(
        "coulomb_ledger_computing",
        "Whether days of the ledger are computed just now.",
        computing,
    ));
    families.extend(store_families(state));
    families.extend(inference_families(state));
    families
}

/// A family of one value without labels.
fn one(value: &AtomicU64) -> Vec<Line> {
    vec![(vec![], value.load(Ordering::Relaxed) as f64)]
}

/// What services need, by the last look; a service of which it is not known has no line.
fn inference_families(state: &State) -> Vec<Family> {
    let all = state.inference.scalings(&Objective::DEFAULT);
    let lines = |of: fn(&Scaling) -> Option<f64>| {
        let line = |one: &Scaling| Some((vec![("service", one.service.to_string())], of(one)?));
        all.iter().filter_map(line).collect::<Vec<_>>()
    };
    vec![
        Family::gauge(
            "coulomb_inference_replicas",
            "Replicas of a service.",
            lines(|one| Some(one.sizing.replicas? as f64)),
        ),
        Family::gauge(
            "coulomb_inference_replicas_wanted",
            "Replicas that it needs for its objective.",
            lines(|one| Some(one.sizing.wanted? as f64)),
        ),
        Family::gauge(
            "coulomb_inference_utilisation_ratio",
            "Work of what its replicas can do.",
            lines(|one| one.sizing.utilisation_ratio),
        ),
        Family::gauge(
            "coulomb_inference_requests_per_second",
            "Requests of the last five minutes.",
            lines(|one| Some(one.sizing.requests_per_second)),
        ),
    ]
}

fn store_families(state: &State) -> Vec<Family> {
    let (mut bytes, mut rows, mut files, mut hot) = (vec![], vec![], vec![], vec![]);
    for table in state.store.tables() {
        let snapshot = state.store.snapshot(table);
        let label = vec![("table", table.name.to_owned())];
        let hot_rows: usize = snapshot.hot.iter().map(|batch| batch.num_rows()).sum();
        bytes.push((label.clone(), snapshot.files.iter().map(|f| f.size_bytes).sum::<u64>() as f64));
        rows.push((label.clone(), (snapshot.files.iter().map(|f| f.rows).sum::<u64>() + hot_rows as u64) as f64));
        files.push((label.clone(), snapshot.files.len() as f64));
        hot.push((label, hot_rows as f64));
    }
    let (counters, damage) = (state.store.counters(), state.store.damage());
    let found = |number: u64| vec![(vec![], number as f64)];
    vec![
        Family::gauge("coulomb_store_bytes", "Parquet files on disk.", bytes),
        Family::gauge("coulomb_store_rows", "Rows, in files and in memory.", rows),
        Family::gauge("coulomb_store_files", "Parquet files.", files),
        Family::gauge("coulomb_store_hot_rows", "Rows in memory.", hot),
        Family::counter("coulomb_store_log_syncs_total", "Syncs of the log.", one(&counters.log_syncs)),
        Family::counter("coulomb_store_log_bytes_total", "Bytes written to the log.", one(&counters.log_bytes)),
        Family::counter("coulomb_store_flushes_total", "Flushes to Parquet.", one(&counters.flushes)),
        Family::counter("coulomb_store_flush_failures_total", "Flushes that failed.", one(&counters.flush_failures)),
        Family::counter("coulomb_store_merges_total", "Merges of small files.", one(&counters.merges)),
        Family::counter("coulomb_store_merge_failures_total", "Merges that failed.", one(&counters.merge_failures)),
        Family::gauge(
            "coulomb_store_log_torn_bytes",
            "Cut from the log's end by the last start.",
            found(damage.torn_bytes),
        ),
        Family::gauge("coulomb_store_log_damaged_ranges", "Set aside by the last start.", found(damage.corrupt_ranges)),
        Family::gauge("coulomb_store_log_damaged_bytes", "Likewise, in bytes.", found(damage.corrupt_bytes)),
    ]
}
