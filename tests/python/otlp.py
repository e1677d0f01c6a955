"""Real senders of OTLP against a real server: OpenTelemetry's Python SDK over HTTP and gRPC, and what SQL then finds.

Usage: otlp.py HTTP_URL OTLP_GRPC_URL TOKEN WRITER_TOKEN VIEWER_TOKEN [SERVER_URL COLLECTOR_METRICS_URL]

With the last two the addresses before are those of a collector, which sends what it takes to the server.
"""

import gzip
import http.client
import json
import sys
import time
import unittest
import urllib.parse
import urllib.request

import grpc
import opentelemetry.exporter.otlp.proto.grpc._log_exporter as grpc_logs
import opentelemetry.exporter.otlp.proto.grpc.metric_exporter as grpc_metrics
import opentelemetry.exporter.otlp.proto.grpc.trace_exporter as grpc_traces
import opentelemetry.exporter.otlp.proto.http._log_exporter as http_logs
import opentelemetry.exporter.otlp.proto.http.metric_exporter as http_metrics
import opentelemetry.exporter.otlp.proto.http.trace_exporter as http_traces
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

HTTP = urllib.parse.urlparse(sys.argv[1])
GRPC = sys.argv[2].removeprefix("grpc://")
TOKEN, WRITER, VIEWER = sys.argv[3:6]
SERVER = urllib.parse.urlparse(sys.argv[6]) if len(sys.argv) > 6 else HTTP
COLLECTOR = sys.argv[7] if len(sys.argv) > 7 else None
MIB = 1 << 20
BODY_BYTES_MAX = (16 if COLLECTOR else 64) * MIB


