//! `coulomb-collector simulate`: sends the history of a made-up fleet, and then goes on live.
//!
//! Owns the clock, the order of sending and what is shown of it. Must not know what the rows say.
//! **Invariants:** history goes oldest first, in windows that lie fixed in time, under a writer that follows from
//! the options, so that sending it again changes nothing; live rows are made up again when the server was away,
//! so nothing waits on disk.

use crate::config::{SimulateOptions, Until};
use crate::run::unix_micros_now;
use crate::send::{Client, PostError};
use crate::signal::{Signals, Wake};
use crate::source::simulated::{BATCH_ROWS, Fleet, Span};
use anyhow::Context as _;
use contract::WriterId;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// A window of history spans at most this long, so that the days of the server's tables fill in order.
const WINDOW_SECONDS_MAX: i64 = 6 * 3600;
/// Bodies that are ready while one is being sent: enough to keep both sides busy.
const BODIES_AHEAD: usize = 4;
/// Batches of one table in a window; more than a window of the largest fleet has.
const PARTS_MAX: u64 = 64;
/// Pauses after a failure, from first to longest.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// A longer `Retry-After` is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Progress is shown this often on a terminal, and elsewhere.
const SHOW_TERMINAL: Duration = Duration::from_millis(250);
const SHOW_LINES: Duration = Duration::from_secs(3);

/// One request: a batch on its way to a table.
struct Body {
    table: &'static str,
    sequence: u64,
    rows: u64,
    payload: Vec<u8>,
    /// The end of its window, for the progress.
    until: i64,
}

/// The rest of the options, in seconds.
struct Plan {
    start: i64,
    /// History up to here goes out in fixed windows, under the writer that follows from the options.
    fixed_until: i64,
    until: i64,
    step: i64,
    window: i64,
}

/// Sends history and live rows; ends when the history is sent (without live rows) or a signal comes.
pub(crate) fn simulate(options: &SimulateOptions, signals: Signals) -> anyhow::Result<()> {
    let client = Client::new(options.server.client_settings());
    let mut fleet = Fleet::new(options.seed, options.gpus as usize, &options.cluster);
    let plan = Plan::new(options, fleet.devices(), unix_micros_now() / 1_000_000);
    let mut err = std::io::stderr();
    write!(err, "fleet {:?}, seed {}: {}", options.cluster, options.seed, fleet.summary(plan.until))?;
    let writer = WriterId::parse(&format!("simulated-{}/{}", options.cluster, fleet.uuid(&plan.words(options))))?;
    let boot = WriterId::parse(&format!("simulated-{}/{}", options.cluster, uuid::Uuid::new_v4()))?;
    let mut link = Link { client, signals, sent: Sent::default() };
    let started = Instant::now();
    if plan.start < plan.until {
        writeln!(err, "sending {} to {} to {}", at(plan.start), at(plan.until), link.client.server())?;
        let show = Progress::new(&plan, started);
        let Some(back) = link.send_history(fleet, &plan, (&writer, &boot), show)? else { return Ok(()) };
        fleet = back;
        let Sent { rows, duplicates } = link.sent;
        let seconds = started.elapsed().as_secs_f64();
        let mut out = std::io::stdout();
        writeln!(out, "coulomb-collector: history sent, {rows} rows and {duplicates} known ones in {seconds:.1} s")?;
        out.flush()?;
    }
    if options.no_live || options.until != Until::Now {
        return Ok(());
    }
    writeln!(err, "live: a row each {} s; stop with Ctrl-C", options.live_interval.as_secs())?;
    link.send_live(&mut fleet, &plan, options.live_interval.as_secs() as i64, &boot)
}

fn at(seconds: i64) -> String {
    let time = arrow::temporal_conversions::timestamp_s_to_datetime(seconds);
    time.map_or_else(|| seconds.to_string(), |time| format!("{time} UTC"))
}

