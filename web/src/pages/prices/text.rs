//! The text of a document: read by all, checked and stated by those who keep the books.

use super::faults::{Verdict, verdict};
use crate::address::encode;
use crate::books::{DocumentEntry, DocumentKind};
use crate::format;
use crate::pages::api::{self, Asked, Problem};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{failed, icon, shape, skeleton};
use crate::pages::text::Text;
use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;

#[derive(Clone, Copy)]
pub(super) struct Draft {
    app: App,
    asked: Asked<Vec<DocumentEntry>>,
    pub(super) kind: RwSignal<String>,
    pub(super) name: RwSignal<String>,
    pub(super) text: Text,
    pub(super) verdict: RwSignal<Option<Verdict>>,
    is_new: RwSignal<bool>,
    busy: RwSignal<bool>,
    trouble: RwSignal<Option<Problem>>,
}

pub(super) fn text(app: App, asked: Asked<Vec<DocumentEntry>>) -> impl IntoView {
    let draft = Draft {
        app,
        asked,
        kind: RwSignal::new(String::new()),
        name: RwSignal::new(String::new()),
        text: Text::new(String::new()),
        verdict: RwSignal::new(None),
        is_new: RwSignal::new(false),
        busy: RwSignal::new(false),
        trouble: RwSignal::new(None),
    };
    let chosen = Memo::new(move |_| app.address.with(|a| (a.own("kind").to_owned(), a.own("name").to_owned())));
    Effect::new(move |_| {
        let (kind, name) = chosen.get();
        draft.show(kind, name);
    });
    move || {
        match chosen.read().0.is_empty() {
        true => view! { <section class="card c7"><div class="say center"><h2>"Choose a document to read it"</h2></div></section> }.into_any(),
        false => card(draft).into_any(),
    }
    }
}

impl Draft {
    fn path(self) -> String {
        self.name
            .with_untracked(|name| format!("/api/v1/documents/{}/{}", encode(&self.kind.get_untracked()), encode(name)))
    }

    /// Begins a new one where there is no name.
    fn show(self, kind: String, name: String) {
        self.verdict.set(None);
        self.trouble.set(None);
        self.is_new.set(name.is_empty());
        let known = DocumentKind::named(&kind);
        self.kind.set(kind);
        if name.is_empty() {
            self.name.set(known.map(DocumentKind::default_name).unwrap_or_default());
            self.text.value.set(known.map(|k| k.example.to_owned()).unwrap_or_default());
        } else {
            self.name.set(name);
            self.load();
        }
    }

    fn load(self) {
        self.busy.set(true);
        self.trouble.set(None);
        let path = self.path();
        spawn_local(async move {
            let answer = api::text(&path, None).await;
            // Another one may have been chosen meanwhile.
            if self.name.try_with_untracked(|_| self.path() == path) != Some(true) {
                return;
            }
            self.busy.set(false);
            match answer {
                Ok(text) => self.text.value.set(text),
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => self.trouble.set(Some(problem)),
            }
        });
    }

    /// Sends the text; a dry run only says what is wrong with it.
    fn send(self, is_dry: bool) {
        self.busy.set(true);
        self.verdict.set(None);
        let path = format!("{}{}", self.path(), if is_dry { "?dry_run=true" } else { "" });
        let text = self.text.value.get_untracked();
        spawn_local(async move {
            let verdict = match api::put_text::<DocumentEntry>(&path, &text).await {
                Ok(_) if is_dry => Verdict::Good,
                Ok(entry) => {
                    self.asked.retry();
                    let (kind, name) = (entry.kind.clone(), entry.name.clone());
                    self.app.amend(|a| {
                        a.set_own("kind", &kind);
                        a.set_own("name", &name);
                    });
                    Verdict::Stated(entry.version)
                }
                Err(problem) if problem.status == 401 => return self.app.to_login(),
                Err(problem) => Verdict::Bad(problem),
            };
            self.busy.try_set(false);
            // After the effect that follows the address.
            set_timeout(move || drop(self.verdict.try_set(Some(verdict))), std::time::Duration::ZERO);
        });
    }