def settle():
    """Waits until the collector has sent what it has answered for."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        if b"\ncoulomb_collector_spool_rows 0\n" in opener.open(COLLECTOR, timeout=60).read():
            return
        time.sleep(0.1)
    raise AssertionError("the collector does not send its rows")


def sql(text):
    if COLLECTOR:
        settle()
    connection = http.client.HTTPConnection(SERVER.hostname, SERVER.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/query", json.dumps({"sql": text}), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, body
    return body["rows"]


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def over_http(module, name, path, compression):
    exporter = getattr(module, name)
    return exporter(endpoint=f"{sys.argv[1]}{path}", headers=bearer(WRITER), compression=compression)


def over_grpc(module, name, compression):
    exporter = getattr(module, name)
    return exporter(endpoint=GRPC, insecure=True, headers=bearer(WRITER), compression=compression)


# A way to the server: exporters of traces, logs and metrics.
def ways():
    for label, compression in [("http", Compression.NoCompression), ("http-gzip", Compression.Gzip)]:
        yield label, (
            over_http(http_traces, "OTLPSpanExporter", "/v1/traces", compression),
            over_http(http_logs, "OTLPLogExporter", "/v1/logs", compression),
            over_http(http_metrics, "OTLPMetricExporter", "/v1/metrics", compression),
        )
    for label, compression in [("grpc", grpc.Compression.NoCompression), ("grpc-gzip", grpc.Compression.Gzip)]:
        yield label, (
            over_grpc(grpc_traces, "OTLPSpanExporter", compression),
            over_grpc(grpc_logs, "OTLPLogExporter", compression),
            over_grpc(grpc_metrics, "OTLPMetricExporter", compression),
        )


def resource(label):
    attributes = {
        "service.name": f"train-{label}",
        "service.instance.id": "i-1",
        "coulomb.cluster": "blue",
        "host.name": "n1",
        "slurm.job_id": 4711,
        "coulomb.rank": 3,
    }
    return Resource(attributes)


class Senders(unittest.TestCase):
    maxDiff = None

    def test_spans(self):
        for label, (exporter, _, _) in ways():
            provider = TracerProvider(resource=resource(label))
            provider.add_span_processor(BatchSpanProcessor(exporter))
            tracer = provider.get_tracer("scope", "1.0")
            start = time.time_ns() - 10_000_000_000
            parent = tracer.start_span("step", start_time=start, attributes={"coulomb.step": 42, "sizes": [1, 2]})
            context = set_span_in_context(parent)
            link = Link(parent.get_span_context(), {"why": "same"})
            child = tracer.start_span("chat m", context, SpanKind.CLIENT, links=[link], start_time=start + 1_001)
            child.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "m",
                    "gen_ai.response.model": "m-1",
                    "gen_ai.usage.input_tokens": 1000,
                    "gen_ai.usage.output_tokens": 200,
                    "gen_ai.usage.cache_read.input_tokens": 640,
                    "coulomb.tenant": "acme",
                    "enduser.id": "ada",
                }
            )
            child.add_event("coulomb.first_token", {"n": 1}, timestamp=start + 1_001 + 250_000_000)
            child.set_status(Status(StatusCode.ERROR, "late"))
            child.end(start + 1_001 + 2_000_000_000)
            parent.end(start + 3_000_000_007)
            self.assertTrue(provider.force_flush())
            provider.shutdown()

            ids = parent.get_span_context(), child.get_span_context()
            trace, span, inner = f"{ids[0].trace_id:032x}", f"{ids[0].span_id:016x}", f"{ids[1].span_id:016x}"
            rows = sql(
                f"""SELECT span_id, parent_span_id, trace_id, name, kind, status_code, status_message, duration_nanos,
                    CAST(date_part('epoch', time) * 1000000 AS BIGINT), time_nanos, cluster, node, job_id, rank, step,
                    scope_name, map_extract(attributes, 'sizes')[1]
                    FROM spans WHERE service = 'train-{label}' ORDER BY time"""
            )
            common = ["blue", "n1", "4711", 3]
            micros, nanos = divmod(start, 1000)
            late, late_nanos = divmod(start + 1_001, 1000)
            first = [span, None, trace, "step", "internal", "unset", None, 3_000_000_007, micros, nanos, *common, 42]
            second = [inner, span, trace, "chat m", "client", "error", "late", 2_000_000_000, late, late_nanos]
            # A float of seconds has microseconds, give or take one.
            for row, exact in zip(rows, [micros, late]):
                self.assertAlmostEqual(row[8], exact, delta=2)
                row[8] = exact
            self.assertEqual(rows, [[*first, "scope", "[1,2]"], [*second, *common, None, "scope", None]], label)
            [[events, links]] = sql(f"SELECT events, links FROM spans WHERE span_id = '{inner}'")
            event = {"time_unix_nanos": start + 250_001_001, "name": "coulomb.first_token", "attributes": {"n": 1}}
            self.assertEqual(json.loads(events), [event])
            linked = {"trace_id": trace, "span_id": span, "attributes": {"why": "same"}}
            self.assertEqual(json.loads(links), [linked])
            asked = sql(
                f"""SELECT model, tenant, "user", input_tokens, cached_tokens, output_tokens, queue_seconds,
                    time_to_first_token_seconds, duration_seconds, status
                    FROM inference_requests WHERE service = 'train-{label}'"""
            )
            self.assertEqual(asked, [["m-1", "acme", "ada", 1000, 640, 200, None, 0.25, 2.0, "error"]], label)

    def test_logs(self):
        for label, (_, exporter, _) in ways():
            provider = LoggerProvider(resource=resource(label))
            provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
            logger = provider.get_logger("scope")
            now = time.time_ns()
            for number in range(3):
                logger.emit(
                    LogRecord(
                        timestamp=now - number,
                        observed_timestamp=now,
                        severity_number=SeverityNumber.WARN,
                        severity_text="WARN",
                        body={"loss": 1.5} if number == 2 else f"line {number}",
                        attributes={"n": number},
                    )
                )
            self.assertTrue(provider.force_flush())
            provider.shutdown()
            rows = sql(
                f"""SELECT body, severity_number, severity, map_extract(attributes, 'n')[1], cluster, job_id
                    FROM logs WHERE service = 'train-{label}' ORDER BY 4"""
            )
            bodies = ["line 0", "line 1", '{"loss":1.5}']
            self.assertEqual(rows, [[body, 13, "WARN", str(n), "blue", "4711"] for n, body in enumerate(bodies)], label)

    def test_metrics(self):
        for label, (_, _, exporter) in ways():
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            exponential = View(
                instrument_type=Histogram, instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation()
            )
            provider = MeterProvider([reader], resource=resource(label), views=[exponential])
            meter = provider.get_meter("scope")
            meter.create_counter("tokens", unit="{token}").add(7, {"kind": "in"})
            meter.create_up_down_counter("queue").add(-2)
            meter.create_gauge("hw.gpu.utilization", unit="1").set(0.75, {"hw.id": "GPU-1"})
            coarse = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.5, 1.0])
            fine = meter.create_histogram("fine", unit="s")
            for value in [0.25, 0.75, 0.75, 9.0]:
                coarse.record(value)
                fine.record(value)
            self.assertTrue(provider.force_flush())
            provider.shutdown()
            where = f"FROM metrics WHERE service = 'train-{label}'"
            # The shutdown sends a second time; cumulative points are the same then.
            rows = sql(f"SELECT DISTINCT name, unit, kind, value, cluster, node, job_id {where} ORDER BY name")
            common = ["blue", "n1", "4711"]
            expected = [
                ["fine", "s", "histogram", None, *common],
                ["hw.gpu.utilization", "1", "gauge", 0.75, *common],
                ["latency", "s", "histogram", None, *common],
                ["queue", "", "sum", -2.0, *common],
                ["tokens", "{token}", "sum", 7.0, *common],
            ]
            self.assertEqual(rows, expected, label)
            [[count, total, bounds, counts]] = sql(
                f"""SELECT DISTINCT histogram_count, histogram_sum, array_to_string(histogram_bounds, ' '),
                    array_to_string(histogram_counts, ' ') {where} AND name = 'latency'"""
            )
            self.assertEqual((count, total, [float(b) for b in bounds.split()], counts), (4, 10.75, [0.5, 1.0], "1 2 1"))
            # However fine the buckets are, each bound has what lies below it.
            [[count, bounds, counts]] = sql(
                f"""SELECT DISTINCT histogram_count, array_to_string(histogram_bounds, ' '),
                    array_to_string(histogram_counts, ' ') {where} AND name = 'fine'"""
            )
            bounds, counts = [float(b) for b in bounds.split()], [int(c) for c in counts.split()]
            self.assertEqual((count, sum(counts), len(counts)), (4, 4, len(bounds) + 1))
            below = lambda value: sum(c for c, bound in zip(counts, bounds) if bound <= value)
            self.assertEqual([below(v) for v in (0.2, 0.3, 0.7, 0.8, 8.9, 9.2)], [0, 1, 1, 3, 3, 4])
            [[tags]] = sql(f"SELECT DISTINCT map_extract(attributes, 'hw.id')[1] {where} AND name = 'hw.gpu.utilization'")
            self.assertEqual(tags, "GPU-1")


def call(body, token=WRITER, method="Export", compression=None, metadata=()):
    """One raw call; gives the code, the details and the answer."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(GRPC, options=options) as channel:
        path = f"/opentelemetry.proto.collector.trace.v1.TraceService/{method}"
        export = channel.unary_unary(path, request_serializer=lambda b: b, response_deserializer=lambda b: b)
        tokens = [("authorization", f"Bearer {token}")] if token else []
        try:
            answer = export(body, metadata=[*tokens, *metadata], compression=compression, timeout=60)
            return grpc.StatusCode.OK, "", answer
        except grpc.RpcError as error:
            return error.code(), error.details(), dict(error.trailing_metadata() or ())


