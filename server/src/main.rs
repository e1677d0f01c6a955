//! The `coulomb` program: settings → rooms → run → shut down in reverse order. Wiring only.

use clap::Parser;
use coulomb::access::Access;
use coulomb::api::{self, Services};
use coulomb::client::{self, ClientError};
use coulomb::config::{Asked, Command, CommandLine, OtlpListen, ServeFlags, ServeSettings};
use coulomb::dashboards;
use coulomb::dispatch::Dispatch;
use coulomb::flight;
use coulomb::grpc;
use coulomb::ingest::Ingest;
use coulomb::insight::inference::Inference;
use coulomb::insight::{self, Insight};
use coulomb::ledger::Ledger;
use coulomb::otlp::{self, Otlp};
use coulomb::query::Engine;
use coulomb::scaler;
use coulomb::store::Store;
use coulomb::watch::{self, Watch};
use coulomb_telemetry::{Log, Program, Telemetry};
use std::io::{BufWriter, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// Rows expire by the day; an hour more of them is not felt.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);
/// Autoscalers ask two to four times a minute.
const OBSERVE_EVERY: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut out = BufWriter::new(stdout());
    let done = match CommandLine::parse().command {
        Command::Serve(flags) => serve(flags),
        Command::Query(command) => asked(client::query(&command, &mut out)),
        Command::Import(command) => asked(client::import(&command, now_micros(), &mut out)),
        Command::Documents(command) => asked(client::documents(&command, &mut out)),
        Command::Policy(command) => asked(client::policy(&command, &mut out)),
        Command::Prices(command) => asked(client::prices(&command, &mut out)),
        Command::Budgets(command) => asked(client::budgets(&command, &mut out)),
        Command::Anomalies(command) => asked(client::anomalies(&command, &mut out)),
        Command::Findings(command) => asked(client::findings(&command, &mut out)),
        Command::Incidents(command) => asked(client::incidents(&command, &mut out)),
        Command::Job(command) => asked(client::job(&command, &mut out)),
        Command::Close(command) => asked(client::close(&command, &mut out)),
        Command::Report(command) => asked(client::report(&command, &mut out)),
        Command::Schedules(command) => asked(client::schedules(&command, &mut out)),
        Command::Inference(command) => asked(client::inference(&command, &mut out)),
        Command::Alerts(command) => asked(client::alerts(&command, now_micros(), &mut out)),
        Command::Rules(command) => match command.tested() {
            Some(files) => watch::rehearse(files, &mut out).map_err(Into::into),
            None => asked(client::rules(&command, &mut out)),
        },
        Command::Logs(command) => asked(client::logs(&command, &mut out)),
        Command::Bill(command) => asked(client::bill(&command, &mut out)),
        Command::Reconcile(command) => asked(client::reconcile(&command, &mut out)),
        Command::Token(command) => asked(client::token(&command, &mut out)),
        Command::Check(command) => asked(client::check(&command, &mut out)),
        Command::Backup(command) => asked(client::backup(&command, &mut out)),
        Command::Restore(command) => asked(client::restore(&command, &mut out)),
        Command::Verify(command) => asked(client::verify(&command, &mut out)),
    };
    // A command that fails half-way has written good lines before; one that cannot write has said so.
    drop(out.flush());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            drop(writeln!(stderr(), "coulomb: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn asked(result: Result<(), ClientError>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.is_closed_pipe() => Ok(()),
        other => Ok(other?),
    }
}

fn serve(flags: ServeFlags) -> anyhow::Result<()> {
    let settings = ServeSettings::load(flags)?;
    let log = Log { filter: &settings.log, has_colours: false, names_modules: true };
    let program = Program { name: "coulomb", version: env!("CARGO_PKG_VERSION"), node: None };
    let mut telemetry = coulomb_telemetry::start(&program, &log, settings.telemetry_endpoint.as_deref())?;
    tracing::info!("settings: {settings}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(run(settings, &mut telemetry));
    // A receiver that does not answer holds a thread, and nothing depends on its end.
    runtime.shutdown_background();
    telemetry.stop();
    done
}

async fn run(settings: ServeSettings, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let store = Store::open(settings.store)?;
    let access = Access::open(&settings.data_dir, now_micros())?;
    let engine = Engine::new(store.clone(), settings.query)?;
    let ingest = Ingest::new(store.clone());
    let keeping = tokio::spawn(expire(store.clone(), settings.retain_days));
    let deriving = tokio::spawn({
        let engine = engine.clone();
        async move { engine.keep_derived(now_micros).await }
    });
    let ledger = Ledger::open(store.clone(), engine.clone(), now_micros).await?;
    let accounting = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.keep().await }
    });
    let insight = Insight::open(engine.clone(), now_micros)?;
    let finding = tokio::spawn({
        let insight = insight.clone();
        async move { insight.keep().await }
    });
    let rooms = (engine.clone(), ledger.clone(), insight.clone());
    let dispatch = Dispatch::open(store.clone(), rooms, settings.dispatch, now_micros);
    let dispatching = tokio::spawn({
        let dispatch = dispatch.clone();
        async move { dispatch.keep().await }
    });
    let alerts = Arc::new(watch::shelf(&settings.data_dir));
    let watch = Watch::open(store.clone(), engine.clone(), Arc::clone(&alerts), settings.watch, now_micros).await?;
    let watching = tokio::spawn({
        let watch = watch.clone();
        async move { watch.keep().await }
    });
    let inference = Inference::open(engine.clone(), now_micros)?;
    let observing = tokio::spawn(observe(inference.clone()));
    let scaler = scaler::routes(inference.clone(), access.clone());
    let start_flight = |listen| flight::start(engine.clone(), access.clone(), listen, scaler);
    let flight = settings.flight_listen.map(start_flight).transpose()?;
    let otlp = Otlp::new(ingest.clone(), now_micros);
    let otlp_grpc = settings.otlp_listen.map(|listen| start_otlp(&otlp, &access, listen)).transpose()?.flatten();
    let dashboards = Arc::new(dashboards::shelf(&settings.data_dir));
    let services = Services {
        store: store.clone(),
        ingest,
        otlp,
        engine,
        ledger,
        dispatch: dispatch.clone(),
        access,
        watch: watch.clone(),
        inference,
        insight,
        dashboards,
        alerts,
        peaks: Arc::new(insight::peaks(&settings.data_dir)),
        clock: now_micros,
    };
    let server = api::start(services, settings.listen)?;
    telemetry.measure(server.numbers())?;
    announce(&server, flight.as_ref(), otlp_grpc.as_ref())?;
    until_asked(&mut terminate, &mut interrupt).await;
    let (stopped, (), ()) = tokio::join!(server.stop(), stop(flight), stop(otlp_grpc));
    [keeping, deriving, accounting, dispatching, watching, finding, observing].iter().for_each(JoinHandle::abort);
    tokio::join!(dispatch.finish(), watch.finish());
    tokio::task::spawn_blocking(move || store.close()).await??;
    tracing::info!("all rows are in files, stopped");
    Ok(stopped?)
}

