//! The search of the bar: pages, dashboards, nodes and GPUs. Ctrl-K opens it, arrows choose, Enter goes there.

use crate::boards::DashboardEntry;
use crate::pages::api;
use crate::pages::app::App;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{icon, shape};
use crate::search::{Hit, hits};
use contract::answers::Fleet;
use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;

/// So far back a node is looked for.
const FLEET: &str = "/api/v1/fleet?from=now-1h&to=now&metric=state";

const BOARDS: &str = "/api/v1/dashboards";

/// What is searched beside the pages.
#[derive(Clone, Copy)]
struct Known {
    fleet: RwSignal<Option<Arc<Fleet>>>,
    boards: RwSignal<Vec<DashboardEntry>>,
}

pub(super) fn search(app: App) -> impl IntoView {
    let shown = RwSignal::new(None::<()>);
    let known = Known { fleet: RwSignal::new(None), boards: RwSignal::new(Vec::new()) };
    let open = move || {
        shown.set(Some(()));
        spawn_local(async move {
            if let Ok(found) = api::get::<Vec<DashboardEntry>>(BOARDS, None).await {
                known.boards.try_set(found);
            }
        });
        spawn_local(async move {
            // Pages are found without it.
            if let Ok(found) = api::get::<Fleet>(FLEET, None).await {
                known.fleet.try_set(Some(Arc::new(found)));
            }
        });
    };
    let key = window_event_listener(leptos::ev::keydown, move |e| {
        if (e.ctrl_key() || e.meta_key()) && !e.shift_key() && e.key().eq_ignore_ascii_case("k") {
            e.prevent_default();
            open();
        }
    });
    on_cleanup(move || key.remove());
    view! {
        <button class="control find" title="Search pages, views, nodes and GPUs" on:click=move |_| open()>
            {icon(shape::SEARCH)}
            <span>"Search"</span>
            <kbd>"Ctrl K"</kbd>
        </button>
        {dialog(shown, |()| "Search".to_owned(), move |()| inside(app, shown, known).into_any())}
    }
}

fn inside(app: App, shown: RwSignal<Option<()>>, known: Known) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let chosen = RwSignal::new(0usize);
    let field = NodeRef::<Input>::new();
    let kept = StoredValue::new(super::views::saved());
    let found = Memo::new(move |_| {
        let here = app.address.read_untracked();
        let known = (known.fleet.read(), known.boards.read());
        kept.with_value(|views| hits(&here, known.0.as_deref(), &known.1, views, &text.read()))
    });
    Effect::new(move |_| {
        if let Some(field) = field.get() {
            field.focus().ok();
        }
    });
    let go = move |hit: &Hit| {
        shown.set(None);
        app.go(hit.leads_to.clone());
    };
    let keyed = move |e: leptos::ev::KeyboardEvent| {
        let count = found.read_untracked().len();
        match e.key().as_str() {
            "ArrowDown" => chosen.update(|at| *at = (*at + 1).min(count.saturating_sub(1))),
            "ArrowUp" => chosen.update(|at| *at = at.saturating_sub(1)),
            "Enter" => {
                let hit = found.with_untracked(|found| found.get(chosen.get_untracked()).cloned());
                hit.iter().for_each(go);
            }
            _ => return,
        }
        e.prevent_default();
    };
    let none =
        move || found.read().is_empty().then(|| view! { <p class="say muted">"Nothing has this in its name."</p> });
    view! {
        <div class="search">
            <input
                class="control"
                node_ref=field
                type="search"
                placeholder="Page, dashboard, node, GPU, job or user"
                role="combobox"
                aria-label="Search pages, nodes and GPUs"
                aria-expanded="true"
                aria-controls="hits"
                aria-activedescendant=move || format!("hit-{}", chosen.get())
                on:input=move |e| {
                    chosen.set(0);
                    text.set(event_target_value(&e));
                }
                on:keydown=keyed
            />
            <ul id="hits" role="listbox" aria-label="Found">
                {move || found.get().into_iter().enumerate().map(|(at, hit)| row(at, hit, chosen, go)).collect_view()}
            </ul>
            {none}
        </div>
    }
}

fn row(at: usize, hit: Hit, chosen: RwSignal<usize>, go: impl Fn(&Hit) + 'static) -> impl IntoView {
    let (label, note) = (hit.label.clone(), hit.note.clone());
    view! {
        <li
            id=format!("hit-{at}")
            role="option"
            aria-selected=move || (chosen.get() == at).to_string()
            on:click=move |_| go(&hit)
            on:pointermove=move |_| chosen.set(at)
        >
            <span class="cut">{label}</span>
            <span class="note">{note}</span>
        </li>
    }
}
