//! How often a rule would have fired: looks at a time that is over, by the same statement and the same steps.

use super::{Watch, WatchError, ask};
use crate::alert::{Asks, Fingerprint, Instance, Labels, Phase, Rule, Seen, Threshold, step};
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Looks of a preview; a rule that looks more often is looked at less often, and `for` counts by those looks.
const PREVIEW_LOOKS_MAX: i64 = 720;
/// A year at a look each half day.
const PREVIEW_SPAN_MICROS_MAX: i64 = 400 * 86_400_000_000;
/// All of a preview; what is done by then is told.
const PREVIEW_WITHIN: Duration = Duration::from_secs(25);
/// Statements of a preview that are under way at once.
const ASKING_MAX: usize = 4;
/// Beginnings that are listed; all are counted.
const FIRINGS_MAX: usize = 200;

/// What a rule would have done.
pub struct Preview {
    pub step_micros: i64,
    /// When it was looked at, and the worst value of that look.
    pub looks: Vec<(i64, Option<f64>)>,
    /// Whether time sufficed for all of them.
    pub is_complete: bool,
    /// The latest, at most so many as are listed.
    pub firings: Vec<Firing>,
    /// How often it would have begun to fire.
    pub count: usize,
    /// How long something fired, all alerts together.
    pub firing_micros: i64,
}

pub struct Firing {
    pub labels: Labels,
    pub summary: String,
    pub started_micros: i64,
    /// None while it fires.
    pub ended_micros: Option<i64>,
}

impl Watch {
    /// Looks at a rule from one time to another, at its pace or as often as is allowed.
    pub async fn preview(&self, rule: &Rule, from_micros: i64, to_micros: i64) -> Result<Preview, WatchError> {
        if from_micros >= to_micros || to_micros - from_micros > PREVIEW_SPAN_MICROS_MAX {
            return Err(WatchError::Refused("the time to look at begins before it ends, 400 days at most".to_owned()));
        }
        let busy = |_| WatchError::Busy("another rule is tried at this moment; ask again".to_owned());
        let _hand = self.inner.previewing.try_acquire().map_err(busy)?;
        let step_micros = rule.every_micros.max((to_micros - from_micros) / PREVIEW_LOOKS_MAX);
        // Paces are whole seconds.
        let step_micros = (step_micros + 999_999).div_euclid(1_000_000) * 1_000_000;
        let times: Vec<i64> = (0..).map(|at| from_micros + at * step_micros).take_while(|t| *t <= to_micros).collect();
        let seen = match &rule.asks {
            Asks::Sql(_) => self.seen_one_by_one(rule, &times).await?,
            Asks::PromQl(_) => ask::range(&self.inner.engine, rule, &times, PREVIEW_WITHIN).await?,
        };
        let is_complete = seen.len() == times.len();
        let slower = Rule { every_micros: step_micros, ..rule.clone() };
        // Where time did not suffice it is the earliest looks that are not known.
        let unseen = times.len() - seen.len();
        let looks = times.into_iter().skip(unseen).zip(seen);
        Ok(Preview { step_micros, is_complete, ..played(&slower, looks) })
    }

    /// The latest first, as far as time suffices; given in the order of their times.
    async fn seen_one_by_one(&self, rule: &Rule, times: &[i64]) -> Result<Vec<Option<Vec<Seen>>>, WatchError> {
        let end = Instant::now() + PREVIEW_WITHIN;
        let (first, last) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
        // Before the first row there is nothing to ask.
        let begins_micros = match rule.needs.is_empty() {
            true => i64::MIN,
            false => ask::first_row(&self.inner.engine, rule, first, last).await?.unwrap_or(i64::MAX),
        };
        let look = |now_micros: i64| async move {
            if now_micros < begins_micros {
                return Ok(None);
            }
            let seen = ask::ask(&self.inner.engine, rule, now_micros, |_| true).await?;
            // Whoever sees nothing learns something only where there was something to see.
            let sees = !seen.is_empty() || ask::has_rows(&self.inner.engine, rule, now_micros).await?;
            Ok::<_, WatchError>(sees.then_some(seen))
        };
        let mut looks = stream::iter(times.iter().rev().copied().map(look)).buffered(ASKING_MAX);
        let mut all = Vec::with_capacity(times.len());
        while let Ok(Some(seen)) = tokio::time::timeout_at(end, looks.next()).await {
            all.push(seen?);
        }
        match all.is_empty() && !times.is_empty() {
            true => Err(late()),
            false => {
                all.reverse();
                Ok(all)
            }
        }
    }
}

