//! `coulomb import`.

use super::ClientError;
use crate::config::ClientFlags;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ImportCommand {
    /// Files to send.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Sends the files; see `Connection::ingest`.
pub fn import(command: &ImportCommand, _out: &mut impl Write) -> Result<(), ClientError> {
    super::connection::Connection::open(&command.client)?;
    let path = command.files.first().cloned().unwrap_or_default();
    let source = std::io::Error::other("this build has no importer");
    Err(ClientError::Read { path, source })
}
