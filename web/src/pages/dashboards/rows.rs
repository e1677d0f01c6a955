//! Rows as a table or as bars, with the units that their columns have.

use super::panel::{HEIGHT, Panel};
use crate::boards::drawn::{unit_in, words};
use crate::format::{self, NOT_REPORTED, Unit};
use crate::instant::parse_instant;
use crate::sql::answer::{Column, Kind, Table};
use crate::sql::cells::shown;
use crate::sql::picture::unit_of;
use leptos::prelude::*;

/// More rows are for the export.
const ROWS_MAX: usize = 200;
/// Columns of numbers that bars have.
const MEASURES_MAX: usize = 2;

pub(super) fn table(panel: Panel) -> impl IntoView {
    let inside = move || {
        let rows = panel.asked.value.get()?;
        let table = &rows.table;
        let heads = table.columns.iter().map(|column| head(panel, column)).collect_view();
        let row = |cells: &Vec<Option<String>>| {
            let cells =
                table.columns.iter().zip(cells).map(|(column, text)| cell(column, text.as_deref())).collect_view();
            view! { <tr>{cells}</tr> }
        };
        let body = table.rows.iter().take(ROWS_MAX).map(row).collect_view();
        let left_out = table.rows.len().saturating_sub(ROWS_MAX);
        Some(view! {
            <table class="sticky">
                <thead><tr>{heads}</tr></thead>
                <tbody>{body}</tbody>
            </table>
            {(left_out > 0).then(|| view! { <p class="small muted foot">{format!("{} more rows are in the CSV.", format::count(left_out as u64))}</p> })}
        })
    };
    view! {
        <div class="scroller board-rows" tabindex="0" role="region" aria-label=format!("Rows: {}", panel.title())>{inside}</div>
    }
}

fn head(panel: Panel, column: &Column) -> impl IntoView + use<> {
    let unit = match unit_of(&column.name) {
        _ if !column.kind.is_number() => String::new(),
        Unit::Ratio => "%".to_owned(),
        Unit::Bytes => "GiB".to_owned(),
        Unit::Celsius => "°C".to_owned(),
        Unit::Watts => "W".to_owned(),
        Unit::Hours => "h".to_owned(),
        Unit::Micros => panel.board.currency.get_value(),
        _ => String::new(),
    };
    let zone = if column.type_name == "timestamp" { "UTC".to_owned() } else { unit };
    view! { <th class:number=column.kind.is_number() scope="col">{words(&column.name)} " " <span class="note">{zone}</span></th> }
}

fn cell(column: &Column, text: Option<&str>) -> AnyView {
    let is_number = column.kind.is_number();
    let Some(text) = text else {
        return view! { <td class="muted null" class:number=is_number>{NOT_REPORTED}</td> }.into_any();
    };
    let unit = unit_of(&column.name);
    let number = text.parse::<f64>().ok().filter(|v| is_number && v.is_finite());
    let read = match (unit, number) {
        (Unit::Count | Unit::Hertz | Unit::Joules | Unit::PerSecond | Unit::BytesPerSecond, Some(v)) => {
            plain(unit, text, v)
        }
        (Unit::Seconds | Unit::Micros, Some(v)) => format::value(unit, v),
        (Unit::Hours, Some(v)) => format::hours(v),
        (unit, Some(v)) => format::cell(unit, v),
        // To the minute, as other pages have it; the exact time is in the hover.
        (_, None) if column.kind == Kind::Time => {
            parse_instant(text, 0).map_or_else(|| shown(column.kind, text), format::short_instant)
        }
        (_, None) => shown(column.kind, text),
    };
    let class = if column.kind == Kind::Text { "cut" } else { "" };
    view! { <td class=class class:number=is_number title=text.to_owned()>{read}</td> }.into_any()
}

/// Whole numbers in full, others with their unit.
fn plain(unit: Unit, text: &str, v: f64) -> String {
    match (unit, v.fract() == 0.0 && v.abs() < 1e15) {
        (Unit::Count, true) if v >= 0.0 => format::count(v as u64),
        (Unit::Count, true) => text.trim_end_matches(".0").replace('-', "−"),
        (Unit::Count, false) => format::digits(v),
        _ => format::value(unit, v),
    }
}

/// A value with its unit; what is counted is whole.
pub(super) fn reading(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count if value.fract() == 0.0 && (0.0..1e6).contains(&value) => format::count(value as u64),
        _ => format::value(unit, value),
    }
}

pub(super) fn bars(panel: Panel) -> impl IntoView {
    let inside = move || {
        let rows = panel.asked.value.get()?;
        Some(drawn(panel, &rows.table))
    };
    view! {
        <div class="scroller board-rows" tabindex="0" role="region" aria-label=format!("Bars: {}", panel.title()) style=format!("min-height:{HEIGHT}px")>
            {inside}
        </div>
    }
}

fn drawn(panel: Panel, table: &Table) -> impl IntoView + use<> {
    let name = table.columns.iter().position(|c| !c.kind.is_number());
    let numbers: Vec<usize> =
        (0..table.columns.len()).filter(|at| table.columns[*at].kind.is_number()).take(MEASURES_MAX).collect();
    let unit = |(position, at): (usize, usize)| match position {
        0 => unit_in(&table.columns[at].name, panel.unit()),
        _ => unit_of(&table.columns[at].name),
    };
    let units: Vec<Unit> = numbers.iter().copied().enumerate().map(unit).collect();
    let most = (0..table.rows.len())
        .filter_map(|row| table.number(row, *numbers.first()?))
        .fold(if units.first() == Some(&Unit::Ratio) { 1.0 } else { 0.0 }, |most, v| v.abs().max(most));
    let head = |(position, at): (usize, &usize)| {
        let is_right = position > 0;
        view! { <th class:number=is_right scope="col">{words(&table.columns[*at].name)}</th> }
    };
    let row = |row: usize| {
        let label = name.and_then(|at| table.rows[row][at].clone()).unwrap_or_else(|| "none".to_owned());
        let cells = numbers.iter().zip(&units).enumerate().map(|(position, (at, unit))| {
            let value = table.number(row, *at);
            match position {
                0 => bar(*unit, value, most),
                _ => {
                    let text = value.map_or_else(|| NOT_REPORTED.to_owned(), |v| reading(*unit, v));
                    view! { <td class="number">{text}</td> }.into_any()
                }
            }
        });
        view! { <tr><td class="cut" title=label.clone()>{label.clone()}</td> {cells.collect_view()}</tr> }
    };
    let named = name.map(|at| words(&table.columns[at].name)).unwrap_or_default();
    view! {
        <table class="sticky">
            <thead><tr><th scope="col">{named}</th> {numbers.iter().enumerate().map(head).collect_view()}</tr></thead>
            <tbody>{(0..table.rows.len().min(ROWS_MAX)).map(row).collect_view()}</tbody>
        </table>
    }
}

fn bar(unit: Unit, value: Option<f64>, most: f64) -> AnyView {
    let Some(value) = value else { return view! { <td class="muted null">{NOT_REPORTED}</td> }.into_any() };
    let part = if most > 0.0 { value.abs() / most * 100.0 } else { 0.0 };
    let class = if value < 0.0 { "known below-zero" } else { "known" };
    view! {
        <td>
            <span class="board-bar" title=value.to_string()>
                <span class="track" aria-hidden="true"><span class=class style=format!("width:{part:.2}%")></span></span>
                <span class="amount">{reading(unit, value)}</span>
            </span>
        </td>
    }
    .into_any()
}
