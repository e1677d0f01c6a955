"""Spans of OpenTelemetry made of what was recorded, sent by its exporter. Runs on the thread of the recorder only."""

import hashlib

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

VERSION = "0.1.0"
# The caller does not wait for it.
TIMEOUT_SECONDS = 20
# Their time is told apart within a step, and is the job's own outside of one.
PHASES = {"step", "initialization", "data_loading", "checkpoint_save", "checkpoint_restore", "evaluation", "communication"}
_NO_INSTRUMENTATION = "suppress_instrumentation"


def _as(kind, value):
    """None where the caller gave something else."""
    try:
        return None if value is None else kind(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


class Exporter:
    def __init__(self, settings):
        self.settings = settings
        self.described = None
        self.resource = None
        self.scope = InstrumentationScope("coulomb", VERSION)
        self.exporter = OTLPSpanExporter(
            endpoint=settings["address"],
            headers=settings["headers"] or None,
            timeout=TIMEOUT_SECONDS,
            compression=Compression.Gzip,
        )
        own = settings["resource"]
        whose = "/".join(str(own.get(f"coulomb.{name}", "")) for name in ("cluster", "job_id", "run"))
        self.whose = whose.encode()
        self.traces = {}

    def send(self, records, described, dropped):
        """Whether the server has them."""
        if self.described != described:
            self.described = described
            self.resource = Resource.create({**self.settings["resource"], **described})
        spans = [self._span(record) for record in records]
        if dropped > 0:
            spans[0]._attributes = {**spans[0].attributes, "coulomb.dropped": dropped}
        # Programs that trace their own requests should not trace these.
        token = context.attach(context.set_value(_NO_INSTRUMENTATION, True))
        try:
            return self.exporter.export(spans) is SpanExportResult.SUCCESS
        finally:
            context.detach(token)

    def close(self):
        self.exporter.shutdown()

    def _trace(self, step):
        """All ranks have the same trace of a step, without asking each other."""
        known = self.traces.get(step)
        if known is None:
            digest = hashlib.blake2b(self.whose + f"/{step}".encode(), digest_size=16).digest()
            known = int.from_bytes(digest, "big") or 1
            if len(self.traces) > 1000:
                self.traces.clear()
            self.traces[step] = known
        return known

    def _span(self, record):
        name, step, tokens, flops, span, parent, overlaps, started_at, took, error = record
        trace = self._trace(step)
        sampled = TraceFlags(TraceFlags.SAMPLED)
        attributes = {"coulomb.phase": name if name in PHASES else "other"}
        numbers = (("coulomb.step", _as(int, step)), ("coulomb.tokens", _as(int, tokens)), ("coulomb.flops", _as(float, flops)))
        attributes.update({key: value for key, value in numbers if value is not None})
        if overlaps:
            attributes["coulomb.overlaps"] = True
        status, events = Status(StatusCode.UNSET), ()
        if error is not None:
            kind, message = error
            status = Status(StatusCode.ERROR, message)
            attributes["error.type"] = kind
            events = (Event("exception", {"exception.type": kind, "exception.message": message}, started_at + took),)
        return ReadableSpan(
            name=str(name),
            context=SpanContext(trace, span, False, sampled),
            parent=SpanContext(trace, parent, False, sampled) if parent else None,
            resource=self.resource,
            attributes=attributes,
            events=events,
            kind=SpanKind.INTERNAL,
            status=status,
            start_time=started_at,
            end_time=started_at + took,
            instrumentation_scope=self.scope,
        )
