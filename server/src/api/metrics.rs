//! `GET /metrics`: the server about itself, in Prometheus' text format.

use super::serve::State;
use crate::ingest::Counted;
use crate::insight::inference::{Objective, Scaling};
use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text(&state))
}

/// One metric family with its lines.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    lines: Vec<(String, f64)>,
}

impl Family<'_> {
    fn write(&self, out: &mut String) {
        let Self { name, kind, help, lines } = self;
        let wrote = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").and_then(|()| {
            lines.iter().try_for_each(|(labels, value)| {
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                writeln!(out, "{name}{labels} {value}")
            })
        });
        wrote.expect("a string takes all text");
    }
}

fn counter<'a>(name: &'a str, help: &'a str, lines: Vec<(String, f64)>) -> Family<'a> {
    Family { name, kind: "counter", help, lines }
}

fn gauge<'a>(name: &'a str, help: &'a str, lines: Vec<(String, f64)>) -> Family<'a> {
    Family { name, kind: "gauge", help, lines }
}

fn text(state: &State) -> String {
    let metrics = &state.metrics;
    let mut families = vec![gauge(
        "coulomb_build_info",
        "Version of the server.",
        vec![(format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1.0)],
    )];
    let requests: Vec<(String, Total)> = metrics
        .requests
        .lock()
        .iter()
        .map(|((route, method, status), total)| {
            (format!("route=\"{route}\",method=\"{method}\",status=\"{status}\""), *total)
        })
        .collect();
    let queries: Vec<(String, Total)> =
        metrics.queries.lock().iter().map(|(outcome, total)| (format!("outcome=\"{outcome}\""), *total)).collect();
    let counts = |totals: &[(String, Total)]| totals.iter().map(|(l, t)| (l.clone(), t.count as f64)).collect();
    let seconds = |totals: &[(String, Total)]| totals.iter().map(|(l, t)| (l.clone(), t.seconds)).collect();
    families.push(counter("coulomb_http_requests_total", "Requests answered.", counts(&requests)));
    families.push(counter("coulomb_http_request_seconds_total", "Time spent on them.", seconds(&requests)));
    families.push(counter("coulomb_queries_total", "SQL statements.", counts(&queries)));
    families.push(counter("coulomb_query_seconds_total", "Time until their first rows.", seconds(&queries)));
    families.push(gauge("coulomb_queries_running", "SQL statements at work.", one(&metrics.queries_running)));
    let counters = state.ingest.counters();
    let ingested = counters.tables();
    let lines = |of: fn(&Counted) -> u64| {
        ingested.iter().map(|(table, counted)| (format!("table=\"{table}\""), of(counted) as f64)).collect()
    };
    families.push(counter("coulomb_ingest_rows_total", "Rows kept.", lines(|i| i.rows)));
    families.push(counter("coulomb_ingest_duplicates_total", "Bodies that were kept before.", lines(|i| i.duplicates)));
    let (rejected, refused) = (one(&counters.rejected_rows), one(&counters.refused_requests));
    families.push(counter("coulomb_ingest_rejected_rows_total", "Rows not kept.", rejected));
    families.push(counter("coulomb_ingest_refused_total", "Bodies refused whole.", refused));
    families.push(gauge("coulomb_ingest_receiving_bytes", "Bodies in memory now.", one(&state.body_bytes)));
    let computing = vec![(String::new(), f64::from(u8::from(state.ledger.is_computing())))];
    families.push(gauge("coulomb_ledger_computing", "Whether days of the ledger are computed just now.", computing));
    families.extend(store_families(state));
    families.extend(inference_families(state));
    let mut out = String::new();
    families.iter().for_each(|family| family.write(&mut out));
    out
}

/// A family of one value without labels.
fn one(value: &AtomicU64) -> Vec<(String, f64)> {
    vec![(String::new(), value.load(Ordering::Relaxed) as f64)]
}

/// What services need, by the last look; a service of which it is not known has no line.
fn inference_families(state: &State) -> Vec<Family<'static>> {
    let all = state.inference.scalings(&Objective::DEFAULT);
    let lines = |of: fn(&Scaling) -> Option<f64>| {
        let line = |one: &Scaling| Some((format!("service=\"{}\"", escaped(&one.service)), of(one)?));
        all.iter().filter_map(line).collect::<Vec<_>>()
    };
    vec![
        gauge("coulomb_inference_replicas", "Replicas of a service.", lines(|one| Some(one.sizing.replicas? as f64))),
        gauge(
            "coulomb_inference_replicas_wanted",
            "Replicas that it needs for its objective.",
            lines(|one| Some(one.sizing.wanted? as f64)),
        ),
        gauge(
            "coulomb_inference_utilisation_ratio",
            "Work of what its replicas can do.",
            lines(|one| one.sizing.utilisation_ratio),
        ),
        gauge(
            "coulomb_inference_requests_per_second",
            "Requests of the last five minutes.",
            lines(|one| Some(one.sizing.requests_per_second)),
        ),
    ]
}

/// A label's value as the text format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn store_families(state: &State) -> Vec<Family<'static>> {
    let (mut bytes, mut rows, mut files, mut hot) = (vec![], vec![], vec![], vec![]);
    for table in state.store.tables() {
        let snapshot = state.store.snapshot(table);
        let label = format!("table=\"{}\"", table.name);
        let hot_rows: usize = snapshot.hot.iter().map(|batch| batch.num_rows()).sum();
        bytes.push((label.clone(), snapshot.files.iter().map(|f| f.size_bytes).sum::<u64>() as f64));
        rows.push((label.clone(), (snapshot.files.iter().map(|f| f.rows).sum::<u64>() + hot_rows as u64) as f64));
        files.push((label.clone(), snapshot.files.len() as f64));
        hot.push((label, hot_rows as f64));
    }
    let (counters, damage) = (state.store.counters(), state.store.damage());
    let found = |number: u64| vec![(String::new(), number as f64)];
    vec![
        gauge("coulomb_store_bytes", "Parquet files on disk.", bytes),
        gauge("coulomb_store_rows", "Rows, in files and in memory.", rows),
        gauge("coulomb_store_files", "Parquet files.", files),
        gauge("coulomb_store_hot_rows", "Rows in memory.", hot),
        counter("coulomb_store_log_syncs_total", "Syncs of the log.", one(&counters.log_syncs)),
        counter("coulomb_store_log_bytes_total", "Bytes written to the log.", one(&counters.log_bytes)),
        counter("coulomb_store_flushes_total", "Flushes to Parquet.", one(&counters.flushes)),
        counter("coulomb_store_flush_failures_total", "Flushes that failed.", one(&counters.flush_failures)),
        counter("coulomb_store_merges_total", "Merges of small files.", one(&counters.merges)),
        counter("coulomb_store_merge_failures_total", "Merges that failed.", one(&counters.merge_failures)),
        gauge("coulomb_store_log_torn_bytes", "Cut from the log's end by the last start.", found(damage.torn_bytes)),
        gauge("coulomb_store_log_damaged_ranges", "Set aside by the last start.", found(damage.corrupt_ranges)),
        gauge("coulomb_store_log_damaged_bytes", "Likewise, in bytes.", found(damage.corrupt_bytes)),
    ]
}
