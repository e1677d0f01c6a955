//! `coulomb backup FILE.tar`: everything that a running server has, in one archive.
//!
//! **Invariant:** the file appears whole and checked, or not at all.

use super::ClientError;
use super::connection::Connection;
use super::progress::{Progress, Shown, amount_text};
use crate::archive::{self, ArchiveError, Manifest};
use crate::config::ClientFlags;
use clap::Args;
use std::fs::File;
use std::io::{self, Read, Write, stderr};
use std::path::{Path, PathBuf};

const PATH: &str = "/api/v1/backup";
const SIZE_HEADER: &str = "coulomb-backup-bytes";

#[derive(Debug, Args)]
pub struct BackupCommand {
    /// The archive to make, which must not be there yet; `-` writes it to standard output.
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

/// Makes the archive and says what is in it.
pub fn backup(command: &BackupCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let to_stdout = command.file == Path::new("-");
    // A long way for nothing, were it found at the end only.
    if !to_stdout && command.file.exists() {
        let why = io::Error::new(io::ErrorKind::AlreadyExists, "it is there already, choose another name");
        return Err(ClientError::Write { path: command.file.clone(), cause: why });
    }
    let connection = Connection::open(&command.client)?;
    if to_stdout {
        let manifest = take(&connection, out)?;
        out.flush()?;
        // The archive is there, whether or not somebody reads this.
        drop(writeln!(stderr(), "backed up {}", text_of(&manifest)));
        return Ok(());
    }
    let manifest = into_file(&connection, &command.file)?;
    writeln!(out, "backed up {} to {}", text_of(&manifest), command.file.display())?;
    Ok(out.flush()?)
}

fn text_of(manifest: &Manifest) -> String {
    amount_text(manifest.files.len() as u64, manifest.rows(), manifest.bytes())
}

fn into_file(connection: &Connection, path: &Path) -> Result<Manifest, ClientError> {
    let failed = |cause: io::Error| ClientError::Write { path: path.to_owned(), cause };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside it, readable by its owner only, and gone after an error.
    let mut unfinished = tempfile::Builder::new().prefix(".coulomb-backup-").tempfile_in(folder).map_err(failed)?;
    let manifest = take(connection, unfinished.as_file_mut())?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist_noclobber(path).map_err(|e| failed(e.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(manifest)
}

/// Copies the archive and checks it while it passes.
fn take(connection: &Connection, to: &mut impl Write) -> Result<Manifest, ClientError> {
    let (body, total) = connection.post_empty(PATH, SIZE_HEADER)?;
    let passing = Passing { from: body, to, failed: None };
    let mut shown = Shown { inner: passing, progress: Progress::new("backup", total) };
    let read = archive::read(&mut shown, &mut ());
    if let Some(error) = shown.inner.failed.take() {
        return Err(ClientError::Output(error));
    }
    read.map_err(|cause| match cause {
        ArchiveError::Short { .. } | ArchiveError::Read(_) => {
            let why = format!("the archive broke off ({cause}); the server's log says why");
            ClientError::Answer { path: PATH.to_owned(), why }
        }
        cause => ClientError::Archive { file: "the archive as it arrived".to_owned(), cause },
    })
}

/// Gives on what it reads.
struct Passing<'a, R, W> {
    from: R,
    to: &'a mut W,
    /// Why it could not be given on.
    failed: Option<io::Error>,
}

impl<R: Read, W: Write> Read for Passing<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buffer)?;
        self.to.write_all(&buffer[..got]).map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            told
        })?;
        Ok(got)
    }
}
