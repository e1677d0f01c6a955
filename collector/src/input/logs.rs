//! Files of lines that are read as they grow: found by patterns, followed through rotation, noted how far.
//!
//! Owns which files are open and what is put together. **Invariants:** what a note counts is in the spool; while the
//! spool is half full files wait where they are; a file that cannot be read takes nothing else with it.

mod cri;
mod joined;
pub(super) mod level;
mod lines;
mod pattern;
mod positions;
mod reading;
pub(super) mod rows;
mod tail;
mod time;

pub(crate) use pattern::Pattern;

use super::Feed;
use super::note::Notebook;
use crate::metrics::Counters;
use positions::{Identity, Position, Print};
use reading::Origin;
use rows::LogRow;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use tail::Tail;
use time::Now;

/// Fresh enough to watch, and few enough requests.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How soon a new file is found.
const SEARCH_EVERY: Duration = Duration::from_secs(2);
/// What is put at once: half of what the smallest spool takes.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Files that are open: half of what a process may open unless it is told otherwise.
const OPEN_MAX: usize = 512;
/// Files that are known and not open, such as the output of jobs that are over.
const RESTING_MAX: usize = 50_000;
/// At the very first start files that were not written to for so long are read from their ends on.
const OLD_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The clock of the node changes its zone twice a year.
const ZONE_EVERY: Duration = Duration::from_secs(3600);

struct Tailing {
    feed: Feed,
    patterns: Vec<Pattern>,
    notebook: Notebook,
    open: BTreeMap<Identity, Tail>,
    /// Files that were read to their ends and are closed until they grow.
    resting: BTreeMap<Identity, Position>,
    /// Copies of open files, which have nothing of their own.
    copies: HashSet<Identity>,
    /// What is put first: the disk has not taken its note yet.
    waiting: Option<Vec<LogRow>>,
    noted: String,
    /// Where the next look begins, so that one busy file does not hold up the others.
    turn: Option<Identity>,
    said: HashSet<String>,
}

/// Reads until the collector ends.
pub(super) fn run(feed: Feed, patterns: Vec<Pattern>, spool: &Path) {
    let (notebook, text) = match Notebook::open(spool, "logs", feed.uplink(), "logs") {
        Ok(opened) => opened,
        Err(error) => {
            return tracing::error!(%error, dir = ?spool, "no log files are read: how far they were is not known");
        }
    };
    let known = positions::from_text(text.as_deref().unwrap_or_default());
    tracing::info!(patterns = ?patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), known = known.len(), "reading log files");
    let mut tailing = Tailing {
        feed,
        patterns,
        notebook,
        open: BTreeMap::new(),
        resting: known.into_iter().map(|position| (position.identity, position)).collect(),
        copies: HashSet::new(),
        waiting: None,
        noted: text.clone().unwrap_or_default(),
        turn: None,
        said: HashSet::new(),
    };
    tailing.go_on(text.is_none());
}

impl Tailing {
    #[allow(clippy::disallowed_methods, reason = "the outermost loop of the input reads the clock and passes it on")]
    fn go_on(&mut self, first_start: bool) {
        let begin = Instant::now();
        let (mut search_at, mut zone_at, mut zone_seconds) = (Duration::ZERO, Duration::ZERO, 0);
        let mut old_before = first_start.then(|| SystemTime::now() - OLD_AFTER);
        let mut is_first = true;
        loop {
            let now = begin.elapsed();
            if now >= zone_at {
                (zone_at, zone_seconds) = (now + ZONE_EVERY, zone_of_node());
            }
            if now >= search_at {
                search_at = now + SEARCH_EVERY;
                self.search(now, old_before.take());
                if std::mem::take(&mut is_first) {
                    self.seek_renamed(now);
                }
            }
            let more = self.look(now, Now { unix_micros: crate::run::unix_micros_now(), zone_seconds });
            if self.feed.ends_within(if more { Duration::ZERO } else { LOOK_EVERY }) {
                return;
            }
        }
    }

