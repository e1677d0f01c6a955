//! Telling: what is true is held against what each receiver has taken, and the difference is sent.

use super::keep::{Outcome, Try};
use super::message::{self, Message, Spoken};
use super::silences::muting;
use super::{Watch, WatchError};
use crate::alert::{
    Active, Book, Fingerprint, Group, GroupKey, Instance, Labels, Pace, Receiver, Route, SilenceKind, Told, ToldAlert,
    Wanted, Way, Why,
};
use crate::deliver::OutgoingError;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
/// The first wait after a failure; each further one is twice as long.
const WAIT_MICROS_MIN: i64 = 5 * SECOND;
/// A receiver that was down is noticed soon after it is back.
const WAIT_MICROS_MAX: i64 = 5 * MINUTE;
/// What nobody has taken for a day is given up.
const GIVE_UP_AFTER_MICROS: i64 = 24 * 60 * MINUTE;
/// A receiver that holds a message for longer has not taken it, and others wait for the hand.
const SEND_WITHIN: Duration = Duration::from_secs(180);
/// An Alertmanager groups, waits and repeats by itself, and takes for resolved what it does not hear of again.
const TO_ALERTMANAGER: Pace = Pace { wait_micros: 0, interval_micros: SECOND, repeat_micros: MINUTE };

/// What a receiver knows of a group, and how telling it goes.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) told: Told,
    pub(super) is_sending: bool,
    /// Tries of the message that is not taken yet.
    pub(super) attempts: i64,
    /// When it is tried again.
    next_micros: Option<i64>,
    /// Since when the receiver has taken nothing.
    failing_since: Option<i64>,
    pub(super) error: Option<String>,
}

impl Telling {
    pub(super) fn of(told: Told) -> Self {
        Self { told, ..Self::default() }
    }
}

/// A message on its way.
struct Sending {
    receiver: Receiver,
    key: GroupKey,
    wanted: Wanted,
    id: String,
    attempt: i64,
}

impl Watch {
    /// Starts each message that is wanted, as far as there are hands.
    pub(super) fn tell_all(&self) {
        let now_micros = (self.inner.clock)();
        let book = Arc::clone(&self.inner.book.lock());
        let groups = self.groups(&book, now_micros);
        let mut due = Vec::new();
        {
            let mut told = self.inner.told.lock();
            // Nobody is told under the name of a receiver that is gone.
            told.retain(|key, _| book.receivers.contains_key(&key.receiver));
            for key in groups.keys() {
                told.entry(key.clone()).or_default();
            }
            for (key, telling) in told.iter_mut().filter(|(_, telling)| !telling.is_sending) {
                let Some(receiver) = book.receivers.get(&key.receiver) else { continue };
                let (pace, group) =
                    groups.get(key).cloned().unwrap_or_else(|| (pace_of(receiver, None), Group::default()));
                let is_waiting =
                    telling.next_micros.is_some_and(|next| now_micros < next && next - now_micros <= WAIT_MICROS_MAX);
                let Some(wanted) = group.wanted(&telling.told, pace, now_micros).filter(|_| !is_waiting) else {
                    continue;
                };
                if wanted.firing.is_empty() && !receiver.hears_end {
                    telling.told.take(&wanted.firing, &wanted.over, now_micros);
                    continue;
                }
                let Ok(hand) = Arc::clone(&self.inner.telling).try_acquire_owned() else { break };
                telling.is_sending = true;
                telling.attempts += 1;
                let id = id(key, &wanted, &telling.told);
                let sending =
                    Sending { receiver: receiver.clone(), key: key.clone(), wanted, id, attempt: telling.attempts };
                due.push((sending, hand));
            }
            told.retain(|key, t| {
                groups.contains_key(key) || t.is_sending || !t.told.firing.is_empty() || !t.told.owed.is_empty()
            });
            let open = told.values().flat_map(|t| t.told.firing.union(&t.told.owed)).copied();
            let sending = due.iter().flat_map(|(sending, _)| sending.wanted.over.iter().copied());
            let open: BTreeSet<ToldAlert> = open.chain(sending).collect();
            self.inner.past.lock().keep(&open);
        }
        for (sending, hand) in due {
            let watch = self.clone();
            self.inner.runtime.spawn(async move {
                watch.tell(sending).await;
                drop(hand);
            });
        }
    }

