//! What stays unsaid: silences and acknowledgements that hold or lately did.

use super::desk::Desk;
use crate::alerts::{AlertSilence, Alerts};
use crate::format;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn silences(desk: Desk, found: Signal<Arc<Alerts>>) -> impl IntoView {
    let list = move || {
        let found = found.get();
        if found.silences.is_empty() {
            return view! { <p class="body small muted">"No silence holds, and none did within a week."</p> }
                .into_any();
        }
        view! { <ul class="months">{found.silences.iter().rev().map(|silence| one(desk, silence)).collect_view()}</ul> }
            .into_any()
    };
    view! { <section class="card"><header><h2>"What stays unsaid?"</h2></header> {list}</section> }
}

fn one(desk: Desk, silence: &AlertSilence) -> impl IntoView + use<> {
    let now = desk.app.now_micros();
    let is_over = silence.ends_unix_micros <= now;
    let when = match (is_over, silence.kind.as_str()) {
        (true, _) => format!("ended {} ago", format::age(now - silence.ends_unix_micros)),
        (false, "acknowledgement") => "until it is over".to_owned(),
        (false, _) => format!("until {}", format::short_instant(silence.ends_unix_micros)),
    };
    let name = silence.matchers.join(", ");
    let id = silence.id.clone();
    let end = move || {
        let id = id.clone();
        (desk.may() && !is_over)
            .then(|| view! { <button class="control" on:click=move |_| desk.end(&id)>"End"</button> })
    };
    let comment = (!silence.comment.is_empty()).then(|| view! { <div class="small">{silence.comment.clone()}</div> });
    view! {
        <li class:muted=is_over>
            <div class="line">
                <span class="badge">{silence.kind.clone()}</span>
                <span class="grow"></span>
                {end}
            </div>
            <div class="small"><code class="at">{name}</code></div>
            {comment}
            <div class="line small muted">{format!("by {}, {when}", silence.author)}</div>
        </li>
    }
}
