//! Rows of `spans`, and of `inference_requests` where a span tells of one.

use crate::columns::{Columns, pairs};
use crate::instant::Instant;
use crate::origin::{Origin, given, scope_name};
use crate::proto::trace::{Event, ExportTraceServiceRequest, Link, Span, SpanKind, StatusCode};
use crate::rejected::Rejected;
use crate::rows::Rows;
use crate::{requests, value};
use std::fmt::Write;

const NANOS_PER_SECOND: f64 = 1e9;
pub(crate) const TRACE_ID_BYTES: usize = 16;
pub(crate) const SPAN_ID_BYTES: usize = 8;

/// Times and ids of a span that can be kept.
pub(crate) struct Checked {
    pub start: Instant,
    pub duration_nanos: i64,
}

pub(crate) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_SECOND
}

pub(crate) fn rows(request: &ExportTraceServiceRequest, now_micros: i64) -> Rows {
    let (mut spans, mut asked) = (Columns::new("spans"), Columns::new("inference_requests"));
    let (mut kept, mut rejected) = (0, Rejected::default());
    for group in &request.resource_spans {
        let origin = Origin::of(group.resource.as_ref());
        for scope in &group.scope_spans {
            let scope_name = scope_name(scope.scope.as_ref());
            for span in &scope.spans {
                match check(span, now_micros) {
                    Ok(checked) => {
                        row(&mut spans, &origin, scope_name, span, &checked);
                        requests::row(&mut asked, &origin, span, &checked);
                        kept += 1;
                    }
                    Err(reason) => rejected.add(reason),
                }
            }
        }
    }
    Rows { kept, rejected, tables: spans.finish().into_iter().chain(asked.finish()).collect() }
}

/// Whether an id has its length, and is not the one that means none.
pub(crate) fn is_id(id: &[u8], bytes: usize) -> bool {
    id.len() == bytes && id.iter().any(|byte| *byte != 0)
}

fn check(span: &Span, now_micros: i64) -> Result<Checked, &'static str> {
    if !is_id(&span.trace_id, TRACE_ID_BYTES) {
        return Err("its trace id is not 16 bytes, or all of them are zero");
    }
    if !is_id(&span.span_id, SPAN_ID_BYTES) {
        return Err("its span id is not 8 bytes, or all of them are zero");
    }
    if ![0, SPAN_ID_BYTES].contains(&span.parent_span_id.len()) {
        return Err("its parent's span id is not 8 bytes");
    }
    let start = Instant::required(span.start_time_unix_nano, now_micros)?;
    let duration = match span.end_time_unix_nano {
        0 => return Err("it has no end"),
        end => end.checked_sub(span.start_time_unix_nano).ok_or("it ends before it starts")?,
    };
    let duration_nanos = i64::try_from(duration).map_err(|_| "it lasts for longer than 292 years")?;
    Ok(Checked { start, duration_nanos })
}

fn row(columns: &mut Columns, origin: &Origin<'_>, scope: Option<&str>, span: &Span, checked: &Checked) {
    let lifted = origin.lifted(&span.attributes);
    let attributes = value::texts(&span.attributes);
    let parent = is_id(&span.parent_span_id, SPAN_ID_BYTES).then(|| value::hex(&span.parent_span_id));
    let status = span.status.clone().unwrap_or_default();
    columns
        .time("time", checked.start.micros)
        .int("time_nanos", checked.start.nanos)
        .text("trace_id", value::hex(&span.trace_id).as_str())
        .text("span_id", value::hex(&span.span_id).as_str())
        .text("parent_span_id", parent.as_deref())
        .text("trace_state", given(&span.trace_state))
        .text("name", span.name.as_str())
        .text("kind", kind(span.kind))
        .float("duration_seconds", seconds(checked.duration_nanos))
        .int("duration_nanos", checked.duration_nanos)
        .text("status_code", status_code(status.code))
        .text("status_message", given(&status.message))
        .text("service", origin.service.as_deref())
        .text("scope_name", scope)
        .map("resource", pairs(&origin.texts))
        .map("attributes", pairs(&attributes))
        .text("events", list(&span.events, write_event).as_deref())
        .text("links", list(&span.links, write_link).as_deref())
        .text("cluster", lifted.cluster.as_deref())
        .text("node", lifted.node.as_deref())
        .text("job_id", lifted.job_id.as_deref())
        .int("rank", lifted.rank)
        .int("step", lifted.step)
        .end_row();
}

fn kind(number: i32) -> &'static str {
    // A kind that is newer than this program is none that it knows.
    match SpanKind::try_from(number).unwrap_or_default() {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn status_code(number: i32) -> &'static str {
    match StatusCode::try_from(number).unwrap_or_default() {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}

/// A list of JSON; none for an empty one.
fn list<T>(items: &[T], write_item: fn(&T, &mut String)) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let mut json = String::from("[");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        write_item(item, &mut json);
    }
    json.push(']');
    Some(json)
}

/// Nanoseconds are a number of JSON: all its digits are there, whoever reads them as a float has microseconds.
fn write_event(event: &Event, out: &mut String) {
    write!(out, "{{\"time_unix_nanos\":{},\"name\":", event.time_unix_nano).expect("a string takes all text");
    value::write_text(&event.name, out);
    out.push_str(",\"attributes\":");
    value::write_object(&event.attributes, out);
    out.push('}');
}

fn write_link(link: &Link, out: &mut String) {
    let (trace, span) = (value::hex(&link.trace_id), value::hex(&link.span_id));
    write!(out, "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"").expect("a string takes all text");
    if let Some(state) = given(&link.trace_state) {
        out.push_str(",\"trace_state\":");
        value::write_text(state, out);
    }
    out.push_str(",\"attributes\":");
    value::write_object(&link.attributes, out);
    out.push('}');
}
