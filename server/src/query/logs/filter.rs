//! What is asked of `logs`, and the SQL of it.

use super::super::ask::text;
use super::super::matching::Terms;
use super::super::{QueryError, word_scan};
use super::LogCursor;
use crate::store::Needed;
use contract::answers::Range;
use datafusion::common::ScalarValue;

/// Names of the least severity that is wanted, and OTLP's number of it.
const SEVERITIES: [(&str, i64); 6] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];

/// Which records are asked for; none and empty mean all.
#[derive(Debug, Clone, Default)]
pub struct LogsAsked {
    pub range: Range,
    pub cluster: Option<String>,
    pub node: Option<String>,
    pub job: Option<String>,
    pub service: Option<String>,
    /// The least, as [`log_severity`] reads it.
    pub severity: Option<i64>,
    /// What `matches` reads.
    pub text: String,
    pub limit: usize,
    pub before: Option<LogCursor>,
    /// Rows that may match which are counted at most; some unless it is said.
    pub counted_rows_max: Option<u64>,
}

/// The number of a severity by its name.
pub fn log_severity(name: &str) -> Result<i64, QueryError> {
    let found = SEVERITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
    found.ok_or_else(|| QueryError::UnknownName {
        what: "severity",
        name: name.chars().take(100).collect(),
        known: SEVERITIES.map(|(known, _)| known.to_owned()).into(),
    })
}

/// Conditions on rows, without their time.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    parts: Vec<(&'static str, ScalarValue)>,
    text: Option<String>,
    needed: Needed,
}

impl Filter {
    pub(super) fn of(asked: &LogsAsked) -> Result<Self, QueryError> {
        if asked.range.to_unix_micros <= asked.range.from_unix_micros {
            return Err(QueryError::Invalid("the range is empty; `to` must be later than `from`".to_owned()));
        }
        let mut filter = Self::default();
        let equal = [
            ("cluster = $", &asked.cluster),
            ("node = $", &asked.node),
            ("job_id = $", &asked.job),
            ("service = $", &asked.service),
        ];
        for (condition, value) in equal {
            filter.parts.extend(value.as_deref().filter(|v| !v.is_empty()).map(|value| (condition, text(value))));
        }
        filter.parts.extend(asked.severity.map(|least| ("severity_number >= $", ScalarValue::Int64(Some(least)))));
        let asked_text = asked.text.trim();
        if !asked_text.is_empty() {
            let terms = Terms::parse(asked_text).map_err(QueryError::Invalid)?;
            word_scan::add_terms(&terms, &mut filter.needed);
            filter.text = Some(asked_text.to_owned());
        }
        Ok(filter)
    }

    /// ` and …`, whose first parameter has this number.
    pub(super) fn conditions(&self, first: usize) -> String {
        let mut sql: String = self
            .parts
            .iter()
            .enumerate()
            .map(|(at, (condition, _))| format!(" and {condition}{}", first + at))
            .collect();
        if self.text.is_some() {
            sql.push_str(&format!(" and matches(body, ${})", first + self.parts.len()));
        }
        sql
    }

    /// The values of [`Self::conditions`].
    pub(super) fn values(&self) -> impl Iterator<Item = ScalarValue> {
        let texts = self.text.iter().map(|asked| text(asked));
        self.parts.iter().map(|(_, value)| value.clone()).chain(texts)
    }

    /// Whether it has to look into messages.
    pub(super) fn reads_texts(&self) -> bool {
        self.text.is_some()
    }

    /// What the message of a row must have.
    pub(super) fn needed(&self) -> &Needed {
        &self.needed
    }
}
