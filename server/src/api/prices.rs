//! `GET /api/v1/prices`, `POST /api/v1/catalogs`, and prices that are sent as rows.

use super::body::read_ingest_body;
use super::budgets::At;
use super::error::Refusal;
use super::money::Answer;
use super::serve::State;
use crate::access::{Action, Identity};
use crate::answers::{CatalogAnswer, CatalogRequest, LeftOut, PriceGapLine, PriceLine, PricePlace, PricesAt};
use crate::cost::{Elsewhen, GpuPlace, Price, PriceRow};
use crate::ingest::ReadBody;
use crate::ledger::{Catalog, DOCUMENT_BYTES_MAX, PriceGap};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::DateTime;

/// A catalog and its map, where every character may take two in JSON.
const CATALOG_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

pub(super) async fn prices(asked: web::Query<At>, state: web::Data<State>) -> Answer {
    let at = asked.micros((state.clock)())?;
    let now = state.ledger.prices(at).await?;
    Ok(HttpResponse::Ok().json(PricesAt {
        at_unix_micros: now.hour_micros,
        currency: state.ledger.statements().currency.to_string(),
        rows: now.rows.iter().map(|(row, price)| line(row, price.as_ref())).collect(),
        rows_left_out: now.rows_left_out as u64,
        gaps: now.gaps.iter().map(|gap| gap_line(gap, now.hour_micros)).collect(),
        gaps_left_out: now.gaps_left_out as u64,
        places: now.places as u64,
    }))
}

fn line(row: &PriceRow, price: Option<&Price>) -> PriceLine {
    let name = |name: Option<&std::sync::Arc<str>>| name.map(ToString::to_string);
    let text = |amount: Option<rust_decimal::Decimal>| amount.map(|amount| amount.normalize().to_string());
    PriceLine {
        document: row.document.to_string(),
        version: row.by.version.to_string(),
        line: row.by.line,
        kind: row.by.kind.to_string(),
        valid_from_unix_micros: row.valid_from_micros,
        valid_to_unix_micros: row.valid_to_micros,
        place: PricePlace {
            cluster: name(row.cluster()),
            pool: name(row.pool()),
            node: name(row.node()),
            gpu_model: name(row.gpu_model()),
            provider: name(row.provider()),
            region: name(row.region()),
        },
        currency: row.currency.to_string(),
        price_per_gpu_hour: text(row.price_per_gpu_hour()),
        rate_per_gpu_hour: text(price.map(|price| price.per_gpu_hour)),
        rate_per_cpu_hour: text(price.and_then(|price| price.per_cpu_hour)),
        rate_per_memory_gib_hour: text(price.and_then(|price| price.per_memory_gib_hour)),
        rate_per_kwh: text(price.and_then(|price| price.electricity).map(|electricity| electricity.per_kwh)),
    }
}

fn gap_line(found: &PriceGap, hour_micros: i64) -> PriceGapLine {
    let PriceGap { gap, elsewhen } = found;
    let overlap: Vec<String> = gap.ambiguous.iter().map(|by| format!("{} line {}", by.version, by.line)).collect();
    let (reason, price_unix_micros, why) = match elsewhen {
        _ if !overlap.is_empty() => {
            let why = format!("{} hold at once, and none is more specific; end one of them", overlap.join(" and "));
            ("overlap", None, why)
        }
        Some(Elsewhen::Ended(at)) => {
            ("ended", Some(*at), format!("the last price ended at {}; prolong it or add one", date(*at)))
        }
        Some(Elsewhen::Begins(at)) => {
            ("begins_later", Some(*at), format!("priced from {} on; let a price begin earlier", date(*at)))
        }
        None => ("missing", None, "no price at any time; add one".to_owned()),
    };
    let from =
        if gap.from_micros <= hour_micros { "now".to_owned() } else { format!("from {} on", date(gap.from_micros)) };
    PriceGapLine {
        place: place(&gap.place),
        from_unix_micros: gap.from_micros,
        to_unix_micros: gap.to_micros,
        reason: reason.to_owned(),
        price_unix_micros,
        overlap,
        text: format!("{} without a price {from}: {why}", place_text(&gap.place)),
    }
}

fn place(place: &GpuPlace) -> PricePlace {
    let name = |name: &Option<std::sync::Arc<str>>| name.as_ref().map(ToString::to_string);
    PricePlace {
        cluster: Some(place.cluster.to_string()),
        pool: name(&place.pool),
        node: name(&place.node),
        gpu_model: name(&place.gpu_model),
        provider: name(&place.provider),
        region: name(&place.region),
    }
}

fn place_text(place: &GpuPlace) -> String {
    let model = place.gpu_model.as_deref().map_or("GPUs of unknown model".to_owned(), |model| format!("{model:?}"));
    let named =
        [("node", &place.node), ("pool", &place.pool), ("region", &place.region), ("provider", &place.provider)];
    let named = named.iter().filter_map(|(what, name)| name.as_ref().map(|name| format!(", {what} {name:?}")));
    format!("{model} in cluster {:?}{}", place.cluster, named.collect::<String>())
}

fn date(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let midnight = time.time() == chrono::NaiveTime::MIN;
    time.format(if midnight { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%SZ" }).to_string()
}

pub(super) async fn catalog(
    request: HttpRequest,
    identity: web::ReqData<Identity>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    let body = read_ingest_body(&request, payload, &state, CATALOG_BYTES_MAX).await?;
    let wrong = |error| Refusal::invalid(format!("the body is not the JSON that is wanted here: {error}"));
    let asked: CatalogRequest = serde_json::from_slice(&body).map_err(wrong)?;
    let catalog =
        Catalog { name: &asked.catalog_name, text: &asked.catalog, map_name: &asked.map_name, map: &asked.map };
    let made = state.ledger.state_catalog(&asked.name, &catalog, &identity.name, asked.dry_run).await?;
    let left_out =
        made.left_out.iter().map(|(why, records)| LeftOut { why: (*why).to_owned(), records: *records as u64 });
    Ok(HttpResponse::Ok().json(CatalogAnswer {
        name: made.book.name.to_string(),
        version: made.book.version.to_string(),
        map_version: made.map.version.to_string(),
        rows: made.rows as u64,
        left_out: left_out.collect(),
    }))
}

/// Rows of the table `prices` are a price book: it holds before they are kept, and is refused whole or not at all.
pub(super) async fn state_sent(read: &ReadBody, identity: &Identity, state: &State) -> Result<(), Refusal> {
    if !identity.role.may(Action::KeepBooks) {
        let why = "prices are stated by whoever keeps the books: send them with a token of the role admin, or state \
                   them with PUT /api/v1/documents/prices/NAME and a token of the role finance";
        return Err(Refusal::forbidden(why));
    }
    if let Some(rejected) = read.rejected().first() {
        let why = format!("row {}: {}: {}", rejected.row, rejected.column, rejected.reason);
        return Err(Refusal::invalid(format!("prices are taken whole or not at all; {why}")));
    }
    let name = state.ledger.state_sent(read.rows(), &read.writer, read.sequence, &identity.name).await?;
    tracing::info!(name, by = identity.name, "prices were sent");
    Ok(())
}