    /// What fires now, by the message that it belongs to.
    fn groups(&self, book: &Book, now_micros: i64) -> BTreeMap<GroupKey, (Pace, Group)> {
        let silences = self.inner.silences.lock().clone();
        let active = self.active();
        let mutes = book.mutes(&active);
        let mut groups: BTreeMap<GroupKey, (Pace, Group)> = BTreeMap::new();
        for (fingerprint, instance) in &active {
            let is_muted = muting(&silences, instance, SilenceKind::Silence, now_micros).is_some()
                || mutes.why(&instance.labels, now_micros).is_some();
            let alert = Active {
                started_micros: instance.started_micros.unwrap_or(instance.since_micros),
                is_muted,
                is_acknowledged: muting(&silences, instance, SilenceKind::Acknowledgement, now_micros).is_some(),
            };
            for route in Route::taken(&book.routes, &instance.labels) {
                for receiver in route.to.iter().filter_map(|name| book.receivers.get(name)) {
                    let key = route.key(&receiver.name, &instance.labels);
                    let group = groups.entry(key).or_insert_with(|| (pace_of(receiver, Some(route)), Group::default()));
                    group.1.alerts.insert(*fingerprint, alert);
                }
            }
        }
        groups
    }

    /// All that fires or has gone missing.
    pub(super) fn active(&self) -> Vec<(Fingerprint, Instance)> {
        let watched = self.inner.watched.lock();
        let all = watched.values().flat_map(|watched| &watched.instances);
        all.filter(|(_, instance)| instance.phase.is_active()).map(|(f, instance)| (*f, instance.clone())).collect()
    }

    async fn tell(&self, sending: Sending) {
        let sent = self.send(&sending).await;
        let now_micros = (self.inner.clock)();
        let (outcome, error) = match &sent {
            Ok(()) => (Outcome::Delivered, None),
            Err(error) => {
                let since = self.inner.told.lock().get(&sending.key).and_then(|telling| telling.failing_since);
                let is_old = since.is_some_and(|since| now_micros - since >= GIVE_UP_AFTER_MICROS);
                (if is_old { Outcome::GivenUp } else { Outcome::Failed }, Some(error.to_string()))
            }
        };
        let (receiver, attempt, why) = (&*sending.receiver.name, sending.attempt, error.as_deref());
        match outcome {
            Outcome::Delivered => tracing::info!(receiver, attempt, notification = sending.id, "a receiver was told"),
            Outcome::Failed => tracing::warn!(receiver, attempt, why, "a receiver was not told, it is tried again"),
            Outcome::GivenUp => tracing::error!(receiver, attempt, why, "telling a receiver is given up"),
        }
        self.record(&sending, outcome, error.clone(), now_micros).await;
        let mut told = self.inner.told.lock();
        let Some(telling) = told.get_mut(&sending.key) else { return };
        telling.is_sending = false;
        telling.error = error;
        match outcome {
            Outcome::Delivered => {
                telling.told.take(&sending.wanted.firing, &sending.wanted.over, now_micros);
                (telling.attempts, telling.next_micros, telling.failing_since) = (0, None, None);
            }
            Outcome::Failed => {
                telling.told.owe(&sending.wanted.firing);
                telling.failing_since.get_or_insert(now_micros);
                telling.next_micros = Some(now_micros + wait_micros(telling.attempts));
            }
            Outcome::GivenUp => {
                telling.told.owed.clear();
                (telling.attempts, telling.failing_since) = (0, None);
                telling.next_micros = Some(now_micros + WAIT_MICROS_MAX);
            }
        }
    }

    /// While this process lives it knows what was taken, and goes on trying to write it down.
    async fn record(&self, sending: &Sending, outcome: Outcome, error: Option<String>, now_micros: i64) {
        let is_plain_repeat =
            sending.wanted.why == Why::Repeat && matches!(sending.receiver.way, Way::Alertmanager { .. });
        if is_plain_repeat && outcome == Outcome::Delivered {
            return;
        }
        let tried = Try {
            time_micros: now_micros,
            id: &sending.id,
            key: &sending.key,
            wanted: &sending.wanted,
            outcome,
            attempt: sending.attempt,
            error,
        };
        while let Err(error) = self.inner.keeper.tried(&tried).await {
            tracing::error!(%error, "what became of a message could not be written down");
            tokio::time::sleep(std::time::Duration::from_micros(WAIT_MICROS_MIN.unsigned_abs())).await;
        }
    }

