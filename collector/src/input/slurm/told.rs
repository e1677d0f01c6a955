//! What was told of each attempt, in memory and in one file beside the spool.
//!
//! Must not know Slurm's commands. **Invariants:** the file is whole or the one before it; what cannot be read of it
//! is told again, which changes nothing, because rows of the same change have the same content.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A first start tells what ended within a day; what is older comes by an import.
const FIRST_REACH_MICROS: i64 = 24 * 3600 * 1_000_000;
/// What ended so long before the window is not asked for any more.
const SLACK_MICROS: i64 = 3600 * 1_000_000;
/// Attempts that are remembered, some 150 bytes each. Beyond it those go that ended first: they may be told again.
const ATTEMPTS_MAX: usize = 500_000;
/// The name of the file and of its format.
const FILE: &str = "slurm.told";
const FORMAT: &str = "coulomb-slurm-2";

/// Who said that an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Queue,
    Accounting,
    /// It vanished.
    Nobody,
}

/// What was told of an attempt; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub submitted: i64,
    pub started: Option<i64>,
    pub ended: Option<i64>,
    pub by: Source,
    pub state: Arc<str>,
    pub digest: u32,
    /// Since when it is suspended.
    pub suspended_at: Option<i64>,
    /// How long it was before that.
    pub suspended_for: i64,
    /// Since when the queue does not show it.
    pub gone_since: Option<i64>,
}

/// A job and the number of its attempt.
pub(super) type Key = (Arc<str>, i64);

#[derive(Debug)]
pub(super) struct Told {
    file: PathBuf,
    pub cluster: Arc<str>,
    /// Accounting is read from here on, again and again until it has been quiet for long enough.
    pub window_start: i64,
    jobs: BTreeMap<Arc<str>, BTreeMap<i64, Attempt>>,
    count: usize,
    saved: Option<i64>,
    changed: bool,
}

impl Told {
    /// What an earlier run has written into `dir`, or nothing.
    pub(super) fn load(dir: &Path, cluster: &Arc<str>, now: i64) -> Self {
        let file = dir.join(FILE);
        let mut told = Self {
            file,
            cluster: Arc::clone(cluster),
            window_start: now - FIRST_REACH_MICROS,
            jobs: BTreeMap::new(),
            count: 0,
            saved: None,
            changed: true,
        };
        match fs::read(&told.file) {
            Ok(bytes) => told.read(&String::from_utf8_lossy(&bytes), now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, file = ?told.file, "what was told of Slurm's jobs is told again"),
        }
        told
    }

    fn read(&mut self, text: &str, now: i64) {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let [FORMAT, cluster, start] = head[..] else {
            return tracing::warn!(file = ?self.file, "not a file of this program: Slurm's jobs are told again");
        };
        if *cluster != *self.cluster {
            return tracing::info!(was = cluster, "another cluster than before: its jobs are told from now on");
        }
        self.window_start = start.parse().unwrap_or(self.window_start).min(now);
        for line in lines {
            match parse(line) {
                Some(((job, number), attempt)) => self.set(&job, number, attempt),
                None => tracing::warn!(line, "a line of what was told of Slurm's jobs cannot be read"),
            }
        }
    }

    /// Writes what changed since the last time.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !self.changed && self.saved == Some(self.window_start) {
            return Ok(());
        }
        let next = self.file.with_extension("next");
        let mut out = io::BufWriter::new(File::create(&next)?);
        writeln!(out, "{FORMAT}\t{}\t{}", self.cluster, self.window_start)?;
        for (job, attempts) in &self.jobs {
            for (number, attempt) in attempts {
                writeln!(out, "{}", line(job, *number, attempt))?;
            }
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&next, &self.file)?;
        (self.changed, self.saved) = (false, Some(self.window_start));
        Ok(())
    }

    pub(super) fn get(&self, job: &str, number: i64) -> Option<&Attempt> {
        self.jobs.get(job)?.get(&number)
    }

    pub(super) fn set(&mut self, job: &Arc<str>, number: i64, attempt: Attempt) {
        let before = self.jobs.entry(Arc::clone(job)).or_default().insert(number, attempt.clone());
        self.changed |= before.as_ref() != Some(&attempt);
        self.count += usize::from(before.is_none());
    }

    /// The attempt of a job that was submitted then.
    pub(super) fn submitted_then(&self, job: &str, submitted: i64) -> Option<i64> {
        let mut attempts = self.jobs.get(job)?.iter();
        attempts.find(|(_, attempt)| attempt.submitted == submitted).map(|(number, _)| *number)
    }

    /// Attempts without an end that the queue does not show, with the time since when.
    pub(super) fn gone(&mut self, there: &HashSet<Key>, now: i64) -> Vec<(Key, i64)> {
        let mut gone = Vec::new();
        for (job, attempts) in &mut self.jobs {
            for (number, attempt) in attempts.iter_mut().filter(|(_, attempt)| attempt.ended.is_none()) {
                let key = (Arc::clone(job), *number);
                let since = (!there.contains(&key)).then(|| attempt.gone_since.unwrap_or(now));
                self.changed |= attempt.gone_since != since;
                attempt.gone_since = since;
                gone.extend(since.map(|since| (key, since)));
            }
        }
        gone
    }

    /// Forgets what ended before the window that is still read.
    pub(super) fn forget(&mut self) {
        let ends: Vec<i64> =
            self.jobs.values().flat_map(BTreeMap::values).filter_map(|attempt| attempt.ended).collect();
        let mut before = self.window_start - SLACK_MICROS;
        if self.count > ATTEMPTS_MAX {
            let mut ends = ends;
            ends.sort_unstable();
            let surplus = (self.count - ATTEMPTS_MAX).min(ends.len());
            before = before.max(ends.get(surplus).copied().unwrap_or(i64::MAX));
        }
        self.jobs.retain(|_, attempts| {
            attempts.retain(|_, attempt| attempt.ended.is_none_or(|ended| ended >= before));
            !attempts.is_empty()
        });
        let count = self.jobs.values().map(BTreeMap::len).sum();
        self.changed |= count != self.count;
        self.count = count;
    }
}

