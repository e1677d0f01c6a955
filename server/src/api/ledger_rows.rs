//! `GET /api/v1/ledger`: the rows behind every figure, page by page.

use super::error::Refusal;
use super::range::parse_range;
use super::rows::{self, Form};
use super::serve::State;
use crate::cost::Period;
use crate::ledger::PageAsked;
use actix_web::{HttpResponse, web};

/// What gives the next page; absent from the last one.
const CURSOR_HEADER: &str = "coulomb-next-cursor";
/// More than there are names.
const PAIRS_MAX: usize = 100;

/// Names that are no dimension, each given once at most.
#[derive(Default)]
struct Asked {
    from: Option<String>,
    to: Option<String>,
    month: Option<String>,
    priced: Option<String>,
    format: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    filters: Vec<(String, String)>,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        if pairs.len() > PAIRS_MAX {
            return Err(Refusal::invalid(format!("the query string has more than {PAIRS_MAX} names")));
        }
        let mut asked = Self::default();
        for (name, value) in pairs {
            let place = match name.as_str() {
                "from" => &mut asked.from,
                "to" => &mut asked.to,
                "month" => &mut asked.month,
                "priced" => &mut asked.priced,
                "format" => &mut asked.format,
                "limit" => &mut asked.limit,
                "cursor" => &mut asked.cursor,
                _ => {
                    asked.filters.push((name, value));
                    continue;
                }
            };
            if place.replace(value).is_some() {
                return Err(Refusal::invalid(format!("{name} is given twice, give it once")));
            }
        }
        Ok(asked)
    }

    fn page(self, now_micros: i64) -> Result<(PageAsked, Form), Refusal> {
        let form = self.format.as_deref().map_or(Ok(Form::Json), Form::parse)?;
        let month = self.month.map(|text| {
            Period::parse(&text).ok_or_else(|| Refusal::invalid(format!("{text:?} is not a month like 2026-11")))
        });
        let month = month.transpose()?;
        let range_micros = match (month, &self.from, &self.to) {
            (Some(_), None, None) => None,
            (Some(_), _, _) => return Err(Refusal::invalid("give month, or from and to, and not both")),
            (None, from, to) => {
                let range = parse_range(from.as_deref(), to.as_deref(), now_micros).map_err(Refusal::invalid)?;
                Some((range.from_unix_micros, range.to_unix_micros))
            }
        };
        let is_priced = match self.priced.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => return Err(Refusal::invalid(format!("priced {other:?} is neither true nor false"))),
        };
        let limit = self
            .limit
            .map(|text| text.parse().map_err(|_| Refusal::invalid(format!("limit {text:?} is not a number of rows"))));
        let (limit, cursor, filters) = (limit.transpose()?, self.cursor, self.filters);
        Ok((PageAsked { range_micros, month, filters, is_priced, limit, cursor }, form))
    }
}

/// Rows in order of their hour; any dimension of the ledger is a filter.
pub(super) async fn rows(
    pairs: web::Query<Vec<(String, String)>>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let (asked, form) = Asked::read(pairs.into_inner())?.page((state.clock)())?;
    let page = state.ledger.page(&asked).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        response.insert_header((CURSOR_HEADER, next));
    }
    rows::whole(&page.rows, &page.schema, form, response)
}
