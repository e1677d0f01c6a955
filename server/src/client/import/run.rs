//! The files of one command: their rows, in chunks to whoever keeps them, each file as an import of its own.
//!
//! **Invariant:** the same files and options give the same writers and the same chunks, so that a repeated
//! import, also of one that was cut off, adds nothing twice. Memory is bounded by one chunk, one row a GPU and
//! 48 bytes a job; only joined files are held whole.

use super::chunks::{Chunks, Keep, Stop};
use super::error::ImportError;
use super::finish::{Defaults, Finish, Origin, Row};
use super::input::Input;
use super::joined::Joined;
use super::map::Map;
use super::one_gpu::OneGpu;
use super::reading::Reading;
use super::tally::Tally;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// How files become rows.
pub(super) struct Settings<'a> {
    pub(super) map: &'a Map,
    pub(super) preset: &'a str,
    pub(super) defaults: &'a Defaults,
    /// For samples without a time of their own.
    pub(super) time_micros: Option<i64>,
    pub(super) now_micros: i64,
    /// Every option that changes a row, as a text in which equal options are equal.
    pub(super) options: &'a str,
}

/// Who keeps the chunks and hears how far the import is.
pub(super) trait Sink: Keep {
    fn begin(&mut self, name: &str, bytes: u64);
    fn progress(&mut self, name: &str, bytes_read: u64, rows: u64);
    /// What became of a file.
    fn done(&mut self, name: &str, outcome: Result<Tally, ImportError>) -> Result<(), Self::Error>;
}

/// Imports the files; each one, or all of them where they are joined, as the writer `import/<digest>`.
pub(super) fn import<S: Sink>(settings: &Settings<'_>, inputs: Vec<Input>, sink: &mut S) -> Result<(), S::Error> {
    let finish = Finish::new(settings.map, settings.defaults.clone());
    let mut import = Import { settings, finish, open: BTreeMap::new(), writers: HashMap::new(), sink };
    if settings.map.joined && inputs.len() > 1 {
        let name = inputs.iter().map(|i| i.path.display().to_string()).collect::<Vec<_>>().join(" + ");
        import.sink.begin(&name, inputs.iter().map(|i| i.bytes).sum());
        return match import.joined(&name, inputs) {
            Err(Stop::All(error)) => Err(error),
            Err(Stop::File(error)) => import.sink.done(&name, Err(error)),
            Ok(tally) => import.sink.done(&name, Ok(tally)),
        };
    }
    let inputs = by_time(settings, inputs);
    for (file, input) in inputs.iter().enumerate() {
        import.sink.begin(&input.path.display().to_string(), input.bytes);
        match import.file(file, input) {
            Err(Stop::All(error)) => return Err(error),
            Err(Stop::File(error)) => import.failed(file, &input.path.display().to_string(), error)?,
            Ok(()) => {}
        }
    }
    let mut last = Vec::new();
    import.finish.end(&mut last);
    for row in last {
        import.complete(row)?;
    }
    Ok(())
}

/// In the order of their first rows, so that one file's last row is followed by the next one's first.
fn by_time(settings: &Settings<'_>, mut inputs: Vec<Input>) -> Vec<Input> {
    if inputs.len() > 1 {
        // A file that cannot be read comes last, and tells why when it is read.
        let first = |input: &Input| Reading::open(settings, input).map_or(i64::MAX, Reading::first_micros);
        inputs.sort_by_cached_key(first);
    }
    inputs
}

struct Import<'a, S> {
    settings: &'a Settings<'a>,
    finish: Finish,
    /// The files that have rows to come, with their names.
    open: BTreeMap<usize, (String, Chunks)>,
    /// Names of the files so far by the digests of their imports.
    writers: HashMap<String, String>,
    sink: &'a mut S,
}

