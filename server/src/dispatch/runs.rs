//! The table of runs: who works at what, by commits that one server only can make.
//!
//! **Invariant:** a day's rows are replaced as they were read, or not at all.

use super::DispatchError;
use super::rows;
use crate::query::{Engine, Parameter};
use crate::schedule::Run;
use crate::store::{Covers, Derived, Snapshot, Store, StoreError};
use contract::Table;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 86_400_000_000;
/// Another server comes first now and then; whoever loses so often looks again later.
const TRIES_MAX: u32 = 10;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a look needs to know.
#[derive(Default)]
pub(super) struct Known {
    /// The last slot that was due, by schedule.
    pub(super) last: BTreeMap<Arc<str>, i64>,
    /// Runs that something is to be done with.
    pub(super) open: Vec<Run>,
}

pub(super) struct Runs {
    store: Store,
    engine: Engine,
    clock: fn() -> i64,
    /// Whoever changes the table holds it; with what was known of it at some generation.
    work: tokio::sync::Mutex<()>,
    known: parking_lot::Mutex<Option<(u64, Arc<Known>)>>,
}

impl Runs {
    pub(super) fn new(store: Store, engine: Engine, clock: fn() -> i64) -> Self {
        Self { store, engine, clock, work: Default::default(), known: Default::default() }
    }

    /// The name of this server.
    pub(super) fn server(&self) -> &str {
        self.store.server()
    }

    fn table() -> &'static Table {
        crate::store::ground_table("report_runs").expect("the store has it")
    }

    pub(super) async fn known(&self) -> Result<Arc<Known>, DispatchError> {
        let generation = self.store.snapshot(Self::table()).generation;
        if let Some((_, known)) = self.known.lock().as_ref().filter(|(at, _)| *at == generation) {
            return Ok(Arc::clone(known));
        }
        let last = "select schedule, max(time) from report_runs where asked_by is null group by schedule";
        let mut known = Known { last: rows::last(&self.rows(last, Vec::new()).await?), open: Vec::new() };
        let open = rows::select("where state in ('due', 'running', 'failed') order by time, schedule");
        known.open = rows::read(&self.rows(&open, Vec::new()).await?)?;
        let known = Arc::new(known);
        *self.known.lock() = Some((generation, Arc::clone(&known)));
        Ok(known)
    }

    /// The last runs of each schedule, the latest first.
    pub(super) async fn recent(&self, each: usize) -> Result<BTreeMap<Arc<str>, Vec<Run>>, DispatchError> {
        let numbered =
            "(select *, row_number() over (partition by schedule order by time desc) as place from report_runs)";
        let sql = rows::select_from(numbered, &format!("where place <= {each} order by schedule, time desc"));
        let mut by_schedule: BTreeMap<Arc<str>, Vec<Run>> = BTreeMap::new();
        for run in rows::read(&self.rows(&sql, Vec::new()).await?)? {
            by_schedule.entry(Arc::clone(&run.schedule)).or_default().push(run);
        }
        Ok(by_schedule)
    }

    async fn rows(&self, sql: &str, with: Vec<Parameter>) -> Result<Vec<arrow::array::RecordBatch>, DispatchError> {
        Ok(self.engine.sql(sql, with).await?.collect().await?)
    }

    /// Writes down runs that nobody has written down yet.
    pub(super) async fn add(&self, runs: Vec<Run>) -> Result<(), DispatchError> {
        let mut days: BTreeMap<i64, Vec<Run>> = BTreeMap::new();
        for run in runs {
            days.entry(run.slot_micros.div_euclid(DAY)).or_default().push(run);
        }
        // From the oldest on: the latest says that those before are done with.
        for (day, new) in days {
            self.change_day(day, |kept| {
                let before = kept.len();
                for run in &new {
                    if !kept.iter().any(|other| other.key() == run.key()) {
                        kept.push(run.clone());
                    }
                }
                kept.len() > before
            })
            .await?;
        }
        Ok(())
    }

    /// What a run becomes, by what is kept of it; nothing where it stays as it is.
    pub(super) async fn change(
        &self,
        run: &Run,
        decide: impl Fn(Option<&Run>) -> Option<Run>,
    ) -> Result<Option<Run>, DispatchError> {
        let mut changed = None;
        self.change_day(run.slot_micros.div_euclid(DAY), |kept| {
            let at = kept.iter().position(|other| other.key() == run.key());
            changed = decide(at.map(|at| &kept[at]));
            match (at, changed.clone()) {
                (_, None) => false,
                (Some(at), Some(new)) => {
                    kept[at] = new;
                    true
                }
                (None, Some(new)) => {
                    kept.push(new);
                    true
                }
            }
        })
        .await?;
        Ok(changed)
    }

    /// Changes the rows of a day, again where another server has changed them meanwhile. `change` says whether anything
    /// is to be written.
    async fn change_day(&self, day: i64, mut change: impl FnMut(&mut Vec<Run>) -> bool) -> Result<(), DispatchError> {
        let _one = self.work.lock().await;
        let table = Self::table();
        let with = || vec![Parameter::Time(day * DAY), Parameter::Time((day + 1) * DAY)];
        let sql = rows::select("where time >= $1 and time < $2 order by time, schedule");
        let mut tries = 0;
        loop {
            self.store.catch_up(table).await?;
            // Before its rows: they are as old as it or newer, and then it is overtaken.
            let mut plan = self.store.snapshot(table);
            let mut kept = rows::read(&self.rows(&sql, with()).await?)?;
            if !change(&mut kept) {
                return Ok(());
            }
            match self.replace(&mut plan, day, &kept).await {
                Err(StoreError::Overtaken { .. }) if tries < TRIES_MAX => tries += 1,
                other => return Ok(other?),
            }
            tokio::time::sleep(TRY_AGAIN_AFTER.mul_f64(1.0 + rand::random::<f64>())).await;
        }
    }

    async fn replace(&self, plan: &mut Snapshot, day: i64, runs: &[Run]) -> Result<(), StoreError> {
        let rows = rows::batch(plan.table, runs).map_err(|error| StoreError::Internal(error.to_string()))?;
        let (from_micros, to_micros) = (day * DAY, (day + 1) * DAY);
        let covers = Covers::default();
        self.store.derive(plan, Derived { rows, from_micros, to_micros, covers, now_micros: (self.clock)() }).await
    }
}
