//! A panel: its title, its menu, and what its statement answers as it is to be drawn, or why there is nothing.

use super::board::Board;
use super::{cells, chart, menu, rows};
use crate::boards::drawn::{self, unit_in};
use crate::boards::{DashboardPanel, parameters};
use crate::format::{self, NOT_REPORTED, Unit};
use crate::pages::api::{Asked, Problem, Rows, ask_rows, rows_body};
use crate::pages::pieces::{icon, shape, skeleton, sparkline};
use leptos::html;
use leptos::prelude::*;

/// Of pictures; tables and bars are about as high.
pub(super) const HEIGHT: u32 = 232;

#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) board: Board,
    pub(super) at: usize,
    pub(super) definition: StoredValue<DashboardPanel>,
    pub(super) asked: Asked<Rows>,
    /// Whether its rows are shown in place of the picture.
    pub(super) as_rows: RwSignal<bool>,
    pub(super) host: NodeRef<html::Section>,
}

impl Panel {
    pub(super) fn unit(self) -> Unit {
        self.definition.with_value(|d| Unit::of_series(&d.unit))
    }

    pub(super) fn title(self) -> String {
        self.definition.with_value(|d| d.title.clone())
    }

    pub(super) fn kind_is(self, kinds: &[&str]) -> bool {
        self.definition.with_value(|d| kinds.contains(&d.kind.as_str()))
    }

    /// What it asks now; none while a variable has no value.
    pub(super) fn body(self) -> Option<String> {
        let parameters = self.parameters()?;
        Some(self.definition.with_value(|d| rows_body(&d.sql, &parameters)))
    }

    pub(super) fn parameters(self) -> Option<Vec<String>> {
        let values = self.board.values.get()?;
        Some(self.definition.with_value(|d| parameters(self.board.window.get(), &values, &d.takes)))
    }

    /// The tokens of the thresholds that a value has passed, the worst last.
    fn passed(self, value: f64) -> Option<&'static str> {
        self.definition.with_value(|d| d.thresholds.iter().rev().find(|t| value >= t.at).map(|t| token(&t.severity)))
    }
}

/// Of the colour of a threshold.
pub(super) fn token(severity: &str) -> &'static str {
    if severity == "critical" { "broken" } else { "attention" }
}

/// What there is to see.
#[derive(Clone, PartialEq)]
enum Seen {
    Waiting,
    Failed(Problem),
    Nothing,
    Something,
}

pub(super) fn panel(board: Board, at: usize, definition: &DashboardPanel) -> impl IntoView + use<> {
    let (sql, takes) = (definition.sql.clone(), definition.takes.clone());
    let body = move || {
        let (values, window) = (board.values.get()?, board.window.get());
        Some((rows_body(&sql, &parameters(window, &values, &takes)), window))
    };
    let panel = Panel {
        board,
        at,
        definition: StoredValue::new(definition.clone()),
        asked: ask_rows(body),
        as_rows: RwSignal::new(false),
        host: NodeRef::new(),
    };
    if definition.kind == "stat" { stat(panel).into_any() } else { card(panel).into_any() }
}

fn seen(panel: Panel) -> Memo<Seen> {
    Memo::new(move |_| {
        let Asked { value, problem, .. } = panel.asked;
        value.with(|rows| match (rows, problem.get()) {
            (Some(rows), _) if rows.table.rows.is_empty() => Seen::Nothing,
            (Some(_), _) => Seen::Something,
            (None, Some(problem)) => Seen::Failed(problem),
            (None, None) => Seen::Waiting,
        })
    })
}

fn card(panel: Panel) -> impl IntoView {
    let seen = seen(panel);
    let (title, description, width) =
        panel.definition.with_value(|d| (d.title.clone(), d.description.clone(), d.width));
    let aside = match panel.unit() {
        Unit::Micros => panel.board.currency.get_value(),
        _ => String::new(),
    };
    let inside = move || match seen.get() {
        Seen::Waiting => view! { <div class="body">{skeleton(HEIGHT)}</div> }.into_any(),
        Seen::Failed(problem) => failed(panel, &problem).into_any(),
        Seen::Nothing => nothing().into_any(),
        Seen::Something => picture(panel),
    };
    view! {
        <section class="card board-panel" style=format!("--wide:{width}") node_ref=panel.host>
            <header>
                <h2>{title}</h2>
                <span class="aside">{aside}</span>
                {description.map(|text| hint(&text))}
                {not_refreshed(panel)}
                <div class="grow"></div>
                {menu::menu(panel)}
            </header>
            {inside}
        </section>
    }
}

