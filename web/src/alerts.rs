//! Alerts: answers as the API document has them, where an alert leads, what a rule says in words. Pure.

use crate::address::Open;
use crate::format;
use contract::answers::Severity;
use std::collections::BTreeMap;

answer! {
    /// `GET /api/v1/alerts`.
    pub(crate) struct Alerts {
        pub(crate) alerts: Vec<AlertState>,
        pub(crate) rules: Vec<AlertRule>,
        pub(crate) receivers: Vec<AlertReceiver>,
        pub(crate) silences: Vec<AlertSilence>,
        pub(crate) problems: Vec<String>,
    }
    pub(crate) struct AlertState {
        pub(crate) rule: String,
        pub(crate) fingerprint: String,
        pub(crate) state: String,
        pub(crate) severity: String,
        pub(crate) labels: BTreeMap<String, String>,
        pub(crate) annotations: BTreeMap<String, String>,
        pub(crate) since_unix_micros: i64,
        pub(crate) flapping: bool,
        pub(crate) muted_by: Option<String>,
        pub(crate) acknowledged: bool,
        pub(crate) receivers: Vec<String>,
        pub(crate) told: Vec<String>,
    }
    pub(crate) struct AlertRule {
        pub(crate) name: String,
        pub(crate) text: String,
        pub(crate) line: u64,
        pub(crate) severity: String,
        pub(crate) language: String,
        pub(crate) statement: String,
        pub(crate) above: Option<f64>,
        pub(crate) below: Option<f64>,
        pub(crate) over_seconds: f64,
        pub(crate) every_seconds: f64,
        pub(crate) for_seconds: f64,
        pub(crate) summary: String,
        pub(crate) health: String,
        pub(crate) error: Option<String>,
        pub(crate) looked_unix_micros: Option<i64>,
        pub(crate) took_seconds: f64,
        pub(crate) alerts: u64,
    }
    pub(crate) struct AlertReceiver {
        pub(crate) name: String,
        pub(crate) kind: String,
        pub(crate) problem: Option<String>,
        pub(crate) told_unix_micros: Option<i64>,
    }
    pub(crate) struct AlertSilence {
        pub(crate) id: String,
        pub(crate) kind: String,
        pub(crate) matchers: Vec<String>,
        pub(crate) starts_unix_micros: i64,
        pub(crate) ends_unix_micros: i64,
        pub(crate) author: String,
        pub(crate) comment: String,
    }
    /// `POST /api/v1/silences`.
    pub(crate) struct SilenceRequest {
        pub(crate) matchers: Vec<String>,
        pub(crate) starts_unix_micros: Option<i64>,
        pub(crate) ends_unix_micros: i64,
        pub(crate) comment: String,
    }
    /// `POST /api/v1/alerts/{fingerprint}/acknowledge`.
    pub(crate) struct AcknowledgeRequest {
        pub(crate) comment: String,
    }
}

/// Labels that tell nothing of what an alert is about.
const OF_RULE: [&str; 3] = ["alertname", "severity", "kind"];

/// In the words of the other pages, which have three.
pub(crate) fn severity(word: &str) -> Severity {
    match word {
        "critical" | "error" => Severity::Critical,
        "warning" => Severity::Warning,
        _ => Severity::Notice,
    }
}

/// The node or GPU that an alert is about.
pub(crate) fn open_of(labels: &BTreeMap<String, String>) -> Option<Open> {
    let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).cloned();
    match (label("gpu_uuid"), label("node")) {
        (Some(gpu), _) => Some(Open::Gpu(gpu)),
        (None, Some(node)) => Some(Open::Node { cluster: label("cluster").unwrap_or_default(), node }),
        (None, None) => None,
    }
}

/// The job that it is about: cluster and id.
pub(crate) fn job_of(labels: &BTreeMap<String, String>) -> Option<(String, String)> {
    let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).cloned();
    Some((label("cluster")?, label("job_id")?))
}

/// What an alert is about, by its labels.
pub(crate) fn place(labels: &BTreeMap<String, String>) -> String {
    let about = labels.iter().filter(|(name, _)| !OF_RULE.contains(&name.as_str()));
    about.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" · ")
}

