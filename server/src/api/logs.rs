//! Logs: pages of records that pass a filter, and those that come.
//!
//! **Invariant:** a tail ends with its client, and after [`TAIL_LASTS_MAX`] in any case, so that a token that was
//! revoked reads no longer.

use super::error::Refusal;
use super::range::parse_range;
use super::serve::State;
use crate::answers::{LogBucket, LogCounts, LogRecord, LogTailLine, Logs};
use crate::query::{self, LogPart, LogsAsked, log_severity};
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use futures::stream;
use serde::Deserialize;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Records of a page unless it is told.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// A line that says nothing but that the server is there, so that one whose client has left is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// Whoever watches for longer asks again.
const TAIL_LASTS_MAX: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsWindow {
    from: Option<String>,
    to: Option<String>,
    cluster: Option<String>,
    node: Option<String>,
    job: Option<String>,
    service: Option<String>,
    severity: Option<String>,
    #[serde(default)]
    text: String,
    limit: Option<usize>,
    before: Option<String>,
    /// `all` counts every record of the range, however long it takes.
    count: Option<String>,
}

impl LogsWindow {
    fn asked(self, now: i64) -> Result<LogsAsked, Refusal> {
        let range = parse_range(self.from.as_deref(), self.to.as_deref(), now).map_err(Refusal::invalid)?;
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Refusal::invalid(format!(
                "a page has 1 to {LIMIT_MAX} records; use `before` for the next one"
            )));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let counted_rows_max = match self.count.as_deref() {
            None | Some("") => None,
            Some("all") => Some(u64::MAX),
            Some(other) => {
                return Err(Refusal::invalid(format!("count {other:?} is unknown; leave it out, or say `all`")));
            }
        };
        Ok(LogsAsked {
            range,
            cluster: given(self.cluster),
            node: given(self.node),
            job: given(self.job),
            service: given(self.service),
            severity: given(self.severity).map(|name| log_severity(&name)).transpose()?,
            text: self.text,
            limit,
            before: given(self.before).map(|text| text.parse()).transpose().map_err(Refusal::invalid)?,
            counted_rows_max,
        })
    }
}

/// `GET /api/v1/logs`.
pub(super) async fn logs(asked: web::Query<LogsWindow>, state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    let asked = asked.into_inner().asked((state.clock)())?;
    let begin = asked.range.from_unix_micros;
    let started = std::time::Instant::now();
    let running = state.metrics.start_query();
    let found = state.engine.logs(asked).await;
    drop(running);
    state.metrics.count_query(started.elapsed().as_secs_f64(), found.is_ok());
    let found = found?;
    Ok(HttpResponse::Ok().json(Logs {
        records: found.records.into_iter().map(record).collect(),
        before: found.before.map(|before| before.to_string()),
        counts: found.counts.map(|counts| LogCounts {
            from_unix_micros: counts.from_unix_micros,
            complete: counts.from_unix_micros <= begin,
            bucket_seconds: counts.bucket_seconds,
            buckets: counts.buckets.into_iter().map(bucket).collect(),
            total: counts.total,
        }),
    }))
}

fn bucket(of: query::LogBucket) -> LogBucket {
    LogBucket { time_unix_micros: of.time_unix_micros, counts: of.counts }
}

fn record(of: query::LogRecord) -> LogRecord {
    LogRecord {
        time_unix_micros: of.time_unix_micros,
        time_nanos: of.time_nanos,
        severity_number: of.severity_number,
        severity: of.severity,
        body: of.body,
        service: of.service,
        scope_name: of.scope_name,
        trace_id: of.trace_id,
        span_id: of.span_id,
        cluster: of.cluster,
        node: of.node,
        job_id: of.job_id,
        resource: of.resource.into_iter().collect(),
        attributes: of.attributes.into_iter().collect(),
    }
}

/// `GET /api/v1/logs/tail`: a line of JSON for each record that comes.
pub(super) async fn tail(asked: web::Query<LogsWindow>, state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    let tail = state.engine.follow_logs(&asked.into_inner().asked((state.clock)())?)?;
    let until = Instant::now() + TAIL_LASTS_MAX;
    let lines = stream::unfold(tail, move |mut tail| async move {
        if Instant::now() >= until {
            return None;
        }
        let bytes = match timeout(ALIVE_EVERY, tail.next()).await {
            Ok(part) => lines(part?),
            Err(_) => line(&LogTailLine::default()),
        };
        Some((Ok::<_, io::Error>(Bytes::from(bytes)), tail))
    });
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-ndjson").insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.insert_header(header::ContentEncoding::Identity).streaming(lines))
}

fn lines(part: LogPart) -> String {
    match part {
        LogPart::Records(records) => {
            let each = |of| line(&LogTailLine { record: Some(record(of)), missed: None });
            records.into_iter().map(each).collect()
        }
        LogPart::Missed(missed) => line(&LogTailLine { record: None, missed: Some(missed) }),
    }
}

fn line(of: &LogTailLine) -> String {
    serde_json::to_string(of).expect("texts and numbers are JSON") + "\n"
}
