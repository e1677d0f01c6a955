//! What fires, who knows of it, what stays unsaid, and what is watched for.

mod desk;
mod editor;
mod firing;
mod history;
mod letters;
mod receivers;
mod rule;
mod rules;
mod silences;

use super::api::{Asked, ask};
use super::app::App;
use super::pieces::{answered, icon, shape, skeleton, stale_line};
use crate::alerts::Alerts;
use desk::Desk;
use leptos::prelude::*;

pub(crate) fn alerts() -> impl IntoView {
    let app = App::here();
    let asked: Asked<Alerts> = ask(|| "/api/v1/alerts".to_owned());
    let desk = Desk::new(app, asked);
    let waiting = || view! { <div class="c8">{skeleton(320)}</div> <div class="c4">{skeleton(320)}</div> }.into_any();
    view! {
        {stale_line(asked)}
        {answered(asked, waiting, move |found| {
            view! {
                {move || problems(&found.read().problems)}
                {firing::firing(desk, found)}
                <div class="c4 stack">
                    {receivers::receivers(desk, found)}
                    {silences::silences(desk, found)}
                </div>
                {rules::rules(desk.app, found)}
                {letters::letters(desk)}
            }
            .into_any()
        })}
        {history::history(app)}
        {desk::questions(desk)}
    }
}

/// Texts that do not go together.
fn problems(told: &[String]) -> Option<impl IntoView + use<>> {
    (!told.is_empty()).then(|| {
        let lines = told.iter().map(|line| view! { <div>{line.clone()}</div> }).collect_view();
        view! { <div class="stale c12" role="alert">{icon(shape::WARNING)} <div>{lines}</div></div> }
    })
}
