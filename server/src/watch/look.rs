//! A look of rules that ask the same: ask, step each, keep what changed, and only then let it count.

use super::{Health, Watch, WatchError, ask};
use crate::alert::{Asks, Change, Fingerprint, Instance, Phase, Rule, Seen, ToldAlert, begins, step};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

/// What decides about an answer at a time: rules in which it is the same see the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    is_sql: bool,
    text: Arc<str>,
    over_micros: i64,
    /// How long an answer is waited for follows from it.
    every_micros: i64,
    needs: Vec<Arc<str>>,
}

impl Question {
    fn of(rule: &Rule) -> Self {
        let (is_sql, text) = match &rule.asks {
            Asks::Sql(text) => (true, text),
            Asks::PromQl(text) => (false, text),
        };
        let (over_micros, every_micros) = (rule.over_micros, rule.every_micros);
        Self { is_sql, text: Arc::clone(text), over_micros, every_micros, needs: rule.needs.clone() }
    }
}

impl Watch {
    /// Starts a look of each rule whose time has come, as far as there are hands. Rules that ask the same are answered
    /// by one question.
    pub(super) fn look_at_all(&self) {
        let now_micros = (self.inner.clock)();
        let mut watched = self.inner.watched.lock();
        let mut due: Vec<_> = watched.values_mut().filter(|w| !w.is_asking && is_due(w, now_micros)).collect();
        // Whoever waits longest comes first.
        due.sort_by_key(|w| w.next_micros);
        let mut questions: BTreeMap<Question, (OwnedSemaphorePermit, Vec<Arc<Rule>>)> = BTreeMap::new();
        for watched in due {
            let rule = Arc::clone(&watched.rule);
            let rules = match questions.entry(Question::of(&rule)) {
                Entry::Occupied(asked) => &mut asked.into_mut().1,
                Entry::Vacant(free) => match Arc::clone(&self.inner.asking).try_acquire_owned() {
                    Ok(hand) => &mut free.insert((hand, Vec::new())).1,
                    // Those behind it may still ask what somebody before it asks.
                    Err(_) => continue,
                },
            };
            watched.is_asking = true;
            rules.push(rule);
        }
        for (hand, rules) in questions.into_values() {
            let watch = self.clone();
            self.inner.runtime.spawn(async move {
                let span =
                    tracing::info_span!("rule", name = rules.first().map(|rule| &*rule.name), rules = rules.len());
                watch.look(&rules).instrument(span).await;
                drop(hand);
                watch.inner.wake.notify_one();
            });
        }
    }

    /// Of rules that ask the same.
    async fn look(&self, rules: &[Arc<Rule>]) {
        let Some(first) = rules.first() else { return };
        let begun = Instant::now();
        let now_micros = (self.inner.clock)();
        let seen = self.seen(first, rules, now_micros).await;
        for rule in rules {
            let health = match &seen {
                Ok(Some(seen)) => self.take(rule, seen, now_micros).await.map_err(|error| error.to_string()),
                // Whoever sees nothing learns nothing.
                Ok(None) => Ok(Health::NoData),
                Err(error) => Err(error.to_string()),
            };
            let health = health.unwrap_or_else(|error| {
                tracing::warn!(rule = &*rule.name, error, "a rule could not be looked at");
                Health::Failing(error)
            });
            self.looked(rule, health, begun.elapsed(), now_micros);
        }
    }

    fn looked(&self, rule: &Rule, health: Health, took: Duration, now_micros: i64) {
        let mut watched = self.inner.watched.lock();
        let Some(known) = watched.get_mut(&rule.name) else { return };
        known.is_asking = false;
        known.took = took;
        // The text may have another pace by now; what was not there is looked for soon.
        let every_micros = known.rule.every_micros;
        let pace = if health == Health::Well { every_micros } else { every_micros.min(AGAIN_MICROS_MAX) };
        known.next_micros = now_micros + pace;
        known.health = health;
    }

    /// What there is to see of what a rule asks, as far as it matters to one of some; none where nothing can be seen.
    async fn seen(&self, rule: &Rule, to: &[Arc<Rule>], now_micros: i64) -> Result<Option<Vec<Seen>>, WatchError> {
        if !ask::has_rows(&self.inner.engine, rule, now_micros).await? {
            return Ok(None);
        }
        let limit = Duration::from_micros(rule.every_micros.unsigned_abs()).max(LOOK_AT_LEAST);
        // Whatever is seen matters to an alert that is there; most rules have none, and most values begin none.
        let is_calm = to.iter().all(|rule| self.known(&rule.name).is_none_or(|(instances, _)| instances.is_empty()));
        let matters = |value| !is_calm || to.iter().any(|rule| begins(rule, value));
        let asked = tokio::time::timeout(limit, ask::ask(&self.inner.engine, rule, now_micros, matters)).await;
        let late = |_| WatchError::Refused(format!("it took longer than {} s", limit.as_secs()));
        Ok(Some(asked.map_err(late)??))
    }

    /// Takes what was seen into a rule.
    async fn take(&self, rule: &Arc<Rule>, seen: &[Seen], now_micros: i64) -> Result<Health, WatchError> {
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
