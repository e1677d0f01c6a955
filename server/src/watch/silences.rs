//! Stating silences and acknowledgements, and ending them.

use super::{Watch, WatchError};
use crate::alert::{Fingerprint, Instance, Matcher, Silence, SilenceKind};
use std::sync::Arc;
use uuid::Uuid;

const SILENCES_MAX: usize = 1_000;
const MATCHERS_MAX: usize = 50;
const COMMENT_CHARS_MAX: usize = 500;
/// A silence that is meant for ever is a rule that should go.
const LASTS_MICROS_MAX: i64 = 366 * 86_400_000_000;
/// Silences that are over are shown for so long.
const SHOWN_MICROS: i64 = 7 * 86_400_000_000;

/// What somebody asks for; times are Unix microseconds.
#[derive(Debug, Clone)]
pub struct Silencing {
    pub matchers: Vec<Matcher>,
    pub starts_micros: i64,
    pub ends_micros: i64,
    pub author: String,
    pub comment: String,
}

impl Watch {
    /// Those that hold, will hold, or held lately.
    pub fn silences(&self) -> Vec<Silence> {
        let now_micros = (self.inner.clock)();
        let all = self.inner.silences.lock();
        all.iter().filter(|silence| now_micros - silence.ends_micros < SHOWN_MICROS).cloned().collect()
    }

    pub async fn silence(&self, asked: Silencing) -> Result<Silence, WatchError> {
        let lasts = asked.ends_micros.saturating_sub(asked.starts_micros.max((self.inner.clock)()));
        if asked.matchers.is_empty() || asked.matchers.len() > MATCHERS_MAX {
            return Err(refused("a silence has conditions like node=\"n1\", 50 at most"));
        }
        if asked.matchers.iter().all(|matcher| matcher.matches(&Default::default())) {
            return Err(refused("these conditions fit everything; name at least one value"));
        }
        if !(1..=LASTS_MICROS_MAX).contains(&lasts) {
            return Err(refused("a silence ends after it starts, in the future, and within a year"));
        }
        if asked.comment.trim().is_empty() || asked.comment.chars().count() > COMMENT_CHARS_MAX {
            return Err(refused("say why, in 500 characters at most; whoever is on call will ask"));
        }
        self.state_silence(SilenceKind::Silence, asked).await
    }

    /// Until the alert is over, nothing of it is repeated.
    pub async fn acknowledge(&self, alert: &str, author: &str, comment: &str) -> Result<Silence, WatchError> {
        let labels = Fingerprint::parse(alert).and_then(|sought| self.instance(sought)).map(|found| found.labels);
        let Some(labels) = labels else {
            let name = alert.chars().take(20).collect();
            return Err(WatchError::NotFound {
                what: "alert that fires with the fingerprint",
                name,
                known: Vec::new(),
            });
        };
        let now_micros = (self.inner.clock)();
        let asked = Silencing {
            matchers: labels.iter().map(|(name, value)| Matcher::is(name, value)).collect(),
            starts_micros: now_micros,
            ends_micros: now_micros + LASTS_MICROS_MAX,
            author: author.to_owned(),
            comment: comment.chars().take(COMMENT_CHARS_MAX).collect(),
        };
        self.state_silence(SilenceKind::Acknowledgement, asked).await
    }

    async fn state_silence(&self, kind: SilenceKind, asked: Silencing) -> Result<Silence, WatchError> {
        let now_micros = (self.inner.clock)();
        let open = self.inner.silences.lock().iter().filter(|silence| silence.ends_micros > now_micros).count();
        if open >= SILENCES_MAX {
            return Err(refused("there are 1,000 silences already; end some first"));
        }
        let silence = Silence {
            id: Uuid::new_v4().to_string().into(),
            kind,
            matchers: asked.matchers,
            starts_micros: asked.starts_micros.max(now_micros),
            ends_micros: asked.ends_micros,
            author: asked.author,
            comment: asked.comment,
            stated_micros: now_micros,
        };
        self.inner.keeper.silence(&silence).await?;
        self.inner.silences.lock().push(silence.clone());
        Ok(silence)
    }

    /// From now on it does not hold any more.
    pub async fn end_silence(&self, id: &str, author: &str) -> Result<(), WatchError> {
        let now_micros = (self.inner.clock)();
        let found = self.inner.silences.lock().iter().find(|s| *s.id == *id && s.ends_micros > now_micros).cloned();
        let Some(found) = found else {
            let name = id.chars().take(60).collect();
            return Err(WatchError::NotFound { what: "silence that holds", name, known: Vec::new() });
        };
        let comment = format!("{} (ended by {author})", found.comment);
        let ended = Silence {
            starts_micros: found.starts_micros.min(now_micros),
            ends_micros: now_micros,
            stated_micros: now_micros,
            comment,
            ..found
        };
        self.inner.keeper.silence(&ended).await?;
        if let Some(known) = self.inner.silences.lock().iter_mut().find(|known| known.id == ended.id) {
            *known = ended;
        }
        Ok(())
    }

    /// One that fires.
    fn instance(&self, sought: Fingerprint) -> Option<Instance> {
        let watched = self.inner.watched.lock();
        let mut found = watched.values().filter_map(|watched| watched.instances.get(&sought));
        found.find(|instance| instance.phase.is_active()).cloned()
    }

    /// Acknowledgements of what is over end with it.
    pub(super) async fn end_acknowledgements(&self) -> Result<(), WatchError> {
        let now_micros = (self.inner.clock)();
        let all = self.inner.silences.lock().clone();
        let open = all.into_iter().filter(|s| s.kind == SilenceKind::Acknowledgement && s.ends_micros > now_micros);
        for silence in open {
            let fits = |instance: &Instance| instance.phase.is_active() && silence.mutes(&instance.labels, now_micros);
            let is_open = self.inner.watched.lock().values().any(|watched| watched.instances.values().any(fits));
            if !is_open {
                self.end_silence(&silence.id, "the end of the alert").await?;
            }
        }
        Ok(())
    }
}

fn refused(why: &str) -> WatchError {
    WatchError::Refused(why.to_owned())
}

/// Who keeps an alert unsaid.
pub(super) fn muting<'a>(
    silences: &'a [Silence],
    instance: &Instance,
    kind: SilenceKind,
    now_micros: i64,
) -> Option<&'a Arc<str>> {
    let mut found = silences.iter().filter(|silence| silence.kind == kind);
    found.find(|silence| silence.mutes(&instance.labels, now_micros)).map(|silence| &silence.id)
}
