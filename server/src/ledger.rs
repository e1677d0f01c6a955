//! The ledger: what each hour of each GPU cost, and whom.
//!
//! Owns the documents about money (prices, pools, owners, policy, closings), the lines of bills and the tables
//! `ledger_open` and `ledger_closed`; gathers what `cost` computes from. Must not know HTTP. **Invariants:** a row of an open month is a
//! pure function of use, jobs and documents; a row of a closed month never changes, and what is found out later is
//! posted to the open one.

mod activity;
mod allocations;
mod anomalies;
mod bill_rows;
mod bills;
mod budgets;
mod carbon;
mod catalogs;
mod close;
mod compare;
mod costs;
mod days;
mod documents;
mod duplicates;
mod error;
mod focus;
mod inputs;
mod losses;
mod months;
mod moves;
mod notices;
mod others;
mod page;
mod pivot;
mod prices;
mod processes;
mod read;
mod reconcile;
mod refresh;
mod requests;
mod rows;
mod sent;
mod slice;
mod statements;
mod summary;
#[cfg(test)]
mod tests;

pub use anomalies::{Anomalies, Explained, Unpriced};
pub use bills::{Bill, BillImport, BillSource};
pub use budgets::BudgetNow;
pub use catalogs::{Catalog, FromCatalog};
pub use documents::{DOCUMENT_BYTES_MAX, DocumentKind, Stated};
pub use error::LedgerError;
pub use focus::{FocusAsked, FocusFile};
pub use losses::{Losses, Lost};
pub use moves::Moved;
pub use page::{PageAsked, RowsPage};
pub use pivot::{Pivot, PivotAsked, PivotRow};
pub use prices::{PriceGap, PricesNow};
pub use reconcile::Reconciled;
pub use slice::Slice;
pub use statements::{DEFAULT_CURRENCY, Statements};

use crate::cost::Notice;
use crate::query::Engine;
use crate::store::Store;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Shared handle; clones are cheap.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    engine: Engine,
    /// Unix microseconds, UTC.
    clock: fn() -> i64,
    /// Where days are computed: whoever asks may have one thread only.
    runtime: Handle,
    statements: RwLock<Arc<Statements>>,
    /// Whoever closes or computes holds it.
    work: tokio::sync::Mutex<refresh::Known>,
    /// Whoever changes what is stated holds it, for as long as that takes: days are computed anew afterwards. Where both
    /// are needed the work comes first.
    stating: tokio::sync::Mutex<()>,
    /// Jobs that were told of twice, by the day of their first start.
    duplicates: Mutex<BTreeMap<i64, Notice>>,
    wake: Notify,
}

impl Ledger {
    /// Reads what was stated before. Called within a runtime of several threads, which computes from then on.
    pub async fn open(store: Store, engine: Engine, clock: fn() -> i64) -> Result<Self, LedgerError> {
        let all = documents::load(&engine).await?;
        let statements = Statements::read(all).map_err(LedgerError::Faults)?;
        engine.set_closings(statements.closings.clone());
        engine.set_bills(statements.imports());
        let inner = Inner {
            store,
            engine,
            clock,
            runtime: Handle::current(),
            statements: RwLock::new(Arc::new(statements)),
            work: Default::default(),
            stating: Default::default(),
            duplicates: Default::default(),
            wake: Notify::new(),
        };
        let ledger = Self { inner: Arc::new(inner) };
        ledger.show()?;
        Ok(ledger)
    }

    /// What holds now.
    pub fn statements(&self) -> Arc<Statements> {
        Arc::clone(&self.inner.statements.read())
    }

    /// Whether days are being computed just now, after a statement among others.
    pub fn is_computing(&self) -> bool {
        self.inner.work.try_lock().is_err()
    }

    /// Takes a document, or says all that is wrong with it. Returns when it is durable and holds; the days that it
    /// changes are computed in the background. An empty text takes it back. With `try_out` nothing is
    /// kept.
    pub async fn state(
        &self,
        kind: DocumentKind,
        name: &str,
        text: &str,
        author: &str,
        try_out: bool,
    ) -> Result<Stated, LedgerError> {
        documents::check(name, text)?;
        let _stating = self.inner.stating.lock().await;
        let before = self.statements();
        if !kind.has_names() && name != kind.as_str() {
            let hint = format!("there is one document of this kind, {:?}", kind.as_str());
            return Err(LedgerError::NotFound { what: "document", name: name.to_owned(), hint });
        }
        let has_prices = !documents::current(&before.all, DocumentKind::Prices).is_empty();
        if kind == DocumentKind::Currency && text.trim() != &*before.currency && has_prices {
            let why = format!("the ledger is kept in {}, and there are prices already", before.currency);
            return Err(LedgerError::Refused(why));
        }
        let stated = Stated::new(self.next_time(), kind, name, author, text);
        let mut all = before.all.clone();
        all.push(stated.clone());
        let after = Statements::read(all).map_err(LedgerError::Faults)?;
        if !try_out {
            documents::keep(&self.inner.store, &stated).await?;
            self.hold(after)?;
        }
        Ok(stated)
    }

    /// Later than that of any document: their order is what counts.
    fn next_time(&self) -> i64 {
        let last = self.statements().all.last().map_or(i64::MIN, |stated| stated.time_micros);
        (self.inner.clock)().max(last.saturating_add(1))
    }

    /// Runs work that computes days.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let done = self.inner.runtime.spawn(work).await;
        done.map_err(|error| LedgerError::Internal(format!("the work stopped: {error}")))?
    }

    /// From now on this holds.
    fn hold(&self, statements: Statements) -> Result<(), LedgerError> {
        self.inner.engine.set_closings(statements.closings.clone());
        self.inner.engine.set_bills(statements.imports());
        *self.inner.statements.write() = Arc::new(statements);
        self.inner.wake.notify_one();
        self.show()
    }

    /// Shows the prices and the carbon of grids as tables.
    fn show(&self) -> Result<(), LedgerError> {
        let statements = self.statements();
        self.inner.engine.set_sheet("grid_factors", carbon::sheet(&statements)?);
        self.inner.engine.set_sheet("prices", rows::prices(&statements)?);
        Ok(())
    }
}
