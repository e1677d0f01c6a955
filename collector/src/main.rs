//! The collector: reads GPUs and their node, batches, spools and sends. Wiring only.

mod batch;
mod check;
mod config;
mod input;
mod metrics;
mod record;
mod replay;
mod run;
mod send;
mod signal;
mod simulate;
mod source;
mod spool;
mod wire;

use clap::Parser as _;
use config::{Cli, Command};
use coulomb_telemetry::{Log, Program, Telemetry};
use signal::Signals;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::process::ExitCode;

const NAME: &str = "coulomb-collector";
/// The client of Kubernetes says each failure of each try; whoever asks through it says what matters, once.
const LOG: &str = "info,kube_client=off";

fn main() -> ExitCode {
    match start(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // There is nowhere left to say that standard error is closed.
            drop(writeln!(stderr(), "coulomb-collector: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(command: &Command) -> anyhow::Result<ExitCode> {
    // Before any thread begins, the exporters' too.
    let signals = Signals::block()?;
    let log = Log { filter: LOG, has_colours: stderr().is_terminal(), names_modules: false };
    let program = Program { name: NAME, version: env!("CARGO_PKG_VERSION"), node: command.node().map(str::to_owned) };
    let mut telemetry = coulomb_telemetry::start(&program, &log, command.telemetry_endpoint())?;
    let done = follow(command, signals, &mut telemetry);
    if let Err(error) = &done {
        tracing::error!("{error:#}");
    }
    telemetry.stop();
    Ok(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn follow(command: &Command, signals: Signals, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    match command {
        Command::Run(options) => run::run(options, signals, telemetry),
        Command::Record(options) => run::record(options, signals),
        Command::Replay(options) => replay::replay(options, signals, telemetry),
        Command::Simulate(options) => simulate::simulate(options, signals),
        Command::Check(options) => check::check(options, signals),
    }
}
