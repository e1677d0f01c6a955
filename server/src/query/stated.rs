//! Tables that follow from what was stated: the ledger as one table, the bills, and small ones that another room made.
//!
//! **Invariant:** of a month that was closed only the rows of its closing are in the ledger, and of another month
//! only those of the open ledger; of a bill only the rows of its last import.

use super::Engine;
use super::tables::SnapshotTable;
use crate::store::{Snapshot, Store};
use arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the ledger in SQL.
const LEDGER: &str = "ledger";
/// The name of the bills in SQL.
const BILLS: &str = "bills";

/// What another room has told the engine.
#[derive(Default)]
pub(super) struct Stated {
    /// The closing of each closed month.
    closings: RwLock<Arc<BTreeMap<String, String>>>,
    /// The imports of bills that hold.
    bills: RwLock<Arc<Vec<String>>>,
    sheets: RwLock<Arc<BTreeMap<&'static str, RecordBatch>>>,
}

/// What held at an instant.
#[derive(Debug)]
pub(super) struct Holding {
    closings: Arc<BTreeMap<String, String>>,
    imports: Arc<Vec<String>>,
    sheets: Arc<BTreeMap<&'static str, RecordBatch>>,
    ledger_open: Snapshot,
    ledger_closed: Snapshot,
    bill_lines: Snapshot,
}

impl Engine {
    /// From now on the ledger's rows of these months, such as `2026-10`, are those of the closing named.
    pub fn set_closings(&self, closings: BTreeMap<String, String>) {
        *self.inner.stated.closings.write() = Arc::new(closings);
    }

    /// From now on the rows of the bills are those of these imports.
    pub fn set_bills(&self, imports: Vec<String>) {
        *self.inner.stated.bills.write() = Arc::new(imports);
    }

    /// A small table that SQL may read, in the place of one of the same name.
    pub fn set_sheet(&self, name: &'static str, rows: RecordBatch) {
        Arc::make_mut(&mut self.inner.stated.sheets.write()).insert(name, rows);
    }
}

impl Stated {
    pub(super) fn hold(&self, store: &Store) -> Holding {
        let ground = |name| store.snapshot(crate::store::ground_table(name).expect("the store has it"));
        Holding {
            closings: Arc::clone(&self.closings.read()),
            imports: Arc::clone(&self.bills.read()),
            sheets: Arc::clone(&self.sheets.read()),
            ledger_open: store.snapshot(&store.derived().ledger_open),
            ledger_closed: ground("ledger_closed"),
            bill_lines: ground("bill_lines"),
        }
    }
}

impl Holding {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        [LEDGER, BILLS].into_iter().chain(self.sheets.keys().copied())
    }

    /// None where no such table follows from what was stated.
    pub(super) fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(rows) = self.sheets.get(name) {
            return Ok(Some(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?)));
        }
        let view = match name {
            LEDGER => self.ledger()?,
            BILLS => self.bills()?,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(ViewTable::new(view, None))))
    }

    fn bills(&self) -> Result<LogicalPlan> {
        let imports = &self.imports;
        let hold = if imports.is_empty() { lit(false) } else { col("import").in_list(texts(imports.iter()), false) };
        let columns = crate::store::BILL_COLUMNS.iter().map(|column| col(column.name));
        scan(&self.bill_lines)?.filter(hold)?.project(columns)?.build()
    }

    fn ledger(&self) -> Result<LogicalPlan> {
        let columns = || crate::store::LEDGER_COLUMNS.iter().map(|column| col(column.name));
        let open = scan(&self.ledger_open)?;
        let closings = &self.closings;
        if closings.is_empty() {
            return open.project(columns())?.build();
        }
        let open = open.filter(col("period").in_list(texts(closings.keys()), true))?.project(columns())?;
        let closed = scan(&self.ledger_closed)?.filter(col("closing").in_list(texts(closings.values()), false))?;
        open.union(closed.project(columns())?.build()?)?.build()
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> Vec<Expr> {
    values.map(|value| lit(value.as_str())).collect()
}

fn scan(snapshot: &Snapshot) -> Result<LogicalPlanBuilder> {
    let provider: Arc<dyn TableProvider> = Arc::new(SnapshotTable::nameless(snapshot.clone()));
    LogicalPlanBuilder::scan(snapshot.table.name, provider_as_source(provider), None)
}
