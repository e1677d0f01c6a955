"""Real clients of Flight SQL against a real server: ADBC and pyarrow.flight, and what must come back.

Usage: flight.py HTTP_URL FLIGHT_URL TOKEN WRITER_TOKEN REVOKED_TOKEN PID
"""

import datetime
import decimal
import http.client
import io
import json
import sys
import threading
import time
import unittest
import urllib.parse

import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
from adbc_driver_flightsql import DatabaseOptions, dbapi

HTTP = urllib.parse.urlparse(sys.argv[1])
URL, TOKEN, WRITER, REVOKED, PID = *sys.argv[2:6], int(sys.argv[6])
MIB = 1 << 20
# Batches on their way, the allocator's rounding, and what planning leaves behind.
RESIDENT_GROWTH_MAX = 64 * MIB
# Some rows at once, and then days of work, should nobody stop it.
ENDLESS = """SELECT value FROM generate_series(1, 20000) UNION ALL
    SELECT a.value FROM generate_series(1, 100000000) a, generate_series(1, 1000000) b WHERE a.value * b.value % 7 = 8"""
MILLION = """SELECT value AS n, value * 0.5 AS half, 'node-' || (value % 100) AS node, value % 2 = 0 AS even,
    value + 1 AS a, value + 2 AS b, value + 3 AS c, value + 4 AS d, value + 5 AS e, value + 6 AS f, value + 7 AS g,
    arrow_cast(value, 'Timestamp(Microsecond, Some("UTC"))') AS time FROM generate_series(1, 1000000)"""
# Every type that the engine gives.
QUESTIONS = [
    "SELECT 1 AS one",
    "SELECT * FROM gpu_samples ORDER BY time, gpu_uuid LIMIT 1000",
    "SELECT * FROM job_events ORDER BY time, job_id, kind LIMIT 1000",
    "SELECT * FROM jobs ORDER BY cluster, job_id, attempt",
    "SELECT * FROM gpu_samples WHERE false",
    "SELECT node, count(*) AS rows, avg(power_watts) AS watts FROM gpu_samples GROUP BY node ORDER BY node",
    "SELECT DATE '2026-02-03' AS d, TIMESTAMP '2026-02-03T04:05:06.789012' AS t, INTERVAL '1 month 2 days' AS i",
    "SELECT max(time) - min(time) AS span, now() > min(time) AS past FROM gpu_samples",
    "SELECT arrow_cast('12.34', 'Decimal128(10, 2)') AS money, arrow_cast(5, 'UInt64') AS u, 1.5 AS f",
    "SELECT [1, 2, NULL] AS list, ['a', NULL] AS texts, MAP {'a': 1, 'b': NULL} AS map, struct(1, 'x') AS both",
    "SELECT NULL AS nothing, CAST(NULL AS BIGINT) AS no_number, true AS yes, '' AS empty, 'é€' AS text",
    "SELECT arrow_cast('abc', 'Binary') AS bytes, arrow_cast('x', 'Dictionary(Int32, Utf8)') AS word",
    "SELECT * FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name",
    "DESCRIBE jobs",
    "EXPLAIN SELECT 1",
]