    /// Says once what cannot be done with a path.
    fn say(&mut self, path: &str, what: &str) {
        if self.said.len() < RESTING_MAX && self.said.insert(format!("{path} {what}")) {
            tracing::warn!(path, "{what}");
        }
    }

    /// Opens what is new or has grown; the files of before `old_before` are read from their ends on.
    fn search(&mut self, now: Duration, old_before: Option<SystemTime>) {
        let mut found: HashSet<Identity> = HashSet::new();
        for pattern in self.patterns.clone() {
            let (origins, cut) = pattern.search();
            if cut {
                self.say(&pattern.to_string(), "the pattern meets too many files; the others are not read");
            }
            for origin in origins {
                // A file that has gone meanwhile is none.
                let Ok(metadata) = fs::metadata(&origin.path) else { continue };
                let identity = Identity::of(&metadata);
                if !found.insert(identity) || self.open.contains_key(&identity) || self.copies.contains(&identity) {
                    continue;
                }
                let is_old = old_before.is_some_and(|before| metadata.modified().is_ok_and(|at| at < before));
                let known = self.resting.get(&identity).cloned();
                match known {
                    Some(known) if known.offset == metadata.len() => {}
                    None if is_old => self.rest_at_end(&origin, identity, metadata.len()),
                    None if self.is_copy(&origin.path) => {
                        self.copies.insert(identity);
                    }
                    known => self.open(origin, known, now),
                }
            }
        }
        self.open.iter_mut().for_each(|(identity, tail)| tail.is_named = found.contains(identity));
        self.resting.retain(|identity, _| found.contains(identity));
        self.copies.retain(|identity| found.contains(identity));
    }

    fn rest_at_end(&mut self, origin: &Origin, identity: Identity, offset: u64) {
        let print = File::open(&origin.path).and_then(|file| Print::of(&file, offset));
        match print {
            Ok(print) if self.resting.len() < RESTING_MAX => {
                self.resting.insert(identity, Position { path: origin.path.clone(), identity, offset, print });
            }
            Ok(_) => self.say(&origin.path, "too many files are known, this one is not read"),
            Err(error) => self.say(&origin.path, &format!("the file cannot be read: {error}")),
        }
    }

    /// Whether a file is the copy of one that is read, made before that one is cut to begin anew.
    fn is_copy(&self, path: &str) -> bool {
        let names = |tail: &&Tail| path.len() > tail.origin.path.len() && path.starts_with(&tail.origin.path);
        self.open.values().filter(names).any(|tail| tail.begins_like(path))
    }

    fn open(&mut self, origin: Origin, known: Option<Position>, now: Duration) {
        if self.open.len() >= OPEN_MAX {
            return self.say(&origin.path, "too many files are open, this one is read when others rest");
        }
        match Tail::open(origin.clone(), known.as_ref(), now) {
            Ok(tail) => {
                let begins_anew = known.filter(|known| tail.position().offset < known.offset);
                self.resting.remove(&tail.identity);
                self.open.insert(tail.identity, tail);
                if let Some(known) = begins_anew
                    && let Some(path) = tail::copy_of(&known)
                {
                    self.open_copy(Origin { path, ..origin }, &known, now);
                }
            }
            Err(error) => self.say(&origin.path, &format!("the file cannot be read: {error}")),
        }
    }

    /// The rest of a file that was cut.
    fn open_copy(&mut self, origin: Origin, position: &Position, now: Duration) {
        match Tail::open(origin.clone(), Some(position), now) {
            // Another file has come in its place meanwhile.
            Ok(tail) if tail.position().offset < position.offset => {}
            Ok(mut tail) => {
                tail.is_named = false;
                self.copies.remove(&tail.identity);
                self.open.entry(tail.identity).or_insert(tail);
            }
            Err(error) => self.say(&origin.path, &format!("the file cannot be read: {error}")),
        }
    }