async fn until_asked(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("asked to terminate, shutting down"),
        _ = interrupt.recv() => tracing::info!("interrupted, shutting down"),
    }
}

async fn stop(running: Option<grpc::Running>) {
    if let Some(running) = running {
        running.stop().await;
    }
}

/// Where it listens, for people and for programs that started it.
fn announce(
    server: &api::Running,
    flight: Option<&grpc::Running>,
    otlp: Option<&grpc::Running>,
) -> std::io::Result<()> {
    writeln!(stdout(), "coulomb: listening on http://{}", server.address)?;
    if let Some(flight) = flight {
        writeln!(stdout(), "coulomb: Flight SQL on grpc://{}", flight.address)?;
    }
    if let Some(otlp) = otlp {
        writeln!(stdout(), "coulomb: OTLP on grpc://{}", otlp.address)?;
    }
    stdout().flush()
}

/// A port that nobody has asked for may be another program's, such as an OpenTelemetry collector's.
fn start_otlp(otlp: &Otlp, access: &Access, listen: OtlpListen) -> anyhow::Result<Option<grpc::Running>> {
    match (otlp::start(otlp.clone(), access.clone(), listen.address), listen.asked) {
        (Err(error), Asked::No) => {
            tracing::warn!(%error, "OTLP is taken over HTTP only; --otlp-listen names another port, or `off`");
            Ok(None)
        }
        (started, _) => Ok(Some(started?)),
    }
}

/// Looks at services of inference, so that who scales them is answered at once.
async fn observe(inference: Inference) {
    let mut turns = tokio::time::interval(OBSERVE_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Err(error) = inference.observe().await {
            tracing::warn!(%error, "services of inference could not be looked at");
        }
    }
}

/// Drops what is older than it is to be kept, every so often.
async fn expire(store: Store, retain_days: Vec<(String, u32)>) {
    let mut turns = tokio::time::interval(EXPIRE_EVERY);
    loop {
        turns.tick().await;
        let kept = retain_days.iter().filter_map(|(name, days)| Some((store.tables().find(|t| t.name == name)?, days)));
        for (table, days) in kept {
            let keep = Duration::from_secs(u64::from(*days) * 86_400);
            if let Err(error) = store.expire(table, keep, now_micros()).await {
                tracing::error!(table = table.name, %error, "old rows could not be dropped");
            }
        }
    }
}

/// Unix microseconds, UTC; the one clock of the server.
#[allow(clippy::disallowed_methods)]
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}