impl Plan {
    fn new(options: &SimulateOptions, devices: usize, now: i64) -> Self {
        let step = options.history_interval.as_secs() as i64;
        let wanted = match options.until {
            Until::Now => now,
            Until::UnixSeconds(until) => until,
        };
        let rows = (BATCH_ROWS / devices.max(1)).max(1) as i64;
        let window = (WINDOW_SECONDS_MAX / step).clamp(1, rows) * step;
        // A window divides a day where it can, so that no batch holds parts of two.
        let window = (1..=window / step).rev().map(|n| n * step).find(|w| 86_400 % w == 0).unwrap_or(window);
        let backfill = i64::try_from(options.backfill.as_secs()).unwrap_or(i64::MAX).min(wanted);
        let until = wanted.div_euclid(step) * step;
        let start = if backfill == 0 { until } else { (wanted - backfill).div_euclid(window) * window };
        let fixed_until = match options.until {
            // The window that is not over yet differs with each start.
            Until::Now => until.div_euclid(window) * window,
            Until::UnixSeconds(_) => until,
        };
        Self { start, fixed_until: fixed_until.max(start), until, step, window }
    }

    /// What a history follows from; the end only if it is not the clock's.
    fn words(&self, options: &SimulateOptions) -> String {
        let SimulateOptions { cluster, gpus, backfill, until, .. } = options;
        format!("{cluster:?} {gpus} {} {until:?} {} {}", backfill.as_secs(), self.step, self.window)
    }

    fn spans(&self) -> impl Iterator<Item = Span> {
        let (start, until, step, window) = (self.start, self.until, self.step, self.window);
        std::iter::successors(Some(start), move |from| Some(from + window))
            .take_while(move |from| *from < until)
            .map(move |from| Span { from, until: (from + window).min(until), step, is_first: from == start })
    }
}

/// What the server said that it has.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    rows: u64,
    /// Rows that it had before.
    duplicates: u64,
}

struct Link {
    client: Client,
    signals: Signals,
    sent: Sent,
}

impl Link {
    /// Makes up rows on one thread and sends them on this one; `None` when a signal came.
    fn send_history(
        &mut self,
        mut fleet: Fleet,
        plan: &Plan,
        (writer, boot): (&WriterId, &WriterId),
        mut show: Progress,
    ) -> anyhow::Result<Option<Fleet>> {
        let (send, bodies) = sync_channel(BODIES_AHEAD);
        std::thread::scope(|scope| {
            let spans = plan.spans();
            let maker = scope.spawn(move || -> anyhow::Result<Fleet> {
                for span in spans {
                    if make(&mut fleet, span, &send)?.is_none() {
                        break;
                    }
                }
                Ok(fleet)
            });
            let sent = self.send_bodies(bodies, plan, (writer, boot), &mut show);
            let fleet = maker.join().map_err(|_| anyhow::anyhow!("the thread that makes up rows panicked"))?;
            match sent? {
                Wake::Stop => Ok(None),
                Wake::Time => fleet.map(Some),
            }
        })
    }

    fn send_bodies(
        &mut self,
        bodies: Receiver<Body>,
        plan: &Plan,
        (writer, boot): (&WriterId, &WriterId),
        show: &mut Progress,
    ) -> anyhow::Result<Wake> {
        for body in bodies {
            let writer = if body.until <= plan.fixed_until { writer } else { boot };
            if self.post(&body, writer)? == Wake::Stop {
                return Ok(Wake::Stop);
            }
            show.tell(body.until, self.sent)?;
        }
        show.end()?;
        Ok(Wake::Time)
    }

