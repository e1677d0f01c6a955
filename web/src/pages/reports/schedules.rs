//! Documents that are due at fixed times: when the next one is, what became of the last one, and one made now.

use crate::address::Page;
use crate::books::{SCHEDULES_PATH, ScheduleRun, ScheduleState, Schedules, what};
use crate::format;
use crate::pages::api::{self, Asked, Problem, ask};
use crate::pages::app::App;
use crate::pages::pieces::{answered, refused, skeleton, stale_line};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::sync::Arc;

/// One of them that is made now.
#[derive(Clone, Copy)]
struct Desk {
    app: App,
    asked: Asked<Schedules>,
    /// Name of the one that is being made.
    making: RwSignal<Option<String>>,
    trouble: RwSignal<Option<Problem>>,
}

impl Desk {
    fn make(self, name: String) {
        self.making.set(Some(name.clone()));
        self.trouble.set(None);
        spawn_local(async move {
            let path = format!("{SCHEDULES_PATH}/{}/run", crate::address::encode(&name));
            let outcome = api::post_alone(&path, &()).await;
            self.making.try_set(None);
            match outcome {
                Err(problem) if problem.status == 401 => self.app.to_login(),
                Err(problem) => {
                    self.trouble.try_set(Some(problem));
                }
                // What became of it stands in its row.
                Ok(()) => self.asked.retry(),
            }
        });
    }
}

pub(super) fn schedules(app: App) -> impl IntoView {
    let asked: Asked<Schedules> = ask(|| SCHEDULES_PATH.to_owned());
    let desk = Desk { app, asked, making: RwSignal::new(None), trouble: RwSignal::new(None) };
    view! {
        <section class="card c12">
            <header>
                <h2>"Which documents are sent by themselves?"</h2>
                <span class="aside">"each is made when it is due, delivered once, and tried again where that fails"</span>
            </header>
            {stale_line(asked)}
            {move || desk.trouble.read().as_ref().map(|problem| view! { <div class="body">{refused(problem)}</div> })}
            {answered(asked, || view! { <div class="body">{skeleton(120)}</div> }.into_any(), move |found| {
                list(desk, found).into_any()
            })}
        </section>
    }
}

fn list(desk: Desk, found: Signal<Arc<Schedules>>) -> impl IntoView {
    move || {
        let found = found.read();
        if found.schedules.is_empty() {
            return nothing(desk.app).into_any();
        }
        view! {
            <div class="scroller" tabindex="0" role="region" aria-label="Documents by schedule">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Schedule"</th>
                            <th scope="col">"When"</th>
                            <th scope="col">"To"</th>
                            <th scope="col">"Next, UTC"</th>
                            <th scope="col">"Last result"</th>
                            <th scope="col"><span class="visually-hidden">"Make one now"</span></th>
                        </tr>
                    </thead>
                    <tbody>{found.schedules.iter().map(|one| row(desk, one)).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    }
}

fn nothing(app: App) -> impl IntoView {
    let prices = move || {
        let mut there = app.address.read().to_page(Page::Prices);
        there.set_own("kind", "schedules");
        there.href()
    };
    view! {
        <div class="say">
            <h3>"No document is sent by itself yet"</h3>
            <p>"State which, when and where to: in a file, or under " <a href=prices>"Prices and policy"</a> "."</p>
            <div class="code">"coulomb import schedules FILE"</div>
        </div>
    }
}

fn row(desk: Desk, schedule: &ScheduleState) -> impl IntoView + use<> {
    let next = schedule.next_unix_micros;
    let name = schedule.name.clone();
    let making = move |name: &str| desk.making.read().as_deref() == Some(name);
    let button = move || {
        let (name, of) = (name.clone(), name.clone());
        let label = move || if making(&of) { "Making …" } else { "Make now" };
        desk.app.keeps_books().then(|| {
            view! {
                <button class="control" disabled=move || desk.making.read().is_some() on:click=move |_| desk.make(name.clone())>
                    {label}
                </button>
            }
        })
    };
    let problem =
        schedule.problem.as_ref().map(|told| view! { <div class="small attention">{format::sentence(told)}</div> });
    view! {
        <tr>
            <td>{schedule.name.clone()} <div class="small muted">{what(schedule)}</div></td>
            <td><code>{schedule.cron.clone()}</code> <div class="small muted">{schedule.time_zone.clone()}</div></td>
            <td class="wrap">{schedule.to.clone()} {problem}</td>
            <td title=next.map(format::instant)>{next.map_or_else(|| "never".to_owned(), format::short_instant)}</td>
            <td class="wrap">{last(schedule.runs.first())}</td>
            <td class="number">{button}</td>
        </tr>
    }
}

/// What became of the latest one.
fn last(run: Option<&ScheduleRun>) -> AnyView {
    let Some(run) = run else { return view! { <span class="muted">"none yet"</span> }.into_any() };
    let (word, class) = run.badge();
    let when = run.delivered_unix_micros.unwrap_or(run.slot_unix_micros);
    let tries = (run.attempts > 1).then(|| format!(", {} tries", run.attempts));
    let again = run.next_unix_micros.map(|next| format!(", again at {}", format::short_instant(next)));
    let error = run.error.as_ref().map(|told| view! { <div class="small">{format::sentence(told)}</div> });
    view! {
        <span class=class>{word}</span>
        " "
        <span class="muted" title=format::instant(when)>{format::short_instant(when)}{tries}{again}</span>
        {error}
    }
    .into_any()
}
