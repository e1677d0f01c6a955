//! `coulomb-collector simulate`: sends the history of a made-up fleet, and then goes on live.
//!
//! Owns the clock, the order of sending and what is shown of it. Must not know what the rows say.
//! **Invariants:** rows go oldest first under one writer that follows from the fleet, with numbers that follow from
//! their time, so that a second run sends nothing twice: windows lie fixed in time, the server knows which were
//! begun, and the last of these are sent again in pieces of one step, each of which it has or has not. Live rows are
//! made up again when the server was away, so nothing waits on disk.

use crate::batch::BatchError;
use crate::config::{SimulateOptions, Until};
use crate::run::unix_micros_now;
use crate::send::{Client, PostError};
use crate::signal::{Signals, Wake};
use crate::source::simulated::{BATCH_ROWS, Fleet, Span};
use anyhow::Context as _;
use arrow::record_batch::RecordBatch;
use contract::WriterId;
use contract::answers::IngestAnswer;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// A window of history spans at most this long, so that the days of the server's tables fill in order.
const WINDOW_SECONDS_MAX: i64 = 6 * 3600;
/// Bodies that are ready while one is being sent: enough to keep both sides busy.
const BODIES_AHEAD: usize = 4;
/// Batches of one table in a window; more than a window of the largest fleet has.
const PARTS_MAX: u64 = 64;
/// Numbers of one piece, for the live rows in it: a piece is an hour at most, and its rows a second at least apart.
const PIECE_NUMBERS: u64 = 4096 * PARTS_MAX;
/// Windows that a second run sends in pieces: the last that was begun may be cut short, and the one before it too
/// where a run ended while it was doing this.
const WINDOWS_IN_PIECES: i64 = 2;
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
    from: i64,
    until: i64,
}

/// The rest of the options, in seconds.
struct Plan {
    start: i64,
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
    let writer = |of: &str| {
        let words = format!("{of} {:?} {}", options.cluster, options.gpus);
        WriterId::parse(&format!("simulated-{}/{}", options.cluster, fleet.uuid(&words)))
    };
    let (rows, windows) = (writer("rows")?, writer("windows")?);
    let mut link = Link { client, signals, rows, windows, window: plan.window, begun: i64::MIN, sent: Sent::default() };
    let started = Instant::now();
    if plan.start < plan.until {
        writeln!(err, "sending {} to {} to {}", at(plan.start), at(plan.until), link.client.server())?;
        let Some(new_from) = link.first_new_window(&plan)? else { return Ok(()) };
        if new_from > plan.start {
            writeln!(
                err,
                "the server knows this fleet until {} at least; going on from there",
                at(new_from - plan.window)
            )?;
        }
        let show = Progress::new(&plan, started);
        let Some(back) = link.send_history(fleet, &plan, new_from, show)? else { return Ok(()) };
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
    link.send_live(&mut fleet, &plan, options.live_interval.as_secs() as i64)
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
        Self { start, until, step, window }
    }

    /// The windows whose start lies in the history.
    fn windows(&self) -> impl Iterator<Item = i64> {
        let (start, until, window) = (self.start, self.until, self.window);
        std::iter::successors(Some(start), move |from| Some(from + window)).take_while(move |from| *from < until)
    }

    /// What is to be sent when the windows before `new_from` were begun by an earlier run: pieces of one step where
    /// it may have ended and where the window is not over yet, and whole windows between.
    fn spans(&self, new_from: i64) -> impl Iterator<Item = Span> {
        let (start, until, step, window) = (self.start, self.until, self.step, self.window);
        let next = move |from: i64| {
            let window_until = from.div_euclid(window) * window + window;
            if from < new_from || window_until > until { from + step } else { window_until }
        };
        let first = start.max(new_from - WINDOWS_IN_PIECES * window);
        std::iter::successors(Some(first), move |from| Some(next(*from))).take_while(move |from| *from < until).map(
            move |from| Span { from, until: next(from), step, is_first: from == start && new_from <= start + window },
        )
    }

    /// The span of live rows from `from` on when so many are due. Rows of two pieces do not go together, because the
    /// server has a piece or has not.
    fn live_span(&self, from: i64, live_step: i64, due: i64) -> Span {
        let piece_until = from.div_euclid(self.step) * self.step + self.step;
        let in_piece = (piece_until - from + live_step - 1).div_euclid(live_step);
        Span { from, until: from + due.min(in_piece) * live_step, step: live_step, is_first: from == self.start }
    }

