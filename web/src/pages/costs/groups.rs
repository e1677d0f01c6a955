//! Who paid how much: a row a group, with columns of a second dimension or the range before beside it.

use super::over_time::swatch;
use crate::address::encode;
use crate::books::CostPivot;
use crate::costs::table::{self, Kind, Row, Table, change};
use crate::costs::{Band, Dimension, Priced, bands, priced, share, slice};
use crate::format::{self, NOT_REPORTED, money};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::card::save_csv;
use crate::pages::pieces::{failed, icon, shape, skeleton};
use crate::pages::sorting::{Head, head};
use contract::answers::Costs;
use leptos::prelude::*;
use std::sync::Arc;

/// What a table is drawn from.
#[derive(Clone, PartialEq)]
struct Shown {
    table: Table,
    by: &'static Dimension,
    currency: String,
    bands: Vec<Band>,
}

pub(super) fn groups(app: App, found: Signal<Arc<Costs>>) -> impl IntoView {
    let has_pivot =
        Memo::new(move |_| app.address.with(|a| !a.own("columns").is_empty() || a.own("compare") == "before"));
    move || match has_pivot.get() {
        true => of_pivot(app, found),
        false => {
            let shown = Memo::new(move |_| {
                let found = found.read();
                let by = app.address.with_untracked(|a| a.by);
                laid_out(app, &found, table::of_costs(&found, by), by)
            });
            card(app, shown)
        }
    }
}

fn laid_out(app: App, found: &Costs, mut table: Table, by: &'static Dimension) -> Shown {
    let sort = app.address.read().sort.clone();
    table::sort(&mut table, &sort, by);
    Shown { table, by, currency: found.currency.clone(), bands: bands(found, by) }
}

/// With an answer of its own.
fn of_pivot(app: App, found: Signal<Arc<Costs>>) -> AnyView {
    let asked: Asked<CostPivot> = ask(move || {
        app.address.with(|a| {
            let before = a.own("compare") == "before";
            let columns = encode(a.own("columns"));
            format!("/api/v1/costs/pivot?{}&rows={}&columns={columns}&before={before}", slice::asked(a), a.by.name)
        })
    });
    let shown = Memo::new(move |_| {
        let (pivot, found) = (asked.value.get()?, found.read());
        let (by, columns) = app.address.with_untracked(|a| (a.by, Dimension::named(a.own("columns"))));
        Some(laid_out(app, &found, table::of_pivot(&pivot, &found, by, columns), by))
    });
    let has_answer = Memo::new(move |_| shown.read().is_some());
    let inside = move || match (has_answer.get(), asked.problem.get()) {
        (true, _) => card(app, Memo::new(move |_| shown.get().expect("an answer is never taken away again"))),
        (false, Some(problem)) => {
            view! { <div class="card c12">{failed(problem, move || asked.retry())}</div> }.into_any()
        }
        (false, None) => view! { <div class="c12">{skeleton(360)}</div> }.into_any(),
    };
    view! { {inside} }.into_any()
}

fn card(app: App, shown: Memo<Shown>) -> AnyView {
    let title = move || shown.with(|s| format!("Who paid, by {}", s.by.word()));
    let save = move |_| shown.with_untracked(|s| save_csv(&s.table.sheet(s.by, &s.currency)));
    let heads =
        Memo::new(move |_| shown.with(|s| (s.by, s.currency.clone(), s.table.kinds(), s.table.columns.clone())));
    view! {
        <section class="card c12">
            <header>
                <h2>{title}</h2>
                <span class="aside">{move || format::counted(shown.read().table.rows.len() as u64, "row")}</span>
                <div class="grow"></div>
                <button class="control" on:click=save title="What is shown as CSV, exact to the millionth">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="scroller" tabindex="0" role="region" aria-label="Costs by group">
                <table class="sticky pivot">
                    <thead>{move || heads.with(|(by, currency, kinds, columns)| head_row(app, by, currency, kinds, columns))}</thead>
                    <tbody>{move || shown.with(|s| body(app, s))}</tbody>
                    <tfoot>{move || shown.with(|s| foot(app, s))}</tfoot>
                </table>
            </div>
            {move || shown.with(|s| left_out(app, s))}
        </section>
    }
    .into_any()
}

