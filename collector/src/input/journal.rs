//! The journal of systemd: `journalctl` follows it and prints an object a line.
//!
//! **Invariants:** a restart goes on behind the last entry whose row is in the spool; a journal that ends is asked
//! again; the program that was started ends with the input.

mod entry;

use super::Feed;
use super::logs::rows::{self, LogRow};
use super::note::Notebook;
use crate::source::{DeviceEventRow, Sample, xid_row};
use entry::Entry;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Entries that wait to be put: while they do, journalctl waits.
const WAITING_MAX: usize = 1024;
/// Entries of one batch, and how long the first of them waits for others.
const BATCH_ROWS_MAX: usize = 4096;
const BATCH_BYTES_MAX: usize = 512 * 1024;
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// How soon the end of the collector is seen.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A journal that cannot be read, or has ended, is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// A larger entry (a core dump) is left out.
const ENTRY_BYTES_MAX: u64 = 512 * 1024;

pub(super) struct Settings {
    /// The program that follows the journal.
    pub program: String,
    /// Whether the driver tells Xids itself, so that those of the kernel would be told twice.
    pub driver_tells_xids: Arc<AtomicBool>,
}

/// Reads until the collector ends.
pub(super) fn run(feed: Feed, settings: &Settings, spool: &Path) {
    let (mut notebook, cursor) = match Notebook::open(spool, "journal", feed.uplink(), "logs") {
        Ok(opened) => opened,
        Err(error) => {
            return tracing::error!(%error, dir = ?spool, "the journal is not read: how far it was is not known");
        }
    };
    let mut cursor = cursor.map(|text| text.trim().to_owned()).filter(|cursor| !cursor.is_empty());
    loop {
        match follow(&settings.program, cursor.as_deref()) {
            Ok((mut child, entries)) => {
                let over = take(&feed, settings, &entries, &mut notebook, &mut cursor);
                // It may have ended by itself.
                drop(child.kill());
                drop(entries);
                match child.wait() {
                    Ok(status) if !over => tracing::warn!(%status, "the journal has ended; it is asked again"),
                    _ => {}
                }
            }
            Err(error) => tracing::warn!(%error, program = settings.program, "the journal cannot be followed"),
        }
        if feed.ends_within(RETRY_AFTER) {
            return;
        }
    }
}

/// Starts the program; its lines come through the channel.
fn follow(program: &str, cursor: Option<&str>) -> std::io::Result<(Child, Receiver<String>)> {
    let mut command = Command::new(program);
    command.args(["--output=json", "--follow", "--no-pager", "--quiet"]);
    match cursor {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        // The first start begins with what comes.
        None => command.arg("--lines=0"),
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("the program has no output"))?;
    let (sender, entries) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("journal-lines".to_owned()).spawn(move || read_lines(stdout, &sender))?;
    Ok((child, entries))
}

fn read_lines(stdout: impl std::io::Read, sender: &SyncSender<String>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        // The end of the program, however it came, is the end of its lines.
        let Ok(length) = reader.by_ref().take(ENTRY_BYTES_MAX).read_until(b'\n', &mut line) else { return };
        if length == 0 {
            return;
        }
        if !line.ends_with(b"\n") {
            tracing::warn!(bytes = length, "a large entry of the journal was left out");
            if reader.skip_until(b'\n').is_err() {
                return;
            }
            continue;
        }
        if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// Puts entries as they come; true when the collector ends, false when the program does.
fn take(
    feed: &Feed,
    settings: &Settings,
    entries: &Receiver<String>,
    notebook: &mut Notebook,
    cursor: &mut Option<String>,
) -> bool {
    let mut batch: Vec<Entry> = Vec::new();
    let (mut bytes, mut since) = (0, Instant::now());
    loop {
        let received = if feed.is_half_full() {
            feed.ends_within(LOOK_EVERY);
            Err(RecvTimeoutError::Timeout)
        } else {
            entries.recv_timeout(LOOK_EVERY)
        };
        let ended = received == Err(RecvTimeoutError::Disconnected);
        if let Some(entry) = received.ok().as_deref().and_then(|line| Entry::parse(line, crate::run::unix_micros_now()))
        {
            if batch.is_empty() {
                since = Instant::now();
            }
            bytes += entry.row.bytes();
            batch.push(entry);
        }
        let full = batch.len() >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX;
        let over = feed.ends_within(Duration::ZERO);
        if !batch.is_empty() && (full || ended || over || since.elapsed() >= BATCH_WAIT) {
            bytes = 0;
            match put(feed, settings, std::mem::take(&mut batch), notebook) {
                Ok(last) => *cursor = Some(last),
                Err(error) => {
                    // They are read again behind the last entry that was noted.
                    tracing::warn!(%error, "entries of the journal wait, because it cannot be noted how far it was read");
                    return false;
                }
            }
        }
        if over || ended {
            return over;
        }
    }
}

/// Puts the rows of entries, and the events of those that tell of a GPU; returns the last one's cursor.
fn put(feed: &Feed, settings: &Settings, batch: Vec<Entry>, notebook: &mut Notebook) -> Result<String, String> {
    let cursor = batch.last().map(|entry| entry.cursor.clone()).unwrap_or_default();
    let events: Vec<DeviceEventRow> = if settings.driver_tells_xids.load(Ordering::Relaxed) {
        Vec::new()
    } else {
        let row = |entry: &Entry| {
            let (pci, code) = entry.xid.as_ref()?;
            let mut row = xid_row(feed.node(), *code, entry.row.time_unix_micros);
            row.message = format!("{} (PCI {pci})", row.message);
            Some(row)
        };
        batch.iter().filter_map(row).collect()
    };
    let rows: Vec<LogRow> = batch.into_iter().map(|entry| entry.row).collect();
    let batch = rows::batch(feed.node(), &rows).map_err(|error| error.to_string())?;
    notebook.will_say(cursor.clone());
    feed.put_noted(&batch, notebook).map_err(|error| error.to_string())?;
    feed.put(&Sample { events, ..Sample::default() });
    Ok(cursor)
}
