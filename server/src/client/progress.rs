//! A bar on a terminal and a line now and then elsewhere, for commands that move bytes.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read, Write, stderr};

/// Without a terminal a line is written after so many bytes.
const TOLD_BYTES: u64 = 1 << 30;

pub(super) struct Progress {
    bar: ProgressBar,
    name: &'static str,
    bytes: u64,
    told: u64,
}

impl Progress {
    /// `total` is unknown for a pipe.
    pub(super) fn new(name: &'static str, total: Option<u64>) -> Self {
        let (bar, style) = match total {
            Some(total) => (ProgressBar::new(total), "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}"),
            None => (ProgressBar::new_spinner(), "{msg} {bytes}"),
        };
        // The template is a constant; were it wrong, the plain bar would do.
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style).with_message(name);
        if !stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar, name, bytes: 0, told: 0 }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        if !self.bar.is_hidden() {
            self.bar.set_position(self.bytes);
        } else if self.bytes >= self.told + TOLD_BYTES {
            self.told = self.bytes;
            // Progress that nobody can read is no reason to stop.
            drop(writeln!(stderr(), "{}: {}", self.name, size_text(self.bytes)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A reader that shows how far it is.
pub(super) struct Shown<R> {
    pub(super) inner: R,
    pub(super) progress: Progress,
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.progress.add(got as u64);
        Ok(got)
    }
}

/// Bytes for people.
pub(super) fn size_text(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

/// Files, rows and bytes in words.
pub(super) fn amount_text(files: u64, rows: u64, bytes: u64) -> String {
    let s = |n: u64| if n == 1 { "" } else { "s" };
    format!("{files} file{}, {rows} row{}, {}", s(files), s(rows), size_text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(size_text(bytes), text);
        }
        assert_eq!(amount_text(1, 2, 3), "1 file, 2 rows, 3 bytes");
    }
}
