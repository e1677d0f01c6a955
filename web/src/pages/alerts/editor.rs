//! The text that a rule stands in: read by all; tried, checked and kept by those who keep watch.

use super::desk::may_keep_watch;
use super::rule::{Asked, preview};
use crate::address::encode;
use crate::alerts::{AlertRule, AlertText, unit};
use crate::pages::api::{self, Problem};
use crate::pages::app::App;
use crate::pages::pieces::{failed, skeleton};
use crate::pages::text::Text;
use leptos::prelude::*;
use leptos::task::spawn_local;

#[derive(Clone, Copy)]
struct Draft {
    app: App,
    rule: StoredValue<AlertRule>,
    text: Text,
    /// As the server knows it.
    kept: RwSignal<Option<AlertText>>,
    verdict: RwSignal<Option<Verdict>>,
    tried: RwSignal<Option<Asked>>,
    busy: RwSignal<bool>,
    trouble: RwSignal<Option<Problem>>,
}

#[derive(Clone, PartialEq)]
enum Verdict {
    Good,
    Kept,
    Bad(Problem),
}

pub(super) fn editor(app: App, rule: AlertRule) -> impl IntoView {
    let draft = Draft {
        app,
        rule: StoredValue::new(rule),
        text: Text::new(String::new()),
        kept: RwSignal::new(None),
        verdict: RwSignal::new(None),
        tried: RwSignal::new(None),
        busy: RwSignal::new(false),
        trouble: RwSignal::new(None),
    };
    draft.load();
    move || match (draft.trouble.get(), draft.kept.with(Option::is_some)) {
        (Some(problem), _) => failed(problem, move || draft.load()).into_any(),
        (None, false) => view! { <div class="inside">{skeleton(420)}</div> }.into_any(),
        (None, true) => fields(draft).into_any(),
    }
}

impl Draft {
    fn load(self) {
        self.trouble.set(None);
        let name = self.rule.with_value(|rule| rule.text.clone());
        spawn_local(async move {
            match api::get::<Vec<AlertText>>("/api/v1/alerts/texts", None).await {
                Ok(all) => {
                    if let Some(found) = all.into_iter().find(|text| text.name == name) {
                        self.text.value.try_set(found.text.clone());
                        self.kept.try_set(Some(found));
                    }
                }
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => drop(self.trouble.try_set(Some(problem))),
            }
        });
    }

    /// A dry run only says what is wrong.
    fn send(self, is_dry: bool) {
        self.busy.set(true);
        self.verdict.set(None);
        let name = self.rule.with_value(|rule| encode(&rule.text));
        let path = format!("/api/v1/alerts/texts/{name}{}", if is_dry { "?dry_run=true" } else { "" });
        let text = self.text.value.get_untracked();
        spawn_local(async move {
            let verdict = match api::put_text::<AlertText>(&path, &text).await {
                Ok(_) if is_dry => Verdict::Good,
                Ok(kept) => {
                    self.kept.try_update(|known| *known = Some(kept));
                    Verdict::Kept
                }
                Err(problem) if problem.status == 401 => return self.app.to_login(),
                Err(problem) => Verdict::Bad(problem),
            };
            self.busy.try_set(false);
            self.verdict.try_set(Some(verdict));
        });
    }

    fn try_it(self) {
        let asked = self.rule.with_value(|rule| Asked::of(rule, Some(self.text.value.get_untracked())));
        asked.start(self.app);
        self.tried.set(Some(asked));
    }
}

fn fields(draft: Draft) -> impl IntoView {
    let may = may_keep_watch(draft.app);
    let (name, unit) = draft.rule.with_value(|rule| (rule.name.clone(), unit(&rule.summary)));
    let is_shipped = move || draft.kept.with(|kept| kept.as_ref().is_some_and(|kept| kept.origin == "shipped"));
    let note = move || match (may, is_shipped()) {
        (false, _) => "The role admin keeps rules.",
        (true, true) => "It comes with the product: what you save takes its place, and removing that brings it back.",
        (true, false) => "It is your own file on the server.",
    };
    let buttons = may.then(|| {
        let blocked = move || draft.busy.get() || draft.text.value.read().is_empty();
        view! {
            <div class="buttons">
                <div class="grow"></div>
                <button class="control" disabled=blocked on:click=move |_| draft.try_it()>{format!("Try {name}")}</button>
                <button class="control" disabled=blocked title="Says what is wrong and changes nothing" on:click=move |_| draft.send(true)>"Check"</button>
                <button class="control button" disabled=blocked on:click=move |_| draft.send(false)>"Save"</button>
            </div>
        }
    });
    view! {
        <div class="inside">
            <p class="small muted">{note}</p>
            {draft.text.field("Text of the rules", 18, move || may, move || draft.verdict.set(None))}
            <div role="status">{move || draft.verdict.get().map(|verdict| told(draft.text, verdict))}</div>
            {buttons}
            {move || draft.tried.get().map(|asked| preview(draft.app, asked, unit))}
        </div>
    }
}

/// What the server says about the text.
fn told(text: Text, verdict: Verdict) -> AnyView {
    match verdict {
        Verdict::Good => {
            view! { <p class="told">"It is as it should be, each statement too. Nothing was changed yet."</p> }
                .into_any()
        }
        Verdict::Kept => view! { <p class="told">"It is kept, and watched from now on."</p> }.into_any(),
        Verdict::Bad(problem) => text.bad(&problem),
    }
}
