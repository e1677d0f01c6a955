//! Log in with a token, or by a one-time link.

use super::api::{self, Problem};
use super::app::App;
use super::browser;
use super::frame::mark;
use crate::address::{Address, Page};
use crate::format;
use contract::answers::{LoginRequest, Session};
use leptos::prelude::*;
use leptos::task::spawn_local;

pub(crate) fn login() -> impl IntoView {
    let app = App::here();
    let token = RwSignal::new(String::new());
    let problem = RwSignal::new(None::<Problem>);
    let busy = RwSignal::new(false);
    let send = move |request: LoginRequest| {
        busy.set(true);
        problem.set(None);
        spawn_local(async move {
            match api::post::<Session>("/api/v1/session", &request).await {
                Ok(session) => enter(app, session),
                Err(refused) => problem.set(Some(refused)),
            }
            busy.set(false);
        });
    };
    let code = app.address.with_untracked(|a| a.code.clone());
    let by_link = !code.is_empty();
    if by_link {
        // A code is good once; it must not stay in the address or the history.
        app.amend(|a| a.code.clear());
        send(LoginRequest { token: None, code: Some(code) });
    }
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let given = token.get_untracked().trim().to_owned();
        if !given.is_empty() {
            send(LoginRequest { token: Some(given), code: None });
        }
    };
    view! {
        <main class="login">
            <form class="card" on:submit=submit>
                <h1 class="brand">{mark()} "Coulomb"</h1>
                <p class="muted">
                    {if by_link { "Logging you in with the one-time link …" } else { "Log in with an access token." }}
                </p>
                <div class="form">
                    <label>
                        "Access token"
                        <input
                            class="control"
                            type="password"
                            autocomplete="current-password"
                            autofocus=true
                            prop:value=move || token.get()
                            on:input=move |e| token.set(event_target_value(&e))
                        />
                    </label>
                    <div role="alert">{move || problem.get().map(|p| view! { <p class="problem">{format::sentence(&p.message)}</p> })}</div>
                    <button class="control button" type="submit" disabled=move || busy.get()>
                        {move || if busy.get() { "Logging in …" } else { "Log in" }}
                    </button>
                </div>
                <p class="small muted">
                    "The first start of the server writes a token for the administrator to "
                    <code>"admin.token"</code> " in its data folder. Others come from " <code>"coulomb token create"</code> "."
                </p>
            </form>
        </main>
    }
}

/// Where the user wanted to go, or the overview.
fn enter(app: App, session: Session) {
    app.session.set(Some(session));
    let next = app.address.with_untracked(|a| a.next.clone());
    let (path, query) = next.split_once('?').unwrap_or((&next, ""));
    let mut address = Address::parse(path, query);
    if matches!(address.page, Page::Login | Page::Missing) {
        address = Address::of_page(Page::Overview);
    }
    browser::replace(&address.href());
    app.address.set(address);
}