    /// Sends one body, again and again until the server has it or a signal comes.
    fn post(&mut self, body: &Body, writer: &WriterId) -> anyhow::Result<Wake> {
        let mut pause = BACKOFF_MIN;
        loop {
            match self.client.post(body.table, writer.as_str(), body.sequence, &body.payload) {
                Ok(answer) => {
                    if let Some(first) = answer.rejected.first() {
                        let (table, rows) = (body.table, answer.rejected.len());
                        tracing::error!(
                            table,
                            rows,
                            column = first.column,
                            reason = first.reason,
                            "rows were rejected"
                        );
                    }
                    self.sent.rows += answer.accepted;
                    self.sent.duplicates += if answer.duplicate { body.rows } else { 0 };
                    return Ok(self.signals.wait(Duration::ZERO));
                }
                Err(PostError::Retry { message, after, denied: false }) => {
                    let wait = after.map_or(pause, |after| after.min(RETRY_AFTER_MAX));
                    tracing::warn!(message, wait_seconds = wait.as_secs_f64(), "sending failed; trying again");
                    if self.signals.wait(wait) == Wake::Stop {
                        return Ok(Wake::Stop);
                    }
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
                Err(error) => return Err(error).with_context(|| format!("rows of {} were not taken", body.table)),
            }
        }
    }

    /// Each interval the rows of all nodes, one batch a table; after a pause all that were missed.
    fn send_live(&mut self, fleet: &mut Fleet, plan: &Plan, step: i64, boot: &WriterId) -> anyhow::Result<()> {
        let steps_max = (BATCH_ROWS / fleet.devices().max(1)).max(1) as i64;
        let mut from = plan.until;
        loop {
            let now = unix_micros_now();
            let due = (now / 1_000_000 - from).div_euclid(step);
            if due < 1 {
                let micros = (from + step) * 1_000_000 - now;
                if self.signals.wait(Duration::from_micros(u64::try_from(micros).unwrap_or(0))) == Wake::Stop {
                    return Ok(());
                }
                continue;
            }
            let until = from + due.min(steps_max) * step;
            let is_first = from == plan.start;
            for body in bodies(fleet, Span { from, until, step, is_first })? {
                if self.post(&body, boot)? == Wake::Stop {
                    return Ok(());
                }
            }
            from = until;
        }
    }
}

/// Makes up a span and hands it over; `None` when nobody takes it any more.
fn make(fleet: &mut Fleet, span: Span, send: &SyncSender<Body>) -> anyhow::Result<Option<()>> {
    for body in bodies(fleet, span)? {
        if send.send(body).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

fn bodies(fleet: &mut Fleet, span: Span) -> anyhow::Result<Vec<Body>> {
    let mut bodies: Vec<Body> = Vec::new();
    for (table, batch) in fleet.rows(span)? {
        let part = bodies.iter().filter(|body| body.table == table.name).count() as u64;
        debug_assert!(part < PARTS_MAX);
        bodies.push(Body {
            table: table.name,
            // Windows rise with time, and so do their numbers.
            sequence: u64::try_from(span.until)? * PARTS_MAX + part,
            rows: batch.num_rows() as u64,
            payload: crate::wire::encode(&batch)?,
            until: span.until,
        });
    }
    Ok(bodies)
}

/// Percent, rate and time left, on standard error.
struct Progress {
    start: i64,
    until: i64,
    started: Instant,
    shown: Instant,
    on_terminal: bool,
}

impl Progress {
    fn new(plan: &Plan, started: Instant) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self { start: plan.start, until: plan.until, started, shown: started, on_terminal }
    }

    fn tell(&mut self, reached: i64, sent: Sent) -> std::io::Result<()> {
        if self.shown.elapsed() < if self.on_terminal { SHOW_TERMINAL } else { SHOW_LINES } {
            return Ok(());
        }
        self.shown = Instant::now();
        let part = (reached - self.start) as f64 / (self.until - self.start).max(1) as f64;
        let seconds = self.started.elapsed().as_secs_f64();
        let rows = sent.rows + sent.duplicates;
        let line = format!(
            "history {:3.0} %, {rows} rows, {:.0} rows/s, {:.0} s left",
            part * 100.0,
            rows as f64 / seconds,
            seconds / part.max(0.01) * (1.0 - part)
        );
        let mut err = std::io::stderr();
        if self.on_terminal { write!(err, "\r{line}   ") } else { writeln!(err, "{line}") }
    }

    fn end(&self) -> std::io::Result<()> {
        if self.on_terminal { writeln!(std::io::stderr()) } else { Ok(()) }
    }
}
