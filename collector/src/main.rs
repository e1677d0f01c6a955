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
use std::io::IsTerminal as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ansi = std::io::stderr().is_terminal();
    // The client of Kubernetes says each failure of each try; whoever asks through it says what matters, once.
    let log = tracing_subscriber::fmt().with_env_filter("info,kube_client=off");
    log.with_writer(std::io::stderr).with_ansi(ansi).with_target(false).init();
    match start(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: &Command) -> anyhow::Result<()> {
    let signals = signal::Signals::block()?;
    match command {
        Command::Run(options) => run::run(options, signals),
        Command::Record(options) => run::record(options, signals),
        Command::Replay(options) => replay::replay(options, signals),
        Command::Simulate(options) => simulate::simulate(options, signals),
        Command::Check(options) => check::check(options, signals),
    }
}
