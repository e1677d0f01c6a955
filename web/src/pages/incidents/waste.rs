//! Findings: what is wasted, broken or about to break, by what it costs a month.

use super::told;
use crate::address::encode;
use crate::costs::share;
use crate::format::{self, money};
use crate::insight::{FindingList, FindingSum, finding_sheet, kind_label};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::card::save_csv;
use crate::pages::pieces::{answered, icon, shape, skeleton, stale_line};
use crate::pages::stat::{More, Stat, stat};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn waste(app: App) -> impl IntoView {
    let asked: Asked<FindingList> = ask(move || {
        app.address.with(|a| {
            let (cluster, kind) = (encode(&a.cluster), encode(a.own("kind")));
            format!("/api/v1/findings?{}&cluster={cluster}&kind={kind}&limit=200", a.window_query())
        })
    });
    view! {
        {stale_line(asked)}
        {answered(asked, || waiting().into_any(), move |found| filled(app, found).into_any())}
    }
}

fn filled(app: App, found: Signal<Arc<FindingList>>) -> impl IntoView {
    let has_any = Memo::new(move |_| !found.read().kinds.is_empty());
    move || match has_any.get() {
        true => view! {
            {move || stats(&found.read())}
            {kinds(app, found)}
            {list(app, found)}
        }
        .into_any(),
        false => none().into_any(),
    }
}

fn none() -> impl IntoView {
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"Nothing is wasted, as far as is known"</h2>
                <p>"Findings are made of whole hours of telemetry, of jobs and of the ledger. The first come an hour after the first rows."</p>
            </div>
        </div>
    }
}

fn stats(found: &FindingList) -> impl IntoView + use<> {
    let waste = &found.waste;
    let priced = |cost: Option<i64>| cost.map_or_else(|| "no price".to_owned(), money::money);
    let unit = |cost: Option<i64>| if cost.is_some() { found.currency.clone() } else { String::new() };
    let largest = found.kinds.iter().find(|kind| kind.is_waste);
    let days = format::duration(found.range.to_unix_micros - found.range.from_unix_micros);
    let all = [
        Stat {
            label: "Wasted per month",
            hint: "What 30 days like this range waste; no hour of a GPU counts twice",
            value: priced(waste.cost_micros_per_month),
            exact: waste.cost_micros_per_month.map(|cost| money::exact(cost, &found.currency)),
            unit: unit(waste.cost_micros_per_month).into(),
            more: More::Bad,
            note: format!("measured over {days}"),
            ..Stat::default()
        },
        Stat {
            label: "Wasted in this range",
            hint: "The ledger's own rows of these hours",
            value: priced(waste.cost_micros),
            exact: waste.cost_micros.map(|cost| money::exact(cost, &found.currency)),
            unit: unit(waste.cost_micros).into(),
            more: More::Bad,
            note: format::gpu_hours(waste.gpu_hours),
            ..Stat::default()
        },
        Stat {
            label: "Findings",
            hint: "Of waste, of trouble, and of what is about to be trouble",
            value: format::count(found.kinds.iter().map(|kind| kind.findings).sum()),
            note: format!("{} of waste", format::count(waste.findings)),
            ..Stat::default()
        },
        Stat {
            label: "Costliest kind, per month",
            hint: "The kind of waste that costs most",
            value: priced(largest.and_then(|kind| kind.cost_micros_per_month)),
            unit: unit(largest.and_then(|kind| kind.cost_micros_per_month)).into(),
            more: More::Bad,
            note: largest.map_or_else(|| "no waste was found".to_owned(), |kind| kind_label(&kind.kind)),
            ..Stat::default()
        },
    ];
    all.map(stat).into_iter().collect_view()
}

fn kinds(app: App, found: Signal<Arc<FindingList>>) -> impl IntoView {
    let rows = move || {
        let found = found.get();
        let all = found.waste.cost_micros_per_month.unwrap_or_default();
        found.kinds.iter().map(|kind| row(app, kind, all, &found.currency)).collect_view()
    };
    let per_month = move || format!("Per month, {}", found.read().currency);
    view! {
        <section class="card c5">
            <header><h2>"What is it wasted on?"</h2></header>
            <div class="scroller" tabindex="0" role="region" aria-label="Kinds of findings">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Kind"</th>
                            <th scope="col">"Of all waste"</th>
                            <th scope="col" class="number">{per_month}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}

fn row(app: App, kind: &FindingSum, all: i64, currency: &str) -> impl IntoView + use<> {
    let word = kind.kind.clone();
    let is_chosen = {
        let word = word.clone();
        move || app.address.with(|a| a.own("kind") == word)
    };
    let pressed = is_chosen.clone();
    let choose = move |_| {
        let chosen = is_chosen();
        app.turn(|a| a.set_own("kind", if chosen { "" } else { &word }));
    };
    let percent = kind.cost_micros_per_month.and_then(|cost| share(cost, all)).unwrap_or(0.0) * 100.0;
    let part = kind.is_waste.then(|| {
        view! {
            <span class="share">
                <span class="track" aria-hidden="true"><span class="known" style=format!("width:{percent:.2}%")></span></span>
                <span class="percent">{format!("{percent:.1} %")}</span>
            </span>
        }
    });
    let part =
        part.map_or_else(|| view! { <span class="muted small">"none in itself"</span> }.into_any(), IntoAny::into_any);
    let cost = kind.cost_micros_per_month;
    view! {
        <tr>
            <td class="wraps">
                <button class="link" aria-pressed=move || pressed().to_string() title="List only these, or all again" on:click=choose>
                    {kind_label(&kind.kind)}
                </button>
                <span class="muted small">{format!(" {}", format::count(kind.findings))}</span>
            </td>
            <td>{part}</td>
            <td class="number" title=cost.map(|cost| money::exact(cost, currency))>{cost.map_or_else(|| "–".to_owned(), money::money)}</td>
        </tr>
    }
}

fn list(app: App, found: Signal<Arc<FindingList>>) -> impl IntoView {
    let save = move |_| save_csv(&finding_sheet(&found.read_untracked()));
    let rows = move || {
        let (found, here) = (found.get(), app.address.get());
        if found.findings.is_empty() {
            return view! { <div class="say"><p>"Nothing of this kind was found."</p></div> }.into_any();
        }
        let now = found.range.to_unix_micros;
        found
            .findings
            .iter()
            .map(|finding| told::finding(&here, finding, &found.currency, now))
            .collect_view()
            .into_any()
    };
    let left_out = move || {
        let left = found.read().findings_left_out;
        (left > 0).then(|| view! { <div class="foot small muted">{format!("{} cost less and are not listed.", format::count(left))}</div> })
    };
    let kind = move || {
        app.address
            .with(|a| if a.own("kind").is_empty() { "the worst first".to_owned() } else { kind_label(a.own("kind")) })
    };
    view! {
        <section class="card c7">
            <header>
                <h2>"What should somebody look at?"</h2>
                <span class="aside">{kind}</span>
                <div class="grow"></div>
                <button class="control" on:click=save title="What is listed as CSV, exact to the millionth">{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            <div class="all-findings" tabindex="0" role="region" aria-label="Findings">{rows}</div>
            {left_out}
        </section>
    }
}

fn waiting() -> impl IntoView {
    let card = |class: &'static str, height| view! { <div class=class>{skeleton(height)}</div> };
    view! { {(0..4).map(|_| card("c3", 104)).collect_view()} {card("c5", 480)} {card("c7", 480)} }
}
