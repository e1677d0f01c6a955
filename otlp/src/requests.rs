//! Inference requests, as the spans of the gen_ai conventions tell of them.
//!
//! **Invariant:** nothing is guessed. A span whose token counts are not known is no request; what else it does not
//! say is null.

use crate::columns::Columns;
use crate::origin::{Origin, find};
use crate::proto::attribute::AnyValue;
use crate::proto::trace::{Span, SpanKind, StatusCode};
use crate::spans::{Checked, seconds};
use crate::value::{integer, number, text};

/// Operations that are one request to a model; agents and tools make several of them.
const OPERATIONS: [&str; 4] = ["chat", "text_completion", "generate_content", EMBEDDINGS];
/// It generates no tokens.
const EMBEDDINGS: &str = "embeddings";

/// The current name first, then those that older or other senders use.
const OPERATION: &[&str] = &["gen_ai.operation.name"];
const MODEL: &[&str] = &["gen_ai.response.model", "gen_ai.request.model"];
const INPUT: &[&str] = &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
const OUTPUT: &[&str] = &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"];
const CACHED: &[&str] = &["gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"];
const FIRST_TOKEN: &[&str] = &["gen_ai.response.time_to_first_chunk", "gen_ai.latency.time_to_first_token"];
const QUEUE: &[&str] = &["coulomb.queue_seconds", "gen_ai.latency.time_in_queue"];
const TENANT: &[&str] = &["coulomb.tenant"];
const USER: &[&str] = &["coulomb.user", "enduser.id", "user.id"];
const ERROR: &[&str] = &["error.type"];
/// An event at the first token, for who does not know the time when the span is made.
const FIRST_TOKEN_EVENT: &str = "coulomb.first_token";

/// What SDKs write for a service without a name.
const UNKNOWN_SERVICE: &str = "unknown_service";
const UNKNOWN_MODEL: &str = "unknown";

/// A row, if the span is a request.
pub(crate) fn row(columns: &mut Columns, origin: &Origin<'_>, span: &Span, checked: &Checked) {
    let own = |names| find(&span.attributes, names);
    // Who asks may be said of a process as a whole, too.
    let anywhere = |names| own(names).or_else(|| find(origin.attributes, names));
    let Some((input, output)) = tokens(span) else { return };
    let model = text(own(MODEL)).filter(|name| !name.is_empty());
    columns
        .time("time", checked.start.micros)
        .text("service", origin.service.as_deref().unwrap_or(UNKNOWN_SERVICE))
        .text("model", model.as_deref().unwrap_or(UNKNOWN_MODEL))
        .text("tenant", named(anywhere(TENANT)).as_deref())
        .text("user", named(anywhere(USER)).as_deref())
        .int("input_tokens", input)
        .int("cached_tokens", count(own(CACHED)))
        .int("output_tokens", output)
        .float("queue_seconds", positive(own(QUEUE)))
        .float("time_to_first_token_seconds", first_token(span))
        .float("duration_seconds", seconds(checked.duration_nanos))
        .text("status", status(span).as_str())
        .end_row();
}

/// Tokens of the prompt and of the answer of a request to a model.
fn tokens(span: &Span) -> Option<(i64, i64)> {
    if ![SpanKind::Client as i32, SpanKind::Server as i32].contains(&span.kind) {
        return None;
    }
    let own = |names| find(&span.attributes, names);
    // Servers of models that came before the attribute leave it out.
    let operation = text(own(OPERATION));
    if operation.as_ref().is_some_and(|name| !OPERATIONS.contains(&name.as_str())) {
        return None;
    }
    let generates = operation.as_deref() != Some(EMBEDDINGS);
    let output = count(own(OUTPUT)).or(if generates { None } else { Some(0) });
    Some((count(own(INPUT))?, output?))
}

fn count(value: Option<&AnyValue>) -> Option<i64> {
    integer(value).filter(|count| *count >= 0)
}

fn positive(value: Option<&AnyValue>) -> Option<f64> {
    number(value).filter(|seconds| *seconds >= 0.0)
}

fn named(value: Option<&AnyValue>) -> Option<String> {
    text(value).filter(|name| !name.is_empty())
}

fn first_token(span: &Span) -> Option<f64> {
    let event = || {
        let first = span.events.iter().find(|event| event.name == FIRST_TOKEN_EVENT)?;
        let after = first.time_unix_nano.checked_sub(span.start_time_unix_nano)?;
        i64::try_from(after).ok().map(seconds)
    };
    positive(find(&span.attributes, FIRST_TOKEN)).or_else(event)
}

/// `ok`, or the kind of error.
fn status(span: &Span) -> String {
    let kind = named(find(&span.attributes, ERROR));
    let is_error = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    kind.unwrap_or_else(|| if is_error { "error" } else { "ok" }.to_owned())
}