impl<S: Sink> Import<'_, S> {
    fn file(&mut self, file: usize, input: &Input) -> Result<(), Stop<S::Error>> {
        let mut reading = Reading::open(self.settings, input)?;
        let digest = import_digest(&[(input.digest, reading.circumstances())], self.settings.options);
        let name = input.path.display().to_string();
        if let Some(first) = self.writers.get(&digest) {
            return self.sink.done(&name, Ok(Tally::same_as(first))).map_err(Stop::All);
        }
        self.writers.insert(digest.clone(), name.clone());
        let chunks = Chunks::new(self.settings.map, format!("import/{digest}"));
        self.open.insert(file, (name.clone(), chunks));
        let mut one_gpu = OneGpu::new(reading.is_of_one_gpu(), self.settings.map);
        while let Some((line, values)) = reading.next()? {
            let mut rows = Vec::new();
            let origin = Origin { file, line, stem: reading.stem(), mark: reading.mark() };
            let outcome = match values {
                Ok(Some(values)) => {
                    one_gpu.check(&values)?;
                    self.finish.push(values, origin, &mut rows).map(|()| true)
                }
                Ok(None) => Ok(false),
                Err(reject) => Err(reject),
            };
            if let Some((_, chunks)) = self.open.get_mut(&file) {
                match outcome {
                    Ok(true) => {}
                    Ok(false) => chunks.tally.skipped += 1,
                    Err(reject) => chunks.tally.reject(line, reject),
                }
                self.sink.progress(&name, reading.bytes_read(), chunks.rows);
            }
            for row in rows {
                if row.file != file {
                    self.complete(row).map_err(Stop::All)?;
                } else if let Some((_, chunks)) = self.open.get_mut(&file) {
                    chunks.push(row, self.settings.now_micros, self.sink)?;
                }
            }
        }
        one_gpu.end()?;
        if let Some((_, chunks)) = self.open.get_mut(&file) {
            chunks.incomplete = self.finish.waiting(file);
            chunks.tally.notes.extend(reading.notes());
        }
        self.close(file).map_err(Stop::All)
    }

    /// Takes a row of a file that was read before.
    fn complete(&mut self, row: Row) -> Result<(), S::Error> {
        let file = row.file;
        if let Some((_, chunks)) = self.open.get_mut(&file) {
            chunks.incomplete -= 1;
            chunks.tail.push(row);
        }
        self.close(file)
    }

    /// Ends a file when all of its rows are complete.
    fn close(&mut self, file: usize) -> Result<(), S::Error> {
        let Some((name, chunks)) = self.open.remove(&file) else { return Ok(()) };
        if chunks.incomplete > 0 {
            self.open.insert(file, (name, chunks));
            return Ok(());
        }
        match chunks.end(self.settings.now_micros, self.sink) {
            Ok(tally) => self.sink.done(&name, Ok(tally)),
            Err(Stop::File(error)) => self.sink.done(&name, Err(error)),
            Err(Stop::All(error)) => Err(error),
        }
    }

    fn failed(&mut self, file: usize, name: &str, error: ImportError) -> Result<(), S::Error> {
        self.open.remove(&file);
        self.sink.done(name, Err(error))
    }

    fn joined(&mut self, name: &str, mut inputs: Vec<Input>) -> Result<Tally, Stop<S::Error>> {
        // The order in which the files were named does not make another import.
        inputs.sort_by_key(|input| input.digest);
        let (mut joined, mut tally, mut parts) = (Joined::new(self.settings.map), Tally::default(), Vec::new());
        for (file, input) in inputs.iter().enumerate() {
            let mut reading = Reading::open(self.settings, input)?;
            let part = (input.digest, reading.circumstances());
            if parts.contains(&part) {
                continue;
            }
            parts.push(part);
            // Each file has every GPU, so that its rows follow one another.
            let mut finish = Finish::new(self.settings.map, self.settings.defaults.clone());
            let mut rows = Vec::new();
            while let Some((line, values)) = reading.next()? {
                let origin = Origin { file, line, stem: reading.stem(), mark: reading.mark() };
                match values {
                    Ok(Some(values)) => {
                        finish.push(values, origin, &mut rows).unwrap_or_else(|reject| tally.reject(line, reject));
                    }
                    Ok(None) => tally.skipped += 1,
                    Err(reject) => tally.reject(line, reject),
                }
                rows.drain(..).try_for_each(|row| joined.add(row.values, &input.path))?;
                self.sink.progress(name, reading.bytes_read(), 0);
            }
            finish.end(&mut rows);
            rows.drain(..).try_for_each(|row| joined.add(row.values, &input.path))?;
            tally.notes.extend(reading.notes());
        }
        let digest = import_digest(&parts, self.settings.options);
        let mut chunks = Chunks::new(self.settings.map, format!("import/{digest}"));
        chunks.tally = tally;
        for row in joined.into_rows(self.settings.map) {
            chunks.push(row, self.settings.now_micros, self.sink)?;
        }
        chunks.end(self.settings.now_micros, self.sink)
    }
}

/// The digest that names the import: the files' bytes and everything else that changes a row.
fn import_digest(files: &[([u8; 32], String)], options: &str) -> String {
    let mut digest = Sha256::new();
    for (bytes, circumstances) in files {
        digest.update(bytes);
        digest.update(format!("{}:{circumstances}\n", circumstances.len()));
    }
    digest.update(options);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
