//! What the price book says at an instant, and which GPUs it says nothing of.

use super::read::{Rows, rows_of};
use super::{Ledger, LedgerError};
use crate::cost::{Elsewhen, Gap, GpuPlace, Price, PriceRow, Prices, hour_of};
use crate::query::Parameter;
use std::sync::Arc;

/// Rows that are listed; SQL has all of them.
const ROWS_MAX: usize = 10_000;
/// Places of the last weeks whose prices are looked at.
const PLACES_MAX: usize = 2_000;
const GAPS_MAX: usize = 1_000;
const DAY_MICROS: i64 = super::days::DAY;
/// GPUs that were in the ledger so long before are those that need a price.
const LOOK_BACK: i64 = 92 * DAY_MICROS;
/// So far ahead gaps are looked for: a price that ends within a quarter wants to be prolonged.
const LOOK_AHEAD: i64 = 92 * DAY_MICROS;

/// What holds at an instant.
pub struct PricesNow {
    /// Start of the hour, Unix microseconds.
    pub hour_micros: i64,
    /// By document and line, each with what it says in the ledger's currency.
    pub rows: Vec<(PriceRow, Option<Price>)>,
    pub rows_left_out: usize,
    pub gaps: Vec<PriceGap>,
    pub gaps_left_out: usize,
    /// GPUs were looked at, by place.
    pub places: usize,
}

/// Time in which GPUs of the ledger have no price, within a quarter from the instant on.
pub struct PriceGap {
    pub gap: Gap,
    /// When there is one.
    pub elsewhen: Option<Elsewhen>,
}

impl Ledger {
    /// The prices that hold in the hour of an instant (Unix microseconds), and the gaps of the quarter that begins with
    /// it: times at which GPUs that are in the ledger have no price, or several of which none is more specific.
    pub async fn prices(&self, at_micros: i64) -> Result<PricesNow, LedgerError> {
        let statements = self.statements();
        let hour_micros = hour_of(at_micros);
        let places = self.places(at_micros, statements.book.names_nodes()).await?;
        let look = move || {
            let book = &statements.book;
            let mut holding = book.holding(hour_micros);
            let rows: Vec<_> = holding.by_ref().take(ROWS_MAX).map(|(row, price)| (row.clone(), price)).collect();
            let rows_left_out = holding.count();
            let mut gaps = book.gaps(&places, hour_micros, hour_micros.saturating_add(LOOK_AHEAD));
            // What is missing now, then what will be.
            gaps.sort_by_key(|gap| gap.from_micros);
            let gaps_left_out = gaps.len().saturating_sub(GAPS_MAX);
            gaps.truncate(GAPS_MAX);
            let gaps = gaps.into_iter().map(|gap| {
                let elsewhen = book.elsewhen(&gap.place, gap.from_micros);
                PriceGap { elsewhen: elsewhen.filter(|_| gap.ambiguous.is_empty()), gap }
            });
            PricesNow { hour_micros, rows, rows_left_out, gaps: gaps.collect(), gaps_left_out, places: places.len() }
        };
        // A book of many rows takes a while.
        self.on_runtime(async move { Ok(tokio::task::block_in_place(look)) }).await
    }

    /// Where GPUs were in the ledger; their nodes only where some price is for a node.
    async fn places(&self, at_micros: i64, by_node: bool) -> Result<Vec<GpuPlace>, LedgerError> {
        let node = if by_node { "node" } else { "cast(null as varchar)" };
        let sql = format!(
            "select cluster, {node}, gpu_model, pool, provider, region from ledger \
             where time >= $1 and time < $2 and category in ('gpu', 'idle') \
             group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6 limit {PLACES_MAX}"
        );
        let with = vec![
            Parameter::Time(at_micros.saturating_sub(LOOK_BACK)),
            Parameter::Time(at_micros.saturating_add(LOOK_AHEAD)),
        ];
        let mut places = Vec::new();
        for batch in rows_of(&self.inner.engine, &sql, with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let text = |at| rows.text(at, row).map(Arc::from);
                places.push(GpuPlace {
                    cluster: text(0).unwrap_or_default(),
                    node: text(1),
                    gpu_model: text(2),
                    pool: text(3),
                    provider: text(4),
                    region: text(5),
                });
            }
        }
        Ok(places)
    }
}
