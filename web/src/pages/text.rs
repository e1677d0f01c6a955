//! A text that people write and the server reads: its field, and what is wrong with it by line.

use super::api::Problem;
use super::pieces::{icon, refused, shape};
use crate::books::{Fault, faults};
use crate::format;
use crate::sql::statement::offset_of;
use leptos::html::Textarea;
use leptos::prelude::*;

#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) value: RwSignal<String>,
    field: NodeRef<Textarea>,
}

impl Text {
    pub(super) fn new(value: String) -> Self {
        Self { value: RwSignal::new(value), field: NodeRef::new() }
    }

    /// Those who may not write read it.
    pub(super) fn field(
        self,
        label: &'static str,
        rows: u32,
        may: impl Fn() -> bool + Send + Sync + 'static,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> impl IntoView {
        view! {
            <textarea
                class="text"
                node_ref=self.field
                aria-label=label
                rows=rows
                wrap="off"
                spellcheck="false"
                readonly=move || !may()
                prop:value=move || self.value.get()
                on:input=move |e| {
                    changed();
                    self.value.set(event_target_value(&e));
                }
            ></textarea>
        }
    }

    /// Why the server did not take it: 400 tells of the text; anything else of the request.
    pub(super) fn bad(self, problem: &Problem) -> AnyView {
        if problem.status == 400 { self.faults(problem).into_any() } else { refused(problem).into_any() }
    }

    fn faults(self, problem: &Problem) -> impl IntoView + use<> {
        let found = faults(&problem.message);
        let text = self.value.get_untracked();
        let row = |fault: &Fault| {
            let place = fault.line.map(|line| {
                let shown = text.lines().nth(line - 1).unwrap_or_default().to_owned();
                let go = move |_| self.select(line);
                view! { <button class="link" on:click=go>{format!("Line {line}")}</button> <code class="cut">{shown}</code> }
            });
            view! { <li><div class="line">{place}</div> <div class="wrap">{format::sentence(&fault.text)}</div></li> }
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

    /// Marks a line.
    fn select(self, line: usize) {
        let Some(field) = self.field.get_untracked() else { return };
        let text = field.value();
        let (start, end) = (offset_of(&text, (line, 1)), offset_of(&text, (line + 1, 1)));
        field.focus().ok();
        field.set_selection_range(start, end.max(start)).ok();
    }
}
