//! Which files are meant when the engine says that one is corrupt: it does not say so itself.

use super::{Engine, QueryError, allocations, jobs};
use contract::Table;
use std::time::Duration;

/// An answer that has failed may wait so long for the name of the file; most stores are read through by then.
const LOOK_AT_MOST: Duration = Duration::from_secs(3);

/// The error, with the names of damaged files of the tables that `sql` may mean (all of them without).
pub(super) async fn named(engine: &Engine, error: QueryError, sql: Option<&str>) -> QueryError {
    let QueryError::Corrupt(why) = error else { return error };
    let sql = sql.map(str::to_lowercase);
    let folded = |sql: &str| [jobs::NAME, allocations::NAME].iter().any(|name| sql.contains(name));
    let means = |table: &Table, sql: &str| sql.contains(table.name) || (table.name == jobs::EVENTS && folded(sql));
    let tables: Vec<&'static Table> =
        contract::TABLES.iter().filter(|table| sql.as_deref().is_none_or(|sql| means(table, sql))).collect();
    let store = engine.inner.store.clone();
    let found = tokio::task::spawn_blocking(move || store.damaged(&tables, LOOK_AT_MOST)).await;
    // A look that panicked has found nothing.
    let found = found.unwrap_or_default();
    let named: Vec<String> = found.into_iter().map(|(path, problem)| format!("{path}: {problem}")).collect();
    QueryError::Corrupt(match named.as_slice() {
        [] => format!("{why}; `coulomb verify` says which file"),
        named => format!("{}; `coulomb verify` finds all that are damaged", named.join(", ")),
    })
}
