//! The text of a dashboard: read by all; checked, kept and removed by those who may.

use super::board::downloads;
use crate::address::{Page, encode};
use crate::boards::{DashboardEntry, EXAMPLE, edits, name_of};
use crate::format;
use crate::pages::api::{self, Problem};
use crate::pages::app::App;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{failed, skeleton};
use crate::pages::text::Text;
use leptos::prelude::*;
use leptos::task::spawn_local;

#[derive(Clone, Copy)]
struct Draft {
    app: App,
    /// Under which it is kept.
    name: RwSignal<String>,
    text: Text,
    verdict: RwSignal<Option<Verdict>>,
    /// As the server knows it; none while it is not known, or new.
    entry: RwSignal<Option<DashboardEntry>>,
    busy: RwSignal<bool>,
    trouble: RwSignal<Option<Problem>>,
}

#[derive(Clone, PartialEq)]
enum Verdict {
    Good,
    Kept,
    Bad(Problem),
}

/// Of this name, or a new one.
pub(super) fn editor(app: App, name: Option<String>) -> impl IntoView {
    let is_new = name.is_none();
    let draft = Draft {
        app,
        name: RwSignal::new(name.clone().unwrap_or_else(|| "my-racks".to_owned())),
        text: Text::new(if is_new { EXAMPLE.to_owned() } else { String::new() }),
        verdict: RwSignal::new(None),
        entry: RwSignal::new(None),
        busy: RwSignal::new(false),
        trouble: RwSignal::new(None),
    };
    if !is_new {
        draft.load();
    }
    card(draft, is_new, name)
}

impl Draft {
    fn path(self) -> String {
        format!("/api/v1/dashboards/{}", self.name.with_untracked(|name| encode(name)))
    }

    fn load(self) {
        self.busy.set(true);
        self.trouble.set(None);
        let path = format!("{}?format=toml", self.path());
        spawn_local(async move {
            match api::text(&path, None).await {
                Ok(text) => {
                    self.text.value.try_set(text);
                }
                Err(problem) if problem.status == 401 => return self.app.to_login(),
                Err(problem) => {
                    self.trouble.try_set(Some(problem));
                }
            }
            self.busy.try_set(false);
            self.look().await;
        });
    }

    /// Whether it is the user's own, and what is wrong with it as it is kept.
    async fn look(self) {
        let Ok(all) = api::get::<Vec<DashboardEntry>>("/api/v1/dashboards", None).await else { return };
        let name = self.name.try_get_untracked();
        self.entry.try_set(all.into_iter().find(|entry| Some(&entry.name) == name.as_ref()));
    }

    /// A dry run only says what is wrong.
    fn send(self, is_dry: bool) {
        self.busy.set(true);
        self.verdict.set(None);
        let path = format!("{}{}", self.path(), if is_dry { "?dry_run=true" } else { "" });
        let text = self.text.value.get_untracked();
        spawn_local(async move {
            let verdict = match api::put_text::<DashboardEntry>(&path, &text).await {
                Ok(_) if is_dry => Verdict::Good,
                Ok(entry) => {
                    self.entry.try_set(Some(entry));
                    Verdict::Kept
                }
                Err(problem) if problem.status == 401 => return self.app.to_login(),
                Err(problem) => Verdict::Bad(problem),
            };
            self.busy.try_set(false);
            self.verdict.try_set(Some(verdict));
        });
    }

    fn remove(self) {
        let path = self.path();
        spawn_local(async move {
            match api::delete(&path).await {
                Ok(()) => self.app.go(self.app.address.with_untracked(|a| a.to_page(Page::Dashboards))),
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => {
                    self.verdict.try_set(Some(Verdict::Bad(problem)));
                }
            }
        });
    }
}

