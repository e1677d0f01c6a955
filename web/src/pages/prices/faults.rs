//! What the server says about a text: that it is as it should be, or each fault with its line.

use super::text::Draft;
use crate::books::{Fault, faults};
use crate::format;
use crate::pages::api::Problem;
use crate::pages::pieces::{icon, refused, shape};
use crate::sql::statement::offset_of;
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
        // 400 tells of the text; anything else of the request.
        Verdict::Bad(problem) if problem.status == 400 => Some(list(draft, &problem).into_any()),
        Verdict::Bad(problem) => Some(refused(&problem).into_any()),
    };
    view! { <div role="status">{said}</div> }
}

fn list(draft: Draft, problem: &Problem) -> impl IntoView + use<> {
    let found = faults(&problem.message);
    let text = draft.text.get_untracked();
    let row = |fault: &Fault| {
        let place = fault.line.map(|line| {
            let shown = text.lines().nth(line - 1).unwrap_or_default().to_owned();
            let go = move |_| select(draft, line);
            view! { <button class="link" on:click=go>{format!("Line {line}")}</button> <code class="cut">{shown}</code> }
        });
        view! { <li><div class="line">{place}</div> <div>{format::sentence(&fault.text)}</div></li> }
    };
    let head = format!("{} to mend; nothing was changed", format::counted(found.len() as u64, "fault"));
    let id = problem.request_id.clone();
    view! {
        <div class="refused faults" role="alert">
            {icon(shape::CRITICAL)}
            <div>
                <strong>{head}</strong>
                <ul>{found.iter().map(row).collect_view()}</ul>
                {id.map(|id| view! { <span class="small muted">"Request " <code>{id}</code></span> })}
            </div>
        </div>
    }
}

/// Marks a line in the text field.
fn select(draft: Draft, line: usize) {
    let Some(field) = draft.field.get_untracked() else { return };
    let text = field.value();
    let (start, end) = (offset_of(&text, (line, 1)), offset_of(&text, (line + 1, 1)));
    field.focus().ok();
    field.set_selection_range(start, end.max(start)).ok();
}
