//! The HTTP of Prometheus: parameters, envelope, status codes. What queries mean is tested in the query room.

use super::fixture::{Asked, Fixture, NOW, to_stream};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use serde_json::{Value, json};
use std::sync::Arc;

const FORM: &str = "application/x-www-form-urlencoded";

/// A minute of one host, every ten seconds until now.
fn with_host() -> Fixture {
    let server = Fixture::start();
    let times = (0..6).map(|i| NOW - (5 - i) * 10_000_000);
    let float = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value; 6])) };
    let int = |step: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..6).map(|i| i * step))) };
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; 6])) };
    let rows = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef),
        ("interval_seconds", float(10.0)),
        ("cluster", text("c")),
        ("node", text("n \"1\"")),
        ("cpu_busy_ratio", float(0.25)),
        ("load_1m", float(0.5)),
        ("memory_used_bytes", int(0)),
        ("memory_total_bytes", int(0)),
        ("disk_read_bytes_total", int(1000)),
        ("disk_write_bytes_total", int(0)),
        ("network_receive_bytes_total", int(0)),
        ("network_transmit_bytes_total", int(0)),
    ]);
    let kept = server.ingest("host_samples", 1, to_stream(&rows.unwrap())).send();
    assert_eq!(kept.json()["accepted"], 6, "{}", kept.text());
    server
}

fn data(asked: Asked) -> Value {
    let answer = asked.send();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["status"], "success");
    body["data"].clone()
}

#[test]
fn queries_come_in_the_address_or_as_a_form() {
    let server = with_host();
    let labels = json!({ "__name__": "coulomb_host_load_1m", "cluster": "c", "node": "n \"1\"" });
    let vector = json!({ "resultType": "vector", "result": [{ "metric": labels, "value": [1_700_000_000, "0.5"] }] });
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/query?query=coulomb_host_load_1m")), vector);
    let form =
        server.ask("POST", "/prometheus/api/v1/query?time=0").body("time=1700000000&query=coulomb_host_load_1m", FORM);
    assert_eq!(data(form), vector, "the form comes first");
    let range = "query=rate(coulomb_host_disk_read_bytes_total[30s])&start=2023-11-14T22%3A13%3A15.5Z&end=1700000000&step=4500ms";
    let matrix = data(server.ask("POST", "/prometheus/api/v1/query_range").body(range, FORM));
    let values = json!([[1_699_999_995.5, "100"], [1_700_000_000, "100"]]);
    let found = &matrix["result"][0];
    assert_eq!((&matrix["resultType"], &found["values"]), (&json!("matrix"), &values));
    assert_eq!(found["metric"], json!({ "cluster": "c", "node": "n \"1\"" }));
    let infinite = data(server.ask("GET", "/prometheus/api/v1/query?query=coulomb_host_load_1m/0"));
    assert_eq!(infinite["result"][0]["value"][1], "+Inf");
    let text = data(server.ask("GET", "/prometheus/api/v1/query?query=%22a%5C%22b%22&time=1.5"));
    assert_eq!(text, json!({ "resultType": "string", "result": [1.5, "a\"b"] }));
    let scalar = data(server.ask("GET", "/prometheus/api/v1/query?query=0/0&time=1"));
    assert_eq!(scalar, json!({ "resultType": "scalar", "result": [1, "NaN"] }));
    let samples = data(server.ask("GET", "/prometheus/api/v1/query?query=coulomb_host_load_1m[15s]"));
    assert_eq!(samples["result"][0]["values"], json!([[1_699_999_990, "0.5"], [1_700_000_000, "0.5"]]));
}

#[test]
fn listings_are_cut_at_their_limit_with_a_warning() {
    let server = with_host();
    let names = data(server.ask("GET", "/prometheus/api/v1/label/__name__/values"));
    assert_eq!(names.as_array().unwrap().len(), 9);
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/label/node/values")), json!(["n \"1\""]));
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/label/node/values?end=1699999000")), json!([]));
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/labels")), json!(["__name__", "cluster", "node"]));
    let of_one = server.ask("POST", "/prometheus/api/v1/labels").body("match[]=coulomb_host_load_1m", FORM);
    assert_eq!(data(of_one), json!(["__name__", "cluster", "node"]));
    let series = server.ask("GET", "/prometheus/api/v1/series?match[]=%7Bcluster%3D%22c%22%7D&limit=2").send().json();
    assert_eq!(series["data"].as_array().unwrap().len(), 2);
    assert_eq!(series["warnings"], json!(["results truncated due to limit"]));
    let query = server.ask("GET", "/prometheus/api/v1/query?query=%7Bcluster%3D%22c%22%7D&limit=1").send().json();
    assert_eq!((query["data"]["result"].as_array().unwrap().len(), query["warnings"].is_array()), (1, true));
    let one = data(server.ask("GET", "/prometheus/api/v1/metadata?metric=coulomb_host_disk_read_bytes_total"));
    let known = json!([{ "type": "counter", "help": "Bytes read from block devices since boot", "unit": "bytes" }]);
    assert_eq!(one, json!({ "coulomb_host_disk_read_bytes_total": known }));
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/status/buildinfo"))["version"], "2.42.0");
    let rules = data(server.ask("GET", "/prometheus/api/v1/rules"));
    let groups = rules["groups"].as_array().unwrap().iter();
    let names: Vec<&str> = groups.map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["collection", "hardware", "jobs", "money"], "the shipped texts");
    assert_eq!(rules["groups"][1]["rules"][0]["type"], "alerting");
    assert_eq!(data(server.ask("GET", "/prometheus/api/v1/alerts")), json!({ "alerts": [] }));
    assert_eq!(data(server.ask("POST", "/prometheus/api/v1/query_exemplars")), json!([]));
}