fn card(draft: Draft, is_new: bool, name: Option<String>) -> impl IntoView {
    let may = move || draft.app.session.with(|s| s.as_ref().is_some_and(|s| edits(&s.role)));
    let back = move || {
        let address = draft.app.address.read();
        let kept = draft.verdict.with(|v| *v == Some(Verdict::Kept));
        match is_new && !kept {
            true => address.to_page(Page::Dashboards).href(),
            false => {
                let mut back = address.to_board(&draft.name.get());
                back.variables.clone_from(&address.variables);
                back.href()
            }
        }
    };
    let title = name.clone().unwrap_or_else(|| "A new dashboard".to_owned());
    let waits = Memo::new(move |_| draft.busy.get() && draft.text.value.read().is_empty());
    let inside = move || match (draft.trouble.get(), waits.get()) {
        (Some(problem), _) => failed(problem, move || draft.load()).into_any(),
        (None, true) => view! { <div class="body">{skeleton(420)}</div> }.into_any(),
        (None, false) => fields(draft, may).into_any(),
    };
    view! {
        <section class="card c12">
            <header>
                <h2>{title}</h2>
                <span class="aside">"panels with SQL, as TOML; docs/dashboards.md tells what may stand here"</span>
                <div class="grow"></div>
                {name.map(|name| downloads(draft.app, name))}
                <a class="control" href=back>"To the dashboard"</a>
            </header>
            {inside}
            {move || (!may()).then(|| view! { <div class="foot small muted">"The role admin keeps dashboards; everybody sees them."</div> })}
        </section>
    }
}

fn fields(draft: Draft, may: impl Fn() -> bool + Copy + Send + Sync + 'static) -> impl IntoView {
    view! {
        <div class="body stack">
            {move || may().then(|| view! {
                <label class="choice">
                    "Kept as"
                    <input
                        class="control"
                        prop:value=move || draft.name.get()
                        on:change=move |e| draft.name.set(name_of(&event_target_value(&e)))
                    />
                </label>
            })}
            {draft.text.field("Text of the dashboard", 26, may, move || draft.verdict.set(None))}
            <div role="status">{move || told(draft)}</div>
            {move || may().then(|| buttons(draft))}
        </div>
    }
}

fn buttons(draft: Draft) -> impl IntoView {
    let asking = RwSignal::new(None::<()>);
    let blocked = move || draft.busy.get() || draft.text.value.read().is_empty() || draft.name.read().is_empty();
    let is_own =
        move || draft.entry.with(|e| e.as_ref().is_some_and(|e| e.origin == "own" && draft.name.read() == e.name));
    let hides = move || draft.entry.with(|e| e.as_ref().is_some_and(|e| e.hides_shipped));
    let remove = move |()| {
        let sure = move |_| {
            asking.set(None);
            draft.remove();
        };
        let told = if untrack(hides) {
            "Your version goes, and the one that comes with the product is there again."
        } else {
            "Its file is removed from the server. Download the text first if you may want it again."
        };
        view! {
            <div class="inside">
                <p>{told}</p>
                <button class="control button" on:click=sure>"Remove it"</button>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="buttons">
            <span class="small muted">{move || format::bytes(draft.text.value.read().len() as f64)}</span>
            <div class="grow"></div>
            {move || is_own().then(|| view! { <button class="control" on:click=move |_| asking.set(Some(()))>"Remove …"</button> })}
            <button class="control" disabled=blocked title="Says what is wrong and changes nothing" on:click=move |_| draft.send(true)>"Check"</button>
            <button class="control button" disabled=blocked on:click=move |_| draft.send(false)>"Save as your own"</button>
        </div>
        {dialog(asking, move |()| format!("Remove {}?", draft.name.get_untracked()), remove)}
    }
}

/// What the server says about the text.
fn told(draft: Draft) -> Option<AnyView> {
    match draft.verdict.get()? {
        Verdict::Good => Some(
            view! { <p class="told">"It is as it should be, each statement too. Nothing was changed yet."</p> }
                .into_any(),
        ),
        Verdict::Kept => {
            let href = draft.app.address.read().to_board(&draft.name.get()).href();
            Some(view! { <p class="told">"It is kept and everybody sees it. " <a href=href>"Show the dashboard"</a></p> }.into_any())
        }
        Verdict::Bad(problem) => Some(draft.text.bad(&problem)),
    }
}
