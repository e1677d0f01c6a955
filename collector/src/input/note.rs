//! How far an input has come, in a file beside the spool: what a restart goes on from.
//!
//! The note of what comes next is written before its rows go into the spool, and takes the place of the last one
//! while the spool is held, so that nothing can be sent in between. A start that finds both asks the spool which
//! holds. **Invariant:** the rows that a note counts are in the spool or were sent, and no others are: a kill at any
//! point neither loses nor repeats rows.

use crate::send::{Mark, Note, Uplink};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A note is some lines; a file that is larger is none of ours.
const NOTE_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Notebook {
    path: PathBuf,
    next_path: PathBuf,
    /// What is noted with the rows that are put next.
    text: String,
}

impl Notebook {
    /// Opens the note `name` in the spool's folder; returns what it says.
    pub(super) fn open(dir: &Path, name: &str, uplink: &Uplink, table: &str) -> io::Result<(Self, Option<String>)> {
        let path = dir.join(format!("{name}.note"));
        let next_path = dir.join(format!("{name}.note.next"));
        if let Some(next) = read(&next_path)? {
            let (mark, _) = split(&next);
            if mark.is_some_and(|mark| uplink.found(table, &mark)) {
                fs::rename(&next_path, &path)?;
            } else {
                fs::remove_file(&next_path)?;
            }
        }
        let text = read(&path)?.map(|text| split(&text).1.to_owned());
        Ok((Self { path, next_path, text: String::new() }, text))
    }

    pub(super) fn will_say(&mut self, text: String) {
        self.text = text;
    }

    /// Notes what has no rows: what was read says nothing.
    pub(super) fn write(&mut self) -> io::Result<()> {
        fs::write(&self.next_path, format!("\n{}", self.text))?;
        fs::rename(&self.next_path, &self.path)
    }
}

impl Note for Notebook {
    fn before(&mut self, mark: &Mark) -> io::Result<()> {
        fs::write(&self.next_path, format!("{} {}\n{}", mark.sequence, mark.writer, self.text))
    }

    fn after(&mut self) -> io::Result<()> {
        fs::rename(&self.next_path, &self.path)
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > NOTE_BYTES_MAX => return Ok(None),
        Ok(_) => {}
    }
    Ok(Some(String::from_utf8_lossy(&fs::read(path)?).into_owned()))
}

/// The frame that a note counts, which is in its first line, and what it says.
fn split(note: &str) -> (Option<Mark>, &str) {
    let (head, text) = note.split_once('\n').unwrap_or((note, ""));
    let mark = head.split_once(' ').and_then(|(sequence, writer)| {
        // A torn note counts nothing.
        Some(Mark { sequence: sequence.parse().ok()?, writer: writer.to_owned() })
    });
    (mark, text)
}
