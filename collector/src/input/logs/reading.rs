//! A record becomes a row: its time, level, job and attributes, as far as it says them. Pure.

use super::cri;
use super::joined::Record;
use super::level::{self, Level};
use super::rows::LogRow;
use super::time::{self, Now};
use serde_json::{Map, Value};

/// Fields of a structured line that become attributes; a line with more is no message.
const ATTRIBUTES_MAX: usize = 64;
/// Longer values are cut: attributes are to filter by.
const VALUE_BYTES_MAX: usize = 1024;
/// A clock that is further ahead of the reader's is wrong, and a time without its zone may be of another.
const AHEAD_MICROS_MAX: i64 = 60_000_000;

const MESSAGE: [&str; 5] = ["message", "msg", "body", "log", "event"];
const TIME: [&str; 6] = ["time", "timestamp", "ts", "@timestamp", "t", "asctime"];
const LEVEL: [&str; 7] = ["level", "severity", "lvl", "levelname", "log.level", "severity_text", "loglevel"];
const JOB: [&str; 5] = ["job_id", "slurm_job_id", "SLURM_JOB_ID", "jobid", "slurm.job.id"];
const SERVICE: [&str; 2] = ["service.name", "service"];
const SCOPE: [&str; 2] = ["logger", "name"];

/// What is known of a file's records before they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub path: String,
    /// As the file's path names them.
    pub job_id: Option<String>,
    pub rank: Option<String>,
}

pub(super) fn row(record: Record, origin: &Origin, now: Now) -> LogRow {
    let mut row = LogRow {
        time_unix_micros: now.unix_micros,
        observed_unix_micros: now.unix_micros,
        job_id: origin.job_id.clone(),
        ..LogRow::default()
    };
    let mut attribute = |key: &str, value: &str| row.attributes.push((key.to_owned(), value.to_owned()));
    attribute("log.file.path", &origin.path);
    record.stream.inspect(|stream| attribute("log.iostream", stream));
    origin.rank.iter().for_each(|rank| attribute("rank", rank));
    if record.cut > 0 {
        attribute("log.cut_bytes", &record.cut.to_string());
    }
    let runtime_time = record.time.as_deref().and_then(|text| time::of_field(text, now));
    of_pod(&mut row, origin);
    let structured = record.text.starts_with('{').then(|| serde_json::from_str::<Map<String, Value>>(&record.text));
    let said = match structured {
        // A line that only looks like JSON is text.
        Some(Ok(fields)) => of_fields(&mut row, fields, record.text, now),
        _ => of_text(&mut row, record.text, now),
    };
    let plausible = |at: &i64| *at <= now.unix_micros + AHEAD_MICROS_MAX;
    if let Some(at) = said.filter(plausible).or(runtime_time.filter(plausible)) {
        row.time_unix_micros = at;
    }
    row
}

