//! Costs of a slice of the ledger: by a dimension, by two of them, and along the waterfall.

use super::money::Answer;
use super::pairs::Pairs;
use super::serve::State;
use crate::answers::{CostLoss, CostLosses, CostPivot, PivotCell, PivotRow};
use crate::ledger::{self, Lost, PivotAsked};
use actix_web::{HttpResponse, web};

/// What costs are grouped by unless it is told.
const COSTS_BY: &str = "team";

/// Names and values, so that a dimension of the ledger can be any of the names.
type Asked = web::Query<Vec<(String, String)>>;

/// `GET /api/v1/costs`.
pub(super) async fn costs(asked: Asked, state: web::Data<State>) -> Answer {
    let mut pairs = Pairs::read(asked.into_inner(), &["from", "to", "by"])?;
    let by = pairs.take("by").unwrap_or_else(|| COSTS_BY.to_owned());
    let slice = pairs.slice((state.clock)())?;
    Ok(HttpResponse::Ok().json(state.ledger.costs(&slice, &by).await?))
}

/// `GET /api/v1/waterfall`.
pub(super) async fn waterfall(asked: Asked, state: web::Data<State>) -> Answer {
    let mut pairs = Pairs::read(asked.into_inner(), &["from", "to", "by"])?;
    let slice = pairs.slice((state.clock)())?;
    Ok(HttpResponse::Ok().json(state.ledger.waterfall(&slice).await?))
}

/// `GET /api/v1/costs/pivot`.
pub(super) async fn pivot(asked: Asked, state: web::Data<State>) -> Answer {
    let names = ["from", "to", "rows", "columns", "columns_max", "before"];
    let mut pairs = Pairs::read(asked.into_inner(), &names)?;
    let asked = PivotAsked {
        rows: pairs.take("rows").unwrap_or_else(|| COSTS_BY.to_owned()),
        columns: pairs.take("columns").filter(|name| !name.is_empty()),
        columns_max: pairs.number("columns_max", "columns")?,
        has_before: pairs.boolean("before")?.unwrap_or_default(),
        slice: pairs.slice((state.clock)())?,
    };
    let found = state.ledger.pivot(&asked).await?;
    Ok(HttpResponse::Ok().json(CostPivot {
        range: asked.slice.range,
        before: found.before,
        currency: state.ledger.statements().currency.to_string(),
        rows_by: asked.rows,
        columns_by: asked.columns,
        columns: found.columns,
        columns_left_out: found.columns_left_out as u64,
        rows: found.rows.into_iter().map(row).collect(),
        rows_left_out: found.rows_left_out as u64,
        rest: row(found.rest),
        total: row(found.total),
    }))
}

fn row(found: ledger::PivotRow) -> PivotRow {
    let cell = |(column, cost_micros): (usize, i64)| PivotCell { column: column as u64, cost_micros };
    PivotRow {
        name: found.name,
        cost_micros: found.cost_micros,
        gpu_hours: found.gpu_hours,
        unpriced_gpu_hours: found.unpriced_gpu_hours,
        before_micros: found.before_micros,
        cells: found.cells.into_iter().map(cell).collect(),
        beyond_micros: found.beyond_micros,
    }
}

/// The first step below what is paid.
const FIRST_STEP: &str = "allocated";

/// `GET /api/v1/waterfall/losses`.
pub(super) async fn losses(asked: Asked, state: web::Data<State>) -> Answer {
    let mut pairs = Pairs::read(asked.into_inner(), &["from", "to", "by", "stage"])?;
    let by = pairs.take("by").unwrap_or_else(|| COSTS_BY.to_owned());
    let stage = pairs.take("stage").unwrap_or_else(|| FIRST_STEP.to_owned());
    let slice = pairs.slice((state.clock)())?;
    let found = state.ledger.losses(&slice, &stage, &by).await?;
    let loss = |Lost { name, lost, unknown }: Lost| CostLoss {
        name,
        lost_micros: lost.cost.0,
        lost_gpu_hours: lost.gpu_hours,
        unknown_micros: unknown.cost.0,
    };
    let CostLoss { lost_micros, lost_gpu_hours, unknown_micros, .. } = loss(found.all);
    Ok(HttpResponse::Ok().json(CostLosses {
        range: slice.range,
        currency: state.ledger.statements().currency.to_string(),
        stage: found.stage.to_owned(),
        by,
        whose: found.whose.map(str::to_owned),
        lost_micros,
        lost_gpu_hours,
        unknown_micros,
        groups: found.groups.into_iter().map(loss).collect(),
        groups_left_out: found.left_out as u64,
    }))
}
