//! What a person keeps and passes on: saved views, and a link to what is shown with its times as they are now.

use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::menu::menu;
use crate::pages::pieces::{icon, shape};
use crate::views::{self, View};
use leptos::prelude::*;

const KEY: &str = "coulomb.views";

/// Those of this browser.
pub(crate) fn saved() -> Vec<View> {
    views::parse(&browser::remembered(KEY).unwrap_or_default())
}

pub(super) fn views_menu(app: App) -> AnyView {
    menu("Views and link", shape::VIEWS, move |shown| inside(app, shown))
}

fn inside(app: App, shown: RwSignal<bool>) -> AnyView {
    let kept = RwSignal::new(saved());
    let name = RwSignal::new(String::new());
    let keep = move |next: Vec<View>| {
        browser::remember(KEY, &views::text(&next));
        kept.set(next);
    };
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        keep(views::with(kept.get_untracked(), &name.get_untracked(), &app.address.read_untracked()));
        name.set(String::new());
    };
    let row = move |view: View| {
        let (href, label) = (view.href.clone(), view.name.clone());
        let hint = format!("Forget {label}");
        let forget = move |_| {
            let mut rest = kept.get_untracked();
            rest.retain(|other| *other != view);
            keep(rest);
        };
        view! {
            <li>
                <a class="cut" href=href on:click=move |_| shown.set(false)>{label}</a>
                <button class="control only" aria-label=hint.clone() title=hint on:click=forget>{icon(shape::CLOSE)}</button>
            </li>
        }
    };
    let list = move || match kept.read().is_empty() {
        true => view! { <p class="small muted">"No view is saved in this browser."</p> }.into_any(),
        false => view! { <ul>{kept.get().into_iter().map(row).collect_view()}</ul> }.into_any(),
    };
    view! {
        <div class="views">
            <p class="title">"Saved views"</p>
            {list}
            <form on:submit=save>
                <input
                    class="control"
                    aria-label="Name of the view"
                    placeholder="Name of this view"
                    prop:value=move || name.get()
                    on:input=move |e| name.set(event_target_value(&e))
                />
                <button class="control" type="submit" disabled=move || name.read().trim().is_empty()>"Save"</button>
            </form>
            {share(app)}
        </div>
    }
    .into_any()
}

/// The address with absolute times: who opens it sees the same hours.
fn share(app: App) -> impl IntoView {
    let link = untrack(|| app.address.with(|a| browser::origin() + &a.absolute(app.now_micros()).href()));
    let copied = RwSignal::new(false);
    let shown = link.clone();
    let copy = move |_| {
        browser::copy(&link);
        copied.set(true);
    };
    view! {
        <p class="title">"Link to what is shown"</p>
        <div class="line">
            <input class="control" readonly=true aria-label="Link with absolute times" prop:value=shown />
            <button class="control" on:click=copy>{move || if copied.get() { "Copied" } else { "Copy" }}</button>
        </div>
        <p class="small muted" role="status">{move || copied.get().then_some("Its times are those of now, whenever it is opened.")}</p>
    }
}
