//! A look of a rule: ask, step, keep what changed, and only then let it count.

use super::{Health, Watch, WatchError, ask};
use crate::alert::{Change, Fingerprint, Instance, Phase, Rule, ToldAlert, step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

impl Watch {
    /// Starts a look of each rule whose time has come, as far as there are hands.
    pub(super) fn look_at_all(&self) {
        let now_micros = (self.inner.clock)();
        let mut watched = self.inner.watched.lock();
        let mut due: Vec<_> = watched.values_mut().filter(|w| !w.is_asking && is_due(w, now_micros)).collect();
        // Whoever waits longest comes first.
        due.sort_by_key(|w| w.next_micros);
        for watched in due {
            let Ok(hand) = Arc::clone(&self.inner.asking).try_acquire_owned() else { return };
            watched.is_asking = true;
            let (watch, rule) = (self.clone(), Arc::clone(&watched.rule));
            self.inner.runtime.spawn(async move {
                watch.look(&rule).instrument(tracing::info_span!("rule", name = &*rule.name)).await;
                drop(hand);
                watch.inner.wake.notify_one();
            });
        }
    }

    async fn look(&self, rule: &Arc<Rule>) {
        let begun = Instant::now();
        let now_micros = (self.inner.clock)();
        let health = match self.seen(rule, now_micros).await {
            Ok(health) => health,
            Err(error) => {
                tracing::warn!(rule = &*rule.name, %error, "a rule could not be looked at");
                Health::Failing(error.to_string())
            }
        };
        let mut watched = self.inner.watched.lock();
        let Some(known) = watched.get_mut(&rule.name) else { return };
        known.is_asking = false;
        known.took = begun.elapsed();
        // The text may have another pace by now; what was not there is looked for soon.
        let every_micros = known.rule.every_micros;
        let pace = if health == Health::Well { every_micros } else { every_micros.min(AGAIN_MICROS_MAX) };
        known.next_micros = now_micros + pace;
        known.health = health;
    }

    async fn seen(&self, rule: &Arc<Rule>, now_micros: i64) -> Result<Health, WatchError> {
        if !ask::has_rows(&self.inner.engine, rule, now_micros).await? {
            // Whoever sees nothing learns nothing.
            return Ok(Health::NoData);
        }
        let limit = Duration::from_micros(rule.every_micros.unsigned_abs()).max(LOOK_AT_LEAST);
        let asked = tokio::time::timeout(limit, ask::ask(&self.inner.engine, rule, now_micros)).await;
        let late = |_| WatchError::Refused(format!("it took longer than {} s", limit.as_secs()));
        let seen = asked.map_err(late)??;
        let Some((mut instances, last_micros)) = self.known(&rule.name) else { return Ok(Health::Waiting) };
        let changes = step(rule, &mut instances, seen, last_micros, now_micros);
        self.count(&rule.name, instances, &changes, now_micros).await?;
        Ok(Health::Well)
    }

    fn known(&self, name: &str) -> Option<(BTreeMap<Fingerprint, Instance>, Option<i64>)> {
        self.inner.watched.lock().get(name).map(|known| (known.instances.clone(), known.last_micros))
    }

    /// Keeps changes, and then lets them count.
    async fn count(
        &self,
        name: &Arc<str>,
        instances: BTreeMap<Fingerprint, Instance>,
        changes: &[Change],
        now_micros: i64,
    ) -> Result<(), WatchError> {
        if !changes.is_empty() {
            self.inner.keeper.changes(name, changes, now_micros).await?;
            self.remember_over(changes);
        }
        if let Some(known) = self.inner.watched.lock().get_mut(name) {
            (known.instances, known.last_micros) = (instances, Some(now_micros));
        }
        Ok(())
    }

    /// What no rule watches any more is over.
    pub(super) async fn end(&self, name: &str, instances: BTreeMap<Fingerprint, Instance>) -> Result<(), WatchError> {
        let now_micros = (self.inner.clock)();
        let changes: Vec<Change> = instances
            .into_iter()
            .filter(|(_, instance)| !instance.phase.is_over())
            .map(|(fingerprint, instance)| {
                let from = Some(instance.phase);
                let phase = if instance.phase.is_active() { Phase::Resolved } else { Phase::Dropped };
                Change { fingerprint, instance: Instance { phase, since_micros: now_micros, ..instance }, from }
            })
            .collect();
        if !changes.is_empty() {
            self.inner.keeper.changes(name, &changes, now_micros).await?;
            self.remember_over(&changes);
        }
        Ok(())
    }

    fn remember_over(&self, changes: &[Change]) {
        let mut past = self.inner.past.lock();
        for change in changes.iter().filter(|change| change.instance.phase == Phase::Resolved) {
            let Some(started_micros) = change.instance.started_micros else { continue };
            past.add(ToldAlert { fingerprint: change.fingerprint, started_micros }, change.instance.clone());
        }
    }
}

/// A rule that saw nothing, or could not be asked, is looked at again no later than this.
const AGAIN_MICROS_MAX: i64 = 60_000_000;
/// A rule that is looked at each second may take longer than that once.
const LOOK_AT_LEAST: Duration = Duration::from_secs(5);

/// A clock that was set back makes nobody wait longer than a pace.
fn is_due(watched: &super::Watched, now_micros: i64) -> bool {
    now_micros >= watched.next_micros || watched.next_micros - now_micros > watched.rule.every_micros
}
