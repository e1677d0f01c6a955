//! The spans of one step, for a picture of who did what when.

use crate::answers::{JobTrace, TraceSpan};
use crate::query::{Engine, Parameter, QueryError, Rows};
use contract::answers::Range;

/// Bars that can be told apart on a page.
const SPANS_MAX: usize = 400;
const RANKS_MAX: usize = 16;
/// Unless ranks are named: the slowest, and some others to hold them against.
const RANKS_SHOWN: usize = 8;
/// Ranks begin a step within its own length and this.
const SLACK_MICROS: i64 = 1_000_000;
/// Jobs run for less, and their spans are kept with them.
const OF_JOB: &str = "job_id = $1 and (cluster = $2 or cluster is null)";

/// The step, or without one the latest; the ranks, or without any the slowest ones.
pub async fn trace(
    engine: &Engine,
    (cluster, job_id): (&str, &str),
    step: Option<i64>,
    ranks: &[i64],
) -> Result<JobTrace, QueryError> {
    let with = || vec![Parameter::Text(job_id.to_owned()), Parameter::Text(cluster.to_owned())];
    let step = match step {
        Some(step) => Some(step),
        None => {
            let sql = format!("select max(step) from spans where {OF_JOB} and name = 'step'");
            numbers(engine, &sql, with()).await?.first().and_then(|row| row[0])
        }
    };
    let Some(step) = step else { return Ok(JobTrace::default()) };
    let around = format!(
        "select max(step) filter (where step < {step}), min(step) filter (where step > {step}), \
         max(time) filter (where step = {step}), \
         cast(max(duration_seconds) filter (where step = {step}) * 1e6 as bigint) from spans where {OF_JOB} and name = 'step'"
    );
    let around = numbers(engine, &around, with()).await?;
    let [previous_step, next_step, Some(latest), Some(length)] = around.first().copied().unwrap_or_default() else {
        return Ok(JobTrace { step: Some(step), ..JobTrace::default() });
    };
    // Of a step that was computed twice the later one counts.
    let within = format!("{OF_JOB} and step = {step} and time >= $3 and time <= $4");
    let with = || {
        let reach = length.saturating_add(SLACK_MICROS);
        let times = [latest.saturating_sub(reach), latest.saturating_add(reach)];
        with().into_iter().chain(times.map(Parameter::Time)).collect::<Vec<_>>()
    };
    let (chosen, ranks_total) = chosen(engine, &within, with(), ranks).await?;
    let named = match chosen.is_empty() {
        true => "rank is null".to_owned(),
        false => format!("rank in ({})", chosen.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
    };
    let sql = format!(
        "select trace_id, span_id, parent_span_id, name, node, status_message, rank, time, duration_seconds, \
           status_code = 'error', count(*) over () from spans where {within} and {named} \
         order by rank, time, duration_seconds desc limit {SPANS_MAX}"
    );
    let mut trace =
        JobTrace { step: Some(step), previous_step, next_step, ranks: chosen, ranks_total, ..JobTrace::default() };
    add_spans(engine, &sql, with(), &mut trace).await?;
    Ok(trace)
}

/// The ranks of the step that are shown, and how many there are.
async fn chosen(
    engine: &Engine,
    within: &str,
    with: Vec<Parameter>,
    asked: &[i64],
) -> Result<(Vec<i64>, u64), QueryError> {
    let sql = format!(
        "select rank, count(*) over () from (select rank, max(duration_seconds) as seconds from spans \
         where {within} and name = 'step' and rank is not null group by 1) order by seconds desc, rank limit {RANKS_SHOWN}"
    );
    let slowest = numbers(engine, &sql, with).await?;
    let total = slowest.first().and_then(|row| row[1]).unwrap_or_default().unsigned_abs();
    let mut ranks: Vec<i64> = match asked.is_empty() {
        true => slowest.iter().filter_map(|row| row[0]).collect(),
        false => asked.iter().copied().take(RANKS_MAX).collect(),
    };
    ranks.sort_unstable();
    ranks.dedup();
    Ok((ranks, total))
}

async fn add_spans(engine: &Engine, sql: &str, with: Vec<Parameter>, trace: &mut JobTrace) -> Result<(), QueryError> {
    let mut starts = Vec::new();
    let mut total = 0;
    for batch in &engine.sql(sql, with).await?.collect().await? {
        let rows = Rows::new(batch);
        for at in 0..batch.num_rows() {
            let text = |column| rows.text(column, at).map(str::to_owned);
            starts.push(rows.int(7, at).unwrap_or_default());
            total = rows.int(10, at).unwrap_or_default().unsigned_abs();
            trace.spans.push(TraceSpan {
                trace_id: text(0).unwrap_or_default(),
                span_id: text(1).unwrap_or_default(),
                parent_span_id: text(2),
                name: text(3).unwrap_or_default(),
                node: text(4),
                message: text(5).filter(|message| !message.is_empty()),
                rank: rows.int(6, at),
                duration_seconds: rows.float(8, at).unwrap_or_default(),
                is_error: rows.bool(9, at).unwrap_or_default(),
                start_seconds: 0.0,
            });
        }
    }
    let Some(from) = starts.iter().copied().min() else { return Ok(()) };
    let mut to = from;
    for (span, start) in trace.spans.iter_mut().zip(starts) {
        span.start_seconds = (start - from) as f64 / 1e6;
        to = to.max(start.saturating_add((span.duration_seconds * 1e6) as i64));
    }
    trace.range = Range { from_unix_micros: from, to_unix_micros: to };
    trace.spans_left_out = total.saturating_sub(trace.spans.len() as u64);
    Ok(())
}

/// The first columns of each row, as integers or times.
async fn numbers(engine: &Engine, sql: &str, with: Vec<Parameter>) -> Result<Vec<[Option<i64>; 4]>, QueryError> {
    let batches = engine.sql(sql, with).await?.collect().await?;
    let mut all = Vec::new();
    for batch in &batches {
        let (rows, columns) = (Rows::new(batch), batch.num_columns());
        let row = |at| [0, 1, 2, 3].map(|column| (column < columns).then(|| rows.int(column, at)).flatten());
        all.extend((0..batch.num_rows()).map(row));
    }
    Ok(all)
}
