//! Which spans are inference requests.

use super::fixture::*;
use crate::proto::attribute::any_value::Value;
use crate::proto::trace::Event;
use crate::proto::trace::{Span, Status};

fn asked(kind: i32, pairs: Vec<(&str, Value)>) -> Span {
    Span { kind, attributes: attributes(pairs), ..span() }
}

fn requests(span: Span) -> Vec<Row> {
    let rows = kept(&traces(vec![("service.name", text("chat-api")), ("coulomb.tenant", text("acme"))], vec![span]));
    assert_eq!(table(&rows, "spans").len(), 1);
    table(&rows, "inference_requests")
}

fn tokens(input: i64, output: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.usage.input_tokens", Value::IntValue(input)),
        ("gen_ai.usage.output_tokens", Value::IntValue(output)),
    ]
}

#[test]
fn a_span_with_everything_is_a_whole_request() {
    let mut pairs = tokens(100, 20);
    pairs.extend([
        ("gen_ai.request.model", text("asked")),
        ("gen_ai.response.model", text("answered")),
        ("gen_ai.usage.cache_read.input_tokens", Value::IntValue(64)),
        ("gen_ai.response.time_to_first_chunk", Value::DoubleValue(0.25)),
        ("coulomb.queue_seconds", Value::DoubleValue(0.5)),
        ("enduser.id", text("ada")),
    ]);
    let found = requests(asked(2, pairs));
    assert_eq!(found.len(), 1);
    expect(
        &found[0],
        &[
            ("time", "1699999000123456"),
            ("service", "chat-api"),
            ("model", "answered"),
            ("tenant", "acme"),
            ("user", "ada"),
            ("input_tokens", "100"),
            ("cached_tokens", "64"),
            ("output_tokens", "20"),
            ("queue_seconds", "0.5"),
            ("time_to_first_token_seconds", "0.25"),
            ("duration_seconds", "1.500000001"),
            ("status", "ok"),
        ],
    );
}

#[test]
fn what_is_not_said_is_null_and_older_names_count() {
    let older = vec![
        ("gen_ai.usage.prompt_tokens", Value::IntValue(5)),
        ("gen_ai.usage.completion_tokens", text("6")),
        ("gen_ai.latency.time_in_queue", Value::DoubleValue(-1.0)),
    ];
    let found = requests(asked(3, older));
    expect(
        &found[0],
        &[
            ("time", "1699999000123456"),
            ("service", "chat-api"),
            ("model", "unknown"),
            ("tenant", "acme"),
            ("input_tokens", "5"),
            ("output_tokens", "6"),
            ("duration_seconds", "1.500000001"),
            ("status", "ok"),
        ],
    );
}

#[test]
fn only_single_requests_with_known_tokens_are_requests() {
    let with = |name, value| {
        let mut pairs = tokens(1, 2);
        pairs.retain(|(key, _)| *key != name);
        pairs.push((name, value));
        requests(asked(3, pairs)).len()
    };
    assert_eq!(requests(asked(3, tokens(1, 2))).len(), 1);
    for kind in [0, 1, 4, 5, 77] {
        assert_eq!(requests(asked(kind, tokens(1, 2))).len(), 0, "kind {kind}");
    }
    for operation in ["chat", "text_completion", "generate_content", "embeddings"] {
        assert_eq!(with("gen_ai.operation.name", text(operation)), 1, "{operation}");
    }
    for operation in ["invoke_agent", "execute_tool", "create_agent", "other"] {
        assert_eq!(with("gen_ai.operation.name", text(operation)), 0, "{operation}");
    }
    for bad in [text("many"), Value::IntValue(-1), Value::DoubleValue(1.5), Value::DoubleValue(f64::NAN)] {
        assert_eq!(with("gen_ai.usage.input_tokens", bad.clone()), 0, "{bad:?}");
        assert_eq!(with("gen_ai.usage.output_tokens", bad), 0);
    }
    // Embeddings generate nothing.
    let embeddings =
        vec![("gen_ai.operation.name", text("embeddings")), ("gen_ai.usage.input_tokens", Value::IntValue(9))];
    assert_eq!(requests(asked(3, embeddings))[0]["output_tokens"], "0");
}

#[test]
fn errors_have_their_kind_and_first_tokens_may_be_events() {
    let failed = Span { status: Some(Status { code: 2, ..Default::default() }), ..asked(2, tokens(1, 0)) };
    assert_eq!(requests(failed.clone())[0]["status"], "error");
    let mut named = failed;
    named.attributes.extend(attributes(vec![("error.type", text("timeout"))]));
    assert_eq!(requests(named)[0]["status"], "timeout");
    let event =
        |nanos, name: &str| Event { time_unix_nano: START_NANOS + nanos, name: name.to_owned(), ..Default::default() };
    let events = vec![event(1, "other"), event(250_000_000, "coulomb.first_token")];
    let found = requests(Span { events, ..asked(2, tokens(1, 1)) });
    assert_eq!(found[0]["time_to_first_token_seconds"], "0.25");
}
