//! The query door: SQL that can only read, PromQL, and the named questions that pages ask.
//!
//! Owns DataFusion, the derived tables `jobs` and `allocations`, and the definition of a GPU's state. Must not know HTTP,
//! ingest or how files are written. **Invariants:** an answer comes from immutable snapshots taken when its
//! query starts; every query is bounded in rows, time, memory and spill; the engine's own threads do the
//! work, so an answer that is dropped stops it and a slow query never blocks its asker's thread.

mod allocations;
mod answer;
mod ask;
mod attention;
mod buckets;
mod catalog;
mod damage;
mod describe;
mod error;
mod events;
mod fleet;
mod functions;
mod gpu;
mod gpu_fold;
mod guard;
mod hours;
mod job;
mod job_advice;
mod job_list;
mod job_names;
mod jobs;
mod logs;
mod matching;
mod meaning_rows;
mod meanings;
mod mig;
mod node;
mod overview;
mod past;
mod percentile;
mod pressure;
pub mod promql;
mod rack;
mod rollup;
mod rows;
mod runs;
mod samples;
mod series;
mod state;
mod stated;
mod statement;
mod status;
mod tables;
mod timeline;
mod truncate;
mod word_scan;
mod yielding;

pub use answer::Answer;
pub use describe::{Prepared, TableShape};
pub use error::QueryError;
pub use guard::SQL_BYTES_MAX;
pub use job_list::{JOBS_OF_A_PAGE, JOBS_OF_A_PAGE_MAX, JobsAsked, job_phase};
pub use logs::{LogBucket, LogCounts, LogCursor, LogPart, LogRecord, LogsAsked, LogsFound, LogsTail, log_severity};
pub use meanings::{EventClass, Meaning, Meanings, severity_word};
pub use rows::Rows;
pub use statement::{Statement, with_placeholders};
pub use status::DataStatus;
use tracing::Instrument as _;

use crate::store::Store;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::execution::context::{SessionConfig, SessionContext, SessionState};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// The one catalog, and its schema with all tables.
pub const CATALOG: &str = "coulomb";
pub const SCHEMA: &str = "public";
/// Footers of the files of a table that are kept parsed: about 20 KiB each, so some 3,000 files.
const FOOTER_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Twice the engine's own: each step over some thousand rows has a cost of its own, 5 % of a scan in all.
const BATCH_ROWS: usize = 16 * 1024;
/// Planning and dropping a plan go as deep as the plan; the guard's bounds fit in here several times.
const STACK_BYTES: usize = 32 * 1024 * 1024;
/// The engine names its spill folders so; what a killed process left behind is removed at start.
const SPILL_PREFIX: &str = "datafusion-";

/// The bounds of a query.
#[derive(Debug, Clone)]
pub struct QuerySettings {
    /// Wall-clock time from the question to the last row.
    pub timeout: Duration,
    /// Rows of an answer to [`Engine::sql`].
    pub rows_max: u64,
    /// Memory of all running queries together.
    pub memory_bytes_max: usize,
    /// Resident memory of the whole process beyond which no further query begins and the latest are stopped.
    pub resident_bytes_max: u64,
    /// Where sorts and joins spill; only this engine may use it.
    pub spill_dir: PathBuf,
    /// Disk space of all running queries together.
    pub spill_bytes_max: u64,
}

/// The value of `$1`, `$2`, … in a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Unix microseconds, UTC.
    Time(i64),
}

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    settings: QuerySettings,
    /// Functions, limits and caches, without tables.
    base: SessionState,
    /// The same for statements that take one thread each.
    narrow: SessionState,
    jobs: Arc<jobs::FoldedCache>,
    allocations: Arc<jobs::FoldedCache>,
    names: job_names::NamesCache,
    past: past::PastFiles,
    words: status::WordsOfFiles,
    progress: rollup::Progress,
    stated: stated::Stated,
    meanings: Arc<Meanings>,
    pressure: Arc<pressure::Pressure>,
    words_of_bodies: Arc<word_scan::WordIndexes>,
    tails: logs::Tails,
    threads: Threads,
}

/// On how many threads a statement is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// As many as there are cores.
    Wide,
    /// One.
    Narrow,
}

