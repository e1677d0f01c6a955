//! The ledger: by GPU, job and state, and the hours in which GPUs were free.

use super::super::InsightError;
use super::super::facts::{Cell, HOUR, SpareHour, Text, Window};
use super::read;
use crate::cost::Micros;
use crate::query::Engine;
use contract::GpuState;

/// A thousand GPUs with a hundred jobs each in a month.
const CELLS_MAX: usize = 400_000;
/// Hours of ten years of a few clusters.
const HOURS_MAX: usize = 200_000;

const CELLS: &str = "select cluster, gpu_uuid, job_id, state, max(node), max(gpu_model), max(job_name), max(\"user\"), \
    max(team), min(time), max(time), coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0), \
    sum(cost_micros), coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0), \
    max(currency) from ledger where time >= $1 and time < $2 and gpu_uuid is not null and state is not null \
    group by cluster, gpu_uuid, job_id, state";

const SPARE: &str = "select cluster, time, sum(quantity) from ledger where time >= $1 and time < $2 \
    and state = 'unallocated' and unit = 'GPU-Hours' group by 1, 2";

pub(super) struct Money {
    pub(super) currency: Text,
    pub(super) cells: Vec<Cell>,
    pub(super) spare: Vec<SpareHour>,
}

pub(super) async fn ask(engine: &Engine, window: Window) -> Result<Money, InsightError> {
    let mut currency = Text::default();
    let cells = read(engine, CELLS, window, ("GPUs and jobs", CELLS_MAX), |row| {
        currency = row.maybe(14).unwrap_or_else(|| currency.clone());
        let state = row.maybe(3).and_then(|word| GpuState::parse(&word))?;
        Some(Cell {
            cluster: row.text(0),
            gpu_uuid: row.text(1),
            job_id: row.maybe(2),
            state,
            node: row.maybe(4),
            gpu_model: row.maybe(5),
            job_name: row.maybe(6),
            user: row.maybe(7),
            team: row.text(8),
            hours: Window { from_micros: row.int(9)?, to_micros: row.int(10)? + HOUR },
            gpu_hours: row.float(11).unwrap_or_default(),
            cost: row.int(12).map(Micros),
            unpriced_gpu_hours: row.float(13).unwrap_or_default(),
        })
    });
    let spare = read(engine, SPARE, window, ("hours", HOURS_MAX), |row| {
        Some(SpareHour { cluster: row.text(0), hour: row.int(1)?, gpu_hours: row.float(2).unwrap_or_default() })
    });
    let (cells, spare) = futures::try_join!(cells, spare)?;
    let (cells, spare) = (cells.into_iter().flatten().collect(), spare.into_iter().flatten().collect());
    Ok(Money { currency, cells, spare })
}