class Statuses(unittest.TestCase):
    """The codes that the standard asks for."""

    def test_good_and_partial(self):
        self.assertEqual(call(b""), (grpc.StatusCode.OK, "", b""))
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        good = spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="mixed", start_time_unix_nano=5, end_time_unix_nano=6)
        spans.add(trace_id=b"\1", span_id=b"\2" * 8, name="mixed", start_time_unix_nano=5, end_time_unix_nano=6)
        ahead = time.time_ns() + 2 * 3600 * 10**9
        spans.add(trace_id=good.trace_id, span_id=good.span_id, start_time_unix_nano=ahead, end_time_unix_nano=ahead)
        for compression in [grpc.Compression.NoCompression, grpc.Compression.Gzip]:
            code, _, answer = call(request.SerializeToString(), compression=compression)
            self.assertEqual(code, grpc.StatusCode.OK)
            partial = ExportTraceServiceResponse.FromString(answer).partial_success
            self.assertEqual(partial.rejected_spans, 2)
            self.assertIn("trace id", partial.error_message)
            self.assertIn("an hour ahead", partial.error_message)
        self.assertEqual(sql("SELECT count(*) FROM spans WHERE name = 'mixed'"), [[2]])

    def test_refusals(self):
        for body, keywords, expected in [
            (b"", {"token": None}, grpc.StatusCode.UNAUTHENTICATED),
            (b"", {"token": "nobody"}, grpc.StatusCode.UNAUTHENTICATED),
            # A collector has one token, and no roles.
            (b"", {"token": VIEWER}, grpc.StatusCode.UNAUTHENTICATED if COLLECTOR else grpc.StatusCode.PERMISSION_DENIED),
            (b"", {"method": "Import"}, grpc.StatusCode.UNIMPLEMENTED),
            (b"no message", {}, grpc.StatusCode.INVALID_ARGUMENT),
            (b"\x0a\xff", {}, grpc.StatusCode.INVALID_ARGUMENT),
            (bytes(BODY_BYTES_MAX + 1), {}, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (bytes(BODY_BYTES_MAX + 1), {"compression": grpc.Compression.Gzip}, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (b"", {"compression": grpc.Compression.Deflate}, grpc.StatusCode.UNIMPLEMENTED),
        ]:
            with self.subTest(keywords=keywords, bytes=len(body)):
                code, details, metadata = call(body, **keywords)
                self.assertEqual(code, expected, details)
                self.assertTrue(details)

    def test_http_answers_in_kind(self):
        connection = http.client.HTTPConnection(HTTP.hostname, HTTP.port, timeout=60)
        headers = {**bearer(WRITER), "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        connection.request("POST", "/v1/traces", gzip.compress(b""), headers)
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.read()), (200, b""))
        self.assertEqual(answer.headers["Content-Type"], "application/x-protobuf")
        connection.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
