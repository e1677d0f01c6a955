//! The ledger beside other servers that keep the same one: what they state is heard, and what they write is left.
//!
//! All servers compute the same rows of the same inputs, but each hears of statements and jobs of the others only when
//! these are in files. **Invariant:** whoever knows less does not write over what another has written, unless the two
//! differ for longer than news takes.

use super::days::Inputs;
use super::refresh::Known;
use super::statements::Statements;
use super::{Ledger, LedgerError, documents};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Rows in another server's memory are in files after five minutes; three times that long, and it knows no more.
const NEWS_AFTER: Duration = Duration::from_secs(15 * 60);

/// What is known of the days that others write.
#[derive(Default)]
pub(super) struct Others {
    /// The generation of the table, and of the statements, when they were read.
    seen: Option<u64>,
    stated: Option<u64>,
    /// By day, the digest of this server's inputs when the day was written, found as it should be, or left.
    wanted: BTreeMap<i64, String>,
    /// Since when another digest is in the table than this server's.
    differs: BTreeMap<i64, Instant>,
}

impl Others {
    /// Leaves out days that another server has written of other inputs; this one's have not changed since. `had` are
    /// the digests of the table, and an empty digest is that of a day without inputs.
    pub(super) fn leave(&mut self, due: &mut Vec<(i64, String)>, had: &BTreeMap<i64, String>, now: Instant) {
        self.differs.retain(|day, _| due.iter().any(|(of, _)| of == day));
        due.retain(|(day, digest)| {
            let is_new = !had.contains_key(day) || self.wanted.get(day).is_some_and(|before| before != digest);
            let since = *self.differs.entry(*day).or_insert(now);
            let is_due = is_new || now.saturating_duration_since(since) >= NEWS_AFTER;
            if !is_due {
                self.wanted.insert(*day, digest.clone());
            }
            is_due
        });
    }

    pub(super) fn wrote(&mut self, day: i64, digest: &str) {
        self.wanted.insert(day, digest.to_owned());
        self.differs.remove(&day);
    }

    /// Notes the days that the table has as this server wants them.
    pub(super) fn agree(&mut self, had: &BTreeMap<i64, String>, wanted: &Inputs) {
        let same = wanted.iter().filter(|(day, digest)| had.get(day) == Some(digest));
        self.wanted.extend(same.map(|(day, digest)| (*day, digest.clone())));
    }
}

impl Ledger {
    /// Takes over what other servers have stated and written. `generation` is that of the ledger's open table, which
    /// was looked at before.
    pub(super) async fn hear(&self, known: &mut Known, generation: u64) -> Result<(), LedgerError> {
        let store = &self.inner.store;
        if !store.is_shared() {
            return Ok(());
        }
        if known.others.seen.replace(generation) != Some(generation) {
            known.forget();
        }
        let ground = |name| crate::store::ground_table(name).expect("the contract has it");
        // Rows of a closing are in files before the document that makes them count.
        let stated = ground("documents");
        // What is stated here meanwhile must not be taken back by what was read before.
        let _stating = self.inner.stating.lock().await;
        store.catch_up(stated).await?;
        let at = store.snapshot(stated).generation;
        let heard =
            if known.others.stated == Some(at) { None } else { Some(documents::load(&self.inner.engine).await?) };
        for table in [ground("ledger_closed"), ground("job_events"), &store.derived().usage_hourly] {
            store.catch_up(table).await?;
        }
        if let Some(all) = heard {
            let after = Statements::read(all).map_err(LedgerError::Faults)?;
            let before = self.statements();
            if (after.digest, after.all.len()) != (before.digest, before.all.len()) {
                self.hold(after)?;
            }
            known.others.stated = Some(at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(others: &mut Others, wanted: &[(i64, &str)], had: &[(i64, &str)], now: Instant) -> Vec<i64> {
        let had: BTreeMap<i64, String> = had.iter().map(|(day, digest)| (*day, (*digest).to_owned())).collect();
        let wanted: Inputs = wanted.iter().map(|(day, digest)| (*day, (*digest).to_owned())).collect();
        let gone = had.keys().filter(|day| !wanted.contains_key(day)).map(|day| (*day, String::new()));
        let changed = wanted.iter().filter(|(day, digest)| had.get(day) != Some(digest));
        let mut due: Vec<_> = gone.chain(changed.map(|(day, digest)| (*day, digest.clone()))).collect();
        others.leave(&mut due, &had, now);
        others.agree(&had, &wanted);
        due.into_iter().map(|(day, _)| day).collect()
    }

    #[test]
    fn who_knows_less_writes_over_nothing_and_who_hears_news_does_at_once() {
        let (mut others, now) = (Others::default(), Instant::now());
        assert_eq!(due(&mut others, &[(1, "a"), (2, "a")], &[(2, "a")], now), [1], "a day that nobody has written");
        others.wrote(1, "a");
        let theirs = [(1, "b"), (2, "a"), (3, "b")];
        assert!(due(&mut others, &[(1, "a"), (2, "a")], &theirs, now).is_empty(), "another knows more");
        let almost = now + NEWS_AFTER - Duration::from_secs(1);
        assert!(due(&mut others, &[(1, "a"), (2, "a")], &theirs, almost).is_empty());
        // It does not know what anybody knew before it started.
        let mut started = Others::default();
        assert!(due(&mut started, &[(1, "a")], &[(1, "b")], now).is_empty());
        assert_eq!(due(&mut started, &[(1, "c")], &[(1, "b")], now), [1], "its inputs have changed since");
        assert_eq!(due(&mut others, &[(1, "a"), (2, "c")], &theirs, almost), [2], "inputs of this server have changed");
        let settled = [(1, "b"), (2, "c"), (3, "b")];
        assert!(due(&mut others, &[(1, "b"), (2, "c"), (3, "b")], &settled, almost).is_empty());
        assert_eq!(due(&mut others, &[(1, "b"), (2, "c")], &settled, almost), [3], "it has no inputs any more");
        others.wrote(3, "");
        let unknown = [(1, "b"), (2, "c"), (4, "b")];
        assert!(due(&mut others, &[(1, "b"), (2, "c")], &unknown, almost).is_empty(), "news may be on its way");
        assert_eq!(due(&mut others, &[(1, "b"), (2, "c")], &unknown, almost + NEWS_AFTER), [4]);
    }
}
