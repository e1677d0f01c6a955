//! What Coulomb's programs say of themselves: lines of a log, numbers at `/metrics`, and, where an address of OTLP is
//! given, spans and the same numbers as OpenTelemetry has them.
//!
//! Owns the subscriber of `tracing` and the threads that export. Must not know what is counted.
//! **Invariants:** without an address no span is made and nothing leaves the program; a receiver that is down or slow
//! costs what was queued for it, which is bounded, and delays nothing else.

mod client;
mod context;
mod family;

pub use context::{continue_trace, traceparent};
pub use family::{Family, Kind, Line, text};

use client::Client;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::sync::Arc;
use std::time::Duration;
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is queued when the program ends gets this long to leave.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Spans and lines of ours; libraries have their own, which are many.
const OURS: &str = "coulomb";

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log {filter:?} is not a filter: {source}")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("{endpoint:?} is no address that OTLP goes to, as in http://127.0.0.1:4318: {source}")]
    Endpoint { endpoint: String, source: ExporterBuildError },
}

/// Who speaks: the resource of all that is exported.
#[derive(Debug, Clone)]
pub struct Program {
    /// As in `coulomb-collector`.
    pub name: &'static str,
    pub version: &'static str,
    /// The node that it tells of, which tells it from the others; none where there is only one.
    pub node: Option<String>,
}

/// How lines are written to standard error.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    /// As in `warn,coulomb=info`.
    pub filter: &'a str,
    pub has_colours: bool,
    pub names_modules: bool,
}

/// What was started, to be stopped when the program ends.
#[derive(Debug)]
#[must_use = "what is queued for the receiver leaves with `stop`"]
pub struct Telemetry {
    export: Option<Export>,
}

#[derive(Debug)]
struct Export {
    program: Program,
    endpoint: String,
    spans: SdkTracerProvider,
    numbers: Option<SdkMeterProvider>,
}

/// Starts the log, and where there is an `endpoint` the export of spans to it: the base address of OTLP over HTTP.
/// Headers, the time that a request may take and how many spans are sampled are read by OpenTelemetry's SDK from the
/// variables of its specification.
///
/// # Errors
/// When the filter or the address cannot be read.
pub fn start(program: &Program, log: &Log<'_>, endpoint: Option<&str>) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(log.filter)
        .map_err(|source| TelemetryError::Filter { filter: log.filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(log.has_colours)
        .with_target(log.names_modules)
        // Spans are for the export: a line says all that it means.
        .with_filter(filter.and(filter_fn(|what| what.is_event())));
    let export = endpoint.map(|endpoint| Export::start(program, endpoint)).transpose()?;
    let spans = export.as_ref().map(|export| {
        tracing_opentelemetry::layer()
            .with_tracer(export.spans.tracer_with_scope(scope(program)))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_exported))
    });
    tracing_subscriber::registry().with(lines).with(spans).init();
    Ok(Telemetry { export })
}

/// Our spans, and of our lines those that say that something went wrong in one of them.
fn is_exported(what: &Metadata<'_>) -> bool {
    let most = if what.is_span() { tracing::Level::INFO } else { tracing::Level::WARN };
    what.target().starts_with(OURS) && *what.level() <= most
}

fn scope(program: &Program) -> InstrumentationScope {
    InstrumentationScope::builder(program.name).with_version(program.version).build()
}

impl Telemetry {
    /// Exports numbers once a minute (`OTEL_METRIC_EXPORT_INTERVAL` says otherwise): the families that `read` gives
    /// now are read again for each export.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn measure(&mut self, read: impl Fn() -> Vec<Family> + Send + Sync + 'static) -> Result<(), TelemetryError> {
        let Some(export) = &mut self.export else { return Ok(()) };
        let exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_http()
            .with_http_client(Client::new("numbers"))
            .with_endpoint(format!("{}/v1/metrics", export.endpoint))
            .build();
        let exporter = exporter.map_err(|source| refused(&export.endpoint, source))?;
        let provider = SdkMeterProvider::builder()
            .with_periodic_exporter(exporter)
            .with_resource(resource(&export.program))
            .build();
        family::observe(&provider.meter_with_scope(scope(&export.program)), &Arc::new(read));
        export.numbers = Some(provider);
        Ok(())
    }

    /// Sends what is queued, for at most some seconds.
    pub fn stop(self) {
        let Some(Export { spans, numbers, .. }) = self.export else { return };
        let stopped = spans.shutdown_with_timeout(STOP_WITHIN);
        let stopped = stopped.and(numbers.map_or(Ok(()), |numbers| numbers.shutdown_with_timeout(STOP_WITHIN)));
        if let Err(error) = stopped {
            tracing::warn!(%error, "some of the last spans or numbers of this program were not exported");
        }
    }
}

impl Export {
    fn start(program: &Program, endpoint: &str) -> Result<Self, TelemetryError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new("spans"))
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build();
        let exporter = exporter.map_err(|source| refused(&endpoint, source))?;
        let spans = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(program)).build();
        Ok(Self { program: program.clone(), endpoint, spans, numbers: None })
    }
}

fn refused(endpoint: &str, source: ExporterBuildError) -> TelemetryError {
    TelemetryError::Endpoint { endpoint: endpoint.to_owned(), source }
}

fn resource(program: &Program) -> Resource {
    let names = ["host.name", "service.instance.id"];
    let node = program.node.iter().flat_map(|node| names.map(|name| KeyValue::new(name, node.clone())));
    Resource::builder()
        .with_service_name(program.name)
        .with_attribute(KeyValue::new("service.version", program.version))
        .with_attributes(node)
        .build()
}