def http_query(sql, accept="application/vnd.apache.arrow.stream", parameters=()):
    connection = http.client.HTTPConnection(HTTP.hostname, HTTP.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Accept": accept}
    connection.request("POST", "/api/v1/query", json.dumps({"sql": sql, "parameters": list(parameters)}), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def http_rows(sql):
    status, body = http_query(sql)
    assert status == 200, body
    return pa.ipc.open_stream(io.BytesIO(body)).read_all()


def http_error(sql):
    status, body = http_query(sql)
    assert status != 200, sql
    return json.loads(body)["error"]["message"]


def connect(**options):
    options = options or {"username": "ada", "password": TOKEN}
    return dbapi.connect(URL, db_kwargs=options, autocommit=True)


def proc(name):
    with open(f"/proc/{PID}/{name}") as file:
        return file.read()


def resident_bytes():
    line = next(line for line in proc("status").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def ticks():
    """Hundredths of seconds that the server has worked so far, on all cores."""
    return sum(int(field) for field in proc("stat").rsplit(")", 1)[1].split()[11:13])


def comes_to(work, within=30):
    """Whether the server works on, or rests but for its small chores, for a second and a half within so many."""
    end, seen = time.monotonic() + within, 0
    while time.monotonic() < end and seen < 3:
        before = ticks()
        time.sleep(0.5)
        seen = seen + 1 if (ticks() - before > 3) == work else 0
    return seen >= 3


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A field of a Protobuf message that holds bytes or text."""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(name, *fields):
    """A Flight SQL message as it travels."""
    return field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}") + field(2, b"".join(fields))


def statement(sql):
    return flight.FlightDescriptor.for_command(message("CommandStatementQuery", field(1, sql)))


class Flight:
    """A plain Flight client with a token."""

    def __init__(self, token=TOKEN):
        self.client = flight.connect(URL.replace("grpc://", "grpc+tcp://"))
        headers = [(b"authorization", f"Bearer {token}".encode())] if token is not None else []
        self.options = flight.FlightCallOptions(headers=headers, timeout=60)

    def info(self, descriptor):
        return self.client.get_flight_info(descriptor, self.options)

    def reader(self, info):
        return self.client.do_get(info.endpoints[0].ticket, self.options)

    def rows(self, descriptor):
        return self.reader(self.info(descriptor)).read_all()

    def metadata(self, name, *fields):
        return self.rows(flight.FlightDescriptor.for_command(message(name, *fields)))

    def act(self, kind, body):
        return [bytes(result.body) for result in self.client.do_action(flight.Action(kind, body), self.options)]


class Connecting(unittest.TestCase):
    def one(self, **options):
        with connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone()

    def test_a_password_is_a_token(self):
        self.assertEqual(self.one(username="ada", password=TOKEN), (1,))
        self.assertEqual(self.one(username="", password=TOKEN), (1,))

    def test_a_header_is_a_token(self):
        self.assertEqual(self.one(**{DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {TOKEN}"}), (1,))

    def test_the_handshake_of_pyarrow(self):
        client = flight.connect(URL.replace("grpc://", "grpc+tcp://"))
        header = client.authenticate_basic_token("ada", TOKEN)
        self.assertEqual(header, (b"authorization", f"Bearer {TOKEN}".encode()))
        with self.assertRaisesRegex(flight.FlightUnauthenticatedError, "no valid token"):
            client.authenticate_basic_token("ada", "wrong")

    def test_tokens_that_do_not_work(self):
        for token in ("wrong", "", REVOKED):
            with self.assertRaisesRegex(adbc_driver_manager.Error, "no valid token"):
                self.one(username="ada", password=token)
            with self.assertRaisesRegex(flight.FlightUnauthenticatedError, "no valid token"):
                Flight(token).rows(statement("SELECT 1"))
        with self.assertRaisesRegex(flight.FlightUnauthenticatedError, "no valid token"):
            Flight(None).rows(statement("SELECT 1"))

    def test_a_token_that_may_only_write_reads_nothing(self):
        client = Flight(WRITER)
        for refused in (
            lambda: client.rows(statement("SELECT 1")),
            lambda: client.metadata("CommandGetTables"),
            lambda: list(client.client.list_flights(b"", client.options)),
            lambda: client.act("CreatePreparedStatement", message("ActionCreatePreparedStatementRequest")),
        ):
            with self.assertRaisesRegex(flight.FlightUnauthorizedError, "a token of role writer may not do this"):
                refused()

    def test_a_ticket_is_worth_nothing_without_a_token(self):
        info = Flight().info(statement("SELECT 1"))
        self.assertEqual(Flight().reader(info).read_all().num_rows, 1)
        for token in (None, REVOKED):
            with self.assertRaises(flight.FlightUnauthenticatedError):
                Flight(token).reader(info).read_all()
        with self.assertRaises(flight.FlightUnauthorizedError):
            Flight(WRITER).reader(info).read_all()


class Asking(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = connect()
        cls.addClassCleanup(cls.connection.close)

    def ask(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetch_arrow_table()

    def test_answers_are_those_of_http(self):
        for sql in QUESTIONS:
            with self.subTest(sql), self.connection.cursor() as cursor:
                expected = http_rows(sql)
                foretold = cursor.adbc_execute_schema(sql)
                rows = self.ask(sql)
                self.assertEqual(rows.to_pylist(), expected.to_pylist())
                self.assertTrue(rows.schema.equals(expected.schema, check_metadata=True), rows.schema)
                self.assertTrue(foretold.equals(rows.schema, check_metadata=True), foretold)
                plain = Flight().rows(statement(sql))
                self.assertTrue(plain.equals(expected), sql)

    def test_values_as_python_has_them(self):
        (row,) = self.ask(
            "SELECT DATE '2026-02-03' AS d, to_timestamp('2026-02-03T04:05:06Z') AS t, "
            "arrow_cast('12.34', 'Decimal128(10, 2)') AS m, [1, NULL] AS l, 2 AS n, 'x' AS s, NULL AS z"
        ).to_pylist()
        self.assertEqual(row["d"], datetime.date(2026, 2, 3))
        self.assertEqual(row["t"].replace(tzinfo=None), datetime.datetime(2026, 2, 3, 4, 5, 6))
        self.assertEqual((row["m"], row["l"], row["n"]), (decimal.Decimal("12.34"), [1, None], 2))
        self.assertEqual((row["s"], row["z"]), ("x", None))

    def test_parameters(self):
        zone = datetime.timezone(datetime.timedelta(hours=2))
        moment = datetime.datetime(2026, 2, 3, 4, 5, 6, 7, zone)
        for sql, parameters, expected in [
            ("SELECT ? AS v", [None], None),
            ("SELECT ? AS v", [True], True),
            ("SELECT $1 AS v", [-(1 << 63)], -(1 << 63)),
            ("SELECT ? + ? AS v", [1, 2.5], 3.5),
            ("SELECT ? || '?' AS v -- ?", ["é"], "é?"),
            ("SELECT CAST($2 AS TEXT) || $1 || $2 AS v", ["a", "b"], "bab"),
            ("SELECT ? AS v", [datetime.date(2026, 2, 3)], datetime.date(2026, 2, 3)),
            ("SELECT ? AS v", [moment], moment),
            ("SELECT CAST(? AS TEXT) AS v", [moment.replace(tzinfo=None)], "2026-02-03T04:05:06.000007Z"),
            ("SELECT count(*) AS v FROM gpu_samples WHERE time >= ? AND node = ?", [moment, "none"], 0),
            ("SELECT count(*) AS v FROM (SELECT * FROM gpu_samples LIMIT ?)", [7], 7),
        ]:
            with self.subTest(sql, parameters=parameters):
                self.assertEqual(self.ask(sql, parameters)["v"].to_pylist(), [expected])
        status, body = http_query("SELECT ? + ? AS v", "text/csv", [1, 2])
        self.assertEqual((status, body), (200, b"v\n3\n"))

    def test_a_statement_is_prepared_once_and_asked_often(self):
        with self.connection.cursor() as cursor:
            for number in range(20):
                cursor.execute("SELECT ? * 2", [number])
                self.assertEqual(cursor.fetchall(), [(2 * number,)])

    def test_parameters_that_do_not_fit(self):
        for sql, parameters, part in [
            ("SELECT ? + ?", [1], "names parameter $2, but 1 are given"),
            ("SELECT 1", [1], "1 parameters are given, but the query uses 0"),
            ("SELECT ?", None, "names parameter $1, but 0 are given"),
            ("SELECT ? + $1", [1], "write $1, $2, … or a ? for each parameter, not both"),
            ("SELECT ?", [decimal.Decimal("1.5")], "parameter 1 is a Decimal"),
            ("SELECT ?", [b"bytes"], "parameter 1 is a Binary"),
            ("SELECT ?", [[1]], "parameter 1 is a List"),
            ("SELECT ?", ["x" * 2 * MIB], "take more than 1048576 bytes"),
            ("SELECT sum(?)", ["x" * 300], "cannot run the query"),
        ]:
            with self.subTest(sql):
                with self.assertRaises(adbc_driver_manager.Error) as raised:
                    self.ask(sql, parameters)
                self.assertIn(part, str(raised.exception))
        with self.connection.cursor() as cursor:
            cursor.adbc_prepare("SELECT ?")
            with self.assertRaisesRegex(adbc_driver_manager.Error, "2 rows of parameters are bound, bind one"):
                cursor.execute("SELECT ?", pa.record_batch({"0": [1, 2]}))

    def test_the_types_of_parameters_are_told(self):
        with self.connection.cursor() as cursor:
            schema = cursor.adbc_prepare("SELECT * FROM gpu_samples WHERE time > ? AND node = ? AND power_watts > ? AND ? IS NULL")
        self.assertEqual(schema.names, ["$1", "$2", "$3", "$4"])
        self.assertTrue(pa.types.is_timestamp(schema.types[0]), schema)
        self.assertEqual(schema.types[2:], [pa.float64(), pa.null()])

    def test_partitions_are_read_elsewhere(self):
        with self.connection.cursor() as cursor:
            partitions, schema = cursor.adbc_execute_partitions("SELECT 7 AS n")
        self.assertEqual(len(partitions), 1)
        with connect() as other, other.cursor() as cursor:
            cursor.adbc_read_partition(partitions[0])
            self.assertEqual(cursor.fetchall(), [(7,)])
        self.assertEqual(schema.names, ["n"])


class Catalog(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = connect()
        cls.addClassCleanup(cls.connection.close)
        cls.tables = {row["table_name"] for row in http_rows("SHOW TABLES").to_pylist() if row["table_schema"] == "public"}

    def test_the_server(self):
        info = self.connection.adbc_get_info()
        self.assertEqual(info["vendor_name"], "Coulomb")
        self.assertRegex(info["vendor_version"], r"^\d+\.\d+\.\d+$")

    def test_objects_at_every_depth(self):
        def objects(depth, **filters):
            return self.connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()

        (catalog,) = objects("catalogs")
        self.assertEqual(catalog["catalog_name"], "coulomb")
        (catalog,) = objects("db_schemas")
        self.assertEqual([schema["db_schema_name"] for schema in catalog["catalog_db_schemas"]], ["public"])
        (catalog,) = objects("tables")
        tables = catalog["catalog_db_schemas"][0]["db_schema_tables"]
        self.assertEqual({table["table_name"]: table["table_type"] for table in tables}["jobs"], "VIEW")
        self.assertEqual({table["table_name"] for table in tables}, self.tables)
        (catalog,) = objects("all", table_name_filter="gpu_samples")
        (table,) = catalog["catalog_db_schemas"][0]["db_schema_tables"]
        columns = {column["column_name"]: column for column in table["table_columns"]}
        self.assertEqual(columns["power_watts"]["xdbc_type_name"], "DOUBLE")
        notes = self.connection.adbc_get_table_schema("gpu_samples").field("power_watts").metadata
        self.assertIn(b"(watts)", notes[b"ARROW:FLIGHT:SQL:REMARKS"])
        self.assertEqual([column["ordinal_position"] for column in table["table_columns"]], list(range(1, 1 + len(columns))))

    def test_a_table_has_the_columns_that_it_answers(self):
        for table in self.tables:
            schema = self.connection.adbc_get_table_schema(table)
            self.assertTrue(schema.equals(http_rows(f"SELECT * FROM {table} LIMIT 0").schema), table)
        with self.assertRaises(adbc_driver_manager.Error):
            self.connection.adbc_get_table_schema("nope")

    def test_table_types(self):
        self.assertEqual(self.connection.adbc_get_table_types(), ["TABLE", "VIEW"])

    def test_filters(self):
        client = Flight()
        named = lambda *fields: client.metadata("CommandGetTables", *fields)["table_name"].to_pylist()
        self.assertEqual(set(named()), self.tables)
        self.assertEqual(named(), sorted(self.tables))
        self.assertEqual(named(field(3, "gpu_samples")), ["gpu_samples"])
        self.assertEqual(named(field(3, "___")), [])
        self.assertEqual(named(field(3, "job_")), ["jobs"])
        self.assertEqual(named(field(3, r"job\_%")), ["job_events"])
        self.assertIn("jobs", named(field(4, "VIEW")))
        self.assertNotIn("gpu_samples", named(field(4, "VIEW")))
        self.assertEqual(named(field(4, "VIEW"), field(4, "TABLE")), sorted(self.tables))
        self.assertEqual(named(field(1, "other")), [])
        self.assertEqual(named(field(1, "coulomb"), field(2, "pub%"), field(3, "%events"), field(4, "TABLE")), ["device_events", "job_events"])
        self.assertEqual(client.metadata("CommandGetDbSchemas", field(2, "x%")).num_rows, 0)
        described = client.metadata("CommandGetTables", field(3, "jobs"), varint(5 << 3) + b"\x01")
        schema = pa.ipc.read_schema(pa.py_buffer(described["table_schema"][0].as_py()))
        self.assertIn("gpu_seconds", schema.names)

    def test_facts_types_and_keys(self):
        client = Flight()
        facts = client.metadata("CommandGetSqlInfo")
        self.assertGreater(facts.num_rows, 80)
        facts = dict(zip(facts["info_name"].to_pylist(), facts["value"].to_pylist()))
        self.assertEqual((facts[0], facts[3], facts[4], facts[8], facts[504]), ("Coulomb", True, True, 0, '"'))
        some = client.metadata("CommandGetSqlInfo", field(1, varint(8) + varint(500)))
        self.assertEqual(some["info_name"].to_pylist(), [8, 500])
        self.assertIn("TIMESTAMP", client.metadata("CommandGetXdbcTypeInfo")["type_name"].to_pylist())
        one = client.metadata("CommandGetXdbcTypeInfo", varint(1 << 3) + varint(12))
        self.assertEqual(one["type_name"].to_pylist(), ["VARCHAR"])
        keys = client.metadata("CommandGetPrimaryKeys", field(3, "jobs"))
        self.assertEqual((keys.num_rows, keys.column_names[3]), (0, "column_name"))
        for name in ("CommandGetExportedKeys", "CommandGetImportedKeys", "CommandGetCrossReference"):
            keys = client.metadata(name)
            self.assertEqual((keys.num_rows, keys.num_columns), (0, 13), name)


class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = connect()
        cls.addClassCleanup(cls.connection.close)

    def refused(self, part, ask):
        with self.assertRaises((adbc_driver_manager.Error, flight.FlightError, pa.ArrowException, NotImplementedError)) as raised:
            ask()
        self.assertIn(part, str(raised.exception))

    def execute(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def test_bad_sql_in_the_words_of_http(self):
        for sql in (
            "SELEC 1",
            "",
            "SELECT 1; SELECT 2",
            "SELECT * FROM nope",
            "DELETE FROM gpu_samples",
            "CREATE TABLE t (a INT)",
            "COPY gpu_samples TO '/tmp/x.csv'",
            "SET time_zone = 'UTC'",
            "SELECT array_agg(value) OVER (ORDER BY value) FROM generate_series(1, 3)",
        ):
            with self.subTest(sql):
                if sql:  # ADBC asks for no query itself
                    self.refused(http_error(sql), lambda: self.execute(sql))
                self.refused(http_error(sql), lambda: Flight().rows(statement(sql)))
        known = 'no column "powr" here; known columns are time, '
        self.refused(known, lambda: self.execute("SELECT powr FROM gpu_samples"))
        # Errors that come while rows do.
        late = "SELECT 1 / (value - 20000) FROM generate_series(1, 30000)"
        self.refused(http_error(late), lambda: self.execute(late))

    def test_too_many_rows(self):
        sql = "SELECT value FROM generate_series(1, 10000001)"
        client = Flight()
        rows = 0

        def read():
            nonlocal rows
            for chunk in client.reader(client.info(statement(sql))):
                rows += chunk.data.num_rows

        self.refused("the answer has more than 10000000 rows; add LIMIT", read)
        self.assertLessEqual(rows, 10_000_000)

    def test_everything_that_writes(self):
        only = "only SELECT, EXPLAIN, SHOW and DESCRIBE are allowed"
        with self.connection.cursor() as cursor:
            self.refused(only, lambda: cursor.executemany("INSERT INTO jobs VALUES (?)", [[1], [2]]))
            self.refused("rows come in through POST /v1/ingest/TABLE only", lambda: cursor.adbc_ingest("t", pa.table({"a": [1]})))
        with self.connection.cursor() as cursor:
            self.refused("Substrait plans are not understood", lambda: cursor.execute(b"plan"))
        client = Flight()
        self.refused("there are no transactions", lambda: client.act("BeginTransaction", message("ActionBeginTransactionRequest")))
        self.refused("there is no action \"Nope\"; known are CreatePreparedStatement", lambda: client.act("Nope", b""))
        self.refused("there is no exchange here", lambda: client.client.do_exchange(statement("SELECT 1"), client.options)[1].read_all())

    def test_bytes_that_mean_nothing(self):
        client = Flight()
        nonsense = "this is not a Flight SQL command"
        self.refused(nonsense, lambda: client.info(flight.FlightDescriptor.for_command(b"\xff" * 100)))
        self.refused(nonsense, lambda: client.client.do_get(flight.Ticket(b"\xff" * 100), client.options).read_all())
        self.refused("not a command that this server knows", lambda: client.metadata("CommandGetNothing"))
        handle = message("CommandPreparedStatementQuery", field(1, b"\xff\xff\xff"))
        self.refused("this handle is none of this server's", lambda: client.rows(flight.FlightDescriptor.for_command(handle)))
        self.refused("the action's body is not the message", lambda: client.act("CreatePreparedStatement", b"\xff"))
        self.refused("at most 1048576", lambda: client.info(statement("x" * 2 * MIB)))
        before = resident_bytes()
        self.refused("", lambda: client.info(statement("x" * 64 * MIB)))
        self.assertLess(resident_bytes() - before, 32 * MIB)
        self.assertEqual(client.rows(statement("SELECT 1")).num_rows, 1)


class Tables(unittest.TestCase):
    """Flight without SQL."""

    def test_flights_are_tables(self):
        client = Flight()
        flights = list(client.client.list_flights(b"", client.options))
        names = [info.descriptor.path[0].decode() for info in flights]
        self.assertIn("gpu_samples", names)
        jobs = flights[names.index("jobs")]
        self.assertTrue(client.reader(jobs).read_all().sort_by("job_id").equals(http_rows("SELECT * FROM jobs ORDER BY job_id")))
        with self.assertRaisesRegex(pa.ArrowException, "flights are the tables"):
            list(client.client.list_flights(b"x", client.options))

    def test_a_path_is_a_table(self):
        client = Flight()
        schema = client.client.get_schema(flight.FlightDescriptor.for_path("jobs"), client.options).schema
        self.assertIn("gpu_seconds", schema.names)
        self.assertEqual(client.rows(flight.FlightDescriptor.for_path("jobs")).schema, schema)
        with self.assertRaisesRegex(pa.ArrowInvalid, "no table \"nope\"; known tables are .*device_events"):
            client.info(flight.FlightDescriptor.for_path("nope"))

    def test_actions_are_listed(self):
        client = Flight()
        kinds = [action.type for action in client.client.list_actions(client.options)]
        self.assertEqual(kinds, ["CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery"])


class Large(unittest.TestCase):
    def test_a_million_rows_take_little_of_the_servers_memory(self):
        client = Flight()
        client.rows(statement("SELECT 1"))
        before, most, rows, size = resident_bytes(), 0, 0, 0
        for chunk in client.reader(client.info(statement(MILLION))):
            rows, size = rows + chunk.data.num_rows, size + chunk.data.nbytes
            most = max(most, resident_bytes())
        self.assertEqual(rows, 1_000_000)
        self.assertGreater(size, 80 * MIB)
        self.assertLess(most - before, RESIDENT_GROWTH_MAX, f"{size} bytes of rows")
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute(MILLION)
            table = cursor.fetch_arrow_table()
        self.assertEqual((table.num_rows, sum(table["n"].to_pylist())), (1_000_000, 500_000_500_000))

    def test_a_client_that_leaves_stops_its_query(self):
        client = Flight()
        reader = client.reader(client.info(statement(ENDLESS)))
        self.assertGreater(reader.read_chunk().data.num_rows, 0)
        self.assertTrue(comes_to(work=True))
        reader.cancel()
        self.assertTrue(comes_to(work=False), "the server still works for a reader that has gone")

    def test_a_cursor_cancels(self):
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            cursor.fetchone()
            self.assertTrue(comes_to(work=True))
            threading.Timer(0.5, cursor.adbc_cancel).start()
            with self.assertRaises((adbc_driver_manager.Error, pa.ArrowException)):
                while True:
                    cursor.fetchmany(100_000)
        self.assertTrue(comes_to(work=False), "the server still works for a cursor that was cancelled")

    def test_an_info_cancels(self):
        client = Flight()
        info = client.info(statement(ENDLESS))
        reader = client.reader(info)
        reader.read_chunk()
        self.assertTrue(comes_to(work=True))
        other = Flight()
        cancel = lambda: other.act("CancelFlightInfo", field(1, info.serialize()))
        self.assertEqual(cancel(), [b"\x08\x01"])
        with self.assertRaisesRegex(flight.FlightCancelledError, "the query was cancelled"):
            while True:
                reader.read_chunk()
        self.assertTrue(comes_to(work=False), "the server still works for an answer that was cancelled")
        self.assertEqual(cancel(), [b"\x08\x03"])
        older = other.act("CancelQuery", message("ActionCancelQueryRequest", field(1, info.serialize())))
        self.assertEqual(older, [message("ActionCancelQueryResult", b"\x08\x03")])

    def test_so_many_answers_and_no_more(self):
        clients = [Flight() for _ in range(3)]
        wide = "SELECT value, value || 'x', value || 'y', value || 'z' FROM generate_series(1, 10000000)"
        readers = []
        for number in range(64):
            client = clients[number % 3]
            readers.append(client.reader(client.info(statement(wide))))
        with self.assertRaisesRegex(flight.FlightUnavailableError, "64 answers are being sent, ask again"):
            Flight().rows(statement("SELECT 1"))
        for reader in readers:
            reader.cancel()
        self.assertTrue(comes_to(work=False))
        self.assertEqual(Flight().rows(statement("SELECT 1")).num_rows, 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
