//! `POST /api/v1/ownership/moves`: what other rules would move, before they are stated.

use super::money::{Answer, period};
use super::serve::State;
use crate::answers::{MovesRequest, OwnerName, OwnershipMove, OwnershipMoves};
use crate::cost::{Move, Owner};
use actix_web::{HttpResponse, web};

pub(super) async fn moves(body: web::Json<MovesRequest>, state: web::Data<State>) -> Answer {
    let moved = state.ledger.moves(period(&body.period)?, &body.rules).await?;
    Ok(HttpResponse::Ok().json(OwnershipMoves {
        period: body.period.clone(),
        is_closed: moved.is_closed,
        currency: state.ledger.statements().currency.to_string(),
        moves: moved.moves.iter().map(one).collect(),
    }))
}

fn one(moved: &Move) -> OwnershipMove {
    OwnershipMove {
        from: name(&moved.from),
        to: name(&moved.to),
        jobs: moved.jobs,
        gpu_hours: moved.gpu_hours,
        cost_micros: moved.cost.0,
        unpriced_rows: moved.unpriced_rows,
    }
}

fn name(owner: &Owner) -> OwnerName {
    OwnerName {
        team: owner.team.to_string(),
        project: owner.project.as_deref().map(str::to_owned),
        cost_centre: owner.cost_centre.to_string(),
    }
}
