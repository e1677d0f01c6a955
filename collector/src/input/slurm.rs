//! Jobs of a Slurm cluster: the queue says who waits and runs, accounting who has ended.
//!
//! Owns the rhythm of asking and how far accounting was read. Must not know how rows travel.
//! **Invariants:** a command that fails or hangs is asked again later and stops nothing else; accounting is read again
//! from where it was last good for an hour, so that records which come late are found; what was told is written down
//! after its rows are in the spool, so that a kill between the two repeats rows and loses none.

mod ask;
mod hostlist;
mod job;
mod sacct;
mod squeue;
mod tell;
mod told;
mod tres;

use super::Feed;
use crate::config::SlurmSettings;
use crate::metrics::Counters;
use crate::run::unix_micros_now;
use crate::source::{JobEventRow, Sample};
use ask::{ANSWER_WITHIN, AskError, ask};
use job::{Phase, Seen};
use sacct::{Fields, Records};
use std::collections::{BTreeSet, HashSet};
use std::io::{BufReader, Read as _};
use std::sync::Arc;
use told::{Key, Source, Told};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
/// Records come minutes late when slurmdbd was away; the controller keeps them until then.
const SETTLED_AFTER: i64 = HOUR;
/// A window that is wider than an hour is read this often.
const WIDE_EVERY: i64 = 600 * SECOND;
/// One question to accounting: what a busy cluster ends in it is some ten thousand records.
const SLICE: i64 = 6 * HOUR;
/// How far back the earlier attempts of a job are looked for.
const HISTORY: &str = "now-30days";
/// Jobs of one question: their ids fit a command line many times.
const IDS_MAX: usize = 500;
/// A command that fails is asked again after this time, and then after twice as long each time.
const RETRY_MIN: i64 = 5 * SECOND;
const RETRY_MAX: i64 = 300 * SECOND;
/// What `sacct --helpformat` prints is some kilobytes.
const HELP_BYTES_MAX: u64 = 64 << 10;

/// Watches until the collector ends.
pub(crate) fn watch(settings: &SlurmSettings, feed: &Feed) {
    let told = Told::load(&settings.memory, &feed.node().cluster, unix_micros_now());
    let mut watch = Watch {
        feed,
        told,
        queue: Tries::new("squeue"),
        accounting: Tries::new("sacct"),
        fields: None,
        steady_since: None,
        wide_at: i64::MIN,
    };
    loop {
        tracing::info_span!("slurm").in_scope(|| watch.look(unix_micros_now()));
        if feed.ends_within(settings.interval) {
            return;
        }
    }
}

struct Watch<'f> {
    feed: &'f Feed,
    told: Told,
    queue: Tries,
    accounting: Tries,
    fields: Option<Fields>,
    /// Since when accounting answers without a failure.
    steady_since: Option<i64>,
    /// When the whole window is read again.
    wide_at: i64,
}