fn of_pod(row: &mut LogRow, origin: &Origin) {
    let Some(pod) = cri::pod_of(&origin.path) else { return };
    // A job of Kubernetes is its namespace and pod.
    row.job_id.get_or_insert_with(|| format!("{}/{}", pod.namespace, pod.pod));
    row.service = Some(pod.container.to_owned());
    let all = [
        ("k8s.namespace.name", pod.namespace),
        ("k8s.pod.name", pod.pod),
        ("k8s.pod.uid", pod.uid),
        ("k8s.container.name", pod.container),
    ];
    row.attributes.extend(all.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

fn of_text(row: &mut LogRow, text: String, now: Now) -> Option<i64> {
    let first = text.lines().next().unwrap_or_default();
    let at = time::of_text(first, now);
    // A traceback that nobody has logged is an error all the same.
    let level = level::of_text(first)
        .or_else(|| text.contains("Traceback (most recent call last):").then(|| Level::new(17, "ERROR")));
    (row.severity_number, row.severity) = level.map(|level| (level.number, level.text)).unzip();
    row.body = text;
    at
}

fn of_fields(row: &mut LogRow, mut fields: Map<String, Value>, line: String, now: Now) -> Option<i64> {
    let at = take(&mut fields, &TIME, |value| match value {
        Value::Number(number) => time::of_epoch(number.as_f64()?),
        value => time::of_field(value.as_str()?, now),
    });
    let level = take(&mut fields, &LEVEL, |value| match value {
        Value::Number(number) => level::of_number(number.as_f64()?).map(|n| Level::new(n, &number.to_string())),
        value => level::number_of(value.as_str()?.trim()).and_then(|n| Some(Level::new(n, value.as_str()?.trim()))),
    });
    (row.severity_number, row.severity) = level.map(|level| (level.number, level.text)).unzip();
    row.body = take(&mut fields, &MESSAGE, |value| value.as_str().map(str::to_owned)).unwrap_or(line);
    row.job_id = take(&mut fields, &JOB, plain).filter(|job| !job.is_empty()).or(row.job_id.take());
    row.service = take(&mut fields, &SERVICE, |value| value.as_str().map(str::to_owned)).or(row.service.take());
    row.scope_name = take(&mut fields, &SCOPE, |value| value.as_str().map(str::to_owned));
    row.trace_id = take(&mut fields, &["trace_id"], |value| hexadecimal(value, 32));
    row.span_id = take(&mut fields, &["span_id"], |value| hexadecimal(value, 16));
    for (key, value) in fields.into_iter().take(ATTRIBUTES_MAX) {
        let text = plain(&value).unwrap_or_else(|| value.to_string());
        if value.is_null() || row.attributes.iter().any(|(other, _)| *other == key) {
            continue;
        }
        row.attributes.push((key, level::until(&text, VALUE_BYTES_MAX).to_owned()));
    }
    at
}

/// The first of some fields that says what is wanted; it does not become an attribute.
fn take<T>(fields: &mut Map<String, Value>, names: &[&str], of: impl Fn(&Value) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| {
        let found = of(fields.get(*name)?)?;
        fields.remove(*name);
        Some(found)
    })
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn hexadecimal(value: &Value, digits: usize) -> Option<String> {
    let text = value.as_str()?;
    let good =
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|b| b != b'0');
    good.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Now = Now { unix_micros: 1_767_355_200_000_000, zone_seconds: 0 }; // 2026-01-02T12:00:00Z

    fn read(text: &str, path: &str) -> LogRow {
        let record = Record { text: text.to_owned(), ..Record::default() };
        row(record, &Origin { path: path.to_owned(), ..Origin::default() }, NOW)
    }

    fn attribute<'a>(row: &'a LogRow, key: &str) -> Option<&'a str> {
        row.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_line_of_json_is_taken_apart() {
        let row = read(
            r#"{"level":"warning","ts":1767323045.5,"msg":"slow","job_id":77,"rank":3,"step":9,"loss":null,"trace_id":"4BF92F3577B34DA6A3CE929D0E0E4736"}"#,
            "/x.log",
        );
        assert_eq!(
            (row.body.as_str(), row.severity_number, row.severity.as_deref()),
            ("slow", Some(13), Some("warning"))
        );
        assert_eq!((row.time_unix_micros, row.job_id.as_deref()), (1_767_323_045_500_000, Some("77")));
        assert_eq!(
            (attribute(&row, "rank"), attribute(&row, "step"), attribute(&row, "loss")),
            (Some("3"), Some("9"), None)
        );
        assert_eq!(row.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        let other = read(r#"{"a": {"b": 1}}"#, "/x.log");
        assert_eq!((other.body.as_str(), attribute(&other, "a")), (r#"{"a": {"b": 1}}"#, Some(r#"{"b":1}"#)));
        assert_eq!(read("{not json", "/x.log").body, "{not json");
        assert_eq!(read(r#"{"level":40,"msg":"x"}"#, "/x.log").severity_number, Some(17));
    }

    #[test]
    fn a_pod_is_a_job() {
        let row = read("hello", "/var/log/pods/ml_train-0_0b1c/worker/0.log");
        assert_eq!((row.job_id.as_deref(), row.service.as_deref()), (Some("ml/train-0"), Some("worker")));
        assert_eq!(attribute(&row, "k8s.pod.uid"), Some("0b1c"));
    }

    #[test]
    fn a_time_ahead_is_not_believed_and_a_traceback_is_an_error() {
        assert_eq!(read("2026-01-02T15:00:00 x", "/x").time_unix_micros, NOW.unix_micros);
        assert_eq!(read("2026-01-02T11:00:00 x", "/x").time_unix_micros, NOW.unix_micros - 3_600_000_000);
        assert_eq!(read("Traceback (most recent call last):\n  x\nE: y", "/x").severity_number, Some(17));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_none_is_lost(text in "\\PC{0,120}|\\{(\"[a-z]{1,5}\":(\"[a-zé]{0,4}\"|[0-9]{1,19}|null|\\[\\]),?){0,4}\\}?") {
            let row = read(&text, "/var/log/pods/a_b_c/d/0.log");
            let may_be_empty = text.is_empty() || text.starts_with('{');
            prop_assert!(may_be_empty || !row.body.is_empty());
        }
    }
}
