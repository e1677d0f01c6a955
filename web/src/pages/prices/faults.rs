//! What the server says about a text: that it is as it should be, or each fault with its line.

use super::text::Draft;
use crate::pages::api::Problem;
use leptos::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Good,
    /// Under this version.
    Stated(String),
    Bad(Problem),
}

pub(super) fn verdict(draft: Draft) -> impl IntoView {
    let said = move || match draft.verdict.get()? {
        Verdict::Good => {
            Some(view! { <p class="told">"It is as it should be. Nothing was changed yet."</p> }.into_any())
        }
        Verdict::Stated(version) => {
            Some(view! { <p class="told">{format!("It holds now, as version {version}.")}</p> }.into_any())
        }
        Verdict::Bad(problem) => Some(draft.text.bad(&problem)),
    };
    view! { <div role="status">{said}</div> }
}
