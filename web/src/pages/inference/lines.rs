//! Who asked, and what it cost: rows that sum to the bill.

use crate::format::{self, money};
use crate::inference::{
    Basis, InferenceDetail, InferenceLine, asks, failed_ratio, grouping, line_name, lines_sheet, seconds,
};
use crate::pages::card::save_csv;
use crate::pages::pieces::{icon, shape};
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn lines(found: Signal<Arc<InferenceDetail>>, basis: Memo<Basis>) -> impl IntoView {
    let save = move |_| save_csv(&lines_sheet(&found.read_untracked(), basis.get_untracked()));
    let title = move || match grouping(&found.read().by).0 {
        "user" => "Which users asked, and what did it cost?",
        "model" => "Which models answered, and what did it cost?",
        _ => "Which tenants asked, and what did it cost?",
    };
    let aside = move || match found.read().bill.bill_micros {
        Some(_) => "the rows sum to the bill, to the micro",
        None => "without a price there is no cost",
    };
    let rows = move || {
        let (found, basis) = (found.get(), basis.get());
        let has_price = found.bill.bill_micros.is_some();
        let by = grouping(&found.by).0;
        found.lines.iter().map(|line| row(line, by, basis, has_price)).collect_view()
    };
    let none = move || {
        found.read().lines.is_empty().then(|| {
            view! { <div class="say"><p>"No request is known of this time, and no bill."</p></div> }
        })
    };
    let head = move || grouping(&found.read().by).1;
    let currency = move || found.read().currency.clone();
    let left_out = move || {
        let n = found.read().lines_left_out;
        (n > 0).then(|| view! { <div class="foot small muted">{format!("{} are summed in one row.", format::counted(n, "further name"))}</div> })
    };
    view! {
        <section class="card c12">
            <header>
                <h2>{title}</h2>
                <span class="aside">{aside}</span>
                <div class="grow"></div>
                <button class="control" title="These rows as CSV" on:click=save>{icon(shape::DOWNLOAD)} "CSV"</button>
            </header>
            {none}
            <div class="scroller" tabindex="0" role="region" aria-label="Who asked" hidden=move || found.read().lines.is_empty()>
                <table class="sticky">
                    <thead>
                        <tr>
                            <th scope="col">{head}</th>
                            <th scope="col" class="number">"Requests"</th>
                            <th scope="col" class="number">"Failed"</th>
                            <th scope="col" class="number">"Prompt tokens"</th>
                            <th scope="col" class="number">"From cache"</th>
                            <th scope="col" class="number">"Generated"</th>
                            <th scope="col" class="number">"First token, p95"</th>
                            <th scope="col" class="number">{move || format!("Cost, {}", currency())}</th>
                            <th scope="col" class="number" title="For a million tokens of any kind">"Per million"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                    <tfoot>{move || total(&found.read())}</tfoot>
                </table>
            </div>
            {left_out}
        </section>
    }
}

/// None without a price: then there is no bill.
fn total(found: &InferenceDetail) -> Option<impl IntoView + use<>> {
    let micros = found.bill.bill_micros?;
    let figures = &found.figures;
    Some(view! {
        <tr>
            <td>"The bill"</td>
            <td class="number">{format::count(figures.requests)}</td>
            <td></td>
            <td class="number">{format::count(figures.input_tokens)}</td>
            <td class="number">{format::count(figures.cached_tokens.unwrap_or_default())}</td>
            <td class="number">{format::count(figures.output_tokens)}</td>
            <td></td>
            <td class="number" title=money::exact(micros, &found.currency)>{money::money(micros)}</td>
            <td></td>
        </tr>
    })
}

fn row(line: &InferenceLine, by: &str, basis: Basis, has_price: bool) -> impl IntoView + use<> {
    let cost = basis.of_line(line);
    let is_asking = asks(line);
    let asked = |text: String| if is_asking { text } else { String::new() };
    let failed = failed_ratio(line.failed, line.requests).map_or_else(String::new, format::percent);
    let first = line.time_to_first_token_p95_seconds.map_or_else(|| "–".to_owned(), |p95| seconds(Some(p95)));
    let (cost, exact) = match has_price {
        true => (money::money(cost), money::exact(cost, "")),
        false => ("–".to_owned(), "no price".to_owned()),
    };
    let per_million = basis.per_million(line).filter(|_| is_asking).map_or_else(String::new, money::money);
    let name = line_name(line, by);
    view! {
        <tr>
            <td class:muted=line.kind != "named" class="cut" title=name.clone()>{name.clone()}</td>
            <td class="number">{asked(format::count(line.requests))}</td>
            <td class="number">{asked(failed)}</td>
            <td class="number">{asked(format::count(line.input_tokens))}</td>
            <td class="number">{asked(format::count(line.cached_tokens))}</td>
            <td class="number">{asked(format::count(line.output_tokens))}</td>
            <td class="number">{asked(first)}</td>
            <td class="number" title=exact>{cost}</td>
            <td class="number">{per_million}</td>
        </tr>
    }
}
