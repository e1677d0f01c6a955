//! Rows of the three tables on their way to the store.

use super::WatchError;
use crate::alert::{Change, GroupKey, Labels, Silence, ToldAlert, Wanted};
use crate::store::{Store, ground_table};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use contract::WriterId;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    Failed,
    GivenUp,
}

impl Outcome {
    pub(super) const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// A try to tell a receiver.
pub(super) struct Try<'a> {
    pub(super) time_micros: i64,
    pub(super) id: &'a str,
    pub(super) key: &'a GroupKey,
    pub(super) wanted: &'a Wanted,
    pub(super) outcome: Outcome,
    pub(super) attempt: i64,
    pub(super) error: Option<String>,
}

pub(super) struct Keeper {
    store: Store,
    writer: WriterId,
    /// Of the last append; whoever appends holds it, so that sequences arrive in their order.
    sequence: tokio::sync::Mutex<u64>,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Result<Self, WatchError> {
        let writer = WriterId::parse(&format!("alerts/{}", Uuid::new_v4())).map_err(WatchError::internal)?;
        Ok(Self { store, writer, sequence: tokio::sync::Mutex::new(0) })
    }

    /// Returns after the rows are durable.
    async fn append(&self, name: &'static str, columns: Vec<ArrayRef>) -> Result<(), WatchError> {
        let table = ground_table(name).expect("the store has it");
        let batch = RecordBatch::try_new(contract::schema(table), columns).map_err(WatchError::internal)?;
        let mut sequence = self.sequence.lock().await;
        *sequence += 1;
        self.store.append(table, &self.writer, *sequence, batch).await?;
        Ok(())
    }

    pub(super) async fn changes(&self, rule: &str, changes: &[Change], now_micros: i64) -> Result<(), WatchError> {
        let all = || changes.iter();
        let annotations = all().map(|c| c.instance.annotations.iter().map(|(n, v)| (&**n, v.as_str())).collect());
        let columns: Vec<ArrayRef> = vec![
            times(all().map(|_| Some(now_micros))),
            texts(all().map(|_| Some(rule.to_owned()))),
            texts(all().map(|c| Some(c.fingerprint.to_string()))),
            texts(all().map(|c| Some(c.instance.phase.as_str().to_owned()))),
            texts(all().map(|c| c.from.map(|phase| phase.as_str().to_owned()))),
            maps(all().map(|c| pairs(&c.instance.labels)))?,
            maps(annotations)?,
            Arc::new(all().map(|c| c.instance.value).collect::<Float64Array>()),
            times(all().map(|c| c.instance.started_micros)),
        ];
        self.append("alert_changes", columns).await
    }

    pub(super) async fn tried(&self, tried: &Try<'_>) -> Result<(), WatchError> {
        let text = |value: &str| texts(std::iter::once(Some(value.to_owned())));
        let columns: Vec<ArrayRef> = vec![
            times(std::iter::once(Some(tried.time_micros))),
            text(tried.id),
            text(&tried.key.receiver),
            text(&tried.key.route),
            maps(std::iter::once(pairs(&tried.key.labels)))?,
            text(tried.outcome.as_str()),
            Arc::new(Int64Array::from(vec![tried.attempt])),
            text(&written(&tried.wanted.firing)),
            text(&written(&tried.wanted.over)),
            texts(std::iter::once(tried.error.clone())),
        ];
        self.append("alert_notifications", columns).await
    }

    pub(super) async fn silence(&self, silence: &Silence) -> Result<(), WatchError> {
        let text = |value: &str| texts(std::iter::once(Some(value.to_owned())));
        let time = |micros: i64| times(std::iter::once(Some(micros)));
        let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
        let columns: Vec<ArrayRef> = vec![
            time(silence.stated_micros),
            text(&silence.id),
            text(silence.kind.as_str()),
            text(&matchers.join("\n")),
            time(silence.starts_micros),
            time(silence.ends_micros),
            text(&silence.author),
            text(&silence.comment),
        ];
        self.append("alert_silences", columns).await
    }
}

/// As [`super::read`] takes it.
fn written(alerts: &BTreeSet<ToldAlert>) -> String {
    alerts.iter().map(|told| format!("{}@{}", told.fingerprint, told.started_micros)).collect::<Vec<_>>().join(" ")
}

fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn maps<'a>(rows: impl Iterator<Item = Vec<(&'a str, &'a str)>>) -> Result<ArrayRef, WatchError> {
    let [entry, key, value] = ["key_value", "key", "value"].map(str::to_owned);
    let names = Some(MapFieldNames { entry, key, value });
    let mut maps = MapBuilder::new(names, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (name, value) in row {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true).map_err(WatchError::internal)?;
    }
    Ok(Arc::new(maps.finish()))
}
