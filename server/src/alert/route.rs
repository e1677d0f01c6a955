//! Who is told of an alert, and how.

use super::group::GroupKey;
use super::labels::Labels;
use super::matcher::{Matcher, all_match};
use crate::deliver::MailServer;
use std::sync::Arc;

/// How a receiver is told. A secret is a name; what it stands for lies on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Alertmanager's webhook payload, signed as Standard Webhooks has it where there is a secret.
    Webhook { url: Arc<str>, secret: Option<Arc<str>> },
    /// `POST /api/v2/alerts` of an Alertmanager; its own routes decide further.
    Alertmanager { url: Arc<str> },
    /// The secret is the address of the incoming webhook.
    Slack { secret: Arc<str> },
    /// The secret is the routing key.
    PagerDuty { url: Arc<str>, secret: Arc<str> },
    /// The secret is the user's password.
    Email { server: MailServer, login: Option<(Arc<str>, Arc<str>)>, from: Arc<str>, to: Vec<Arc<str>> },
}

impl Way {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email { .. } => "email",
        }
    }

    /// Name of the secret that it needs.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Webhook { secret, .. } => secret.as_deref(),
            Self::Alertmanager { .. } => None,
            Self::Email { login, .. } => login.as_ref().map(|(_, secret)| &**secret),
            Self::Slack { secret } | Self::PagerDuty { secret, .. } => Some(secret),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    pub name: Arc<str>,
    pub way: Way,
    /// Whether it hears that something is over.
    pub hears_end: bool,
    /// Line of its document, from 1.
    pub line: usize,
}

/// Spans are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub matchers: Vec<Matcher>,
    /// Names of receivers.
    pub to: Vec<Arc<str>>,
    /// Labels whose values have a message of their own each.
    pub by: Vec<Arc<str>>,
    /// So long further alerts are waited for before the first message.
    pub wait_micros: i64,
    /// From one message with news to the next.
    pub interval_micros: i64,
    /// After so long without news it is said again.
    pub repeat_micros: i64,
    /// Whether later routes are looked at, too.
    pub goes_on: bool,
}

impl Route {
    /// The routes that an alert takes, in their order.
    pub fn taken<'a>(routes: &'a [Self], labels: &'a Labels) -> impl Iterator<Item = &'a Self> {
        let mut is_done = false;
        routes.iter().filter(move |route| {
            let fits = !is_done && all_match(&route.matchers, labels);
            is_done |= fits && !route.goes_on;
            fits
        })
    }

    /// Which message to a receiver an alert belongs to.
    pub fn key(&self, receiver: &Arc<str>, labels: &Labels) -> GroupKey {
        let value = |name: &Arc<str>| Some((Arc::clone(name), Arc::clone(labels.get(name)?)));
        let matchers = self.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        GroupKey {
            receiver: Arc::clone(receiver),
            route: matchers.into(),
            labels: self.by.iter().filter_map(value).collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_that_fits_is_taken_unless_it_goes_on() {
        let route = |text: &str, to: &str, goes_on| Route {
            matchers: text.split(',').filter(|t| !t.is_empty()).map(|t| Matcher::parse(t).unwrap()).collect(),
            to: vec![to.into()],
            by: vec!["alertname".into(), "node".into()],
            wait_micros: 0,
            interval_micros: 0,
            repeat_micros: 0,
            goes_on,
        };
        let routes =
            [route("severity=critical", "pager", true), route("team=ml", "ml", false), route("", "all", false)];
        let labels =
            |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect() };
        let taken = |labels: &Labels| Route::taken(&routes, labels).map(|r| r.to[0].to_string()).collect::<Vec<_>>();
        assert_eq!(taken(&labels(&[("severity", "critical"), ("team", "ml")])), ["pager", "ml"]);
        assert_eq!(taken(&labels(&[("team", "ml")])), ["ml"]);
        assert_eq!(taken(&labels(&[("severity", "critical")])), ["pager", "all"]);
        let key = routes[1].key(&"ml".into(), &labels(&[("alertname", "Hot"), ("gpu", "0")]));
        assert_eq!(key.to_string(), "{team=\"ml\"}:{alertname=\"Hot\"}");
    }
}
