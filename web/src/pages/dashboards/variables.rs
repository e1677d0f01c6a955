//! The selects above a dashboard. What is chosen stands in the address; the cluster is that of the bar.

use crate::boards::{CLUSTER, DashboardAnswer, DashboardVariable, Window, parameters, seconds_of, value};
use crate::format;
use crate::instant::SECOND;
use crate::pages::api::{Asked, Rows, ask_rows, rows_body};
use crate::pages::app::App;
use leptos::prelude::*;

/// The first choices of a long list; a name beyond them can be put into the address.
const CHOICES_MAX: usize = 500;

/// A variable and what may be chosen, once that is known.
#[derive(Clone)]
struct Select {
    variable: DashboardVariable,
    found: Option<Asked<Rows>>,
}

impl Select {
    fn choices(&self) -> Option<Vec<String>> {
        let Some(asked) = self.found else { return Some(self.variable.choices.clone()) };
        asked.value.with(|rows| {
            let table = &rows.as_ref()?.table;
            Some(table.rows.iter().take(CHOICES_MAX).filter_map(|row| row.first().cloned().flatten()).collect())
        })
    }

    fn chosen(&self, app: App) -> Option<String> {
        app.address.with(|a| match self.variable.name.as_str() {
            // All clusters of the bar are nothing chosen.
            CLUSTER => Some(a.cluster.clone()).filter(|name| !name.is_empty()),
            name => a.variables.get(name).cloned(),
        })
    }
}

pub(super) fn variables(
    app: App,
    board: &DashboardAnswer,
    window: Memo<Window>,
) -> (Memo<Option<Vec<String>>>, AnyView) {
    let buckets_max = board.buckets_max;
    let select = |variable: &DashboardVariable| {
        let takes = variable.takes.clone();
        let asked = |sql: String| {
            ask_rows(move || Some((rows_body(&sql, &parameters(window.get(), &[], &takes)), window.get())))
        };
        let found = variable.sql.clone().map(asked);
        Select { variable: variable.clone(), found }
    };
    let selects: Vec<Select> = board.variables.iter().map(select).collect();
    let known = selects.clone();
    let values = Memo::new(move |_| {
        let of = |select: &Select| {
            let found = select.choices();
            value(&select.variable, select.chosen(app).as_deref(), found.as_deref(), (window.get(), buckets_max))
        };
        known.iter().map(of).collect::<Option<Vec<String>>>()
    });
    let shown = selects.into_iter().enumerate().filter(|(_, select)| select.variable.name != CLUSTER);
    let shown = shown.map(|(at, select)| field(app, select, at, values)).collect_view();
    (values, shown.into_any())
}

fn field(app: App, select: Select, at: usize, values: Memo<Option<Vec<String>>>) -> impl IntoView {
    let label = select.variable.label.clone();
    let name = select.variable.name.clone();
    let choose = move |e: leptos::ev::Event| {
        let value = event_target_value(&e);
        let name = name.clone();
        app.turn(move |a| match value.as_str() {
            AUTOMATIC => {
                a.variables.remove(&name);
            }
            _ => {
                a.variables.insert(name, value);
            }
        });
    };
    let options = move || {
        let now = values.get().and_then(|values| values.get(at).cloned()).unwrap_or_default();
        let is_step = select.variable.kind == "step";
        let is_automatic = is_step && select.chosen(app).is_none();
        let mut choices = select.choices().unwrap_or_default();
        if !now.is_empty() && !choices.contains(&now) {
            choices.insert(0, now.clone());
        }
        let option = |value: String, text: String, is_chosen: bool| {
            view! { <option value=value selected=is_chosen>{text}</option> }
        };
        let automatic = is_step.then(|| option(AUTOMATIC.to_owned(), format!("Auto, {}", shown(&now)), is_automatic));
        let all = select.variable.all.clone().map(|all| option(String::new(), all, now.is_empty()));
        let rest = choices.into_iter().map(|choice| {
            let is_chosen = !is_automatic && choice == now;
            let text = shown(&choice);
            option(choice, text, is_chosen)
        });
        view! { {automatic} {all} {rest.collect_view()} }
    };
    view! {
        <label class="choice">
            {label.clone()}
            <select class="control" aria-label=label on:change=choose>{options}</select>
        </label>
    }
}

/// In place of a step: the one that fits the range.
const AUTOMATIC: &str = "automatic";

/// `5 min` of `300 seconds`.
fn shown(choice: &str) -> String {
    seconds_of(choice).map_or_else(|| choice.to_owned(), |seconds| format::duration(seconds * SECOND))
}