fn head_row(app: App, by: &Dimension, currency: &str, kinds: &[Kind], columns: &[String]) -> AnyView {
    let sort = Memo::new(move |_| app.address.read().sort.clone());
    let column = |kind: &Kind| {
        let (key, label) = match kind {
            Kind::Cell(at) => (
                table::COLUMN_KEYS.get(*at).copied(),
                format!("{}, {currency}", columns.get(*at).map_or("", String::as_str)),
            ),
            Kind::Share => return view! { <th scope="col">"Share, %"</th> }.into_any(),
            Kind::Hours => (Some("gpu_hours"), "GPU-hours".to_owned()),
            Kind::Cost => (Some("cost"), format!("Cost, {currency}")),
            Kind::Before => (Some("before"), format!("Before, {currency}")),
            Kind::Change => (Some("change"), "Change".to_owned()),
            Kind::Rate => (Some("rate"), format!("{currency} per GPU-hour")),
            Kind::Unpriced => (Some("unpriced"), "Without a price".to_owned()),
            Kind::Energy => (Some("energy"), "Energy, kWh".to_owned()),
            Kind::Carbon => return view! { <th scope="col" class="number">"CO2e, kg"</th> }.into_any(),
        };
        match key {
            Some(key) => head(app, sort, Head { key, is_number: true, is_down_first: true }, label).into_any(),
            None => view! { <th scope="col" class="number">{label}</th> }.into_any(),
        }
    };
    let name = Head { key: "name", is_number: false, is_down_first: false };
    view! {
        <tr>
            {head(app, sort, name, by.label)}
            {kinds.iter().map(column).collect_view()}
            <th scope="col"><span class="visually-hidden">"Rows of the ledger"</span></th>
        </tr>
    }
    .into_any()
}

fn body(app: App, shown: &Shown) -> AnyView {
    let Shown { table, by, currency, bands } = shown;
    let (by, kinds) = (*by, table.kinds());
    let here = app.address.get_untracked();
    let row = |row: &Row| {
        let colour = bands.iter().find(|b| b.label == row.label).map(swatch);
        let named = if row.name.is_some() { "named" } else { "named muted" };
        let (inside, rows) = (
            slice::within(&here, by, row.name.as_deref()).href(),
            slice::rows_of(&here, by, row.name.as_deref()).href(),
        );
        let (label, full) = (row.label.clone(), row.label.clone());
        let hint = format!("Rows of the ledger of {label}");
        view! {
            <tr>
                <td title=full><a class=named href=inside>{colour} <span class="cut">{label}</span></a></td>
                {kinds.iter().map(|kind| cell(*kind, row, table, currency)).collect_view()}
                <td class="end"><a class="small" href=rows aria-label=hint.clone() title=hint>"rows"</a></td>
            </tr>
        }
    };
    table.rows.iter().map(row).collect_view().into_any()
}

fn foot(app: App, shown: &Shown) -> AnyView {
    let Shown { table, currency, .. } = shown;
    let kinds = table.kinds();
    let mut all = app.address.get_untracked();
    all.set_own("rows", slice::FIRST);
    let row = |row: &Row, href: Option<String>| {
        let rows = href.map(|href| view! { <a class="small" href=href title="All rows of the ledger">"rows"</a> });
        view! {
            <tr>
                <td>{row.label.clone()}</td>
                {kinds.iter().map(|kind| cell(*kind, row, table, currency)).collect_view()}
                <td class="end">{rows}</td>
            </tr>
        }
    };
    let rest = table.rest.as_ref().map(|rest| row(rest, None));
    view! { {rest} {row(&table.total, Some(all.href()))} }.into_any()
}

