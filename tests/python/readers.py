"""Foreign readers of the Delta tables: deltalake says which files there are, DuckDB reads them, and both agree
with the server's SQL to the row. From a bucket deltalake reads them, and DuckDB gets what it read.

Usage: readers.py URL TOKEN TABLES [S3_ENDPOINT]
"""

import http.client
import json
import sys
import urllib.parse

import deltalake
import duckdb

URL = urllib.parse.urlparse(sys.argv[1])
TOKEN, TABLES = sys.argv[2:4]
OPTIONS = None
if len(sys.argv) > 4:
    OPTIONS = {"AWS_ENDPOINT_URL": sys.argv[4], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    OPTIONS |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
# Each row of an answer stands for a group of rows of the table; integers and times, which have one sum.
QUESTIONS = {
    "gpu_samples": """SELECT gpu_uuid, count(*), min(epoch_us(time)), max(epoch_us(time)), sum(memory_used_bytes),
        count(job_id), max(energy_joules_total) FROM gpu_samples GROUP BY gpu_uuid ORDER BY gpu_uuid""",
    "host_samples": """SELECT node, count(*), min(epoch_us(time)), max(epoch_us(time)), sum(memory_used_bytes)
        FROM host_samples GROUP BY node ORDER BY node""",
    "job_events": """SELECT kind, count(*), min(epoch_us(time)), max(epoch_us(time)), sum(gpus_requested)
        FROM job_events GROUP BY kind ORDER BY kind""",
    "device_events": """SELECT kind, count(*), min(epoch_us(time)), max(epoch_us(time)), sum(code)
        FROM device_events GROUP BY kind ORDER BY kind""",
}


def server(sql):
    connection = http.client.HTTPConnection(URL.hostname, URL.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Accept": "application/json"}
    connection.request("POST", "/api/v1/query", json.dumps({"sql": sql}), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, text
    return [list(row) for row in json.loads(text)["rows"]]


merges = 0
for table, question in QUESTIONS.items():
    delta = deltalake.DeltaTable(f"{TABLES}/{table}", storage_options=OPTIONS)
    merges += sum(version["operation"] == "OPTIMIZE" for version in delta.history())
    files = delta.file_uris()
    foreign = duckdb.connect()
    foreign.execute("SET TimeZone = 'UTC'")
    if OPTIONS:
        foreign.register(table, delta.to_pyarrow_table())
    else:
        foreign.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)")
    found = [list(row) for row in foreign.execute(question).fetchall()]
    expected = server(question.replace("epoch_us(time)", "cast(time as bigint)"))
    assert found and len(found) == len(expected), f"{table}: {len(found)} groups, the server has {len(expected)}"
    for theirs, ours in zip(found, expected):
        assert list(theirs) == ours, f"{table}: DuckDB says {theirs}, the server {ours}"
    counted = sum(row[1] for row in found)
    assert delta.count() == counted, f"{table}: deltalake says {delta.count()} rows, DuckDB {counted}"
    print(f"{table}: {counted} rows in {len(files)} files, version {delta.version()}", file=sys.stderr)
assert merges > 0, "no version is a merge, so none was read"
print("OK", file=sys.stderr)