/// The engine's own threads; dropping them must not block, because the last handle may go inside async code.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    pub fn new(store: Store, settings: QuerySettings) -> Result<Self, QueryError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let environment = Arc::new(environment(&store, &settings)?);
        let words_of_bodies = Arc::<word_scan::WordIndexes>::default();
        let mut config = SessionConfig::new()
            .with_extension(Arc::clone(&words_of_bodies))
            .with_target_partitions(cores)
            .with_batch_size(BATCH_ROWS)
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let mut base = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment)
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(runs::ByRuns))
            .build();
        functions::bound(&mut base)?;
        truncate::quicken(&mut base)?;
        base.register_udaf(Arc::new(percentile::percentile_cont()))?;
        base.register_udf(Arc::new(matching::function()))?;
        let mut narrow = base.clone();
        narrow.config_mut().options_mut().execution.target_partitions = 1;
        let threads = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|e| QueryError::Internal(format!("cannot start query threads: {e}")))?;
        let meanings = Arc::new(Meanings::read());
        let pressure = pressure::Pressure::new(settings.resident_bytes_max, pressure::resident_bytes);
        let inner = Inner {
            store,
            settings,
            base,
            narrow,
            jobs: Arc::default(),
            allocations: Arc::default(),
            names: Default::default(),
            past: Default::default(),
            words: Default::default(),
            progress: Default::default(),
            stated: Default::default(),
            meanings: Arc::clone(&meanings),
            pressure,
            words_of_bodies,
            tails: logs::Tails::default(),
            threads: Threads(Some(threads)),
        };
        let engine = Self { inner: Arc::new(inner) };
        engine.set_sheet(meaning_rows::NAME, meaning_rows::sheet(&meanings)?);
        Ok(engine)
    }

    /// What device events mean.
    pub fn meanings(&self) -> Arc<Meanings> {
        Arc::clone(&self.inner.meanings)
    }

    /// Numbers of which one changes whenever rows of these tables do, files and memory alike.
    pub fn generations(&self, tables: &[&str]) -> Vec<u64> {
        let known = self.inner.store.tables().filter(|table| tables.contains(&table.name));
        known.map(|table| self.inner.store.snapshot(table).generation).collect()
    }

    /// Answers one read-only statement. The rows stream; the limits hold until the last one.
    pub async fn sql(&self, sql: &str, parameters: Vec<Parameter>) -> Result<Answer, QueryError> {
        answer::start(self, sql.to_owned(), parameters, Width::Wide).instrument(tracing::info_span!("query")).await
    }

    /// The same for one of many statements that are asked beside each other: a thread for each takes less in all.
    pub async fn sql_beside_others(&self, sql: &str, parameters: Vec<Parameter>) -> Result<Answer, QueryError> {
        answer::start(self, sql.to_owned(), parameters, Width::Narrow).instrument(tracing::info_span!("query")).await
    }

    /// The columns that [`Self::sql`] would answer with, without reading a row.
    pub async fn schema(&self, sql: &str, parameters: Vec<Parameter>) -> Result<SchemaRef, QueryError> {
        describe::schema(self, sql.to_owned(), parameters).await
    }

    /// Checks a statement whose parameters have no values yet.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, QueryError> {
        describe::prepare(self, sql.to_owned()).await
    }

    /// The tables that SQL may name, in order of their names.
    pub async fn tables(&self) -> Result<Vec<TableShape>, QueryError> {
        describe::tables(self).await
    }

    fn threads(&self) -> &Runtime {
        self.inner.threads.0.as_ref().expect("taken only by drop")
    }

    /// A session whose tables are snapshots of this instant.
    fn session(&self) -> Result<SessionContext, QueryError> {
        self.session_of(Width::Wide)
    }

    fn session_of(&self, width: Width) -> Result<SessionContext, QueryError> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(catalog::Tables::now(&self.inner)))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        // A builder would register each function anew, which takes longer than many a query.
        let base = if width == Width::Narrow { &self.inner.narrow } else { &self.inner.base };
        let mut state = base.clone();
        state.register_catalog_list(Arc::new(catalogs));
        Ok(SessionContext::new_with_state(state))
    }
}

fn environment(store: &Store, settings: &QuerySettings) -> Result<RuntimeEnv, QueryError> {
    clear_spill(&settings.spill_dir)
        .map_err(|e| QueryError::Unavailable(format!("cannot use the spill folder: {e}")))?;
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory_bytes_max)))
        .with_temp_file_path(&settings.spill_dir)
        .with_max_temp_directory_size(settings.spill_bytes_max)
        .with_metadata_cache_limit(FOOTER_CACHE_BYTES)
        .build()?;
    let url = Url::parse(tables::STORE_URL).map_err(|e| QueryError::Internal(e.to_string()))?;
    environment.register_object_store(&url, store.object_store());
    Ok(environment)
}

fn clear_spill(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SPILL_PREFIX) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