fn late() -> WatchError {
    WatchError::Refused(format!("not even one look came to its end within {} s", PREVIEW_WITHIN.as_secs()))
}

/// The steps of the looks, and what came of them. A look that saw nothing changes nothing.
fn played(rule: &Rule, looks: impl Iterator<Item = (i64, Option<Vec<Seen>>)>) -> Preview {
    let mut known: BTreeMap<Fingerprint, Instance> = BTreeMap::new();
    let mut open: BTreeMap<Fingerprint, usize> = BTreeMap::new();
    let (mut last_micros, mut told, mut firings) = (None, Vec::new(), Vec::new());
    for (now_micros, seen) in looks {
        let Some(seen) = seen else {
            told.push((now_micros, None));
            continue;
        };
        told.push((now_micros, worst(rule, &seen)));
        for change in step(rule, &mut known, &seen, last_micros, now_micros) {
            match (change.instance.phase, change.from) {
                (Phase::Firing, from) if from != Some(Phase::Missing) => {
                    open.insert(change.fingerprint, firings.len());
                    firings.push(firing(&change.instance, now_micros));
                }
                (Phase::Resolved, _) => {
                    if let Some(at) = open.remove(&change.fingerprint) {
                        firings[at].ended_micros = Some(now_micros);
                    }
                }
                _ => {}
            }
        }
        last_micros = Some(now_micros);
    }
    let end = last_micros.unwrap_or_default();
    let count = firings.len();
    let lasted = |firing: &Firing| firing.ended_micros.unwrap_or(end) - firing.started_micros;
    let firing_micros = firings.iter().map(lasted).sum();
    let firings = firings.split_off(count.saturating_sub(FIRINGS_MAX));
    Preview { step_micros: rule.every_micros, looks: told, is_complete: true, firings, count, firing_micros }
}

fn firing(instance: &Instance, now_micros: i64) -> Firing {
    Firing {
        labels: instance.labels.clone(),
        summary: instance.annotations.get("summary").cloned().unwrap_or_default(),
        started_micros: now_micros,
        ended_micros: None,
    }
}

/// That which is nearest to firing; without a threshold the greatest, or how many rows there are.
fn worst(rule: &Rule, seen: &[Seen]) -> Option<f64> {
    let values = seen.iter().filter_map(|seen| seen.value).filter(|value| value.is_finite());
    match rule.threshold {
        Some(Threshold::Below(_)) => values.reduce(f64::min),
        Some(Threshold::Above(_)) => values.reduce(f64::max),
        None => Some(values.reduce(f64::max).unwrap_or(seen.len() as f64)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::alert::Stated;

    #[test]
    fn looks_become_intervals() {
        let text = "[[rule]]\nname = \"Hot\"\nsql = \"select 1\"\nabove = 90\nevery = \"1m\"\nfor = \"1m\"\n\
            severity = \"info\"\nsummary = \"{gpu} is at {value}\"\n";
        let rule = &Stated::parse(text).unwrap().rules[0];
        let minute = 60_000_000;
        let seen = |values: &[f64]| {
            let row = |(at, value): (usize, &f64)| Seen {
                labels: [("gpu".into(), at.to_string().into())].into(),
                value: Some(*value),
                ..Seen::default()
            };
            Some(values.iter().enumerate().map(row).collect::<Vec<_>>())
        };
        let looks = [
            seen(&[80.0, 70.0]),
            seen(&[95.0, 91.0]),
            seen(&[96.0, 70.0]),
            None,
            seen(&[70.0, 95.0]),
            seen(&[70.0, 95.0]),
        ];
        let preview = played(rule, (0..).map(|at| at * minute).zip(looks));
        let values: Vec<Option<f64>> = preview.looks.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [Some(80.0), Some(95.0), Some(96.0), None, Some(95.0), Some(95.0)]);
        let told: Vec<_> = preview
            .firings
            .iter()
            .map(|f| (&*f.labels["gpu"], f.started_micros / minute, f.ended_micros.map(|e| e / minute)))
            .collect();
        assert_eq!(told, [("0", 2, Some(4)), ("1", 5, None)]);
        assert_eq!((preview.count, preview.firing_micros / minute), (2, 2));
        assert_eq!(preview.firings[0].summary, "0 is at 96");
    }
}
