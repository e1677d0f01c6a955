//! `GET /api/v1/ledger`: the rows behind every figure, page by page.

use super::error::Refusal;
use super::pairs::Pairs;
use super::range::parse_range;
use super::rows::{self, Form};
use super::serve::State;
use crate::cost::Period;
use crate::ledger::PageAsked;
use actix_web::{HttpResponse, web};

/// What gives the next page; absent from the last one.
const CURSOR_HEADER: &str = "coulomb-next-cursor";
/// Names that are no dimension.
const NAMES: [&str; 7] = ["from", "to", "month", "priced", "format", "limit", "cursor"];

fn page(mut pairs: Pairs, now_micros: i64) -> Result<(PageAsked, Form), Refusal> {
    let form = pairs.take("format").as_deref().map_or(Ok(Form::Json), Form::parse)?;
    let month = pairs.take("month").map(|text| {
        Period::parse(&text).ok_or_else(|| Refusal::invalid(format!("{text:?} is not a month like 2026-11")))
    });
    let month = month.transpose()?;
    let range_micros = match (month, pairs.take("from"), pairs.take("to")) {
        (Some(_), None, None) => None,
        (Some(_), _, _) => return Err(Refusal::invalid("give month, or from and to, and not both")),
        (None, from, to) => {
            let range = parse_range(from.as_deref(), to.as_deref(), now_micros).map_err(Refusal::invalid)?;
            Some((range.from_unix_micros, range.to_unix_micros))
        }
    };
    let (is_priced, limit) = (pairs.boolean("priced")?, pairs.number("limit", "rows")?);
    let (cursor, filters) = (pairs.take("cursor"), pairs.filters);
    Ok((PageAsked { range_micros, month, filters, is_priced, limit, cursor }, form))
}

/// Rows in order of their hour; any dimension of the ledger is a filter.
pub(super) async fn rows(
    pairs: web::Query<Vec<(String, String)>>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let (asked, form) = page(Pairs::read(pairs.into_inner(), &NAMES)?, (state.clock)())?;
    let page = state.ledger.page(&asked).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        response.insert_header((CURSOR_HEADER, next));
    }
    rows::whole(&page.rows, &page.schema, form, response)
}