    /// The number of the first batch of a span. It rises with time; a window has the number of its last piece, and
    /// the first live rows of a piece have that of the piece, so that the server takes one of the two.
    fn sequence(&self, span: Span) -> anyhow::Result<u64> {
        let piece = (span.until - 1).div_euclid(self.step) * self.step;
        let into = if span.from > piece { span.from - piece } else { 0 };
        Ok(u64::try_from(piece + self.step)? * PIECE_NUMBERS + u64::try_from(into)? * PARTS_MAX)
    }
}

/// What an earlier run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Begun,
    New,
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
    /// The writer of all rows.
    rows: WriterId,
    /// The writer of batches without rows, one for each window that was begun.
    windows: WriterId,
    window: i64,
    /// The last window that this run began.
    begun: i64,
    sent: Sent,
}

impl Link {
    /// Makes up rows on one thread and sends them on this one; `None` when a signal came.
    fn send_history(
        &mut self,
        mut fleet: Fleet,
        plan: &Plan,
        new_from: i64,
        mut show: Progress,
    ) -> anyhow::Result<Option<Fleet>> {
        let (send, bodies) = sync_channel(BODIES_AHEAD);
        std::thread::scope(|scope| {
            let spans = plan.spans(new_from);
            let maker = scope.spawn(move || -> anyhow::Result<Fleet> {
                for span in spans {
                    if make(&mut fleet, plan, span, &send)?.is_none() {
                        break;
                    }
                }
                Ok(fleet)
            });
            let sent = self.send_bodies(bodies, &mut show);
            let fleet = maker.join().map_err(|_| anyhow::anyhow!("the thread that makes up rows panicked"))?;
            match sent? {
                Wake::Stop => Ok(None),
                Wake::Time => fleet.map(Some),
            }
        })
    }

    /// The first window that no earlier run began; `None` when a signal came. It is begun now.
    fn first_new_window(&mut self, plan: &Plan) -> anyhow::Result<Option<i64>> {
        for window in plan.windows() {
            match self.begin(window)? {
                None => return Ok(None),
                Some(Window::New) => return Ok(Some(window)),
                Some(Window::Begun) => {}
            }
        }
        Ok(Some(plan.windows().last().map_or(plan.start, |last| last + plan.window)))
    }

    /// Tells the server that a window is begun.
    fn begin(&mut self, window: i64) -> anyhow::Result<Option<Window>> {
        let table = contract::table("gpu_samples").ok_or(BatchError::Table("gpu_samples"))?;
        let payload = crate::wire::encode(&RecordBatch::new_empty(contract::schema(table)))?;
        let body = Body {
            table: table.name,
            sequence: u64::try_from(window)? + 1,
            rows: 0,
            payload,
            from: window,
            until: window,
        };
        self.begun = self.begun.max(window);
        let writer = self.windows.clone();
        let Some(answer) = self.post(&body, &writer)? else { return Ok(None) };
        Ok(Some(if answer.duplicate { Window::Begun } else { Window::New }))
    }

    /// Sends a batch, after its window was begun.
    fn send(&mut self, body: &Body) -> anyhow::Result<Wake> {
        let window = body.from.div_euclid(self.window) * self.window;
        if window > self.begun && self.begin(window)?.is_none() {
            return Ok(Wake::Stop);
        }
        let writer = self.rows.clone();
        let Some(answer) = self.post(body, &writer)? else { return Ok(Wake::Stop) };
        self.sent.rows += answer.accepted;
        self.sent.duplicates += if answer.duplicate { body.rows } else { 0 };
        Ok(self.signals.wait(Duration::ZERO))
    }

    fn send_bodies(&mut self, bodies: Receiver<Body>, show: &mut Progress) -> anyhow::Result<Wake> {
        for body in bodies {
            if self.send(&body)? == Wake::Stop {
                return Ok(Wake::Stop);
            }
            show.tell(body.until, self.sent)?;
        }
        show.end()?;
        Ok(Wake::Time)
    }

    /// Posts one body, again and again until the server answers that it has it; `None` when a signal came.
    fn post(&mut self, body: &Body, writer: &WriterId) -> anyhow::Result<Option<IngestAnswer>> {
        let mut pause = BACKOFF_MIN;
        loop {
            match self.client.post(body.table, writer.as_str(), body.sequence, &body.payload) {
                Ok(answer) => {
                    if let Some(first) = answer.rejected.first() {
                        let (table, rows) = (body.table, answer.rejected_rows);
                        tracing::error!(
                            table,
                            rows,
                            column = first.column,
                            reason = first.reason,
                            "rows were rejected"
                        );
                    }
                    return Ok(Some(answer));
                }
                Err(PostError::Retry { message, after, denied: false }) => {
                    let wait = after.map_or(pause, |after| after.min(RETRY_AFTER_MAX));
                    tracing::warn!(message, wait_seconds = wait.as_secs_f64(), "sending failed; trying again");
                    if self.signals.wait(wait) == Wake::Stop {
                        return Ok(None);
                    }
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
                Err(error) => return Err(error).with_context(|| format!("rows of {} were not taken", body.table)),
            }
        }
    }

    /// Each interval the rows of all nodes, one batch a table; after a pause all that were missed.
    fn send_live(&mut self, fleet: &mut Fleet, plan: &Plan, step: i64) -> anyhow::Result<()> {
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
            let span = plan.live_span(from, step, due.min(steps_max));
            for body in bodies(fleet, plan.sequence(span)?, span)? {
                if self.send(&body)? == Wake::Stop {
                    return Ok(());
                }
            }
            from = span.until;
        }
    }
}

