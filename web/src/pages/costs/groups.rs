//! Who paid how much: a row a group, with its share as a bar.

use super::over_time::swatch;
use crate::costs::{Priced, bands, order, priced, rate_of, share};
use crate::format::{self, money};
use crate::pages::app::App;
use crate::pages::sorting::{Head, head};
use contract::answers::{CostGroup, Costs};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn groups(app: App, found: Signal<Arc<Costs>>) -> impl IntoView {
    let by = Memo::new(move |_| app.address.read().by.name);
    let sort = Memo::new(move |_| app.address.read().sort.clone());
    let label = move || {
        by.track();
        app.address.with_untracked(|a| a.by.label)
    };
    let name = Head { key: "name", is_number: false, is_down_first: false };
    let number = |key| Head { key, is_number: true, is_down_first: true };
    let currency = move || found.read().currency.clone();
    view! {
        <section class="card c12">
            <header>
                <h2>{move || format!("Who paid, by {}", label().to_lowercase())}</h2>
                <span class="aside">{move || format::counted(found.read().groups.len() as u64, "row")}</span>
            </header>
            <div class="scroller">
                <table class="sticky">
                    <thead>
                        <tr>
                            {head(app, sort, name, label)}
                            <th scope="col">"Share, %"</th>
                            {head(app, sort, number("gpu_hours"), "GPU-hours")}
                            {head(app, sort, number("cost"), move || format!("Cost, {}", currency()))}
                            {head(app, sort, number("rate"), move || format!("{} per GPU-hour", currency()))}
                            {head(app, sort, Head { is_number: false, ..number("unpriced") }, "Without a price")}
                        </tr>
                    </thead>
                    <tbody>{move || rows(app, &found.read(), &sort.read())}</tbody>
                    <tfoot>{move || all(&found.read())}</tfoot>
                </table>
            </div>
            {move || left_out(&found.read())}
        </section>
    }
}

fn rows(app: App, found: &Costs, sort: &str) -> impl IntoView + use<> {
    let by = app.address.with_untracked(|a| a.by);
    let bands = bands(found, by);
    let row = |i: usize| {
        let group = &found.groups[i];
        let label = by.label_of(group.name.as_deref());
        let colour = bands.iter().find(|b| b.label == label).map(swatch);
        let named = if group.name.is_some() { "named" } else { "named muted" };
        view! {
            <tr>
                <td title=label.clone()><span class=named>{colour} <span class="cut">{label.clone()}</span></span></td>
                {share_cell(share(group.cost_micros, found.cost_micros))}
                {hours_cell(group.gpu_hours)}
                {cost_cell(group, &found.currency)}
                {rate_cell(rate_of(group), &found.currency)}
                {unpriced_cell(group)}
            </tr>
        }
    };
    order(&found.groups, sort, by).into_iter().map(row).collect_view()
}

fn share_cell(share: Option<f64>) -> impl IntoView {
    let bar = share.map(|share| {
        let part = share * 100.0;
        view! {
            <span class="share">
                <span class="track" aria-hidden="true"><span class="known" style=format!("width:{part:.2}%")></span></span>
                <span class="percent">{format!("{part:.1}")}</span>
            </span>
        }
    });
    view! { <td>{bar}</td> }
}

fn hours_cell(hours: f64) -> impl IntoView {
    view! { <td class="number" title=format!("{hours} GPU-h")>{format::hours(hours)}</td> }
}

/// Hours without any price have no cost, which is not the same as a cost of nothing.
fn cost_cell(group: &CostGroup, currency: &str) -> AnyView {
    let micros = group.cost_micros;
    if micros == 0 && group.gpu_hours > 0.0 && priced(group.gpu_hours, group.unpriced_gpu_hours) == Priced::Nothing {
        return view! { <td class="number muted">"no price"</td> }.into_any();
    }
    view! { <td class="number" title=money::exact(micros, currency)>{money::money(micros)}</td> }.into_any()
}

fn rate_cell(rate: Option<i64>, currency: &str) -> AnyView {
    match rate {
        Some(r) => view! { <td class="number" title=money::exact(r, currency)>{money::money(r)}</td> }.into_any(),
        None => view! { <td class="number muted">"not known"</td> }.into_any(),
    }
}

fn unpriced_cell(group: &CostGroup) -> AnyView {
    let hours = group.unpriced_gpu_hours;
    let text = match priced(group.gpu_hours, hours) {
        Priced::All => return view! { <td class="muted">"none"</td> }.into_any(),
        Priced::Partly => format::gpu_hours(hours),
        Priced::Nothing => "all of its hours".to_owned(),
    };
    view! { <td class="attention" title=format!("{hours} GPU-h")>{text}</td> }.into_any()
}

fn all(found: &Costs) -> impl IntoView + use<> {
    let whole = CostGroup {
        cost_micros: found.cost_micros,
        gpu_hours: found.gpu_hours,
        unpriced_gpu_hours: found.unpriced_gpu_hours,
        ..CostGroup::default()
    };
    view! {
        <tr>
            <td>"All"</td>
            <td></td>
            {hours_cell(whole.gpu_hours)}
            {cost_cell(&whole, &found.currency)}
            {rate_cell(rate_of(&whole), &found.currency)}
            {unpriced_cell(&whole)}
        </tr>
    }
}

fn left_out(found: &Costs) -> Option<impl IntoView + use<>> {
    let count = found.groups_left_out;
    let (groups, are) = (format::counted(count, "smaller group"), if count == 1 { "is" } else { "are" });
    let text = format!("{groups} {are} not listed here, though part of the sum; the CSV has all of them.");
    (count > 0).then(|| view! { <div class="foot small muted">{text}</div> })
}
