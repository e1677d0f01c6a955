//! What was seen in the last minutes of an attempt.

use super::super::causes::Ending;
use super::{Attempt, Job, OF_JOB, Row};
use crate::answers::TrainingEvidence;
use crate::query::{Parameter, QueryError};

const BEFORE_MICROS: i64 = 600_000_000;
/// Schedulers notice an end a little before what led to it is written down.
const AFTER_MICROS: i64 = 120_000_000;
/// Exceptions that follow each other this closely have one cause, the first.
const TOGETHER_MICROS: i64 = 60_000_000;
const OF_EACH_MAX: usize = 5;
/// Of an attempt that are asked about.
const NODES_MAX: usize = 1_000;
/// From here on OpenTelemetry calls it an error.
const SEVERITY_ERROR: i64 = 17;
const TEXT_CHARS_MAX: usize = 400;

struct Seen {
    evidence: TrainingEvidence,
    /// An Xid, or a rank.
    number: Option<i64>,
}

fn seen(row: &Row<'_>, source: &str) -> Seen {
    let text = row.owned(2).unwrap_or_default();
    let evidence = TrainingEvidence {
        time_unix_micros: row.int(0).unwrap_or_default(),
        source: source.to_owned(),
        place: row.owned(1).unwrap_or_default(),
        text: text.chars().take(TEXT_CHARS_MAX).collect(),
    };
    Seen { evidence, number: row.int(3) }
}

pub(in super::super) async fn ending(
    job: &Job<'_>,
    attempt: &Attempt,
    ended_micros: i64,
    was_repeated: bool,
) -> Result<Ending, QueryError> {
    let from_micros = ended_micros.saturating_sub(BEFORE_MICROS).max(attempt.started_micros.unwrap_or(i64::MIN));
    let last = Job { from_micros, to_micros: ended_micros.saturating_add(AFTER_MICROS), ..*job };
    let devices = devices(&last, &attempt.nodes).await?;
    let sql = format!(
        "select time, node, status_message, rank from spans where {OF_JOB} and status_code = 'error' \
         order by time desc limit {OF_EACH_MAX}"
    );
    let spans = last.rows(&sql, |row| seen(row, "spans")).await?;
    let sql = format!(
        "select time, node, body, severity_number from logs where {OF_JOB} and severity_number >= {SEVERITY_ERROR} \
         order by time desc limit {OF_EACH_MAX}"
    );
    let logs = last.rows(&sql, |row| seen(row, "logs")).await?;
    let latest = spans.first().map(|span| span.evidence.time_unix_micros).unwrap_or_default();
    let first = spans.iter().rfind(|span| latest - span.evidence.time_unix_micros <= TOGETHER_MICROS);
    let xids = devices.iter().filter_map(|event| Some((event.number?, event.evidence.place.clone())));
    Ok(Ending {
        state: attempt.state.clone(),
        exit_code: attempt.exit_code,
        was_repeated,
        xids: xids.collect(),
        exception: first.map(|span| (span.number, span.evidence.text.clone())),
        evidence: devices.iter().chain(&spans).chain(&logs).map(|seen| seen.evidence.clone()).collect(),
    })
}

/// Errors of devices that name the job, and of its nodes that name none.
async fn devices(last: &Job<'_>, nodes: &[String]) -> Result<Vec<Seen>, QueryError> {
    let named: Vec<Parameter> = nodes.iter().take(NODES_MAX).map(|node| Parameter::Text(node.clone())).collect();
    let places: Vec<String> = (0..named.len()).map(|at| format!("${}", at + 5)).collect();
    let of_nodes = match places.is_empty() {
        true => String::new(),
        false => format!(" or (job_id is null and node in ({}))", places.join(", ")),
    };
    let sql = format!(
        "select time, node, message, case when kind = 'xid' then code end from device_events \
         where cluster = $2 and (job_id = $1{of_nodes}) and time >= $3 and time < $4 \
           and kind in ('xid', 'lost', 'ecc', 'link') order by time desc limit {OF_EACH_MAX}"
    );
    last.rows_with(&sql, named, |row| seen(row, "device_events")).await
}
