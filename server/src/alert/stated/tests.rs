//! Texts that are right, and faults with their lines.

use super::*;
use crate::alert::{Asks, Missing, Severity, Threshold, Way};
use proptest::prelude::*;

const GOOD: &str = r#"
[[rule]]
name = "GpuHot"
sql = "select node, gpu_uuid, max(temperature_celsius) as value from gpu_samples where time > $1 and time <= $2 group by 1, 2"
above = 90
over = "5m"
for = "1m30s"
severity = "warning"
missing = "resolve"
labels = { team = "infra" }
summary = "GPU {gpu_uuid} on {node} is at {value:celsius}"
runbook = "https://runbooks.example.org/hot"
needs = ["gpu_samples"]

[[rule]]
name = "Down"
promql = "up == 0"
severity = "critical"
summary = "down"

[[receiver]]
name = "pager"
kind = "pagerduty"
secret = "pagerduty"

[[receiver]]
name = "hook"
kind = "webhook"
url = "https://hooks.example.org/coulomb"
resolved = false

[[receiver]]
name = "office"
kind = "email"
server = "smtp.example.org"
user = "coulomb"
secret = "smtp"
from = "Coulomb <alerts@example.org>"
to = ["ops@example.org", "Ann <ann@example.org>"]

[[route]]
when = ["severity=critical", 'team=~"infra|ml"']
to = ["pager"]
by = ["alertname", "node"]
repeat = "1h"
continue = true

[[route]]
to = "hook"

[[inhibit]]
source = "alertname=NodeSilent"
target = 'alertname=~"Gpu.*"'
equal = ["node"]

[[maintenance]]
name = "patch night"
cron = "0 2 * * 6"
time_zone = "Europe/Berlin"
lasts = "2h"
when = "team=infra"
"#;

#[test]
fn a_text_states_rules_receivers_and_routes() {
    let stated = Stated::parse(GOOD).unwrap();
    let rule = &stated.rules[0];
    assert_eq!((&*rule.name, rule.line, rule.threshold), ("GpuHot", 2, Some(Threshold::Above(90.0))));
    assert_eq!((rule.over_micros, rule.for_micros, rule.every_micros), (300_000_000, 90_000_000, 60_000_000));
    assert_eq!((rule.severity, rule.missing), (Severity::Warning, Missing::Resolve));
    assert_eq!((rule.annotations.len(), rule.labels.len(), rule.needs.len()), (2, 1, 1));
    assert_eq!(stated.rules[1].asks, Asks::PromQl("up == 0".into()));
    assert_eq!(
        stated.receivers.iter().map(|r| (r.way.as_str(), r.hears_end)).collect::<Vec<_>>(),
        [("pagerduty", true), ("webhook", false), ("email", true)]
    );
    assert!(matches!(&stated.receivers[0].way, Way::PagerDuty { url, .. } if url.contains("events.pagerduty.com")));
    let Way::Email { server, login, to, .. } = &stated.receivers[2].way else { panic!("{:?}", stated.receivers[2]) };
    assert_eq!((server.port, to.len(), login.is_some()), (587, 2, true));
    let route = &stated.routes[0];
    assert_eq!((route.matchers.len(), route.by.len(), route.goes_on, route.repeat_micros), (2, 2, true, 3_600_000_000));
    assert_eq!((stated.routes[1].matchers.len(), &*stated.routes[1].by[0]), (0, "alertname"));
    assert_eq!((stated.inhibitions[0].equal.len(), stated.maintenance[0].lasts_micros), (1, 7_200_000_000));
}

#[test]
fn each_fault_has_its_line() {
    let rule = |more: &str| {
        format!("[[rule]]\nname = \"A\"\nsql = \"select 1\"\nseverity = \"info\"\nsummary = \"a\"\n{more}")
    };
    let email = |more: &str| {
        let server = "kind = \"email\"\nserver = \"smtp.example.org\"\nfrom = \"a@example.org\"";
        format!("[[receiver]]\n{server}\n{more}\nname = \"a\"")
    };
    for (text, line, what) in [
        (rule("above = 1\nbelow = 2"), 7, "above or below"),
        (rule("promql = \"up\""), 3, "sql or promql"),
        (rule("for = \"soon\""), 6, "span like"),
        (rule("every = \"0s\""), 6, "between 1 and"),
        (rule("color = \"red\""), 6, "\"color\" is not known here"),
        (rule("labels = { severity = \"x\" }"), 6, "the rule's own"),
        (rule("labels = { \"a b\" = \"x\" }"), 6, "no name of a label"),
        (rule("description = \"{a\""), 6, "description: a brace"),
        (rule("[[rule]]\nname = \"A\"\nsql = \"select 2\"\nseverity = \"info\"\nsummary = \"b\""), 6, "two of rule"),
        ("[[rule]]\nname = \"a b\"".to_owned(), 2, "letters, digits and _"),
        ("[[rule]]\nname = \"A\"".to_owned(), 1, "summary is missing"),
        ("[[receiver]]\nname = \"a\"\nkind = \"slack\"".to_owned(), 1, "secret is missing"),
        ("[[receiver]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"ftp://a\"".to_owned(), 4, "url: "),
        ("[[receiver]]\nname = \"a\"\nkind = \"pigeon\"".to_owned(), 3, "kind is one of"),
        (email("to = \"nobody\""), 5, "to: it is no address"),
        (email("to = \"a@example.org\"\nuser = \"a\""), 6, "belong together"),
        (email("to = \"a@example.org\"\ntls = \"ssl\""), 6, "tls is one of"),
        (email("to = \"a@example.org\"\nport = 70000"), 6, "port is a number"),
        (email("").replace("smtp.example.org", "a b"), 1, "server: "),
        (email("").replace("a@example.org", "a@example.org\\r\\nBcc: b@example.org"), 4, "from: "),
        (email(""), 1, "to is missing"),
        ("[[route]]\nwhen = \"a\"".to_owned(), 2, "when: "),
        ("[[route]]".to_owned(), 1, "to is missing"),
        ("[[inhibit]]\nsource = \"a=b\"".to_owned(), 1, "target is missing"),
        ("[[maintenance]]\nname = \"a\"\ncron = \"x\"".to_owned(), 3, ""),
        ("rules = 1".to_owned(), 1, "\"rules\" is not known"),
        ("[[rule".to_owned(), 1, ""),
    ] {
        let faults = Stated::parse(&text).unwrap_err();
        assert!(faults.iter().any(|f| f.line == line && f.what.contains(what)), "{text}\n{faults:?}");
    }
    assert!(Stated::parse(&" ".repeat(TEXT_BYTES_MAX + 1)).is_err());
}

proptest! {
    /// A right text with a piece taken out or put in anywhere: a fault or not, never a panic.
    #[test]
    fn no_text_panics(at in 0_usize..GOOD.len(), length in 0_usize..40, with in "[\\[\\]{}\"'=a-z0-9\n]{0,6}") {
        let mut text = GOOD.to_owned();
        if let Some(part) = text.get(at..(at + length).min(GOOD.len())).map(str::len) {
            text.replace_range(at..at + part, &with);
        }
        let _ = Stated::parse(&text).is_ok();
    }
}
