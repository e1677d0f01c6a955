//! Dead letters: messages that were given up because their receiver took nothing for a day. They stay in the table of
//! notifications, are listed, and can be sent once more.
//!
//! What is sent then is how the alerts stand at that time: who has not heard of a beginning hears of the end.

use super::keep::{Outcome, Try};
use super::message::{Message, Spoken};
use super::{Watch, WatchError, read};
use crate::alert::{Fingerprint, GroupKey, Instance, ToldAlert, Wanted, Why};
use crate::query::{Parameter, Rows};
use std::collections::{BTreeMap, BTreeSet};

/// The latest; whoever has more has another problem.
const LETTERS_MAX: usize = 500;
/// Messages without a record that their receiver has taken them since.
const LETTERS: &str = "select notification, receiver, route, group_labels, attempt, firing, resolved, error, time from \
    (select *, row_number() over (partition by notification order by time desc) as place from alert_notifications \
    where state = 'given_up') letters \
    where place = 1 and notification not in \
    (select notification from alert_notifications where state = 'delivered') order by time desc";
/// The last that was seen of each beginning.
const BEGINNINGS: &str = "select rule, fingerprint, state, labels, annotations, value, started_at, time from \
    (select *, row_number() over (partition by fingerprint, started_at order by time desc) as place \
    from alert_changes where started_at >= $1 and started_at <= $2) changes where place = 1";

/// A message that was given up.
pub struct Letter {
    pub id: String,
    pub key: GroupKey,
    pub given_up_micros: i64,
    pub attempts: i64,
    pub firing: BTreeSet<ToldAlert>,
    pub over: BTreeSet<ToldAlert>,
    pub error: String,
}

impl Watch {
    /// The latest first.
    pub async fn letters(&self) -> Result<Vec<Letter>, WatchError> {
        let mut letters = Vec::new();
        for batch in self.inner.engine.sql(LETTERS, Vec::new()).await?.collect().await? {
            let rows = Rows::new(&batch);
            letters.extend((0..batch.num_rows()).filter_map(|row| letter(&rows, row)));
        }
        letters.truncate(LETTERS_MAX);
        Ok(letters)
    }

    /// Sends one of them once more, under its own id.
    pub async fn replay(&self, id: &str) -> Result<(), WatchError> {
        let letters = self.letters().await?;
        let Some(letter) = letters.iter().find(|letter| letter.id == id) else {
            let (name, known) = (id.chars().take(60).collect(), letters.into_iter().map(|letter| letter.id).collect());
            return Err(WatchError::NotFound { what: "dead letter", name, known });
        };
        let book = std::sync::Arc::clone(&self.inner.book.lock());
        let Some(receiver) = book.receivers.get(&letter.key.receiver) else {
            let known = book.receivers.keys().map(ToString::to_string).collect();
            let name = letter.key.receiver.to_string();
            return Err(WatchError::NotFound { what: "receiver", name, known });
        };
        let now_micros = (self.inner.clock)();
        let (firing, over) = self.of_now(letter);
        let past = self.beginnings(&over).await?;
        let active: BTreeMap<Fingerprint, Instance> = self.active().into_iter().collect();
        let spoken = |told: &ToldAlert| Some(Spoken::of(*told, active.get(&told.fingerprint)?));
        let ended = |told: &ToldAlert| match past.get(told) {
            Some(instance) => Spoken::ended(*told, instance, now_micros),
            None => Spoken::forgotten(*told, active.get(&told.fingerprint)),
        };
        let message = Message {
            id: &letter.id,
            receiver: &receiver.name,
            key: &letter.key,
            firing: firing.iter().filter_map(spoken).collect(),
            over: over.iter().map(ended).collect(),
            external_url: &self.inner.external_url,
            now_micros,
        };
        self.post(receiver, &message).await?;
        let wanted = Wanted { why: Why::News, firing, over };
        let tried = Try {
            time_micros: now_micros,
            id: &letter.id,
            key: &letter.key,
            wanted: &wanted,
            outcome: Outcome::Delivered,
            attempt: letter.attempts + 1,
            error: None,
        };
        self.inner.keeper.tried(&tried).await?;
        let mut told = self.inner.told.lock();
        told.entry(letter.key.clone()).or_default().told.take(&wanted.firing, &wanted.over, now_micros);
        Ok(())
    }

    /// What of a letter still fires, and what is over by now.
    fn of_now(&self, letter: &Letter) -> (BTreeSet<ToldAlert>, BTreeSet<ToldAlert>) {
        let active = self.active().into_iter();
        let still: BTreeSet<ToldAlert> = active
            .filter_map(|(fingerprint, instance)| {
                Some(ToldAlert { fingerprint, started_micros: instance.started_micros? })
            })
            .collect();
        letter.firing.union(&letter.over).copied().partition(|told| still.contains(told))
    }

    async fn beginnings(&self, wanted: &BTreeSet<ToldAlert>) -> Result<BTreeMap<ToldAlert, Instance>, WatchError> {
        let starts = || wanted.iter().map(|told| told.started_micros);
        let Some((first, last)) = starts().min().zip(starts().max()) else { return Ok(BTreeMap::new()) };
        let range = vec![Parameter::Time(first), Parameter::Time(last)];
        let mut found = BTreeMap::new();
        for batch in self.inner.engine.sql(BEGINNINGS, range).await?.collect().await? {
            let rows = Rows::new(&batch);
            for (_, fingerprint, instance) in (0..batch.num_rows()).filter_map(|row| read::change(&rows, row)) {
                let told = instance.started_micros.map(|started_micros| ToldAlert { fingerprint, started_micros });
                found.extend(told.filter(|told| wanted.contains(told)).map(|told| (told, instance)));
            }
        }
        Ok(found)
    }
}

fn letter(rows: &Rows<'_>, row: usize) -> Option<Letter> {
    Some(Letter {
        id: rows.text(0, row)?.to_owned(),
        key: GroupKey {
            receiver: rows.text(1, row)?.into(),
            route: rows.text(2, row)?.into(),
            labels: read::labels(rows, 3, row),
        },
        attempts: rows.int(4, row)?,
        firing: read::alerts(rows.text(5, row)?),
        over: read::alerts(rows.text(6, row)?),
        error: rows.text(7, row).unwrap_or_default().to_owned(),
        given_up_micros: rows.int(8, row)?,
    })
}