/// What a panel is about, for whoever points at it or reads it aloud.
fn hint(text: &str) -> impl IntoView + use<> {
    view! { <span class="hint muted" title=text.to_owned() role="img" aria-label=text.to_owned()>{icon(shape::NOTICE)}</span> }
}

/// Beside an answer that is older than it should be.
fn not_refreshed(panel: Panel) -> impl IntoView {
    move || {
        let problem = panel.asked.value.with(Option::is_some).then(|| panel.asked.problem.get()).flatten()?;
        let told = format!("Not refreshed: {}", problem.message);
        Some(view! { <span class="fault" title=told.clone() role="img" aria-label=told>{icon(shape::WARNING)}</span> })
    }
}

fn failed(panel: Panel, problem: &Problem) -> impl IntoView + use<> {
    let id = problem.request_id.clone().map(|id| view! { <p class="small muted">"Request " <code>{id}</code></p> });
    view! {
        <div class="say failed" role="alert">
            <h3>"This could not be asked"</h3>
            <p class="small">{format::sentence(&problem.message)}</p>
            {id}
            <button class="control" on:click=move |_| panel.asked.retry()>{icon(shape::REFRESH)} "Try again"</button>
        </div>
    }
}

fn nothing() -> impl IntoView {
    view! {
        <div class="body nothing" style=format!("min-height:{HEIGHT}px")>
            <p class="muted">"Nothing was reported in this range."</p>
        </div>
    }
}

fn picture(panel: Panel) -> AnyView {
    let is = move |kind: &str| panel.kind_is(&[kind]);
    if is("table") {
        return rows::table(panel).into_any();
    }
    let drawn = move || match panel.as_rows.get() {
        true => rows::table(panel).into_any(),
        false if is("bar") => rows::bars(panel).into_any(),
        false if is("heatmap") => cells::cells(panel).into_any(),
        false => chart::chart(panel).into_any(),
    };
    drawn.into_any()
}

fn stat(panel: Panel) -> impl IntoView {
    let seen = seen(panel);
    let (title, description, width) =
        panel.definition.with_value(|d| (d.title.clone(), d.description.clone(), d.width));
    let inside = move || match seen.get() {
        Seen::Waiting => skeleton(40).into_any(),
        Seen::Failed(problem) => view! {
            <p class="small fault" role="alert" title=problem.message.clone()>
                {icon(shape::WARNING)}
                <span class="cut">{format::sentence(&problem.message)}</span>
            </p>
        }
        .into_any(),
        Seen::Nothing => view! { <div class="value muted none">{NOT_REPORTED}</div> }.into_any(),
        Seen::Something => figure(panel).into_any(),
    };
    view! {
        <section class="card stat board-panel" style=format!("--wide:{width}") node_ref=panel.host>
            <div class="label">
                <h2>{title}</h2>
                {description.map(|text| hint(&text))}
                {not_refreshed(panel)}
                <div class="grow"></div>
                {menu::menu(panel)}
            </div>
            {inside}
        </section>
    }
}

/// The number, its unit apart, and what it was before.
fn figure(panel: Panel) -> impl IntoView {
    move || {
        let found = panel.asked.value.get()?;
        let figure = drawn::figure(&found.table)?;
        let column =
            found.table.columns.iter().find(|c| c.kind.is_number()).map(|c| c.name.clone()).unwrap_or_default();
        let unit = unit_in(&column, panel.unit());
        let Some(value) = figure.value else {
            return Some(view! { <div class="value muted none">{NOT_REPORTED}</div> }.into_any());
        };
        let text = rows::reading(unit, value);
        let parted = text.split_once(' ').filter(|(_, rest)| !rest.contains(' '));
        let (number, symbol) = match parted {
            Some((number, symbol)) => (number.to_owned(), symbol.to_owned()),
            None if unit == Unit::Micros => (text, panel.board.currency.get_value()),
            None => (text, String::new()),
        };
        let passed = panel.passed(value);
        let class = match passed {
            Some("broken") => "value broken",
            Some(_) => "value attention",
            None => "value",
        };
        let mark = passed.map(
            |_| view! { <span class="mark" role="img" aria-label="past a threshold">{icon(shape::WARNING)}</span> },
        );
        let symbol = (!symbol.is_empty()).then(|| view! { <span class="unit">{symbol}</span> });
        let spark = (figure.before.len() > 2).then(|| sparkline("", &figure.before));
        Some(view! { <div class=class title=value.to_string()>{mark} {number} {symbol}</div> {spark} }.into_any())
    }
}
