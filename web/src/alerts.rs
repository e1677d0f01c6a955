//! Alerts: answers as the API document has them, where an alert leads, what a rule says in words. Pure.

use crate::address::Open;
use crate::format::{self, Unit};
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
    pub(crate) struct AlertText {
        pub(crate) name: String,
        pub(crate) origin: String,
        pub(crate) hides_shipped: bool,
        pub(crate) text: String,
    }
    /// `POST /api/v1/rules/preview`.
    pub(crate) struct RulePreviewRequest {
        pub(crate) rule: String,
        pub(crate) text: Option<String>,
    }
    pub(crate) struct RulePreview {
        pub(crate) from_unix_micros: i64,
        pub(crate) to_unix_micros: i64,
        pub(crate) step_seconds: f64,
        pub(crate) every_seconds: f64,
        pub(crate) complete: bool,
        pub(crate) above: Option<f64>,
        pub(crate) below: Option<f64>,
        pub(crate) times_unix_micros: Vec<i64>,
        pub(crate) values: Vec<Option<f64>>,
        pub(crate) firings: Vec<RuleFiring>,
        pub(crate) count: u64,
        pub(crate) firing_seconds: f64,
    }
    pub(crate) struct RuleFiring {
        pub(crate) labels: BTreeMap<String, String>,
        pub(crate) summary: String,
        pub(crate) started_unix_micros: i64,
        pub(crate) ended_unix_micros: Option<i64>,
    }
    /// `GET /api/v1/alerts/dead-letters`.
    pub(crate) struct DeadLetter {
        pub(crate) id: String,
        pub(crate) receiver: String,
        pub(crate) given_up_unix_micros: i64,
        pub(crate) attempts: i64,
        pub(crate) firing: u64,
        pub(crate) resolved: u64,
        pub(crate) error: String,
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
    let shown = |limit: f64| match unit(&rule.summary) {
        // As it was written.
        Unit::Count => limit.to_string(),
        unit => format::value(unit, limit),
    };
    let mut said = match (rule.above, rule.below) {
        (Some(limit), _) => format!("above {}", shown(limit)),
        (None, Some(limit)) => format!("below {}", shown(limit)),
        (None, None) => "any row".to_owned(),
    };
    said.push_str(&format!(" in {}", span(rule.over_seconds)));
    if rule.for_seconds > 0.0 {
        said.push_str(&format!(", for {}", span(rule.for_seconds)));
    }
    said.push_str(&format!(", looked at each {}", span(rule.every_seconds)));
    said
}

/// How the values of a rule read, by the place for its value in its sentence.
pub(crate) fn unit(summary: &str) -> Unit {
    let name = summary.split_once("{value:").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(name, _)| name);
    match name {
        "percent" => Unit::Ratio,
        "watts" => Unit::Watts,
        "celsius" => Unit::Celsius,
        "bytes" => Unit::Bytes,
        "duration" => Unit::Seconds,
        "money" => Unit::Micros,
        _ => Unit::Count,
    }
}

/// How often a rule would have fired, in a sentence.
pub(crate) fn verdict(found: &RulePreview) -> String {
    let span = |seconds: f64| format::duration((seconds * 1e6) as i64);
    let days = (found.to_unix_micros - found.from_unix_micros) as f64 / 86_400e6;
    let within = format!("within {}", format::counted(days.round().max(1.0) as u64, "day"));
    let mut said = match found.count {
        0 => format!("It would not have fired {within}"),
        1 => format!("It would have fired once {within}, for {}", span(found.firing_seconds)),
        count => format!("It would have fired {count} times {within}, for {} in all", span(found.firing_seconds)),
    };
    if found.step_seconds > found.every_seconds {
        let (step, every) = (span(found.step_seconds), span(found.every_seconds));
        said.push_str(&format!(", by a look each {step} where the rule looks each {every}"));
    }
    if !found.complete {
        let since = found.times_unix_micros.first().copied().unwrap_or(found.from_unix_micros);
        said.push_str(&format!("; there was time to look since {} only", format::instant(since)));
    }
    said + "."
}

