"""A plain pyarrow client against a real server: what it sends and what must come back.

Usage: wire.py URL TOKEN PID FIRST_SEQUENCE; the sequence of the second run tells it that the server was restarted.
"""

import datetime
import http.client
import json
import struct
import sys
import unittest
import urllib.parse

import pyarrow as pa

URL = urllib.parse.urlparse(sys.argv[1])
TOKEN, PID, RESTARTED = sys.argv[2], int(sys.argv[3]), sys.argv[4] == "restarted"
MIB = 1 << 20
# What a refused body may leave behind: its own few KB, a thread's stack, the allocator's rounding.
RESIDENT_GROWTH_MAX = 6 * MIB
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
TIME = pa.timestamp("us", tz="UTC")


def rows(count=3, **columns):
    """A table of good gpu_samples with some columns changed; None takes a column away."""
    base = {
        "time": pa.array([NOW] * count, TIME),
        "interval_seconds": pa.array([10.0] * count),
        "cluster": pa.array(["wire"] * count),
        "node": pa.array(["n1"] * count),
        "gpu_uuid": pa.array([f"GPU-{n}" for n in range(count)]),
        "gpu_index": pa.array(list(range(count)), pa.int64()),
        "gpu_model": pa.array(["H200"] * count),
        "power_watts": pa.array([100.0] * count),
    }
    base.update(columns)
    return pa.table({name: column for name, column in base.items() if column is not None})


def stream(table, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def ask(method, path, body=b"", headers=()):
    connection = http.client.HTTPConnection(URL.hostname, URL.port, timeout=60)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **dict(headers)})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
    finally:
        connection.close()


def post(body, writer, sequence=1, table="gpu_samples", headers=()):
    headers = {
        "Content-Type": "application/vnd.apache.arrow.stream",
        "Coulomb-Writer": f"{writer}/7a1f2c52-0000-4000-8000-000000000000",
        "Coulomb-Sequence": str(sequence),
        **dict(headers),
    }
    return ask("POST", f"/v1/ingest/{table}", body, headers)


def count(where):
    sql = json.dumps({"sql": f"SELECT count(*) FROM gpu_samples WHERE {where}"})
    status, answer = ask("POST", "/api/v1/query", sql, {"Content-Type": "application/json", "Accept": "text/csv"})
    assert status == 200, answer
    return int(str(answer).split()[1])


