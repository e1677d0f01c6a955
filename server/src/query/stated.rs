//! Tables that follow from what was stated: the ledger as one table, the bills, and small ones that another room made.
//!
//! **Invariant:** of a month that was closed only the rows of its closing are in the ledger, and of another month
//! only those of the open ledger; of a bill only the rows of its last import.

use super::tables::SnapshotTable;
use super::{Engine, QueryError};
use crate::store::Store;
use arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider, TableProvider};
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
    sheets: RwLock<BTreeMap<&'static str, RecordBatch>>,
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
        self.inner.stated.sheets.write().insert(name, rows);
    }
}

impl Stated {
    pub(super) fn register(&self, schema: &MemorySchemaProvider, store: &Store) -> Result<(), QueryError> {
        let closings = Arc::clone(&self.closings.read());
        schema.register_table(LEDGER.to_owned(), Arc::new(ViewTable::new(ledger(store, &closings)?, None)))?;
        let imports = Arc::clone(&self.bills.read());
        schema.register_table(BILLS.to_owned(), Arc::new(ViewTable::new(bills(store, &imports)?, None)))?;
        for (name, rows) in &*self.sheets.read() {
            schema.deregister_table(name)?;
            let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
            schema.register_table((*name).to_owned(), Arc::new(table))?;
        }
        Ok(())
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> Vec<Expr> {
    values.map(|value| lit(value.as_str())).collect()
}

fn scan(store: &Store, table: &'static contract::Table) -> Result<LogicalPlanBuilder, QueryError> {
    let provider: Arc<dyn TableProvider> = Arc::new(SnapshotTable::nameless(store.snapshot(table)));
    Ok(LogicalPlanBuilder::scan(table.name, provider_as_source(provider), None)?)
}

fn bills(store: &Store, imports: &[String]) -> Result<LogicalPlan, QueryError> {
    let lines = crate::store::ground_table("bill_lines").expect("the store has it");
    let hold = if imports.is_empty() { lit(false) } else { col("import").in_list(texts(imports.iter()), false) };
    let columns = crate::store::BILL_COLUMNS.iter().map(|column| col(column.name));
    Ok(scan(store, lines)?.filter(hold)?.project(columns)?.build()?)
}

fn ledger(store: &Store, closings: &BTreeMap<String, String>) -> Result<LogicalPlan, QueryError> {
    let columns = || crate::store::LEDGER_COLUMNS.iter().map(|column| col(column.name));
    let mut open = scan(store, &store.derived().ledger_open)?;
    if closings.is_empty() {
        return Ok(open.project(columns())?.build()?);
    }
    open = open.filter(col("period").in_list(texts(closings.keys()), true))?.project(columns())?;
    let closed = crate::store::ground_table("ledger_closed").expect("the contract has it");
    let closed = scan(store, closed)?.filter(col("closing").in_list(texts(closings.values()), false))?;
    Ok(open.union(closed.project(columns())?.build()?)?.build()?)
}
