//! The outermost loops: look at the sources each interval, batch by time and size, send or record.
//!
//! Owns the clocks and the rhythm. **Invariants:** a slow look or a stopped machine skips ticks and never bunches
//! them; what was measured is in the spool or the recording within [`BATCH_SECONDS_MAX`].

use crate::batch;
use crate::config::{RecordOptions, RunOptions, UplinkOptions};
use crate::input::{Feed, Inputs, kubernetes, otlp, scrape, slurm};
use crate::metrics::{self, Counters};
use crate::record::Recording;
use crate::send::{self, Client, Drain, Loss, Uplink, WhenFull};
use crate::signal::{Signals, Wake};
use crate::source::{DeviceEventRow, Live, NodeIdentity, Pods, Sample};
use crate::spool::Spool;
use anyhow::Context as _;
use contract::WriterId;
use coulomb_telemetry::Telemetry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::info_span;

/// Rows reach the server this late at most: fresh enough to watch, few enough requests for ten thousand GPUs.
const BATCH_SECONDS_MAX: Duration = Duration::from_secs(5);
/// Rows that are sent before their time: a burst of processes or events must not grow in memory.
const BATCH_ROWS_MAX: usize = 4096;
/// After a signal the server gets so long; systemd kills after 90 s.
const FINISH_SECONDS_MAX: Duration = Duration::from_secs(5);

/// Wall clock, in microseconds.
#[allow(clippy::disallowed_methods)] // the outermost loops read the clock and pass it on
pub(crate) fn unix_micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A writer that no process was before.
pub(crate) fn new_writer(node: &str) -> Result<WriterId, contract::IdError> {
    WriterId::parse(&format!("{node}/{}", uuid::Uuid::new_v4()))
}

/// Opens spool and client and starts to send; the counters of it are exported, too.
pub(crate) fn connect(
    options: &UplinkOptions,
    telemetry: &mut Telemetry,
    writer: WriterId,
    when_full: WhenFull,
    signals: Signals,
) -> anyhow::Result<(Uplink, Arc<Counters>)> {
    let counters = Arc::new(Counters::default());
    if let Some(listen) = options.metrics_listen {
        let address = metrics::serve(listen, Arc::clone(&counters))
            .with_context(|| format!("cannot listen on {listen} for --metrics-listen"))?;
        tracing::info!("own metrics at http://{address}/metrics");
    }
    telemetry.measure({
        let counters = Arc::clone(&counters);
        move || counters.families()
    })?;
    let client = Client::new(options.client_settings());
    let (spool, recovered) = Spool::open(options.spool_settings(), writer)?;
    send::log_recovered(&recovered);
    tracing::info!(server = client.server(), spool = ?options.spool, spool_bytes_max = options.spool_bytes_max, "sending");
    let uplink = Uplink::start(client, spool, when_full, signals, Arc::clone(&counters))?;
    uplink.tell_damage(&recovered.damaged);
    Ok((uplink, counters))
}

/// `coulomb-collector run`.
pub(crate) fn run(options: &RunOptions, signals: Signals, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    let writer = new_writer(&options.source.node)?;
    let (uplink, counters) = connect(&options.uplink, telemetry, writer, WhenFull::DropOldest, signals)?;
    let uplink = Arc::new(uplink);
    let pods = Pods::default();
    let mut live = Live::open(&options.source, pods.clone(), Arc::clone(&counters));
    let node = live.node().clone();
    let mut inputs = Inputs::new(Feed::new(node.clone(), Arc::clone(&uplink), Arc::clone(&counters)));
    start_inputs(options, &mut inputs)?;
    let driver_tells_xids = Arc::new(AtomicBool::new(false));
    inputs.start_logs(&options.inputs, &options.uplink.spool, Arc::clone(&driver_tells_xids))?;
    if let Some(settings) = options.slurm_settings() {
        inputs.start("slurm", move |feed| slurm::watch(&settings, &feed)).context("cannot start to watch Slurm")?;
    }
    if options.kubernetes.kubernetes {
        let settings = options.kubernetes_settings();
        inputs.start("kubernetes", move |feed| kubernetes::follow(&feed, &settings, &pods, unix_micros_now))?;
    }
    let mut waiting = Sample::default();
    let mut since = Instant::now();
    each_tick(options.source.interval, None, signals, |now_unix_micros, elapsed| {
        let sample = info_span!("look").in_scope(|| live.look(now_unix_micros, elapsed));
        inputs.measures(live.gpus().uuids());
        driver_tells_xids.store(live.gpus().tells_xids(), Ordering::Relaxed);
        Counters::add(&counters.rows_collected, sample.rows() as u64);
        waiting.append(sample);
        waiting.events.extend(uplink.take_losses().into_iter().map(|loss| loss_event(loss, &node, now_unix_micros)));
        if waiting.rows() >= BATCH_ROWS_MAX || since.elapsed() + options.source.interval > BATCH_SECONDS_MAX {
            since = Instant::now();
            put(&uplink, &std::mem::take(&mut waiting));
        }
        Ok(())
    })?;
    put(&uplink, &waiting);
    inputs.stop();
    let rows = uplink.finish(Drain::For(FINISH_SECONDS_MAX));
    if rows > 0 {
        tracing::warn!(rows, "unsent rows stay in the spool and are sent by the next start");
    }
    Ok(())
}