fn cell(kind: Kind, row: &Row, table: &Table, currency: &str) -> AnyView {
    match kind {
        Kind::Cell(at) => match row.cells.get(at).copied().flatten() {
            Some(micros) => amount(Some(micros), currency, ""),
            None => view! { <td class="number muted" title="Nothing was paid here">"–"</td> }.into_any(),
        },
        Kind::Share => share_cell(share(row.cost_micros, table.total.cost_micros)),
        Kind::Hours => number(Some(row.gpu_hours), "GPU-h"),
        Kind::Cost => amount(row.cost(), currency, "no price"),
        Kind::Before => amount(row.before_micros, currency, "not known"),
        Kind::Change => change_cell(row, currency),
        Kind::Rate => amount(row.rate(), currency, "not known"),
        Kind::Unpriced => unpriced_cell(row),
        Kind::Energy => number(table::beside(&row.energy).0, "kWh"),
        Kind::Carbon => number(table::beside(&row.energy).1, "kg"),
    }
}

fn amount(micros: Option<i64>, currency: &str, none: &'static str) -> AnyView {
    match micros {
        Some(m) => view! { <td class="number" title=money::exact(m, currency)>{money::money(m)}</td> }.into_any(),
        None => view! { <td class="number muted">{none}</td> }.into_any(),
    }
}

fn number(value: Option<f64>, unit: &'static str) -> AnyView {
    match value {
        Some(v) => view! { <td class="number" title=format!("{v} {unit}")>{format::hours(v)}</td> }.into_any(),
        None => view! { <td class="number muted">{NOT_REPORTED}</td> }.into_any(),
    }
}

fn share_cell(share: Option<f64>) -> AnyView {
    let bar = share.map(|share| {
        let part = share * 100.0;
        view! {
            <span class="share">
                <span class="track" aria-hidden="true"><span class="known" style=format!("width:{part:.2}%")></span></span>
                <span class="percent">{format!("{part:.1}")}</span>
            </span>
        }
    });
    view! { <td>{bar}</td> }.into_any()
}

fn change_cell(row: &Row, currency: &str) -> AnyView {
    let Some((micros, ratio)) = row.change() else {
        return view! { <td class="number muted">"not known"</td> }.into_any();
    };
    let told = change(micros, ratio);
    view! { <td class="number" title=money::exact(micros, currency)><span class=told.class>{told.text}</span></td> }
        .into_any()
}

fn unpriced_cell(row: &Row) -> AnyView {
    let hours = row.unpriced_gpu_hours;
    let text = match priced(row.gpu_hours, hours) {
        Priced::All => return view! { <td class="number muted">"none"</td> }.into_any(),
        Priced::Partly => format::gpu_hours(hours),
        Priced::Nothing => "all of its hours".to_owned(),
    };
    view! { <td class="number attention" title=format!("{hours} GPU-h")>{text}</td> }.into_any()
}

/// Groups beyond those that are listed are in a document.
fn left_out(app: App, shown: &Shown) -> Option<AnyView> {
    shown.table.rest.as_ref()?;
    let href = app.address.with_untracked(|a| {
        // A document is about all clusters; one more dimension tells them apart.
        let by = if a.cluster.is_empty() { a.by.name.to_owned() } else { format!("cluster,{}", a.by.name) };
        let is_whole = a.own("where").is_empty() && a.by.name != "provider" && a.by.name != "region";
        is_whole.then(|| format!("/api/v1/reports/chargeback?{}&by={by}&format=csv", a.window_query()))
    });
    let whole =
        href.map(|href| view! { <p>"A " <a href=href download>"CSV of all groups"</a> " has each of them."</p> });
    Some(
        view! { <div class="foot small muted"><p>"Smaller groups are summed in one row."</p> {whole}</div> }.into_any(),
    )
}