def resident_bytes():
    with open(f"/proc/{PID}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


class Good(unittest.TestCase):
    """Each uses a node of its own, so that its rows can be counted whatever else is there."""

    def kept(self, node, table, compression=None):
        table = table.set_column(table.schema.get_field_index("node"), "node", pa.array([node] * table.num_rows))
        body = stream(table, compression)
        status, answer = post(body, node)
        if RESTARTED:
            self.assertEqual((status, answer), (200, {"accepted": 0, "duplicate": True, "rejected": [], "rejected_rows": 0}))
        else:
            self.assertEqual((status, answer), (200, {"accepted": table.num_rows, "duplicate": False, "rejected": [], "rejected_rows": 0}))
        status, again = post(body, node)
        self.assertEqual((status, again), (200, {"accepted": 0, "duplicate": True, "rejected": [], "rejected_rows": 0}))
        self.assertEqual(count(f"node = '{node}'"), table.num_rows)

    def test_plain(self):
        self.kept("plain", rows())

    def test_compressed(self):
        for codec in ("zstd", "lz4"):
            self.kept(codec, rows(1000, power_watts=pa.array([float(n) for n in range(1000)])), codec)

    def test_dictionaries_and_narrow_or_wide_integers(self):
        narrow = {
            "gpu_uuid": pa.array(["GPU-a", "GPU-b", "GPU-a"]).dictionary_encode(),
            "cluster": pa.array(["wire"] * 3, pa.large_string()),
            "gpu_index": pa.array([3, 4, 255], pa.uint8()),
            "memory_used_bytes": pa.array([1, None, 1 << 40], pa.uint64()),
            "interval_seconds": pa.array([10] * 3, pa.int64()),
        }
        self.kept("narrow", rows(**narrow))

    def test_times_without_zone_and_in_other_units(self):
        self.kept("naive", rows(time=pa.array([NOW.replace(tzinfo=None)] * 3, pa.timestamp("us"))))
        self.kept("nanos", rows(time=pa.array([NOW] * 3, pa.timestamp("ns", tz="UTC"))))
        self.kept("seconds", rows(time=pa.array([NOW] * 3, pa.timestamp("s", tz="UTC"))))

    def test_any_past_time(self):
        old = datetime.datetime(1971, 1, 1, tzinfo=datetime.timezone.utc)
        self.kept("past", rows(time=pa.array([old] * 3, TIME)))

    def test_a_time_that_no_calendar_names_is_rejected(self):
        # Kept, it would name a folder of the table that no reader understands, the server's next start included.
        times = pa.array([-(1 << 56), 1 << 60, int(NOW.timestamp() * 1e6)], pa.int64()).cast(TIME)
        status, answer = post(stream(rows(time=times, node=pa.array(["calendar"] * 3))), "calendar")
        self.assertEqual(status, 200)
        if not RESTARTED:
            self.assertEqual([(r["row"], r["column"]) for r in answer["rejected"]], [(0, "time"), (1, "time")])
        self.assertEqual(count("node = 'calendar'"), 1)

    def test_empty_stream(self):
        status, answer = post(stream(rows(0)), "empty")
        self.assertEqual((status, answer["accepted"], answer["rejected"]), (200, 0, []))

    def test_rows_from_the_future_are_rejected_and_the_others_kept(self):
        hour = datetime.timedelta(hours=1)
        minute = datetime.timedelta(minutes=1)
        now = datetime.datetime.now(datetime.timezone.utc)
        times = pa.array([now, now + hour + minute, now + hour - minute], TIME)
        status, answer = post(stream(rows(time=times, node=pa.array(["future"] * 3))), "future")
        self.assertEqual(status, 200)
        if not RESTARTED:
            self.assertEqual((answer["accepted"], answer["duplicate"]), (2, False))
            (rejection,) = answer["rejected"]
            self.assertEqual((rejection["row"], rejection["column"]), (1, "time"))
            self.assertIn("ahead", rejection["reason"])
        self.assertEqual(count("node = 'future'"), 2)


class Refused(unittest.TestCase):
    def refused(self, expected_status, body, *words, table="gpu_samples", headers=()):
        before = resident_bytes()
        status, answer = post(body, "refused", 10, table, headers)
        self.assertEqual(status, expected_status, answer)
        error = answer["error"]
        for word in words:
            self.assertIn(word, error["message"])
        grown = resident_bytes() - before
        self.assertLess(grown, RESIDENT_GROWTH_MAX, f"the server grew by {grown} bytes")
        self.assertEqual(count("node = 'refused'"), 0)
        return error

    def table(self, **columns):
        count = len(next((c for c in columns.values() if c is not None), [0] * 3))
        return rows(count, **{"node": pa.array(["refused"] * count), **columns})

    def test_truncated_anywhere(self):
        body = stream(self.table())
        for length in (1, 4, 7, 8, 9, 100, len(body) // 2, len(body) - 9, len(body) - 12):
            self.refused(400, body[:length])

    def test_garbage(self):
        self.refused(400, b"")
        self.refused(400, b"hello, this is not Arrow at all" * 50)
        self.refused(400, bytes(range(256)) * 64)
        self.refused(400, b'{"rows": []}')

    def test_flipped_bytes_never_end_the_server(self):
        body = bytearray(stream(rows()))
        for at in range(0, len(body), 3):
            broken = bytearray(body)
            broken[at] ^= 0xFF
            status, answer = post(bytes(broken), "flipped", at + 1)
            self.assertIn(status, (200, 400, 413, 422), f"byte {at}: {answer}")

    def test_eight_bytes_that_claim_a_gigabyte(self):
        for length in (1 << 30, (1 << 31) - 1, -1, -(1 << 31), 1 << 24):
            self.refused(400, b"\xff\xff\xff\xff" + struct.pack("<i", length))

    def test_a_gigabyte_claimed_inside_a_stream(self):
        good = stream(rows())
        schema_length = 8 + struct.unpack("<i", good[4:8])[0]
        head = good[:schema_length]
        self.refused(400, head + b"\xff\xff\xff\xff" + struct.pack("<i", 1 << 30))
        # The batch's metadata with each of its 64-bit lengths in turn made enormous.
        batch = good[schema_length:]
        metadata_end = 8 + struct.unpack("<i", batch[4:8])[0]
        before = resident_bytes()
        for at in range(8, metadata_end - 8, 4):
            huge = batch[:at] + struct.pack("<q", 1 << 40) + batch[at + 8 :]
            status, answer = post(head + huge, "huge", at)
            self.assertIn(status, (200, 400, 413, 422), f"byte {at}: {answer}")
        self.assertLess(resident_bytes() - before, 2 * RESIDENT_GROWTH_MAX)

    def test_some_kilobytes_that_become_gigabytes(self):
        # One long text that thousands of keys name; the table would hold it as often.
        count, long = 1 << 14, "x" * MIB
        keys = pa.repeat(pa.scalar(0, pa.int8()), count)
        columns = {name: pa.repeat(column[0], count) for name, column in zip(rows(1).column_names, rows(1).columns)}
        columns["node"] = pa.DictionaryArray.from_arrays(keys, pa.array([long], pa.large_string()))
        body = stream(pa.table(columns), "zstd")
        self.assertLess(len(body), MIB)
        self.refused(413, body, "after casting")
        # Millions of rows of nothing.
        nothing = pa.nulls(8 << 20)
        self.refused(413, stream(pa.table({name: nothing for name in rows().column_names})), "after casting")

    def test_a_compressed_column_that_holds_more_than_it_states(self):
        # 64 MiB of zeros as LZ4; the reader would unpack them all before it compares. A size found nowhere else.
        size = 64 * MIB - 0x1238
        power = pa.Array.from_buffers(pa.float64(), size // 8, [None, pa.py_buffer(bytes(size))])
        body = stream(pa.table({"power_watts": power}), "lz4")
        self.assertLess(len(body), MIB)
        honest = struct.pack("<q", size)
        self.assertIn(honest, body)
        self.refused(400, body.replace(honest, struct.pack("<q", 8)), "longer than it states")

    def test_a_body_over_the_limit(self):
        connection = http.client.HTTPConnection(URL.hostname, URL.port, timeout=60)
        connection.putrequest("POST", "/v1/ingest/gpu_samples")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Length", str(8 << 30))
        connection.endheaders()
        # A client that waits for 413 before it sends more may hang up; the server must not have made room.
        before = resident_bytes()
        connection.send(b"\xff" * 65536)
        self.assertLess(resident_bytes() - before, RESIDENT_GROWTH_MAX)
        connection.close()
        status, answer = post(b"\xff" * (65 * MIB), "refused")
        self.assertEqual((status, answer["error"]["kind"]), (413, "limit"))

    def test_wrong_columns(self):
        error = self.refused(422, stream(self.table(colour=pa.array(["red"] * 3))), "colour")
        self.assertTrue(any("power_watts" in name for name in error["known"]), error)
        error = self.refused(422, stream(self.table(gpu_uuid=None)), "gpu_uuid")
        self.assertTrue(any("gpu_uuid" in name for name in error["known"]), error)
        self.refused(422, stream(pa.table({"a": [1]})), "a")

    def test_lossy_types(self):
        self.refused(422, stream(self.table(power_watts=pa.array(["much"] * 3))), "power_watts")
        self.refused(422, stream(self.table(gpu_index=pa.array([1.5, 2.0, 3.0]))), "gpu_index")
        self.refused(422, stream(self.table(memory_used_bytes=pa.array([1, 2, 1 << 63], pa.uint64()))), "memory_used")
        self.refused(422, stream(self.table(time=pa.array([NOW.isoformat()] * 3))), "time")

    def test_unknown_table(self):
        error = self.refused(404, stream(self.table()), "no_such_table", table="no_such_table")
        self.assertIn("gpu_samples", error["known"])

    def test_headers(self):
        body = stream(self.table())
        self.refused(400, body, headers={"Coulomb-Sequence": "seven"})
        self.refused(400, body, headers={"Coulomb-Writer": ""})
        self.refused(401, body, headers={"Authorization": "Bearer wrong"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
