//! Tables that follow from what was stated: the ledger as one table, and small ones that another room made.
//!
//! **Invariant:** of a month that was closed only the rows of its closing are in the ledger, and of another month
//! only those of the open ledger.

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

/// What another room has told the engine.
#[derive(Default)]
pub(super) struct Stated {
    /// The closing of each closed month.
    closings: RwLock<Arc<BTreeMap<String, String>>>,
    sheets: RwLock<BTreeMap<&'static str, RecordBatch>>,
}

impl Engine {
    /// From now on the ledger's rows of these months, such as `2026-10`, are those of the closing named.
    pub fn set_closings(&self, closings: BTreeMap<String, String>) {
        *self.inner.stated.closings.write() = Arc::new(closings);
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
        for (name, rows) in &*self.sheets.read() {
            schema.deregister_table(name)?;
            let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
            schema.register_table((*name).to_owned(), Arc::new(table))?;
        }
        Ok(())
    }
}

fn ledger(store: &Store, closings: &BTreeMap<String, String>) -> Result<LogicalPlan, QueryError> {
    let texts = |values: &mut dyn Iterator<Item = &String>| values.map(|v| lit(v.as_str())).collect::<Vec<Expr>>();
    let scan = |table: &'static contract::Table| -> Result<LogicalPlanBuilder, QueryError> {
        let provider: Arc<dyn TableProvider> = Arc::new(SnapshotTable::nameless(store.snapshot(table)));
        Ok(LogicalPlanBuilder::scan(table.name, provider_as_source(provider), None)?)
    };
    let columns = || crate::store::LEDGER_COLUMNS.iter().map(|column| col(column.name));
    let mut open = scan(&store.derived().ledger_open)?;
    if closings.is_empty() {
        return Ok(open.project(columns())?.build()?);
    }
    open = open.filter(col("period").in_list(texts(&mut closings.keys()), true))?.project(columns())?;
    let closed = crate::store::ground_table("ledger_closed").expect("the contract has it");
    let closed = scan(closed)?.filter(col("closing").in_list(texts(&mut closings.values()), false))?;
    Ok(open.union(closed.project(columns())?.build()?)?.build()?)
}
