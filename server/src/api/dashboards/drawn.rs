//! `GET /api/v1/dashboards/{name}/panels/{index}.svg`: a panel as a picture, drawn without a browser.

use crate::api::error::Refusal;
use crate::api::range::parse_range;
use crate::api::serve::State;
use crate::api::texts::on_shelf;
use crate::dashboards::{Dashboard, DashboardError, Kind, Panel, Points, Unit, first_choice, points};
use crate::query::Parameter;
use crate::report::{Drawing, Scale, drawing};
use crate::shelf::ShelfError;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, SecondsFormat};
use contract::answers::Range;

const SECOND_MICROS: i64 = 1_000_000;
/// What stands before a variable's name in a query string, so that no name is taken for another word.
const VARIABLE: &str = "var-";
const KIB: f64 = 1024.0;

/// Query strings with names that nobody knows beforehand.
type Pairs = Vec<(String, String)>;

pub(in super::super) async fn svg(
    path: web::Path<(String, String)>,
    asked: web::Query<Pairs>,
    state: web::Data<State>,
) -> Result<HttpResponse, Refusal> {
    let (name, index) = path.into_inner();
    let index: usize = index.parse().map_err(|_| Refusal::not_found(format!("{index:?} is no number of a panel")))?;
    let sought = name.clone();
    let shelved = on_shelf(&state.dashboards, move |shelf| shelf.get(&sought)).await?;
    let Some(board) = &shelved.read else {
        return Err(ShelfError::Faulty { name, faults: shelved.faults }.into());
    };
    let count = board.panels.len();
    let panel = board.panels.get(index).ok_or(DashboardError::NoPanel { name, index, count })?;
    if !matches!(panel.kind, Kind::Timeseries | Kind::Stacked) {
        return Err(DashboardError::NotDrawn { title: panel.title.clone() }.into());
    }
    let range = range(&asked, board, &state)?;
    let values = panel.sql.values(&values(&asked, board, range, &state).await?);
    let answer = state.engine.sql(&panel.sql.sql, values).await?;
    let schema = answer.schema();
    let found = points(&schema, &answer.collect().await?).unwrap_or_default();
    let text = drawing(&picture(panel, range, found, &state.ledger.statements().currency));
    let mut response = HttpResponse::Ok();
    response.content_type("image/svg+xml; charset=utf-8");
    Ok(response.body(text))
}

/// What is neither the range nor a variable is refused.
fn range(asked: &Pairs, board: &Dashboard, state: &State) -> Result<Range, Refusal> {
    let (mut from, mut to) = (None, None);
    for (key, value) in asked {
        match (key.as_str(), key.strip_prefix(VARIABLE)) {
            ("from", _) => from = Some(value.as_str()),
            ("to", _) => to = Some(value.as_str()),
            (_, Some(name)) if board.variables.iter().any(|variable| variable.name == name) => {}
            _ => {
                let variables = board.variables.iter().map(|variable| format!("{VARIABLE}{}", variable.name));
                let known: Vec<String> = ["from", "to"].map(str::to_owned).into_iter().chain(variables).collect();
                let shown: String = key.chars().take(60).collect();
                let message = format!("{shown:?} is not known here, use {}", known.join(", "));
                return Err(Refusal { known, ..Refusal::invalid(message) });
            }
        }
    }
    parse_range(from, to, (state.clock)()).map_err(Refusal::invalid)
}

/// The range, then each variable.
async fn values(asked: &Pairs, board: &Dashboard, range: Range, state: &State) -> Result<Vec<Parameter>, Refusal> {
    let time = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let text = |micros| Parameter::Text(time(micros).to_rfc3339_opts(SecondsFormat::Micros, true));
    let bounds = [text(range.from_unix_micros), text(range.to_unix_micros)];
    let span_seconds = (range.to_unix_micros - range.from_unix_micros) / SECOND_MICROS;
    let mut all = bounds.to_vec();
    for variable in &board.variables {
        let key = format!("{VARIABLE}{}", variable.name);
        let chosen = asked.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone());
        let value = match chosen.or_else(|| variable.unchosen(span_seconds)) {
            Some(value) => value,
            None => first_choice(&state.engine, variable, &bounds).await?,
        };
        all.push(Parameter::Text(value));
    }
    Ok(all)
}

fn picture(panel: &Panel, range: Range, mut found: Points, currency: &str) -> Drawing {
    if panel.kind == Kind::Stacked && found.left_out > 0 {
        // A stack without its rest would show another sum.
        found.lines.push((format!("{} more", found.left_out), found.rest));
        found.left_out = 0;
    }
    let greatest =
        found.lines.iter().flat_map(|(_, values)| values.iter().flatten()).fold(0.0, |most, v| v.abs().max(most));
    let gaps = found.times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0);
    let step_micros = gaps.min().unwrap_or(SECOND_MICROS);
    let remark = match (found.times.is_empty(), found.left_out) {
        (true, _) => Some("Nothing was reported in this range.".to_owned()),
        (false, 0) => None,
        (false, more) => Some(format!("{more} more series are not drawn.")),
    };
    let title = match panel.unit {
        Unit::Micros => format!("{}, {currency}", panel.title),
        Unit::Hours => format!("{}, hours", panel.title),
        _ => panel.title.clone(),
    };
    Drawing {
        title,
        scale: scale(panel.unit, greatest),
        range: (range.from_unix_micros, range.to_unix_micros),
        times: found.times,
        step_micros,
        lines: found.lines,
        is_stacked: panel.kind == Kind::Stacked,
        remark,
    }
}

fn scale(unit: Unit, greatest: f64) -> Scale {
    let plain = |suffix| Scale { factor: 1.0, suffix };
    match unit {
        Unit::Ratio => Scale { factor: 100.0, suffix: " %" },
        Unit::Micros => Scale { factor: 1e-6, suffix: "" },
        Unit::Bytes => binary(greatest, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]),
        Unit::BytesPerSecond => binary(greatest, [" B/s", " KiB/s", " MiB/s", " GiB/s", " TiB/s", " PiB/s"]),
        Unit::Watts => plain("W"),
        Unit::Celsius => plain(" °C"),
        Unit::Hertz => plain("Hz"),
        Unit::Joules => plain("J"),
        Unit::Seconds => plain(" s"),
        Unit::PerSecond => plain("/s"),
        Unit::Count | Unit::Hours => plain(""),
    }
}

fn binary(greatest: f64, suffixes: [&'static str; 6]) -> Scale {
    let (mut factor, mut at) = (1.0, 0);
    while greatest * factor >= KIB && at + 1 < suffixes.len() {
        (factor, at) = (factor / KIB, at + 1);
    }
    Scale { factor, suffix: suffixes[at] }
}