#[test]
fn refusals_have_the_envelope_and_the_documented_codes() {
    let server = with_host();
    let get = |rest: &str| server.ask("GET", &format!("/prometheus/api/v1/{rest}"));
    let twice = "%7Bcluster%3D%22c%22%7D%20*%202";
    for (asked, status, kind, part) in [
        (get("query?query=sum("), 400, "bad_data", "invalid parameter \"query\": parse error"),
        (get("query"), 400, "bad_data", "invalid parameter \"query\""),
        (get("query?query=1&time=soon"), 400, "bad_data", "invalid parameter \"time\": cannot parse \"soon\""),
        (get("query?query=1&timeout=soon"), 400, "bad_data", "invalid parameter \"timeout\""),
        (get("query?query=1&limit=-1"), 400, "bad_data", "invalid parameter \"limit\""),
        (get("query?query=limitk(1,x)"), 400, "bad_data", "limitk is not supported"),
        (get("query_range?query=1&end=1&step=1"), 400, "bad_data", "invalid parameter \"start\""),
        (get("query_range?query=1&start=2&end=1&step=1"), 400, "bad_data", "must not be before start"),
        (get("query_range?query=1&start=1&end=2&step=0"), 400, "bad_data", "zero or negative query resolution"),
        (get("query_range?query=1&start=1&end=2"), 400, "bad_data", "invalid parameter \"step\""),
        (get("query_range?query=1&start=0&end=11001&step=1"), 400, "bad_data", "maximum resolution of 11,000 points"),
        (get("query_range?query=x[5m]&start=0&end=1&step=1"), 400, "bad_data", "invalid expression type"),
        (get(&format!("query?query={twice}")), 422, "execution", "same labelset"),
        (get("query?query=1&timeout=0"), 503, "timeout", "ran longer than"),
        (get("series"), 400, "bad_data", "no match[] parameter provided"),
        (get("series?match[]=1"), 400, "bad_data", "is not a series selector"),
        (get("labels?match[]=%7B"), 400, "bad_data", "invalid parameter \"match[]\""),
        (get("targets"), 404, "not_found", "there is no"),
        (server.ask("DELETE", "/prometheus/api/v1/query"), 405, "bad_data", "use GET or POST"),
        (get("query?query=1").without_token(), 401, "unauthorized", "no valid token"),
        (server.ask("POST", "/prometheus/api/v1/query").body("x".repeat(1 << 20), FORM), 413, "execution", ""),
    ] {
        let answer = asked.send();
        assert_eq!(answer.status, status, "{asked:?}: {}", answer.text());
        let body = answer.json();
        assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!(kind)), "{asked:?}");
        assert!(body["error"].as_str().unwrap().contains(part), "{asked:?}: {body}");
    }
    let last = get("query_range?query=1&start=0&end=10999&step=1");
    assert_eq!(data(last)["result"][0]["values"].as_array().unwrap().len(), 11_000);
}

#[test]
fn a_token_may_be_a_password_here_and_nowhere_else() {
    let server = Fixture::start();
    let (secret, _) = server.token("viewer");
    let encoded = |text: &str| {
        let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
        let bits: String = text.bytes().map(|b| format!("{b:08b}")).collect();
        let groups = bits.as_bytes().chunks(6).map(|six| format!("{:0<6}", String::from_utf8_lossy(six)));
        groups.map(|six| alphabet[usize::from_str_radix(&six, 2).unwrap()]).collect::<String>()
    };
    let basic = |path: &str, password: &str| {
        let value = format!("Basic {}", encoded(&format!("any:{password}")));
        server.ask("GET", path).without_token().with("Authorization", &value).send().status
    };
    assert_eq!(basic("/prometheus/api/v1/query?query=1", &secret), 200);
    assert_eq!(basic("/prometheus/api/v1/query?query=1", "wrong"), 401);
    assert_eq!(basic("/api/v1/status", &secret), 401);
    let (writer, _) = server.token("writer");
    assert_eq!(basic("/prometheus/api/v1/query?query=1", &writer), 403);
}