fn line(job: &str, number: i64, attempt: &Attempt) -> String {
    let time = |time: Option<i64>| time.map_or("-".to_owned(), |time| time.to_string());
    let by = match attempt.by {
        Source::Queue => "queue",
        Source::Accounting => "accounting",
        Source::Nobody => "nobody",
    };
    let Attempt { submitted, started, ended, state, digest, suspended_at, suspended_for, gone_since, .. } = attempt;
    let (started, ended, gone, suspended) = (time(*started), time(*ended), time(*gone_since), time(*suspended_at));
    format!(
        "{job}\t{number}\t{submitted}\t{started}\t{ended}\t{by}\t{state}\t{digest}\t{suspended}\t{suspended_for}\t{gone}"
    )
}

fn parse(line: &str) -> Option<(Key, Attempt)> {
    let parts: Vec<&str> = line.split('\t').collect();
    let [job, number, submitted, started, ended, by, state, digest, suspended, suspended_for, gone] = parts[..] else {
        return None;
    };
    let time = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
    let by = match by {
        "queue" => Source::Queue,
        "accounting" => Source::Accounting,
        "nobody" => Source::Nobody,
        _ => return None,
    };
    let attempt = Attempt {
        submitted: submitted.parse().ok()?,
        started: time(started)?,
        ended: time(ended)?,
        by,
        state: state.into(),
        digest: digest.parse().ok()?,
        suspended_at: time(suspended)?,
        suspended_for: suspended_for.parse().ok()?,
        gone_since: time(gone)?,
    };
    Some(((job.into(), number.parse().ok()?), attempt))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3600 * 1_000_000;

    fn attempt(ended: Option<i64>) -> Attempt {
        Attempt {
            submitted: 5,
            started: Some(6),
            ended,
            by: Source::Queue,
            state: "RUNNING".into(),
            digest: 7,
            suspended_at: None,
            suspended_for: 0,
            gone_since: None,
        }
    }

    #[test]
    fn a_restart_knows_what_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = Told::load(dir.path(), &"c".into(), 100 * HOUR);
        assert_eq!(told.window_start, 76 * HOUR);
        told.window_start = 90 * HOUR;
        told.set(&"5_1".into(), 1, attempt(Some(95 * HOUR)));
        told.set(&"6".into(), 0, attempt(None));
        told.save().unwrap();
        let mut again = Told::load(dir.path(), &"c".into(), 200 * HOUR);
        assert_eq!((again.window_start, &again.jobs), (90 * HOUR, &told.jobs));
        assert_eq!(again.submitted_then("5_1", 5), Some(1));
        again.window_start = 97 * HOUR;
        again.forget();
        assert_eq!((again.get("5_1", 1), again.count), (None, 1));
        assert!(Told::load(dir.path(), &"d".into(), 0).jobs.is_empty(), "another cluster has other jobs");
        fs::write(dir.path().join(FILE), "torn").unwrap();
        assert!(Told::load(dir.path(), &"c".into(), 0).jobs.is_empty());
    }

    #[test]
    fn who_is_not_shown_is_gone_until_shown_again() {
        let mut told = Told::load(Path::new("/nonexistent"), &"c".into(), 0);
        told.set(&"1".into(), 0, attempt(None));
        told.set(&"2".into(), 0, attempt(Some(9)));
        let shown = HashSet::from([("1".into(), 0)]);
        assert_eq!(told.gone(&shown, 10), []);
        assert_eq!(told.gone(&HashSet::new(), 20), [(("1".into(), 0), 20)]);
        assert_eq!(told.gone(&HashSet::new(), 30), [(("1".into(), 0), 20)]);
        assert_eq!(told.gone(&shown, 40), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn lines_come_back(number in 0_i64..9, times in any::<(i64, Option<i64>, Option<i64>)>(), digest in any::<u32>(), suspended in any::<(Option<i64>, i64)>()) {
            let (suspended_at, suspended_for) = suspended;
            let told = Attempt {
                submitted: times.0,
                started: times.1,
                digest,
                suspended_at,
                suspended_for,
                gone_since: times.2,
                ..attempt(None)
            };
            prop_assert_eq!(parse(&line("7_[1]", number, &told)), Some((("7_[1]".into(), number), told)));
        }

        #[test]
        fn no_line_panics(line in "[0-9a-z\t-]{0,60}") {
            parse(&line);
        }
    }
}