/// One thread a target, and one for OTLP.
fn start_inputs(options: &RunOptions, inputs: &mut Inputs) -> anyhow::Result<()> {
    for scrape in options.inputs.scrapes(options.source.interval)? {
        tracing::info!(target = scrape.target.name, url = %scrape.target.url, "scraping");
        inputs.start("scrape", move |feed| scrape::run(scrape, unix_micros_now, &feed))?;
    }
    if let Some(settings) = options.inputs.otlp()? {
        let listening = otlp::listen(settings)?;
        for (what, address) in listening.addresses() {
            tracing::info!("OTLP over {what} on {address}");
        }
        inputs.start("otlp", move |feed| otlp::run(listening, unix_micros_now, &feed))?;
    }
    Ok(())
}

fn put(uplink: &Uplink, sample: &Sample) {
    let batches = match batch::batches(sample) {
        Ok(batches) => batches,
        Err(error) => return tracing::error!(%error, rows = sample.rows(), "rows were lost"),
    };
    for batch in batches {
        // The uplink counts the loss and tells it as an event; measuring goes on.
        if let Err(error) = uplink.put(&batch) {
            tracing::error!(%error, table = batch.0.name, rows = batch.1.num_rows(), "rows were lost");
        }
    }
}

fn loss_event(loss: Loss, node: &NodeIdentity, now_unix_micros: i64) -> DeviceEventRow {
    DeviceEventRow {
        time_unix_micros: now_unix_micros,
        node: node.clone(),
        gpu_uuid: None,
        kind: "dropped",
        code: i64::try_from(loss.rows).ok(), // no spool holds 2^63 rows
        job_id: None,
        severity: "error",
        message: format!("{} rows of {} were lost: {}", loss.rows, loss.table, loss.reason),
    }
}

/// `coulomb-collector record`.
pub(crate) fn record(options: &RecordOptions, signals: Signals) -> anyhow::Result<()> {
    let counters = Arc::new(Counters::default());
    let mut recording = Recording::create(&options.out, Instant::now())?;
    let mut live = Live::open(&options.source, Pods::default(), Arc::clone(&counters));
    tracing::info!(dir = ?options.out, "recording");
    each_tick(options.source.interval, options.duration, signals, |now_unix_micros, elapsed| {
        let sample = live.look(now_unix_micros, elapsed);
        for batch in batch::batches(&sample)? {
            recording.put(batch, Instant::now())?;
        }
        Ok(())
    })?;
    Ok(recording.flush(Instant::now())?)
}

/// Calls `look` now and then each interval, with the wall clock and the time since the call before, until a
/// signal or the end of `duration`.
fn each_tick(
    interval: Duration,
    duration: Option<Duration>,
    signals: Signals,
    mut look: impl FnMut(i64, Option<Duration>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut due = start;
    let mut before: Option<Instant> = None;
    loop {
        let now = Instant::now();
        look(unix_micros_now(), before.map(|before| now - before))?;
        before = Some(now);
        due += interval;
        if due < Instant::now() {
            // Too late for the next tick already: start a new rhythm instead of catching up.
            due = Instant::now() + interval;
        }
        if duration.is_some_and(|duration| due - start > duration + interval / 2) {
            return Ok(());
        }
        if signals.wait(due.saturating_duration_since(Instant::now())) == Wake::Stop {
            return Ok(());
        }
    }
}