/// Makes up a span and hands it over; `None` when nobody takes it any more.
fn make(fleet: &mut Fleet, plan: &Plan, span: Span, send: &SyncSender<Body>) -> anyhow::Result<Option<()>> {
    for body in bodies(fleet, plan.sequence(span)?, span)? {
        if send.send(body).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

fn bodies(fleet: &mut Fleet, first_sequence: u64, span: Span) -> anyhow::Result<Vec<Body>> {
    let mut bodies: Vec<Body> = Vec::new();
    for (table, batch) in fleet.rows(span)? {
        let part = bodies.iter().filter(|body| body.table == table.name).count() as u64;
        debug_assert!(part < PARTS_MAX);
        bodies.push(Body {
            table: table.name,
            sequence: first_sequence + part,
            rows: batch.num_rows() as u64,
            payload: crate::wire::encode(&batch)?,
            from: span.from,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const STEP: i64 = 300;
    const WINDOW: i64 = 6 * 3600;

    /// What a server keeps of one table: the last number, the windows that were begun, and how often each time came.
    #[derive(Default)]
    struct Server {
        last: u64,
        begun: i64,
        times: BTreeMap<i64, u32>,
    }

    impl Server {
        fn take(&mut self, plan: &Plan, span: Span) {
            self.begun = self.begun.max(span.from.div_euclid(WINDOW) * WINDOW);
            let number = plan.sequence(span).unwrap_or_default();
            if number <= self.last {
                return;
            }
            self.last = number;
            for time in (span.from..span.until).step_by(usize::try_from(span.step).unwrap_or(1)) {
                *self.times.entry(time).or_default() += 1;
            }
        }

        /// A run that starts at `now` and is killed after so many batches of history, or at `end`.
        fn run(&mut self, now: i64, batches: usize, end: i64) {
            let until = now.div_euclid(STEP) * STEP;
            let start = (now - 30 * 3600).div_euclid(WINDOW) * WINDOW;
            let plan = Plan { start, until, step: STEP, window: WINDOW };
            let new_from = plan.windows().find(|w| *w > self.begun);
            self.begun = self.begun.max(new_from.unwrap_or(0));
            let new_from = new_from.unwrap_or_else(|| plan.windows().last().map_or(start, |last| last + WINDOW));
            let spans: Vec<Span> = plan.spans(new_from).take(batches).collect();
            spans.iter().for_each(|span| self.take(&plan, *span));
            if spans.last().is_none_or(|span| span.until < until) {
                return;
            }
            let mut from = until;
            while from < end {
                let span = plan.live_span(from, 10, ((end - from) / 10).max(1));
                self.take(&plan, span);
                from = span.until;
            }
        }
    }

    #[test]
    fn runs_that_follow_each_other_send_no_time_twice_and_leave_no_hole_of_more_than_a_piece() {
        const T: i64 = 1_800_000_000;
        // When each run starts, after how many batches it is killed, and when it ends otherwise.
        let stories: [&[(i64, usize, i64)]; 6] = [
            &[(0, 9999, 95), (100, 9999, 400)],
            &[(0, 9999, 1234 * 10), (20_000, 9999, 21_000)],
            &[(0, 9999, 5000), (90_000, 9999, 91_000), (91_010, 9999, 92_000)],
            &[(0, 3, 0), (50, 2, 0), (60, 9999, 1000)],
            &[(0, 0, 0), (50, 1, 0), (5_000, 9999, 5_500)],
            &[(0, 9999, 0), (7, 9999, 2000), (70_000, 40, 0), (70_100, 9999, 70_400)],
        ];
        for story in stories {
            let mut server = Server::default();
            for (now, batches, end) in story {
                server.run(T + now, *batches, T + end);
            }
            assert!(server.times.values().all(|n| *n == 1), "{story:?}");
            let times: Vec<i64> = server.times.keys().copied().collect();
            let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            assert!(widest <= 2 * STEP, "{story:?}: a hole of {widest} s");
        }
    }
}
