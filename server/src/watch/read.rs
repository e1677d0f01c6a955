//! What was kept before a restart.

use super::WatchError;
use super::keep::Outcome;
use crate::alert::{Fingerprint, GroupKey, Instance, Labels, Matcher, Phase, Silence, SilenceKind, Told, ToldAlert};
use crate::query::{Engine, Rows};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The last row of each alert, of each silence.
const CHANGES: &str = "select rule, fingerprint, state, labels, annotations, value, started_at, time from \
    (select *, row_number() over (partition by fingerprint order by time desc) as place from alert_changes) \
    where place = 1";
/// All that a receiver was told, and was not, since it last took a message.
const NOTIFICATIONS: &str = "select receiver, route, group_labels, state, firing, resolved, n.time from alert_notifications n \
    order by n.time";
const SILENCES: &str = "select silence, kind, matchers, starts_at, ends_at, author, comment, time from \
    (select *, row_number() over (partition by silence order by time desc) as place from alert_silences) \
    where place = 1 order by time";

#[derive(Default)]
pub(super) struct Kept {
    /// By rule.
    pub(super) instances: BTreeMap<Arc<str>, BTreeMap<Fingerprint, Instance>>,
    pub(super) over: BTreeMap<ToldAlert, Instance>,
    pub(super) told: BTreeMap<GroupKey, Told>,
    pub(super) silences: Vec<Silence>,
}

pub(super) async fn all(engine: &Engine) -> Result<Kept, WatchError> {
    let mut kept = Kept::default();
    for batch in rows(engine, NOTIFICATIONS).await? {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            // A row that cannot be read is of another version, and says nothing.
            notification(&rows, row, &mut kept.told);
        }
    }
    let open: BTreeSet<ToldAlert> =
        kept.told.values().flat_map(|told| told.firing.union(&told.owed)).copied().collect();
    for batch in rows(engine, CHANGES).await? {
        let rows = Rows::new(&batch);
        for row in 0..batch.num_rows() {
            let Some((rule, fingerprint, instance)) = change(&rows, row) else { continue };
            let told = instance.started_micros.map(|started_micros| ToldAlert { fingerprint, started_micros });
            match told.filter(|_| instance.phase.is_over()) {
                Some(told) if open.contains(&told) => drop(kept.over.insert(told, instance)),
                _ if instance.phase.is_over() => {}
                _ => drop(kept.instances.entry(rule).or_default().insert(fingerprint, instance)),
            }
        }
    }
    for batch in rows(engine, SILENCES).await? {
        let rows = Rows::new(&batch);
        kept.silences.extend((0..batch.num_rows()).filter_map(|row| silence(&rows, row)));
    }
    Ok(kept)
}

async fn rows(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>, WatchError> {
    Ok(engine.sql(sql, Vec::new()).await?.collect().await?)
}

pub(super) fn labels(rows: &Rows<'_>, at: usize, row: usize) -> Labels {
    rows.pairs(at, row).into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

pub(super) fn change(rows: &Rows<'_>, row: usize) -> Option<(Arc<str>, Fingerprint, Instance)> {
    let since_micros = rows.int(7, row)?;
    let started_micros = rows.int(6, row);
    let annotations = rows.pairs(4, row).into_iter().map(|(name, value)| (name.into(), value.to_owned()));
    let instance = Instance {
        labels: labels(rows, 3, row),
        annotations: annotations.collect(),
        phase: Phase::parse(rows.text(2, row)?)?,
        value: rows.float(5, row),
        since_micros,
        started_micros,
        true_micros: 0,
        quiet_micros: 0,
        missing_micros: 0,
        starts: started_micros.into_iter().collect(),
    };
    Some((rows.text(0, row)?.into(), Fingerprint::parse(rows.text(1, row)?)?, instance))
}

/// In their order: what was taken counts, and what was not is owed until something is.
fn notification(rows: &Rows<'_>, row: usize, told: &mut BTreeMap<GroupKey, Told>) -> Option<()> {
    let key = GroupKey {
        receiver: rows.text(0, row)?.into(),
        route: rows.text(1, row)?.into(),
        labels: labels(rows, 2, row),
    };
    let outcome = Outcome::ALL.into_iter().find(|outcome| rows.text(3, row) == Some(outcome.as_str()))?;
    let (firing, over) = (alerts(rows.text(4, row)?), alerts(rows.text(5, row)?));
    let told = told.entry(key).or_default();
    match outcome {
        Outcome::Delivered => told.take(&firing, &over, rows.int(6, row)?),
        Outcome::Failed => told.owe(&firing),
        Outcome::GivenUp => told.owed.clear(),
    }
    Some(())
}

/// As [`super::keep`] writes them.
pub(super) fn alerts(text: &str) -> BTreeSet<ToldAlert> {
    let one = |part: &str| {
        let (fingerprint, started) = part.split_once('@')?;
        Some(ToldAlert { fingerprint: Fingerprint::parse(fingerprint)?, started_micros: started.parse().ok()? })
    };
    text.split(' ').filter_map(one).collect()
}

fn silence(rows: &Rows<'_>, row: usize) -> Option<Silence> {
    let matchers = rows.text(2, row)?.lines().map(Matcher::parse).collect::<Result<_, _>>().ok()?;
    Some(Silence {
        id: rows.text(0, row)?.into(),
        kind: SilenceKind::parse(rows.text(1, row)?)?,
        matchers,
        starts_micros: rows.int(3, row)?,
        ends_micros: rows.int(4, row)?,
        author: rows.text(5, row)?.to_owned(),
        comment: rows.text(6, row)?.to_owned(),
        stated_micros: rows.int(7, row)?,
    })
}