    async fn send(&self, sending: &Sending) -> Result<(), WatchError> {
        let now_micros = (self.inner.clock)();
        let (firing, over) = self.spoken(&sending.wanted);
        let message = Message {
            id: &sending.id,
            receiver: &sending.receiver.name,
            key: &sending.key,
            firing,
            over,
            external_url: &self.inner.external_url,
            now_micros,
        };
        self.post(&sending.receiver, &message).await
    }

    pub(super) async fn post(&self, receiver: &Receiver, message: &Message<'_>) -> Result<(), WatchError> {
        let requests = message::requests(&receiver.way, message, &self.inner.secrets)?;
        let mail = message::mail(&receiver.way, message, &self.inner.secrets)?;
        let (outgoing, name) = (self.inner.outgoing.clone(), Arc::clone(&receiver.name));
        let sent = tokio::task::spawn_blocking(move || -> Result<(), OutgoingError> {
            if let Some(mail) = mail {
                for refused in outgoing.mail(&mail)?.refused {
                    tracing::warn!(receiver = &*name, "a recipient was not told: {refused}");
                }
            }
            requests.iter().try_for_each(|request| outgoing.post(&request.posted()).map(drop))
        });
        let late = |_| WatchError::Refused(format!("it took longer than {} s", SEND_WITHIN.as_secs()));
        let sent = tokio::time::timeout(SEND_WITHIN, sent).await.map_err(late)?;
        Ok(sent.map_err(WatchError::internal)??)
    }

    /// What is said of the alerts of a message.
    fn spoken(&self, wanted: &Wanted) -> (Vec<Spoken>, Vec<Spoken>) {
        let active: BTreeMap<Fingerprint, Instance> = self.active().into_iter().collect();
        let past = self.inner.past.lock();
        let firing = wanted.firing.iter().filter_map(|told| Some(Spoken::of(*told, active.get(&told.fingerprint)?)));
        let over = wanted.over.iter().map(|told| match past.get(told) {
            Some(instance) => Spoken::of(*told, instance),
            // It has begun again since, or nobody remembers more than that it was.
            None => Spoken::forgotten(*told, active.get(&told.fingerprint)),
        });
        (firing.collect(), over.collect())
    }

    /// Sends a message about nothing, so that somebody sees whether a receiver can be reached.
    pub async fn test_receiver(&self, name: &str) -> Result<(), WatchError> {
        let book = Arc::clone(&self.inner.book.lock());
        let Some(receiver) = book.receivers.get(name) else {
            let known = book.receivers.keys().map(ToString::to_string).collect();
            return Err(WatchError::NotFound { what: "receiver", name: name.chars().take(100).collect(), known });
        };
        let now_micros = (self.inner.clock)();
        let told = ToldAlert { fingerprint: Fingerprint(0), started_micros: now_micros };
        let key = GroupKey { receiver: Arc::clone(&receiver.name), route: "".into(), labels: Labels::new() };
        let (firing, over) = (vec![Spoken::test(told)], Vec::new());
        let id = format!("test_{now_micros}");
        let external_url = &self.inner.external_url;
        let message = Message { id: &id, receiver: &receiver.name, key: &key, firing, over, external_url, now_micros };
        self.post(receiver, &message).await
    }
}

fn pace_of(receiver: &Receiver, route: Option<&Route>) -> Pace {
    match (&receiver.way, route) {
        (Way::Alertmanager { .. }, _) | (_, None) => TO_ALERTMANAGER,
        (_, Some(route)) => Pace {
            wait_micros: route.wait_micros,
            interval_micros: route.interval_micros,
            repeat_micros: route.repeat_micros,
        },
    }
}

/// After so many tries.
fn wait_micros(attempts: i64) -> i64 {
    let times = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    WAIT_MICROS_MIN.saturating_mul(1 << times).min(WAIT_MICROS_MAX)
}

/// The same for each try of the same message.
fn id(key: &GroupKey, wanted: &Wanted, told: &Told) -> String {
    let mut digest = Sha256::new();
    digest.update(key.receiver.as_bytes());
    digest.update(key.to_string().as_bytes());
    digest.update(told.at_micros.unwrap_or_default().to_le_bytes());
    for (mark, alerts) in [(b"f", &wanted.firing), (b"o", &wanted.over)] {
        for alert in alerts {
            digest.update(mark);
            digest.update(alert.fingerprint.0.to_le_bytes());
            digest.update(alert.started_micros.to_le_bytes());
        }
    }
    let hex: String = digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("alert_{hex}")
}
