//! Which of the telemetry that dashboards need has arrived.

use super::board::Need;
use super::error::DashboardError;
use crate::error::ErrorKind;
use crate::query::Engine;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;

/// Statements that are under way at once; each reads one row.
const ASKING_MAX: usize = 4;

/// Those of the needs that are met by rows which are there now. A table that does not exist has no rows.
pub async fn arrived(engine: &Engine, needs: BTreeSet<Need>) -> Result<BTreeSet<Need>, DashboardError> {
    let asked = needs.into_iter().map(|need| async move {
        let is_met = has_rows(engine, &need).await?;
        Ok::<_, DashboardError>(is_met.then_some(need))
    });
    stream::iter(asked).buffer_unordered(ASKING_MAX).try_filter_map(|met| async move { Ok(met) }).try_collect().await
}

/// The names are checked when a dashboard is read.
async fn has_rows(engine: &Engine, need: &Need) -> Result<bool, DashboardError> {
    let Need { table, column } = need;
    let filter = column.as_ref().map(|column| format!(" where \"{column}\" is not null")).unwrap_or_default();
    let asked = engine.sql(&format!("select 1 from \"{table}\"{filter} limit 1"), Vec::new()).await;
    match asked {
        Ok(answer) => Ok(answer.collect().await?.iter().any(|batch| batch.num_rows() > 0)),
        Err(error) if error.kind() == ErrorKind::Invalid => Ok(false),
        Err(error) => Err(error.into()),
    }
}
