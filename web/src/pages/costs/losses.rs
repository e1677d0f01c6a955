//! Who lost what on the way to a step of the waterfall.

use crate::books::{CostLoss, CostLosses};
use crate::costs::slice;
use crate::costs::{bar, share};
use crate::format::{self, money};
use crate::pages::api::{Asked, ask};
use crate::pages::app::App;
use crate::pages::card::{Card, asked_card};
use crate::pages::pieces::{icon, shape};
use crate::sheet::{self, Sheet};
use contract::answers::WaterfallStep;
use leptos::prelude::*;

pub(super) fn losses(app: App, stage: String) -> AnyView {
    let name = bar(&WaterfallStep { stage, ..WaterfallStep::default() }, 0).label;
    let asked: Asked<CostLosses> = ask(move || {
        app.address.with(|a| {
            let stage = crate::address::encode(a.own("stage"));
            format!("/api/v1/waterfall/losses?{}&by={}&stage={stage}", slice::asked(a), a.by.name)
        })
    });
    let whose = move || {
        let found = asked.value.get()?;
        let lost = format!("{} {} lost", money::money(found.lost_micros), found.currency);
        Some(found.whose.clone().map_or(lost.clone(), |whose| format!("{lost}; {whose}")))
    };
    let card = Card {
        span: "c12",
        title: Signal::derive(move || format!("Who lost money on the way to “{name}”?")),
        aside: Signal::derive(move || whose().unwrap_or_default()),
    };
    asked_card(card, asked, 240, move |found| rows_of(app, found), move |found| table(app, &found))
}

fn rows_of(app: App, found: &CostLosses) -> Sheet {
    let by = app.address.with_untracked(|a| a.by);
    let row = |loss: &CostLoss| {
        vec![
            sheet::named(by.label_of(loss.name.as_deref())),
            sheet::micros(Some(loss.lost_micros)),
            sheet::ratio(share(loss.lost_micros, found.lost_micros)),
            sheet::hours(Some(loss.lost_gpu_hours)),
            sheet::micros(Some(loss.unknown_micros)),
        ]
    };
    Sheet {
        name: format!("lost-at-{}", found.stage),
        heads: vec![
            sheet::text(by.label, by.name),
            sheet::number(format!("Lost, {}", found.currency), "lost_micros"),
            sheet::number("Of all that was lost", "share_ratio"),
            sheet::number("GPU-hours", "lost_gpu_hours"),
            sheet::number(format!("Not measured, {}", found.currency), "unknown_micros"),
        ],
        rows: found.groups.iter().map(row).collect(),
    }
}

/// Bars that lead to the group.
fn table(app: App, found: &CostLosses) -> AnyView {
    let here = app.address.get_untracked();
    let by = here.by;
    let close = move |_| app.turn(|a| a.set_own("stage", ""));
    let row = |loss: &CostLoss| {
        let href = slice::within(&here, by, loss.name.as_deref()).href();
        let part = share(loss.lost_micros, found.lost_micros).unwrap_or(0.0) * 100.0;
        let unknown = (loss.unknown_micros > 0).then(|| format!("{} not measured", money::money(loss.unknown_micros)));
        view! {
            <tr>
                <td><a href=href class="cut">{by.label_of(loss.name.as_deref())}</a></td>
                <td>
                    <span class="share">
                        <span class="track" aria-hidden="true"><span class="known" style=format!("width:{part:.2}%")></span></span>
                        <span class="percent">{format!("{part:.1} %")}</span>
                    </span>
                </td>
                <td class="number" title=money::exact(loss.lost_micros, &found.currency)>{money::money(loss.lost_micros)}</td>
                <td class="number" title=format!("{} GPU-h", loss.lost_gpu_hours)>{format::hours(loss.lost_gpu_hours)}</td>
                <td class="muted">{unknown}</td>
            </tr>
        }
    };
    let beyond = (found.groups_left_out > 0).then(|| {
        let text = format!("{} lost less and are not listed.", format::counted(found.groups_left_out, "group"));
        view! { <div class="foot small muted">{text}</div> }
    });
    let body = match found.groups.is_empty() {
        true => view! { <div class="say"><p>"Nothing was lost here, as far as is known."</p></div> }.into_any(),
        false => view! {
            <div class="scroller" tabindex="0" role="region" aria-label="Who lost money">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{by.label}</th>
                            <th scope="col">"Of all that was lost"</th>
                            <th scope="col" class="number">{format!("Lost, {}", found.currency)}</th>
                            <th scope="col" class="number">"GPU-hours"</th>
                            <th scope="col">"Not known"</th>
                        </tr>
                    </thead>
                    <tbody>{found.groups.iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any(),
    };
    view! {
        {body}
        {beyond}
        <div class="foot"><button class="control" on:click=close>{icon(shape::CLOSE)} "Close"</button></div>
    }
    .into_any()
}