/// Conditions that fit this alert and no other.
pub(crate) fn matchers(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect()
}

/// `above 88 in 5 min, for 10 min, looked at each 1 min`.
pub(crate) fn condition(rule: &AlertRule) -> String {
    let span = |seconds: f64| format::duration((seconds * 1e6) as i64);
    let mut said = match (rule.above, rule.below) {
        (Some(limit), _) => format!("above {limit}"),
        (None, Some(limit)) => format!("below {limit}"),
        (None, None) => "any row".to_owned(),
    };
    said.push_str(&format!(" in {}", span(rule.over_seconds)));
    if rule.for_seconds > 0.0 {
        said.push_str(&format!(", for {}", span(rule.for_seconds)));
    }
    said.push_str(&format!(", looked at each {}", span(rule.every_seconds)));
    said
}

/// What keeps an alert from being told, and who was.
pub(crate) fn telling(alert: &AlertState) -> String {
    if alert.acknowledged {
        return "somebody works at it".to_owned();
    }
    match (&alert.muted_by, alert.told.as_slice()) {
        (Some(by), _) => format!("kept unsaid by {by}"),
        (None, []) if alert.receivers.is_empty() => "nobody is told: no route takes it".to_owned(),
        (None, []) => format!("not told yet to {}", alert.receivers.join(", ")),
        (None, told) => format!("told {}", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::missing;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_answers_have_the_fields_of_the_api() {
        let known = [
            Alerts::FIELDS,
            AlertState::FIELDS,
            AlertRule::FIELDS,
            AlertReceiver::FIELDS,
            AlertSilence::FIELDS,
            SilenceRequest::FIELDS,
            AcknowledgeRequest::FIELDS,
        ];
        assert!(missing(&known).is_empty(), "the API does not have {:?}", missing(&known));
    }

    #[test]
    fn an_alert_leads_to_what_it_is_about() {
        let gpu = labels(&[("alertname", "GpuHot"), ("cluster", "a"), ("gpu_uuid", "GPU-1"), ("node", "n1")]);
        assert_eq!(open_of(&gpu), Some(Open::Gpu("GPU-1".to_owned())));
        assert_eq!(place(&gpu), "cluster a · gpu_uuid GPU-1 · node n1");
        assert_eq!(matchers(&gpu)[0], "alertname=\"GpuHot\"");
        let node = labels(&[("cluster", "a"), ("gpu_uuid", ""), ("node", "n1")]);
        assert_eq!(open_of(&node), Some(Open::Node { cluster: "a".to_owned(), node: "n1".to_owned() }));
        let job = labels(&[("cluster", "a"), ("job_id", "7")]);
        assert_eq!((open_of(&job), job_of(&job)), (None, Some(("a".to_owned(), "7".to_owned()))));
        assert_eq!(job_of(&node), None);
    }

    #[test]
    fn rules_and_alerts_are_said_in_words() {
        let rule = AlertRule {
            above: Some(88.0),
            over_seconds: 300.0,
            for_seconds: 600.0,
            every_seconds: 60.0,
            ..AlertRule::default()
        };
        let minutes = |n: i64| format::duration(n * 60_000_000);
        let said = format!("above 88 in {}, for {}, looked at each {}", minutes(5), minutes(10), minutes(1));
        assert_eq!(condition(&rule), said);
        let mut alert = AlertState { state: "firing".to_owned(), ..AlertState::default() };
        assert_eq!(telling(&alert), "nobody is told: no route takes it");
        alert.receivers = vec!["ops".to_owned()];
        assert_eq!(telling(&alert), "not told yet to ops");
        alert.told = vec!["ops".to_owned(), "pager".to_owned()];
        assert_eq!(telling(&alert), "told ops, pager");
        alert.muted_by = Some("maintenance \"patch night\"".to_owned());
        assert_eq!(telling(&alert), "kept unsaid by maintenance \"patch night\"");
        alert.acknowledged = true;
        assert_eq!(telling(&alert), "somebody works at it");
        assert_eq!(severity("error"), Severity::Critical);
    }
}
