//! The same rows in every form.

use super::fixture::{Fixture, Got, device_events};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use serde_json::json;
use std::time::Duration;

const SQL: &str = "select 7 as n, cast(null as bigint) as nothing, 'a,b' as text, 0.5 as half, \
                   timestamp '2023-11-14T22:13:20Z' as at, interval '90 seconds' as span";

fn rows(server: &Fixture, sql: &str, accept: &str) -> Got {
    let answer = server.sql(sql).with("Accept", accept).send();
    assert_eq!(answer.status, 200, "{accept}: {}", answer.text());
    answer
}

#[test]
fn json_has_columns_rows_and_their_count() {
    let server = Fixture::start();
    let answer = rows(&server, SQL, "application/json").json();
    assert_eq!(answer["rows"], json!([[7, null, "a,b", 0.5, "2023-11-14T22:13:20.000000Z", "PT1M30S"]]));
    assert_eq!(answer["row_count"], 1);
    let types: Vec<_> = answer["columns"].as_array().unwrap().iter().map(|c| c["type"].clone()).collect();
    assert_eq!(types, ["int64", "int64", "string", "float64", "timestamp", "interval"]);
    let empty = rows(&server, "select 1 as n where false", "application/json").json();
    assert_eq!(empty, json!({ "columns": [{ "name": "n", "type": "int64" }], "rows": [], "row_count": 0 }));
}

#[test]
fn csv_has_a_header_and_quotes() {
    let server = Fixture::start();
    let answer = rows(&server, SQL, "text/csv");
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let expected = "n,nothing,text,half,at,span\n7,,\"a,b\",0.5,2023-11-14T22:13:20.000000Z,PT1M30S\n";
    assert_eq!(answer.text(), expected);
}

#[test]
fn arrow_and_parquet_hold_the_same_batches() {
    let server = Fixture::start();
    assert_eq!(server.ingest("device_events", 1, device_events(5)).send().status, 200);
    let sql = "select time, node, message, code from device_events order by time";
    let stream = rows(&server, sql, contract::ARROW_STREAM_MIME);
    let reader = StreamReader::try_new(stream.body.as_slice(), None).unwrap();
    let from_arrow: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(from_arrow.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    let file = rows(&server, sql, "application/vnd.apache.parquet");
    assert!(file.body.starts_with(b"PAR1") && file.body.ends_with(b"PAR1"));
    let mut parts = crate::store::ParquetParts::new(&from_arrow[0].schema()).unwrap();
    let mut expected: Vec<u8> = from_arrow.iter().flat_map(|batch| parts.write(batch).unwrap()).collect();
    expected.extend(parts.end().unwrap());
    assert_eq!(file.body, expected);
}

#[test]
fn what_a_form_has_no_words_for_is_text_or_null_and_never_wrong() {
    let server = Fixture::start();
    let parquet = "application/vnd.apache.parquet";
    assert!(rows(&server, SQL, parquet).body.ends_with(b"PAR1"));
    let nested = server.sql("select [interval '1 day'] as spans").with("Accept", parquet).send();
    assert_eq!((nested.status, nested.error_kind().as_str()), (400, "invalid"), "{}", nested.text());
    for seconds in ["9223372036854775807", "9000000000000"] {
        let sql = format!("select arrow_cast({seconds}, 'Timestamp(Second, None)') as at");
        assert_eq!(rows(&server, &sql, "application/json").json()["rows"], json!([[null]]), "{seconds}");
    }
    let sql = "select * from (values (null), (1), (null)) t(n)";
    assert_eq!(rows(&server, sql, "text/csv").text(), "n\n\"\"\n1\n\"\"\n");
}

#[test]
fn a_long_answer_streams_whole() {
    let server = Fixture::start();
    let sql = "select value from generate_series(1, 400000)";
    let answer = rows(&server, sql, "text/csv");
    assert_eq!(answer.text().lines().count(), 400_001);
    let answer = rows(&server, sql, "application/json").json();
    assert_eq!((answer["row_count"].clone(), answer["rows"][399_999][0].clone()), (json!(400_000), json!(400_000)));
    let answer = rows(&server, sql, contract::ARROW_STREAM_MIME);
    let sum = StreamReader::try_new(answer.body.as_slice(), None)
        .unwrap()
        .map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>());
    assert_eq!(sum.sum::<i64>(), 400_000 * 400_001 / 2);
}

#[test]
fn limits_and_unknown_forms_are_refused() {
    let server = Fixture::start();
    let heavy = server.sql("select array_length(array_agg(value)) from generate_series(1, 100000000)").send();
    assert_eq!((heavy.status, heavy.error_kind().as_str()), (422, "limit"), "{}", heavy.text());
    let form = server.sql("select 1").with("Accept", "text/html").send();
    assert_eq!(form.status, 406, "{}", form.text());
    assert!(form.json()["error"]["known"].as_array().unwrap().contains(&json!("text/csv")));
}

/// Whoever reads it must not take the part for the whole.
#[test]
fn an_answer_that_fails_after_its_first_part_breaks_off() {
    let server = Fixture::start();
    for accept in ["application/json", "text/csv", contract::ARROW_STREAM_MIME, "application/vnd.apache.parquet"] {
        let asked = server
            .sql("select value, random() a, random() b, random() c from generate_series(1, 5000000)")
            .with("Accept", accept);
        assert!(asked.try_send().is_err(), "{accept} came to a good end");
    }
}

#[test]
fn an_asker_that_hangs_up_ends_its_query() {
    let server = Fixture::start();
    let running = || {
        let metrics = server.ask("GET", "/metrics").send().text();
        let line = metrics.lines().find(|l| l.starts_with("coulomb_queries_running ")).unwrap().to_owned();
        line.ends_with(" 1")
    };
    let sql = "select sum(a.value * b.value) from generate_series(1, 3000000) a, generate_series(1, 3000000) b";
    let connection = server.sql(sql).send_without_reading();
    let wait_until = |wanted: bool| {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            running() == wanted
        })
    };
    assert!(wait_until(true), "the query did not start");
    drop(connection);
    assert!(wait_until(false), "the query went on without its asker");
}

#[test]
fn parameters_fill_the_placeholders() {
    let server = Fixture::start();
    let body = json!({ "sql": "select $1 as a, $2 as b, $3 as c", "parameters": [5, "x'; drop", 2.5] });
    let answer = server.ask("POST", "/api/v1/query").json(&body).send();
    assert_eq!(answer.json()["rows"], json!([[5, "x'; drop", 2.5]]), "{}", answer.text());
    let body = json!({ "sql": "select 1", "parameters": [[1]] });
    assert_eq!(server.ask("POST", "/api/v1/query").json(&body).send().status, 400);
}

#[test]
fn json_is_compressed_on_request_and_arrow_is_not() {
    let server = Fixture::start();
    let sql = "select value from generate_series(1, 5000)";
    let answer = server.sql(sql).with("Accept-Encoding", "gzip").send();
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.body.len() < 25_000, "{} bytes", answer.body.len());
    let answer = server.sql(sql).with("Accept-Encoding", "gzip").with("Accept", contract::ARROW_STREAM_MIME).send();
    assert!(matches!(answer.header("content-encoding"), None | Some("identity")));
    assert!(StreamReader::try_new(answer.body.as_slice(), None).is_ok());
}
