//! What somebody who keeps watch may do: silence, acknowledge, end, and test.

use crate::address::encode;
use crate::alerts::{AcknowledgeRequest, AlertSilence, AlertState, Alerts, DeadLetter, SilenceRequest, matchers};
use crate::pages::api::{self, Asked, Problem};
use crate::pages::app::App;
use crate::pages::dialog::dialog;
use crate::pages::pieces::refused;
use leptos::prelude::*;
use leptos::task::spawn_local;

const HOUR: i64 = 3_600_000_000;
/// How long a silence may be asked for, in hours.
const SPANS: [(i64, &str); 5] = [(1, "1 hour"), (4, "4 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week")];

#[derive(Clone, Copy)]
pub(super) struct Desk {
    pub(super) app: App,
    asked: Asked<Alerts>,
    /// About to be silenced.
    silencing: RwSignal<Option<AlertState>>,
    busy: RwSignal<bool>,
    pub(super) problem: RwSignal<Option<Problem>>,
    /// A sentence about what was done.
    pub(super) done: RwSignal<Option<String>>,
}

impl Desk {
    pub(super) fn new(app: App, asked: Asked<Alerts>) -> Self {
        let (silencing, busy) = (RwSignal::new(None), RwSignal::new(false));
        Self { app, asked, silencing, busy, problem: RwSignal::new(None), done: RwSignal::new(None) }
    }

    /// Whether the role may; the server decides, the page only does not offer it in vain.
    pub(super) fn may(self) -> bool {
        may_keep_watch(self.app)
    }

    pub(super) fn silence(self, alert: &AlertState) {
        self.problem.set(None);
        self.silencing.set(Some(alert.clone()));
    }

    pub(super) fn acknowledge(self, alert: &AlertState) {
        let path = format!("/api/v1/alerts/{}/acknowledge", encode(&alert.fingerprint));
        self.start("Nothing of it is repeated until it is over.", async move {
            let request = AcknowledgeRequest { comment: String::new() };
            api::post::<AlertSilence>(&path, &request).await.map(drop)
        });
    }

    pub(super) fn end(self, id: &str) {
        let path = format!("/api/v1/silences/{}", encode(id));
        self.start("It is ended.", async move { api::delete(&path).await });
    }

    pub(super) fn test(self, name: &str) {
        let path = format!("/api/v1/receivers/{}/test", encode(name));
        self.start("The receiver has taken a test.", async move { api::post_alone(&path, &()).await });
    }

    /// Sends a message that was given up, and looks what is left.
    pub(super) fn replay(self, id: &str, letters: Asked<Vec<DeadLetter>>) {
        let path = format!("/api/v1/alerts/dead-letters/{}/replay", encode(id));
        self.start("The receiver has taken it.", async move {
            api::post_alone(&path, &()).await?;
            letters.retry();
            Ok(())
        });
    }

    fn start(self, done: &'static str, work: impl Future<Output = Result<(), Problem>> + 'static) {
        self.busy.set(true);
        self.problem.set(None);
        self.done.set(None);
        spawn_local(async move {
            let outcome = work.await;
            self.busy.try_set(false);
            match outcome {
                Ok(()) => {
                    self.silencing.try_set(None);
                    self.done.try_set(Some(done.to_owned()));
                    self.asked.retry();
                }
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }
}

/// The server decides; pages only offer what they would not be refused.
pub(super) fn may_keep_watch(app: App) -> bool {
    app.session.with(|session| session.as_ref().is_some_and(|session| session.role == "admin"))
}

/// What is asked before something is silenced.
pub(super) fn questions(desk: Desk) -> impl IntoView {
    let title = |alert: &AlertState| format!("Silence {}?", alert.rule);
    dialog(desk.silencing, title, move |alert| form(desk, &alert).into_any())
}

fn form(desk: Desk, alert: &AlertState) -> impl IntoView + use<> {
    let (hours, why) = (RwSignal::new(SPANS[1].0), RwSignal::new(String::new()));
    let conditions = matchers(&alert.labels);
    let shown = conditions.iter().map(|condition| view! { <li><code>{condition.clone()}</code></li> }).collect_view();
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let request = SilenceRequest {
            matchers: conditions.clone(),
            starts_unix_micros: None,
            ends_unix_micros: desk.app.now_micros() + hours.get_untracked() * HOUR,
            comment: why.get_untracked().trim().to_owned(),
        };
        desk.start("It is silenced.", async move {
            api::post::<AlertSilence>("/api/v1/silences", &request).await.map(drop)
        });
    };
    let option = |(hours, label): (i64, &'static str)| {
        view! { <option value=hours.to_string() selected=hours == SPANS[1].0>{label}</option> }
    };
    let blocked = move || desk.busy.get() || why.read().trim().is_empty();
    view! {
        <form class="inside form" on:submit=send>
            <p>"Nobody is told of alerts that fit all of these; whoever was told that one fires still hears of its end."</p>
            <ul class="points">{shown}</ul>
            <label>
                "For how long?"
                <select class="control" on:change=move |e| hours.set(event_target_value(&e).parse().unwrap_or(SPANS[1].0))>
                    {SPANS.map(option).into_iter().collect_view()}
                </select>
            </label>
            <label>
                "Why? Whoever is on call will ask"
                <input class="control" required=true maxlength="500" on:input=move |e| why.set(event_target_value(&e)) />
            </label>
            {move || desk.problem.read().as_ref().map(refused)}
            <button class="control button" type="submit" disabled=blocked>"Silence it"</button>
        </form>
    }
}
