//! What receivers are sent: the same alerts in the form that each of them takes.

mod alertmanager;
mod email;
mod pagerduty;
mod slack;
mod webhook;

use super::WatchError;
use crate::alert::{ALERTNAME, GroupKey, Instance, Labels, Phase, SEVERITY, ToldAlert, Way};
use crate::deliver::{Mail, Posted, Secrets, parse_address, sign};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use url::Url;

const JSON: &str = "application/json";

/// An alert as it is told.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub(super) told: ToldAlert,
    labels: Labels,
    annotations: BTreeMap<Arc<str>, String>,
    value: Option<f64>,
    /// None while it fires.
    ended_micros: Option<i64>,
    is_missing: bool,
}

impl Spoken {
    pub(super) fn of(told: ToldAlert, instance: &Instance) -> Self {
        Self {
            told,
            labels: instance.labels.clone(),
            annotations: instance.annotations.clone(),
            value: instance.value,
            ended_micros: instance.phase.is_over().then_some(instance.since_micros),
            is_missing: instance.phase == Phase::Missing,
        }
    }

    /// One that is over since then at the latest.
    pub(super) fn ended(told: ToldAlert, instance: &Instance, now_micros: i64) -> Self {
        let ended_micros = if instance.phase.is_over() { instance.since_micros } else { now_micros };
        Self { ended_micros: Some(ended_micros), is_missing: false, ..Self::of(told, instance) }
    }

    /// One that is over, of which no more is known than its labels.
    pub(super) fn forgotten(told: ToldAlert, again: Option<&Instance>) -> Self {
        let labels = again.map(|instance| instance.labels.clone()).unwrap_or_default();
        let ended_micros = Some(again.and_then(|instance| instance.started_micros).unwrap_or(told.started_micros));
        Self { told, labels, annotations: BTreeMap::new(), value: None, ended_micros, is_missing: false }
    }

    /// Says that it means nothing.
    pub(super) fn test(told: ToldAlert) -> Self {
        let labels = [(ALERTNAME, "CoulombTest"), (SEVERITY, "info")];
        let summary = "A test of this receiver; nothing is wrong.".to_owned();
        Self {
            told,
            labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            annotations: BTreeMap::from([("summary".into(), summary)]),
            value: None,
            ended_micros: None,
            is_missing: false,
        }
    }

    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", |value| value)
    }

    /// In a sentence.
    fn summary(&self) -> String {
        let said = self.annotations.get("summary").cloned().unwrap_or_else(|| self.label(ALERTNAME).to_owned());
        if self.is_missing { format!("{said} (no data since)") } else { said }
    }
}

/// Alerts of a group for one receiver.
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    pub(super) receiver: &'a str,
    pub(super) key: &'a GroupKey,
    pub(super) firing: Vec<Spoken>,
    pub(super) over: Vec<Spoken>,
    pub(super) external_url: &'a str,
    pub(super) now_micros: i64,
}

impl Message<'_> {
    fn alerts(&self) -> impl Iterator<Item = &Spoken> {
        self.firing.iter().chain(&self.over)
    }

    /// Which rules, and what of them.
    fn title(&self) -> String {
        let names: BTreeSet<&str> = self.alerts().map(|alert| alert.label(ALERTNAME)).collect();
        let counts = match (self.firing.len(), self.over.len()) {
            (0, over) => format!("{over} resolved"),
            (firing, 0) => format!("{firing} firing"),
            (firing, over) => format!("{firing} firing, {over} resolved"),
        };
        format!("{}: {counts}", names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Where a person sees an alert.
    fn link(&self, alert: &Spoken) -> String {
        format!("{}/alerts?alert={}", self.external_url, alert.told.fingerprint)
    }
}

/// A request as it leaves.
pub(super) struct Request {
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    pub(super) fn posted(&self) -> Posted<'_> {
        Posted { url: &self.url, content_type: JSON, headers: self.headers.clone(), body: self.body.as_bytes() }
    }
}

/// In the order in which they are sent; a receiver has the message when it has taken all of them.
pub(super) fn requests(way: &Way, message: &Message<'_>, secrets: &Secrets) -> Result<Vec<Request>, WatchError> {
    let address = |text: &str| parse_address(text).map_err(|why| WatchError::Refused(why.to_owned()));
    let plain = |url: Url, body: Value| Request { url, headers: Vec::new(), body: body.to_string() };
    Ok(match way {
        Way::Webhook { url, secret } => {
            let key = secret.as_deref().map(|name| secrets.key(name)).transpose()?;
            let body = webhook::body(message).to_string();
            let signed = sign(key.as_ref(), message.id, message.now_micros.div_euclid(1_000_000), body.as_bytes());
            vec![Request { url: address(url)?, headers: signed.headers(), body }]
        }
        Way::Alertmanager { url } => {
            let url = address(&format!("{}/api/v2/alerts", url.trim_end_matches('/')))?;
            vec![plain(url, alertmanager::body(message))]
        }
        // Handed over by [`mail`].
        Way::Email { .. } => Vec::new(),
        Way::Slack { secret } => vec![plain(address(&secrets.text(secret)?)?, slack::body(message))],
        Way::PagerDuty { url, secret } => {
            let (url, key) = (address(url)?, secrets.text(secret)?);
            message.alerts().map(|alert| plain(url.clone(), pagerduty::body(message, alert, &key))).collect()
        }
    })
}

/// The message as mail; none where the receiver takes requests.
pub(super) fn mail(way: &Way, message: &Message<'_>, secrets: &Secrets) -> Result<Option<Mail>, WatchError> {
    let Way::Email { server, login, from, to } = way else { return Ok(None) };
    let login = login.as_ref().map(|(user, secret)| Ok::<_, WatchError>((user.to_string(), secrets.text(secret)?)));
    let to = (server.clone(), login.transpose()?, Arc::clone(from), to.clone());
    Ok(Some(email::mail(message, to)))
}

/// As RFC 3339 has it, with microseconds where there are some.
fn instant(unix_micros: i64) -> String {
    DateTime::from_timestamp_micros(unix_micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn object<V: AsRef<str>>(texts: &BTreeMap<Arc<str>, V>) -> Value {
    texts.iter().map(|(name, text)| (name.to_string(), Value::from(text.as_ref()))).collect::<Map<_, _>>().into()
}

/// What is the same in all of them.
fn common<'a, V: PartialEq + Clone + 'a>(
    mut all: impl Iterator<Item = &'a BTreeMap<Arc<str>, V>>,
) -> BTreeMap<Arc<str>, V> {
    let mut common = all.next().cloned().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