    fn take_back(self) {
        let path = self.path();
        spawn_local(async move {
            match api::delete(&path).await {
                Ok(()) => {
                    self.asked.retry();
                    self.app.turn(|a| {
                        a.set_own("kind", "");
                        a.set_own("name", "");
                    });
                }
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => {
                    self.verdict.try_set(Some(Verdict::Bad(problem)));
                }
            }
        });
    }
}

fn card(draft: Draft) -> impl IntoView {
    let label = move || draft.kind.with(|k| DocumentKind::named(k).map_or("Document", |k| k.label));
    let meaning = move || draft.kind.with(|k| DocumentKind::named(k).map_or("", |k| k.meaning));
    let title = move || if draft.is_new.get() { format!("New: {}", label().to_lowercase()) } else { draft.name.get() };
    let save = move |_| browser::download(&draft.name.get_untracked(), "text/plain", &draft.text.value.get_untracked());
    let may = move || draft.app.keeps_books();
    let waits = Memo::new(move |_| draft.busy.get() && draft.text.value.read().is_empty());
    let inside = move || match (draft.trouble.get(), waits.get()) {
        (Some(problem), _) => failed(problem, move || draft.load()).into_any(),
        (None, true) => view! { <div class="body">{skeleton(360)}</div> }.into_any(),
        (None, false) => view! {
            <div class="body stack">
                {move || draft.is_new.get().then(|| name_field(draft))}
                {draft.text.field("Text of the document", 20, may, move || draft.verdict.set(None))}
                {verdict(draft)}
                {move || may().then(|| buttons(draft))}
            </div>
        }
        .into_any(),
    };
    view! {
        <section class="card c7">
            <header>
                <h2>{title}</h2>
                <span class="aside">{meaning}</span>
                <div class="grow"></div>
                <button class="control" title="The text as a file" on:click=save>{icon(shape::DOWNLOAD)} "Text"</button>
            </header>
            {inside}
            {move || (!may()).then(|| view! { <div class="foot small muted">"The roles finance and admin state documents."</div> })}
        </section>
    }
}

fn name_field(draft: Draft) -> impl IntoView {
    view! {
        <label class="choice">
            "Name"
            <input
                class="control"
                prop:value=move || draft.name.get()
                on:input=move |e| draft.name.set(event_target_value(&e))
            />
        </label>
    }
}

fn buttons(draft: Draft) -> impl IntoView {
    let field = NodeRef::<Input>::new();
    let asking = RwSignal::new(None::<()>);
    let read = move |_| {
        let Some(field) = field.get_untracked() else { return };
        spawn_local(async move {
            if let Some((name, text)) = browser::chosen_file(&field).await {
                draft.verdict.set(None);
                draft.text.value.set(text);
                if draft.is_new.get_untracked() && draft.kind.with_untracked(|k| k == "prices") {
                    draft.name.set(name);
                }
            }
        });
    };
    let blocked = move || draft.busy.get() || draft.text.value.read().is_empty() || draft.name.read().trim().is_empty();
    let take_back = move |()| {
        let sure = move |_| {
            asking.set(None);
            draft.take_back();
        };
        view! {
            <div class="inside">
                <p>"It holds no longer, and open months are computed without it. Its versions are kept, so that a closed month can be explained."</p>
                <button class="control button" on:click=sure>"Take it back"</button>
            </div>
        }
        .into_any()
    };
    let bytes = move || format::bytes(draft.text.value.read().len() as f64);
    view! {
        <div class="buttons">
            <label class="control file">
                "From a file …"
                <input class="visually-hidden" node_ref=field type="file" accept=".csv,.toml,.txt" on:change=read />
            </label>
            <span class="small muted">{bytes}</span>
            <div class="grow"></div>
            {move || (!draft.is_new.get()).then(|| view! {
                <button class="control" on:click=move |_| asking.set(Some(()))>"Take back …"</button>
            })}
            <button class="control" disabled=blocked title="Says what is wrong and changes nothing" on:click=move |_| draft.send(true)>"Check"</button>
            <button class="control button" disabled=blocked on:click=move |_| draft.send(false)>"State this version"</button>
        </div>
        {dialog(asking, move |()| format!("Take {} back?", draft.name.get_untracked()), take_back)}
    }
}