impl Watch<'_> {
    fn look(&mut self, now: i64) {
        let shown = self.queue.is_due(now).then(|| self.look_at_queue(now));
        let shown = shown.and_then(|result| self.queue.took(result, now, self.feed));
        let gone = shown.as_ref().map(|there| self.told.gone(there, now)).unwrap_or_default();
        if self.accounting.is_due(now) {
            let result = self.look_at_accounting(now, shown.is_some(), &gone);
            if self.accounting.took(result, now, self.feed).is_none() {
                self.steady_since = None;
            }
        }
        let mut rows = Vec::new();
        tell::give_up(&mut self.told, &gone, now, &mut rows);
        self.put(rows);
        self.told.forget();
        if let Err(error) = self.told.save() {
            tracing::error!(%error, "what was told of Slurm's jobs is not on disk: a restart tells it again");
        }
    }

    /// Tells what the queue shows, and returns what that is.
    fn look_at_queue(&mut self, now: i64) -> Result<HashSet<Key>, AskError> {
        let queue = ask(self.feed, "squeue", &["--json", "--all"], ANSWER_WITHIN, |out| squeue::read(out))?;
        self.count_unreadable(queue.unreadable);
        let mut rows = Vec::new();
        let mut there = HashSet::with_capacity(queue.seen.len());
        for seen in &queue.seen {
            let number = seen.attempt.unwrap_or(0);
            tell::tell(&mut self.told, seen, number, Source::Queue, now, &mut rows);
            there.insert((Arc::clone(&seen.job_id), number));
        }
        self.put(rows);
        Ok(there)
    }

    /// Tells what has ended in the window, and what became of those that the queue does not show any more. Without a
    /// queue it tells of the others, too.
    fn look_at_accounting(&mut self, now: i64, has_queue: bool, gone: &[(Key, i64)]) -> Result<(), AskError> {
        let fields = self.fields()?;
        let is_wide = now >= self.wide_at;
        let from = if is_wide { self.told.window_start } else { self.told.window_start.max(now - SETTLED_AFTER) };
        let mut at = from;
        while at < now {
            let to = (at + SLICE).min(now);
            let (start, end) = (ago(at, now), ago(to, now));
            let window = ["--starttime", &start, "--endtime", &end, "--state", sacct::ENDED_STATES];
            let window = if has_queue { &window[..] } else { &window[..4] };
            let records = self.ask_accounting(&fields, window)?;
            self.tell_records(&fields, records, now)?;
            at = to;
        }
        let ids: BTreeSet<&str> = gone.iter().map(|((job, _), _)| &**job).collect();
        for some in ids.into_iter().collect::<Vec<_>>().chunks(IDS_MAX) {
            let mut records = self.ask_accounting(&fields, &["--starttime", HISTORY, "--jobs", &some.join(",")])?;
            // What goes on with other attempts of these jobs, the queue has told.
            records.retain(|seen| seen.phase == Phase::Ended);
            self.tell_records(&fields, records, now)?;
        }
        let steady_since = *self.steady_since.get_or_insert(now);
        if is_wide {
            self.wide_at = now + WIDE_EVERY;
            if now - steady_since >= SETTLED_AFTER {
                self.told.window_start = self.told.window_start.max(now - SETTLED_AFTER);
            }
        }
        Ok(())
    }

    fn tell_records(&mut self, fields: &Fields, records: Vec<Seen>, now: i64) -> Result<(), AskError> {
        let number =
            |told: &Told, seen: &Seen| seen.attempt.or_else(|| told.submitted_then(&seen.job_id, seen.submitted));
        let is_new = |seen: &&Seen| number(&self.told, seen).is_none();
        let unknown: BTreeSet<&str> = records.iter().filter(is_new).map(|seen| &*seen.job_id).collect();
        let mut numbers = std::collections::BTreeMap::new();
        for some in unknown.into_iter().collect::<Vec<_>>().chunks(IDS_MAX) {
            let history = self.ask_accounting(fields, &["--starttime", HISTORY, "--jobs", &some.join(",")])?;
            numbers.extend(tell::number_records(&self.told, history));
        }
        let mut rows = Vec::new();
        for seen in &records {
            let placed = || numbers.get(&(Arc::clone(&seen.job_id), seen.record)).copied();
            let attempt = number(&self.told, seen).or_else(placed).unwrap_or(0);
            tell::tell(&mut self.told, seen, attempt, Source::Accounting, now, &mut rows);
        }
        self.put(rows);
        Ok(())
    }

    fn ask_accounting(&self, fields: &Fields, which: &[&str]) -> Result<Vec<Seen>, AskError> {
        let (list, delimiter) = (fields.list(), sacct::DELIMITER.to_string());
        let mut arguments = vec!["--allusers", "--allocations", "--duplicates", "--noheader", "--parsable2"];
        arguments.extend(["--delimiter", &delimiter, "--format", &list]);
        arguments.extend(which);
        let fields = fields.clone();
        let records: Records = ask(self.feed, "sacct", &arguments, ANSWER_WITHIN, move |out| {
            sacct::read(BufReader::new(out), &fields).map_err(|error| error.to_string())
        })?;
        self.count_unreadable(records.unreadable);
        Ok(records.seen)
    }

    /// The fields that this version of sacct has; asked for once.
    fn fields(&mut self) -> Result<Fields, AskError> {
        if let Some(fields) = &self.fields {
            return Ok(fields.clone());
        }
        let fields = ask(self.feed, "sacct", &["--helpformat"], ANSWER_WITHIN, |out| {
            let mut help = String::new();
            out.take(HELP_BYTES_MAX).read_to_string(&mut help).map_err(|error| error.to_string())?;
            Fields::known(&help)
        })?;
        if !fields.count_restarts() {
            tracing::info!("this sacct does not count restarts: attempts are numbered by their records");
        }
        Ok(self.fields.insert(fields).clone())
    }

    fn put(&self, mut rows: Vec<JobEventRow>) {
        rows.sort_by_key(|row| row.time_unix_micros);
        if !rows.is_empty() {
            self.feed.put(&Sample { jobs: rows, ..Sample::default() });
        }
    }

    fn count_unreadable(&self, count: u64) {
        Counters::add(&self.feed.counters().slurm_unreadable, count);
        if count > 0 {
            tracing::debug!(count, "jobs of Slurm that cannot be read");
        }
    }
}

/// A time as Slurm's commands take it.
fn ago(time: i64, now: i64) -> String {
    match (now - time).max(0) / SECOND {
        0 => "now".to_owned(),
        seconds => format!("now-{seconds}seconds"),
    }
}

/// A command that may fail: when it is tried again, and whether it was said.
struct Tries {
    program: &'static str,
    next: i64,
    pause: i64,
    said: String,
}

impl Tries {
    fn new(program: &'static str) -> Self {
        Self { program, next: i64::MIN, pause: RETRY_MIN, said: String::new() }
    }

    fn is_due(&self, now: i64) -> bool {
        // A clock that was set back must not make the pause longer.
        now >= self.next || self.next.saturating_sub(now) > RETRY_MAX
    }

    /// What a try gave; a failure is counted, said once and tried again later.
    fn took<T>(&mut self, result: Result<T, AskError>, now: i64, feed: &Feed) -> Option<T> {
        match result {
            Ok(value) => {
                if !std::mem::take(&mut self.said).is_empty() {
                    tracing::info!("{} answers again", self.program);
                }
                (self.next, self.pause) = (i64::MIN, RETRY_MIN);
                Some(value)
            }
            Err(AskError::Ending) => None,
            Err(error) => {
                feed.counters().slurm_error(self.program);
                let text = error.to_string();
                if text != self.said {
                    tracing::error!("{text}; it is asked again");
                    self.said = text;
                }
                self.next = now.saturating_add(self.pause);
                self.pause = (self.pause * 2).min(RETRY_MAX);
                None
            }
        }
    }
}
