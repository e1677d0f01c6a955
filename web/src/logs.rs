//! Logs: answers as the API document has them, what a page asks for, levels in words, rows as CSV. Pure.

use crate::address::{Address, Page, encode};
use crate::csv::line;
use crate::format;
use crate::instant::rfc3339;
use std::collections::BTreeMap;

answer! {
    /// `GET /api/v1/logs`.
    pub(crate) struct Logs {
        pub(crate) records: Vec<LogRecord>,
        pub(crate) before: Option<String>,
        pub(crate) counts: Option<LogCounts>,
    }
    pub(crate) struct LogRecord {
        pub(crate) time_unix_micros: i64,
        pub(crate) severity_number: Option<i64>,
        pub(crate) severity: Option<String>,
        pub(crate) body: String,
        pub(crate) service: Option<String>,
        pub(crate) scope_name: Option<String>,
        pub(crate) trace_id: Option<String>,
        pub(crate) span_id: Option<String>,
        pub(crate) cluster: Option<String>,
        pub(crate) node: Option<String>,
        pub(crate) job_id: Option<String>,
        pub(crate) resource: BTreeMap<String, String>,
        pub(crate) attributes: BTreeMap<String, String>,
    }
    pub(crate) struct LogCounts {
        pub(crate) from_unix_micros: i64,
        pub(crate) complete: bool,
        pub(crate) bucket_seconds: i64,
        pub(crate) buckets: Vec<LogBucket>,
        pub(crate) total: u64,
    }
    pub(crate) struct LogBucket {
        pub(crate) time_unix_micros: i64,
        pub(crate) counts: Vec<u64>,
    }
}

/// Records that a page asks for at once.
pub(crate) const PAGE_RECORDS: usize = 200;
/// What can be chosen as the least severity.
pub(crate) const LEAST: [(&str, &str); 5] = [
    ("", "any severity"),
    ("debug", "debug and up"),
    ("info", "info and up"),
    ("warn", "warn and up"),
    ("error", "error and up"),
];

/// How bad a record is, as far as the pages tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    None,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    /// In the order of the counts of a bucket.
    pub(crate) const ALL: [Self; 6] = [Self::None, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    pub(crate) fn of(severity_number: Option<i64>) -> Self {
        match severity_number {
            Some(21..) => Self::Fatal,
            Some(17..) => Self::Error,
            Some(13..) => Self::Warn,
            Some(9..) => Self::Info,
            Some(1..) => Self::Debug,
            _ => Self::None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Token of its colour in a picture.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::None => "series-other",
            Self::Debug => "series-6",
            Self::Info => "series-0",
            Self::Warn => "state-held-idle",
            Self::Error => "state-down",
            Self::Fatal => "series-3",
        }
    }
}

/// The request for some records of an address; `before` is where an older page begins.
pub(crate) fn path(address: &Address, before: Option<&str>, records: usize) -> String {
    let mut path = format!("/api/v1/logs?{}&limit={records}", address.window_query());
    let filters = [
        ("cluster", address.cluster.as_str()),
        ("text", address.own("q")),
        ("severity", address.own("severity")),
        ("node", address.own("on")),
        ("job", address.own("run")),
        ("before", before.unwrap_or_default()),
    ];
    for (name, value) in filters.into_iter().filter(|(_, value)| !value.is_empty()) {
        path.push_str(&format!("&{name}={}", encode(value)));
    }
    path
}

/// Whether something is filtered beside time and cluster.
pub(crate) fn is_filtered(address: &Address) -> bool {
    ["q", "severity", "on", "run"].iter().any(|key| !address.own(key).is_empty())
}

/// The page of the logs of a job.
pub(crate) fn of_job(address: &Address, cluster: &str, job_id: &str, window: (String, String)) -> Address {
    let mut next = address.to_page(Page::Logs);
    (next.from, next.to) = window;
    next.cluster = cluster.to_owned();
    next.set_own("run", job_id);
    next
}

/// `1,234 records`, or that only the newest were counted.
pub(crate) fn summary(counts: &LogCounts) -> String {
    let records = format::counted(counts.total, "record");
    if counts.complete {
        return records;
    }
    format!("{records} since {}, older ones are not counted", format::short_instant(counts.from_unix_micros))
}

/// What is known of a record beside its message, by name.
pub(crate) fn details(record: &LogRecord) -> Vec<(String, String)> {
    let own = [
        ("service", &record.service),
        ("scope", &record.scope_name),
        ("severity", &record.severity),
        ("cluster", &record.cluster),
        ("node", &record.node),
        ("job", &record.job_id),
        ("trace", &record.trace_id),
        ("span", &record.span_id),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let maps = record.attributes.iter().chain(&record.resource).map(|(key, value)| (key.clone(), value.clone()));
    own.chain(maps).collect()
}

pub(crate) fn csv(records: &[LogRecord]) -> String {
    let mut out = line(
        &["time", "severity_number", "severity", "cluster", "node", "job_id", "service", "body"].map(str::to_owned),
    );
    for record in records {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = record.severity_number.map(|number| number.to_string()).unwrap_or_default();
        out += &line(&[
            rfc3339(record.time_unix_micros),
            number,
            text(&record.severity),
            text(&record.cluster),
            text(&record.node),
            text(&record.job_id),
            text(&record.service),
            record.body.clone(),
        ]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [Logs::FIELDS, LogRecord::FIELDS, LogCounts::FIELDS, LogBucket::FIELDS];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    #[test]
    fn an_address_is_a_request() {
        let address = Address::parse("/logs", "?q=%22a%20b%22&severity=warn&on=n1&run=7&cluster=c");
        assert!(is_filtered(&address) && !is_filtered(&Address::of_page(Page::Logs)));
        let asked = path(&address, Some("5.1"), 7);
        for part in ["text=%22a%20b%22", "severity=warn", "node=n1", "job=7", "cluster=c", "before=5.1", "from=now-24h"]
        {
            assert!(asked.contains(part), "{part} in {asked}");
        }
        let window = ("2026-01-01T00:00:00Z".to_owned(), "now".to_owned());
        let of = of_job(&Address::of_page(Page::Jobs), "c", "7_1", window);
        assert_eq!(of.href(), "/logs?from=2026-01-01T00:00:00Z&cluster=c&run=7_1");
    }

    #[test]
    fn levels_and_counts_are_said_in_words() {
        let words = [None, Some(1), Some(9), Some(13), Some(17), Some(24)].map(|n| Level::of(n).word());
        assert_eq!(words, ["none", "debug", "info", "warn", "error", "fatal"]);
        let counts = LogCounts { total: 1234, complete: true, ..LogCounts::default() };
        assert_eq!(summary(&counts), format::counted(1234, "record"));
        assert!(summary(&LogCounts { complete: false, ..counts }).contains("not counted"));
    }

    #[test]
    fn a_message_of_many_lines_is_one_field() {
        let record = LogRecord { body: "a\n\"b\"".to_owned(), node: Some("n".to_owned()), ..LogRecord::default() };
        assert_eq!(
            csv(&[record]).split_once('\n').map(|(_, rest)| rest),
            Some("1970-01-01T00:00:00Z,,,,n,,,\"a\n\"\"b\"\"\"\n")
        );
    }
}