    /// Opens what was renamed while no collector ran, and not read to its end.
    fn seek_renamed(&mut self, now: Duration) {
        for known in positions::from_text(&self.noted.clone()) {
            if self.open.contains_key(&known.identity) || self.resting.contains_key(&known.identity) {
                continue;
            }
            if let Some(path) = tail::renamed(&known).filter(|path| !pattern::is_packed(path)) {
                self.open_copy(Origin { path, ..Origin::default() }, &known, now);
            }
        }
    }

    /// Reads what has come and puts it; true when there is more.
    fn look(&mut self, now: Duration, clock: Now) -> bool {
        if let Some(rows) = self.waiting.take() {
            self.put(rows);
        }
        if self.waiting.is_some() || self.feed.is_half_full() {
            return false;
        }
        let (mut rows, mut bytes, mut more, mut copies) = (Vec::new(), 0, false, Vec::new());
        let order: Vec<Identity> = self.open.keys().copied().collect();
        let begin = order.partition_point(|identity| Some(*identity) <= self.turn);
        for identity in order[begin..].iter().chain(&order[..begin]) {
            if bytes >= BATCH_BYTES_MAX {
                more = true;
                break;
            }
            let Some(tail) = self.open.get_mut(identity) else { continue };
            self.turn = Some(*identity);
            match tail.look(now) {
                Ok(looked) => {
                    for record in looked.records {
                        Counters::add(&self.feed.counters().log_bytes_cut, record.cut);
                        Counters::add(&self.feed.counters().log_records_replaced, u64::from(record.replaced));
                        // Lines of one instant keep their order by when they were read.
                        let clock = Now { unix_micros: clock.unix_micros + rows.len() as i64, ..clock };
                        let row = reading::row(record, &tail.origin, clock);
                        bytes += row.bytes();
                        rows.push(row);
                    }
                    more |= looked.more;
                    copies.extend(looked.copy.map(|(path, at)| (Origin { path, ..tail.origin.clone() }, at)));
                    if looked.over {
                        self.open.remove(identity);
                    } else if tail.rests(now) && self.resting.len() < RESTING_MAX {
                        self.resting.insert(*identity, tail.position());
                        self.open.remove(identity);
                    }
                }
                Err(error) => {
                    let path = tail.origin.path.clone();
                    self.open.remove(identity);
                    self.say(&path, &format!("the file can no longer be read: {error}"));
                }
            }
        }
        copies.into_iter().for_each(|(origin, at)| self.open_copy(origin, &at, now));
        self.put(rows);
        more
    }

    /// Puts rows with how far their files were read; keeps them while that cannot be noted.
    fn put(&mut self, rows: Vec<LogRow>) {
        let open: Vec<Position> = self.open.values().map(Tail::position).collect();
        let text = positions::to_text(open.iter().chain(self.resting.values()));
        if rows.is_empty() && text == self.noted {
            return;
        }
        self.notebook.will_say(text.clone());
        let outcome = match rows::batch(self.feed.node(), &rows) {
            Ok(_) if rows.is_empty() => self.notebook.write().map_err(|error| error.to_string()),
            Ok(batch) => self.feed.put_noted(&batch, &mut self.notebook).map_err(|error| error.to_string()),
            Err(error) => return tracing::error!(%error, rows = rows.len(), "rows were lost"),
        };
        match outcome {
            Ok(()) => self.noted = text,
            Err(error) => {
                self.say("logs", &format!("files wait, because it cannot be noted how far they were read: {error}"));
                self.waiting = Some(rows);
            }
        }
    }
}

/// The zone that programs of this node write their times in, in seconds east of Greenwich.
fn zone_of_node() -> i64 {
    let output = Command::new("date").arg("+%z").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let parsed = text.split_at_checked(1).and_then(|(sign, digits)| {
        let number: i64 = digits.parse().ok()?; // what is no number is no zone
        let seconds = (number / 100 * 60 + number % 100) * 60;
        Some(if sign == "-" { -seconds } else { seconds })
    });
    parsed.unwrap_or_else(|| {
        tracing::warn!("the zone of this node is not known: times without one are taken as UTC");
        0
    })
}