/// Where alerts fired, as parts of the width: start and length, each drawn at least a little wide.
pub(crate) fn spans(found: &RulePreview) -> Vec<(f64, f64)> {
    const SEEN_AT_LEAST: f64 = 0.002;
    let whole = (found.to_unix_micros - found.from_unix_micros).max(1) as f64;
    let end = found.times_unix_micros.last().copied().unwrap_or(found.to_unix_micros);
    let part = |micros: i64| ((micros - found.from_unix_micros) as f64 / whole).clamp(0.0, 1.0);
    let span = |firing: &RuleFiring| {
        let (from, to) = (part(firing.started_unix_micros), part(firing.ended_unix_micros.unwrap_or(end)));
        let length = (to - from).max(SEEN_AT_LEAST);
        (from.min(1.0 - length), length)
    };
    found.firings.iter().map(span).collect()
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

/// Alerts by rule, both in the order in which they come.
pub(crate) fn by_rule(alerts: &[AlertState]) -> Vec<(&str, Vec<&AlertState>)> {
    let mut rules: Vec<(&str, Vec<&AlertState>)> = Vec::new();
    for alert in alerts {
        match rules.iter_mut().find(|(rule, _)| *rule == alert.rule) {
            Some((_, of_rule)) => of_rule.push(alert),
            None => rules.push((&alert.rule, vec![alert])),
        }
    }
    rules
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
            AlertText::FIELDS,
            RulePreviewRequest::FIELDS,
            RulePreview::FIELDS,
            RuleFiring::FIELDS,
            DeadLetter::FIELDS,
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
    fn a_preview_is_said_and_drawn() {
        let day = 86_400_000_000;
        let firing = |start: i64, end: Option<i64>| RuleFiring {
            started_unix_micros: start,
            ended_unix_micros: end,
            ..RuleFiring::default()
        };
        let mut found = RulePreview {
            to_unix_micros: 10 * day,
            step_seconds: 3_600.0,
            every_seconds: 60.0,
            complete: true,
            times_unix_micros: vec![0, 10 * day],
            firings: vec![firing(day, Some(2 * day)), firing(9 * day, None), firing(10 * day, Some(10 * day))],
            count: 3,
            firing_seconds: 172_800.0,
            ..RulePreview::default()
        };
        let (hour, minute) = (format::duration(3_600_000_000), format::duration(60_000_000));
        let said = format!(
            "It would have fired 3 times within 10 days, for {} in all, by a look each {hour} where the rule looks each {minute}.",
            format::duration(2 * day)
        );
        assert_eq!(verdict(&found), said);
        for ((start, length), wanted) in spans(&found).into_iter().zip([(0.1, 0.1), (0.9, 0.1), (0.998, 0.002)]) {
            assert!((start - wanted.0).abs() < 1e-9 && (length - wanted.1).abs() < 1e-9, "{start} {length}");
        }
        assert_eq!(spans(&found).len(), 3);
        (found.count, found.complete, found.step_seconds) = (0, false, 60.0);
        assert!(verdict(&found).starts_with("It would not have fired within 10 days; there was time"));
        assert_eq!((unit("at {value:celsius}"), unit("{value}"), unit("x")), (Unit::Celsius, Unit::Count, Unit::Count));
    }

    #[test]
    fn alerts_stand_with_those_of_their_rule() {
        let alerts = ["hot", "idle", "hot"].map(|rule| AlertState { rule: rule.to_owned(), ..AlertState::default() });
        let counts: Vec<(&str, usize)> = by_rule(&alerts).into_iter().map(|(rule, of)| (rule, of.len())).collect();
        assert_eq!(counts, [("hot", 2), ("idle", 1)]);
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
        let summary = "{team} paid {value:money}".to_owned();
        let money = AlertRule { above: Some(5e8), summary, ..AlertRule::default() };
        assert!(condition(&money).starts_with("above 500.00 in"), "{}", condition(&money));
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
