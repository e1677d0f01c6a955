"""DuckDB and chDB on the files of a Delta table, one thread each: the least CPU time of three tries, as JSON.

usage: peers.py TABLE_DIR '[{"duckdb": SQL, "chdb": SQL}, …]', where FILES stands for the files.
"""

import json
import sys
import time

import deltalake
import duckdb

try:
    import chdb.session
except ImportError:
    print("chdb is not installed; only DuckDB is measured", file=sys.stderr)
    chdb = None


def quickest(ask, sql):
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        rows = ask(sql)
        best = min(best, time.process_time() - started)
        assert rows, sql
    return best


def main():
    table, questions = sys.argv[1], json.loads(sys.argv[2])
    files = [uri.removeprefix("file://") for uri in deltalake.DeltaTable(table).file_uris()]
    connection = duckdb.connect()
    connection.execute("set threads = 1; set timezone = 'UTC'")
    in_duckdb = f"read_parquet({files!r}, hive_partitioning = false)"
    engines = {"duckdb": (lambda sql: connection.execute(sql).fetchall(), in_duckdb)}
    if chdb is not None:
        session = chdb.session.Session()
        session.query("set max_threads = 1")
        inside = ",".join(file.removeprefix(f"{table}/") for file in files)
        in_chdb = f"file('{table}/{{{inside}}}', 'Parquet')" if len(files) > 1 else f"file('{files[0]}', 'Parquet')"
        ask = lambda sql: str(session.query(sql + " settings max_threads = 1", "CSV"))
        engines["chdb"] = (ask, in_chdb)
    answers = []
    for question in questions:
        took = {}
        for engine, (ask, source) in engines.items():
            took[engine] = quickest(ask, question[engine].replace("FILES", source))
        answers.append(took)
    json.dump(answers, sys.stdout)


main()
