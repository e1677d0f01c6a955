//! How a trace goes on from one program in another, by the header `traceparent` of W3C.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header that carries it.
const HEADER: &str = "traceparent";

/// One header, read or written.
#[derive(Default)]
struct Carried(Option<String>);

impl Extractor for Carried {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == HEADER)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        if key == HEADER {
            self.0 = Some(value);
        }
    }
}

/// Makes `span`, which has not begun, part of the trace that the header of its request names. Any text is taken: one
/// that names no trace changes nothing.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if !span.is_disabled() {
        let carried = Carried(Some(traceparent.to_owned()));
        // Without an exporter there is no trace that could be continued.
        drop(span.set_parent(TraceContextPropagator::new().extract(&carried)));
    }
}

/// The header with which another program goes on with the trace of `span`; nothing where no spans are made.
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let mut carried = Carried::default();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carried);
    carried.0
}
