//! Who is told, and whether they can be reached.

use super::desk::Desk;
use crate::alerts::{AlertReceiver, Alerts};
use crate::format;
use leptos::prelude::*;
use std::sync::Arc;

pub(super) fn receivers(desk: Desk, found: Signal<Arc<Alerts>>) -> impl IntoView {
    let list = move || {
        let found = found.get();
        if found.receivers.is_empty() {
            return view! {
                <div class="say">
                    <h3>"Nobody is told"</h3>
                    <p>"Alerts are shown here and nowhere else until a text names a receiver and a route:"</p>
                    <pre class="at small" tabindex="0" role="region" aria-label="An example">{EXAMPLE}</pre>
                    <p><code>"coulomb rules put receivers.toml"</code></p>
                </div>
            }
            .into_any();
        }
        view! { <ul class="months">{found.receivers.iter().map(|receiver| one(desk, receiver)).collect_view()}</ul> }
            .into_any()
    };
    view! { <section class="card"><header><h2>"Who is told?"</h2></header> {list}</section> }
}

const EXAMPLE: &str = "[[receiver]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"https://hooks.example.org/ops\"\n\n[[route]]\nto = \"ops\"";

fn one(desk: Desk, receiver: &AlertReceiver) -> impl IntoView + use<> {
    let now = desk.app.now_micros();
    let told = match receiver.told_unix_micros {
        Some(at) => format!("told {} ago", format::age(now - at)),
        None => "not told anything yet".to_owned(),
    };
    let problem =
        receiver.problem.clone().map(|why| view! { <div class="attention small">{format::sentence(&why)}</div> });
    let name = receiver.name.clone();
    let test = move || {
        let (name, label) = (name.clone(), format!("Send {name} a test"));
        desk.may().then(
            || view! { <button class="control" aria-label=label on:click=move |_| desk.test(&name)>"Test"</button> },
        )
    };
    view! {
        <li>
            <div class="line">
                <strong>{receiver.name.clone()}</strong>
                <span class="badge">{receiver.kind.clone()}</span>
                <span class="grow"></span>
                {test}
            </div>
            <div class="line small muted">{told}</div>
            {problem}
        </li>
    }
}
