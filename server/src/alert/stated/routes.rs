//! `[[receiver]]`, `[[route]]`, `[[inhibit]]` and `[[maintenance]]`.

use super::super::inhibit::Inhibition;
use super::super::route::{Receiver, Route, Way};
use super::super::silence::Maintenance;
use super::{NAME_CHARS_MAX, matchers, names, span};
use crate::cost::{TomlDocument, TomlFields};
use crate::deliver::{is_secret_name, parse_address};
use crate::schedule::{Mailing, Timetable, check_mailboxes};
use chrono_tz::Tz;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;
/// As Alertmanager has them.
const WAIT: (i64, (i64, i64)) = (30 * SECOND, (0, DAY));
const INTERVAL: (i64, (i64, i64)) = (5 * MINUTE, (SECOND, DAY));
const REPEAT: (i64, (i64, i64)) = (240 * MINUTE, (MINUTE, 30 * DAY));
const LASTS: (i64, (i64, i64)) = (60 * MINUTE, (MINUTE, 7 * DAY));
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Webhook,
    Alertmanager,
    Slack,
    PagerDuty,
    Email,
}

const KINDS: [(&str, Kind); 5] = [
    ("webhook", Kind::Webhook),
    ("alertmanager", Kind::Alertmanager),
    ("slack", Kind::Slack),
    ("pagerduty", Kind::PagerDuty),
    ("email", Kind::Email),
];

pub(super) fn receiver<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Option<Receiver> {
    let name_at = table.at_of("name").unwrap_or(table.at);
    let name = document.needed_text(&mut table, "name");
    if !name.is_empty()
        && (name.len() > NAME_CHARS_MAX || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
    {
        document.fault(name_at, format!("name has letters, digits, dots and dashes, {NAME_CHARS_MAX} at most"));
    }
    if !table.has("kind") {
        document.fault(table.at, format!("kind is missing: one of {}", KINDS.map(|(name, _)| name).join(", ")));
    }
    let kind = document.word(&mut table, "kind", &KINDS);
    let way = kind.and_then(|kind| way(document, &mut table, kind));
    let hears_end = document.truth(&mut table, "resolved").unwrap_or(true);
    let line = document.line_of(table.at);
    document.finish(table);
    Some(Receiver { name, way: way?, hears_end, line })
}

fn way<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>, kind: Kind) -> Option<Way> {
    let url = match kind {
        Kind::Email => return email(document, table),
        Kind::Webhook | Kind::Alertmanager => {
            let at = table.at_of("url").unwrap_or(table.at);
            let url = document.needed_text(table, "url");
            checked(document, at, url)
        }
        Kind::PagerDuty => {
            let at = table.at_of("url").unwrap_or(table.at);
            let url = document.text(table, "url").unwrap_or_else(|| PAGERDUTY.into());
            checked(document, at, url)
        }
        Kind::Slack => None,
    };
    let at = table.at_of("secret").unwrap_or(table.at);
    let secret = if kind == Kind::Alertmanager { None } else { document.text(table, "secret") };
    let is_needed = matches!(kind, Kind::Slack | Kind::PagerDuty);
    match &secret {
        Some(secret) if !is_secret_name(secret) => {
            let what = "secret is the name of a secret of the server, in letters, digits and dashes; never a secret";
            document.fault(at, what.to_owned());
        }
        None if is_needed => {
            let holds = if kind == Kind::Slack { "address of the incoming webhook" } else { "routing key" };
            document.fault(at, format!("secret is missing: the name of the server's secret that holds the {holds}"));
        }
        _ => {}
    }
    Some(match kind {
        Kind::Webhook => Way::Webhook { url: url?, secret },
        Kind::Alertmanager => Way::Alertmanager { url: url? },
        Kind::Slack => Way::Slack { secret: secret? },
        Kind::PagerDuty => Way::PagerDuty { url: url?, secret: secret? },
        Kind::Email => return None,
    })
}

fn email<'t>(document: &mut TomlDocument<'t>, table: &mut TomlFields<'t>) -> Option<Way> {
    let mailing = Mailing::read(document, table);
    if !table.has("to") {
        document.fault(table.at, "to is missing: addresses like [\"ops@example.org\"]".to_owned());
    }
    let to = names(document, table, "to");
    check_mailboxes(document, table.at, &to);
    let Mailing { server, login, from } = mailing?;
    Some(Way::Email { server, login, from, to: to.into_iter().map(|(_, address)| address).collect() })
}

fn checked(document: &mut TomlDocument<'_>, at: usize, url: Arc<str>) -> Option<Arc<str>> {
    if url.is_empty() {
        return None;
    }
    parse_address(&url).map_err(|why| document.fault(at, format!("url: {why}"))).ok().map(|_| url)
}

pub(super) fn route<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Option<Route> {
    let matchers = matchers(document, &mut table, "when");
    if !table.has("to") {
        document.fault(table.at, "to is missing: the names of receivers".to_owned());
    }
    let to = names(document, &mut table, "to").into_iter().map(|(_, name)| name).collect();
    let by = match table.has("by") {
        true => names(document, &mut table, "by").into_iter().map(|(_, name)| name).collect(),
        false => vec![super::super::labels::ALERTNAME.into()],
    };
    let wait_micros = span(document, &mut table, "wait", WAIT.0, WAIT.1);
    let interval_micros = span(document, &mut table, "interval", INTERVAL.0, INTERVAL.1);
    let repeat_micros = span(document, &mut table, "repeat", REPEAT.0, REPEAT.1);
    let goes_on = document.truth(&mut table, "continue").unwrap_or(false);
    document.finish(table);
    Some(Route { matchers, to, by, wait_micros, interval_micros, repeat_micros, goes_on })
}

pub(super) fn inhibition<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Inhibition {
    for name in ["source", "target"].into_iter().filter(|name| !table.has(name)).collect::<Vec<_>>() {
        document.fault(table.at, format!("{name} is missing: conditions like [\"alertname=NodeSilent\"]"));
    }
    let (source, target) = (matchers(document, &mut table, "source"), matchers(document, &mut table, "target"));
    let equal = match table.has("equal") {
        true => names(document, &mut table, "equal").into_iter().map(|(_, name)| name).collect(),
        false => Vec::new(),
    };
    document.finish(table);
    Inhibition { source, target, equal }
}

pub(super) fn maintenance<'t>(document: &mut TomlDocument<'t>, mut table: TomlFields<'t>) -> Option<Maintenance> {
    let name = document.needed_text(&mut table, "name");
    let matchers = matchers(document, &mut table, "when");
    let (cron_at, zone_at) = (table.at_of("cron").unwrap_or(table.at), table.at_of("time_zone").unwrap_or(table.at));
    let cron = document.needed_text(&mut table, "cron");
    let zone: Option<Tz> = document.text(&mut table, "time_zone").map_or(Some(Tz::UTC), |zone| zone.parse().ok());
    if zone.is_none() {
        document.fault(zone_at, "time_zone is a zone like Europe/Berlin".to_owned());
    }
    let timetable = (!cron.is_empty()).then(|| Timetable::parse(&cron, zone.unwrap_or(Tz::UTC)));
    let timetable = timetable.and_then(|read| read.map_err(|what| document.fault(cron_at, what)).ok());
    let lasts_micros = span(document, &mut table, "lasts", LASTS.0, LASTS.1);
    document.finish(table);
    Some(Maintenance { name, matchers, timetable: timetable?, lasts_micros })
}
