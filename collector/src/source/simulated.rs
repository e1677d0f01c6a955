//! A made-up fleet: the options and the entry of `coulomb-collector simulate`.

use crate::config::UplinkOptions;
use crate::signal::Signals;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    #[command(flatten)]
    pub uplink: UplinkOptions,
}

/// Sends the rows of a made-up fleet; ends when it is done or a signal comes.
pub(crate) fn simulate(_options: &SimulateOptions, _signals: Signals) -> anyhow::Result<()> {
    anyhow::bail!("this build has no simulated fleet yet")
}
