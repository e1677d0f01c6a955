//! Reads everything that the store has on disk and holds it to what is known of it, beside ingest and queries.
//!
//! The log of each table is read anew, so that what is in memory vouches for nothing.

mod file;
mod log;
mod object;

use super::delta::Delta;
use super::derived::DerivedTables;
use super::error::StoreError;
use super::hot::Tables;
use super::meta::Meta;
use super::open;
use super::place::Place;
use contract::Table;
use object::Object;
use object_store::ObjectStore;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Files that were checked and not yet told of.
const TOLD_MAX: usize = 64;

/// Damaged files that an error names: a reader wants one to look at, and not a list.
const NAMED_MAX: usize = 5;

/// A file that was read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Within the data directory.
    pub path: String,
    pub bytes: u64,
    /// Of a data file.
    pub rows: u64,
    /// What is wrong with it.
    pub problem: Option<String>,
}

pub(super) struct Verifier {
    pub data_dir: PathBuf,
    pub place: Place,
    pub derived: &'static DerivedTables,
    pub tables: Arc<Tables>,
    pub objects: Arc<dyn ObjectStore>,
    /// The last frame that was acknowledged when this began.
    pub log_position: u64,
}

/// Nobody hears any more.
struct Unheard;

impl Verifier {
    /// Runs on a thread of its own; `running` is true while one does.
    pub(super) fn start(self, running: &Arc<AtomicBool>) -> Result<mpsc::Receiver<Checked>, StoreError> {
        if running.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy("another verification"));
        }
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let done = Done(Arc::clone(running));
        let body = move || {
            let _done = done;
            if let Err(error) = self.run(&tell) {
                tracing::error!(%error, "the store could not be verified");
                let problem = Some(error.to_string());
                // Whoever asked may have gone.
                drop(tell.blocking_send(Checked { path: "tables".into(), problem, ..Checked::default() }));
            }
        };
        let started = std::thread::Builder::new().name("coulomb-verify".into()).spawn(body);
        started.map(|_| told).map_err(StoreError::io("start a thread"))
    }

    fn run(&self, tell: &mpsc::Sender<Checked>) -> Result<(), StoreError> {
        let runtime = open::runtime()?;
        let mut told = |checked| tell.blocking_send(checked).map_err(|_| Unheard);
        for table in self.derived.with_sources() {
            if self.table(table, &runtime, &mut told).is_err() {
                return Ok(());
            }
        }
        let meta = self.data_dir.join("meta.sqlite");
        let bytes = meta.metadata().map_or(0, |m| m.len());
        let problem = Meta::faults(&meta);
        let rest = std::iter::once(Checked { path: "meta.sqlite".into(), bytes, rows: 0, problem });
        for checked in rest.chain(log::check(&self.data_dir, self.log_position)?) {
            if told(checked).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn table(
        &self,
        table: &'static Table,
        runtime: &tokio::runtime::Runtime,
        told: &mut impl FnMut(Checked) -> Result<(), Unheard>,
    ) -> Result<(), Unheard> {
        let opened = runtime
            .block_on(Delta::open(&self.place, table))
            .and_then(|delta| delta.map_or(Ok(vec![]), |d| d.summed_files(table)));
        let files = match opened {
            Ok(files) => files,
            Err(error) => {
                let path = format!("tables/{}/_delta_log", table.name);
                return told(Checked { path, problem: Some(error.to_string()), ..Checked::default() });
            }
        };
        for (file, sum) in files {
            let (objects, runtime) = (Arc::clone(&self.objects), runtime.handle().clone());
            let problem = file::problem(table, &file, sum, Object { file: file.clone(), objects, runtime });
            // A merge may have replaced it meanwhile, and an hour later it is gone.
            if problem.is_some() && !self.tables.snapshot(table).files.contains(&file) {
                continue;
            }
            told(Checked { path: format!("tables/{}", file.path), bytes: file.size_bytes, rows: file.rows, problem })?;
        }
        Ok(())
    }
}

/// Files of these tables that cannot be decoded, as far as they are found in time, and why. Blocks.
pub(super) fn damaged(
    tables: &[&'static Table],
    shown: &Tables,
    objects: &Arc<dyn ObjectStore>,
    runtime: &tokio::runtime::Handle,
    at_most: Duration,
) -> Vec<(String, String)> {
    let begin = Instant::now();
    let files =
        tables.iter().flat_map(|table| shown.snapshot(table).files.to_vec().into_iter().map(move |f| (table, f)));
    let found = files.take_while(|_| begin.elapsed() < at_most).filter_map(|(table, file)| {
        let object = Object { file: file.clone(), objects: Arc::clone(objects), runtime: runtime.clone() };
        Some((format!("tables/{}", file.path), file::problem(table, &file, None, object)?))
    });
    found.take(NAMED_MAX).collect()
}

struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
