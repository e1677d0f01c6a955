//! Tokens: who has one, a new one, an old one revoked; a link that logs another browser in.

use crate::access::{LoginLink, ROLES, Token, TokenRequest, keeps_tokens, role_meaning};
use crate::format;
use crate::pages::api::{self, Asked, Problem, ask};
use crate::pages::app::App;
use crate::pages::browser;
use crate::pages::dialog::dialog;
use crate::pages::pieces::{failed, refused, skeleton};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// What was made just now and is shown once.
#[derive(Clone, PartialEq)]
enum Made {
    /// Name and secret.
    Token(String, String),
    /// The whole address.
    Link(String),
}

#[derive(Clone, Copy)]
struct Desk {
    app: App,
    asked: Asked<Vec<Token>>,
    made: RwSignal<Option<Made>>,
    problem: RwSignal<Option<Problem>>,
    busy: RwSignal<bool>,
    /// About to be revoked.
    leaving: RwSignal<Option<Token>>,
}

pub(super) fn tokens(app: App) -> impl IntoView {
    let allowed = app.session.with_untracked(|s| s.as_ref().is_some_and(|s| keeps_tokens(&s.role)));
    let inside = if allowed { desk(app).into_any() } else { not_yours(app).into_any() };
    view! { <section class="card c7"><header><h2>"Who may come in?"</h2></header> {inside}</section> }
}

fn not_yours(app: App) -> impl IntoView {
    let role = app.session.with_untracked(|s| s.as_ref().map(|s| s.role.clone()).unwrap_or_default());
    view! {
        <div class="say">
            <h3>{format!("Your role is {role}")}</h3>
            <p>{format!("{}. Tokens are made and revoked by an admin.", role_meaning(&role))}</p>
        </div>
    }
}

fn desk(app: App) -> impl IntoView {
    let desk = Desk {
        app,
        asked: ask(|| "/api/v1/tokens".to_owned()),
        made: RwSignal::new(None),
        problem: RwSignal::new(None),
        busy: RwSignal::new(false),
        leaving: RwSignal::new(None),
    };
    let list = move || match (desk.asked.value.get(), desk.asked.problem.get()) {
        (Some(tokens), _) => table(desk, &tokens).into_any(),
        (None, Some(problem)) => failed(problem, move || desk.asked.retry()).into_any(),
        (None, None) => skeleton(200).into_any(),
    };
    let title = |token: &Token| format!("Revoke {}?", token.name);
    view! {
        {form(desk)}
        {move || desk.made.get().map(made)}
        {move || desk.problem.read().as_ref().map(refused)}
        {list}
        {dialog(desk.leaving, title, move |token| revoke(desk, token).into_any())}
    }
}

fn form(desk: Desk) -> impl IntoView {
    let (name, role) = (RwSignal::new(String::new()), RwSignal::new(ROLES[0].0.to_owned()));
    let make = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let request = TokenRequest { name: name.get_untracked().trim().to_owned(), role: role.get_untracked() };
        desk.start(async move {
            let token = api::post::<Token>("/api/v1/tokens", &request).await?;
            name.try_set(String::new());
            Ok(Some(Made::Token(token.name, token.secret.unwrap_or_default())))
        });
    };
    let link = move |_| {
        desk.start(async {
            let link = api::post::<LoginLink>("/api/v1/login-links", &()).await?;
            Ok(Some(Made::Link(format!("{}{}", browser::origin(), link.path))))
        });
    };
    let option =
        |(role, meaning): (&'static str, &'static str)| view! { <option value=role title=meaning>{role}</option> };
    view! {
        <form class="body token-form" on:submit=make>
            <label>
                "Name, as of a node or a person"
                <input
                    class="control"
                    required=true
                    maxlength="100"
                    autocomplete="off"
                    prop:value=move || name.get()
                    on:input=move |e| name.set(event_target_value(&e))
                />
            </label>
            <label>
                "Role"
                <select class="control" on:change=move |e| role.set(event_target_value(&e))>
                    {ROLES.map(option).into_iter().collect_view()}
                </select>
            </label>
            <button class="control button" type="submit" disabled=move || desk.busy.get()>"Make a token"</button>
            <button class="control" type="button" disabled=move || desk.busy.get() on:click=link
                title="A link that logs another browser in as you, once, within ten minutes">
                "Login link"
            </button>
            <p class="small muted wide">{move || role_meaning(&role.get())}</p>
        </form>
    }
}

/// Shown once: the server keeps a digest.
fn made(made: Made) -> impl IntoView {
    let (head, secret) = match made {
        Made::Token(name, secret) => {
            (format!("The token of {name}. It is shown this once; keep it in a file."), secret)
        }
        Made::Link(link) => ("It logs one browser in as you, within ten minutes.".to_owned(), link),
    };
    view! { <div class="body" role="status"><div class="told">{head} <div><code class="at">{secret}</code></div></div></div> }
}

fn table(desk: Desk, tokens: &[Token]) -> impl IntoView + use<> {
    let row = |token: &Token| {
        let leaving = token.clone();
        let label = format!("Revoke {}", token.name);
        view! {
            <tr>
                <td class="cut">{token.name.clone()}</td>
                <td title=role_meaning(&token.role)>{token.role.clone()}</td>
                <td title=format::instant(token.created_unix_micros)>{format::short_instant(token.created_unix_micros)}</td>
                <td class="number">
                    <button class="link" aria-label=label on:click=move |_| desk.leaving.set(Some(leaving.clone()))>
                        "Revoke"
                    </button>
                </td>
            </tr>
        }
    };
    view! {
        <div class="scroller">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Token"</th>
                        <th scope="col">"Role"</th>
                        <th scope="col">"Made, UTC"</th>
                        <th scope="col"><span class="visually-hidden">"Revoke"</span></th>
                    </tr>
                </thead>
                <tbody>{tokens.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

fn revoke(desk: Desk, token: Token) -> impl IntoView {
    let Token { id, name, .. } = token;
    let send = move |_| {
        let path = format!("/api/v1/tokens/{}", crate::address::encode(&id));
        desk.leaving.set(None);
        desk.start(async move { api::delete(&path).await.map(|()| None) });
    };
    view! {
        <div class="inside">
            <p>{format!("Whoever uses the token {name} is refused from now on, and its sessions end. Collectors keep their rows until they have another one.")}</p>
            <button class="control button" on:click=send>"Revoke it"</button>
        </div>
    }
}

impl Desk {
    fn start(self, work: impl Future<Output = Result<Option<Made>, Problem>> + 'static) {
        self.busy.set(true);
        self.problem.set(None);
        self.made.set(None);
        spawn_local(async move {
            let outcome = work.await;
            self.busy.try_set(false);
            match outcome {
                Ok(made) => {
                    self.made.try_set(made);
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
