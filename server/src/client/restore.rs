//! `coulomb restore FILE.tar --data DIR`: a data directory out of an archive. Local: no server can run there yet.
//!
//! **Invariant:** the directory appears whole, checked and synced, or not at all.

use super::ClientError;
use super::progress::{Progress, Shown, amount_text};
use crate::archive::{self, Unpack};
use clap::Args;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct RestoreCommand {
    /// An archive of `coulomb backup`; `-` reads it from standard input.
    file: PathBuf,
    /// Data directory to make; it must be new or empty.
    #[arg(long, env = "COULOMB_DATA", value_name = "DIR")]
    data: PathBuf,
}

/// Unpacks beside the directory, checks everything, and gives it its name.
pub fn restore(command: &RestoreCommand, out: &mut impl Write) -> Result<(), ClientError> {
    let failed = |cause: io::Error| ClientError::Write { path: command.data.clone(), cause };
    let target = std::path::absolute(&command.data).map_err(failed)?;
    if target.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let why = "it is not empty, and a restore overwrites nothing; name a new directory".to_owned();
        return Err(ClientError::Argument { what: "data", text: command.data.display().to_string(), why });
    }
    let Some(parent) = target.parent() else {
        let why = "it has no directory above it".to_owned();
        return Err(ClientError::Argument { what: "data", text: command.data.display().to_string(), why });
    };
    let input = open(&command.file)?;
    fs::create_dir_all(parent).map_err(failed)?;
    // Removed when it is dropped, that is after any error.
    let unfinished = tempfile::Builder::new().prefix(".coulomb-restore-").tempdir_in(parent).map_err(failed)?;
    let mut files = Files { folder: unfinished.path().to_owned(), open: None };
    let named = |cause| ClientError::Archive { file: name(&command.file), cause };
    let manifest = archive::read(input, &mut files).map_err(named)?;
    sync_folders(unfinished.path()).map_err(failed)?;
    fs::rename(unfinished.path(), &target).map_err(failed)?;
    // It has another name now, and there is nothing left to remove.
    drop(unfinished.keep());
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    let what = amount_text(manifest.files.len() as u64, manifest.rows(), manifest.bytes());
    let data = command.data.display();
    writeln!(out, "restored {what} into {data}")?;
    writeln!(
        out,
        "start it with `coulomb serve --data {data}`; that makes a new {data}/admin.token, the old one ends"
    )?;
    Ok(out.flush()?)
}

/// What an archive is called in an error.
pub(super) fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// An archive, shown as it is read.
pub(super) fn open(path: &Path) -> Result<impl Read + use<>, ClientError> {
    let failed = |cause: io::Error| ClientError::Read { path: path.to_owned(), cause };
    let (input, total): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        (Box::new(file), Some(total))
    };
    let progress = Progress::new("archive", total);
    Ok(Shown { inner: BufReader::with_capacity(1 << 20, input), progress })
}

/// Files of a folder, each synced when it is complete.
struct Files {
    folder: PathBuf,
    open: Option<File>,
}

impl Files {
    fn open(&mut self) -> io::Result<&mut File> {
        self.open.as_mut().ok_or_else(|| io::Error::other("no file is open"))
    }
}

impl Unpack for Files {
    fn begin(&mut self, path: &str) -> io::Result<()> {
        let path = self.folder.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        self.open = Some(File::create_new(path)?);
        Ok(())
    }

    fn bytes(&mut self, part: &[u8]) -> io::Result<()> {
        self.open()?.write_all(part)
    }

    fn end(&mut self) -> io::Result<()> {
        self.open()?.sync_all()?;
        self.open = None;
        Ok(())
    }
}

/// Syncs the names of everything below a folder.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
