"""KEDA's side of an external scaler: grpcio against a real server, with messages built from their field numbers.

Usage: scaler.py FLIGHT_URL WANTED VIEWER_TOKEN WRITER_TOKEN
"""

import sys
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ADDRESS = sys.argv[1].removeprefix("grpc://")
WANTED, VIEWER, WRITER = int(sys.argv[2]), sys.argv[3], sys.argv[4]
METRIC = "coulomb-replicas-wanted"

FIELD = descriptor_pb2.FieldDescriptorProto
# Name, number, type, whether it is repeated, and the message's name where it is one.
MESSAGES = {
    "ScaledObjectRef": [
        ("name", 1, FIELD.TYPE_STRING, False, None),
        ("namespace", 2, FIELD.TYPE_STRING, False, None),
        ("scalerMetadata", 3, FIELD.TYPE_MESSAGE, True, "ScaledObjectRef.ScalerMetadataEntry"),
    ],
    "IsActiveResponse": [("result", 1, FIELD.TYPE_BOOL, False, None)],
    "GetMetricSpecResponse": [("metricSpecs", 1, FIELD.TYPE_MESSAGE, True, "MetricSpec")],
    "MetricSpec": [
        ("metricName", 1, FIELD.TYPE_STRING, False, None),
        ("targetSize", 2, FIELD.TYPE_INT64, False, None),
        ("targetSizeFloat", 3, FIELD.TYPE_DOUBLE, False, None),
    ],
    "GetMetricsRequest": [
        ("scaledObjectRef", 1, FIELD.TYPE_MESSAGE, False, "ScaledObjectRef"),
        ("metricName", 2, FIELD.TYPE_STRING, False, None),
    ],
    "GetMetricsResponse": [("metricValues", 1, FIELD.TYPE_MESSAGE, True, "MetricValue")],
    "MetricValue": [
        ("metricName", 1, FIELD.TYPE_STRING, False, None),
        ("metricValue", 2, FIELD.TYPE_INT64, False, None),
        ("metricValueFloat", 3, FIELD.TYPE_DOUBLE, False, None),
    ],
}


def add_field(message, name, number, kind, repeated, of):
    field = message.field.add(name=name, number=number, type=kind)
    field.label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
    if of:
        field.type_name = f".externalscaler.{of}"


def classes():
    file = descriptor_pb2.FileDescriptorProto(name="scaler.proto", package="externalscaler", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            add_field(message, *field)
        if name == "ScaledObjectRef":
            entry = message.nested_type.add(name="ScalerMetadataEntry")
            entry.options.map_entry = True
            add_field(entry, "key", 1, FIELD.TYPE_STRING, False, None)
            add_field(entry, "value", 2, FIELD.TYPE_STRING, False, None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"externalscaler.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(of) for name, of in found.items()}


M = classes()


def object_of(**metadata):
    return M["ScaledObjectRef"](name="chat", namespace="inference", scalerMetadata=metadata)


class Scaler(unittest.TestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(ADDRESS)
        self.addCleanup(self.channel.close)

    def call(self, method, request, answer, token=None):
        call = self.channel.unary_unary(
            f"/externalscaler.ExternalScaler/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=M[answer].FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        return call(request, timeout=10, metadata=metadata)

    def refused(self, code, *arguments, **options):
        with self.assertRaises(grpc.RpcError) as raised:
            self.call(*arguments, **options)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())

    def test_what_keda_asks_in_its_order(self):
        for metadata in ({"token": VIEWER}, {"tokenFromEnv": VIEWER}):
            scaled = object_of(service="chat", scalerAddress=ADDRESS, **metadata)
            spec = self.call("GetMetricSpec", scaled, "GetMetricSpecResponse").metricSpecs
            self.assertEqual([(one.metricName, one.targetSize, one.targetSizeFloat) for one in spec], [(METRIC, 1, 1.0)])
            asked = M["GetMetricsRequest"](scaledObjectRef=scaled, metricName=METRIC)
            values = self.call("GetMetrics", asked, "GetMetricsResponse").metricValues
            self.assertEqual([(one.metricName, one.metricValue, one.metricValueFloat) for one in values], [(METRIC, WANTED, WANTED)])
            self.assertTrue(self.call("IsActive", scaled, "IsActiveResponse").result)

    def test_a_push_scaler_is_told_at_once(self):
        follow = self.channel.unary_stream(
            "/externalscaler.ExternalScaler/StreamIsActive",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=M["IsActiveResponse"].FromString,
        )
        stream = follow(object_of(service="chat", token=VIEWER), timeout=10)
        self.assertTrue(next(stream).result)
        stream.cancel()
        with self.assertRaises(grpc.RpcError) as raised:
            next(follow(object_of(service="chat", token="wrong"), timeout=10))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)

    def test_nobody_is_told_without_a_token_that_may_read(self):
        answer = "IsActiveResponse"
        self.refused(grpc.StatusCode.UNAUTHENTICATED, "IsActive", object_of(service="chat"), answer)
        self.refused(grpc.StatusCode.UNAUTHENTICATED, "IsActive", object_of(service="chat", token="wrong"), answer)
        self.refused(grpc.StatusCode.PERMISSION_DENIED, "IsActive", object_of(service="chat", token=WRITER), answer)
        self.assertTrue(self.call("IsActive", object_of(service="chat"), answer, token=VIEWER).result)

    def test_what_is_not_known_scales_nothing(self):
        unknown = object_of(service="nobody", token=VIEWER)
        self.refused(grpc.StatusCode.UNAVAILABLE, "IsActive", unknown, "IsActiveResponse")
        asked = M["GetMetricsRequest"](scaledObjectRef=unknown, metricName=METRIC)
        self.refused(grpc.StatusCode.UNAVAILABLE, "GetMetrics", asked, "GetMetricsResponse")
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, "GetMetricSpec", object_of(token=VIEWER), "GetMetricSpecResponse")
        self.refused(grpc.StatusCode.UNIMPLEMENTED, "StreamMetricSpec", object_of(token=VIEWER), "GetMetricSpecResponse")

    def test_bytes_that_are_no_message_are_refused(self):
        call = self.channel.unary_unary("/externalscaler.ExternalScaler/IsActive")
        with self.assertRaises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff", timeout=10)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        with self.assertRaises(grpc.RpcError) as raised:
            call(b"\x0a" + b"\xff" * 70_000, timeout=10)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.OUT_OF_RANGE)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
