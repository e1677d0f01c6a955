//! Small parts of many pages: icons, states, sparklines, what is said instead of an answer.

use super::api::{Asked, Problem};
use super::browser;
use crate::charts::{share, spark};
use crate::format;
pub(crate) use crate::format::state_label;
use contract::answers::Severity;
use contract::{ByState, GpuState};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Strokes on a 16 × 16 grid.
pub(crate) mod shape {
    pub(crate) const OVERVIEW: &str = "M2 2.5h5v5H2zM9 2.5h5v3H9zM9 7.5h5v6H9zM2 9.5h5v4H2z";
    pub(crate) const FLEET: &str = "M2 2.5h3v3H2zM6.5 2.5h3v3h-3zM11 2.5h3v3h-3zM2 7h3v3H2zM6.5 7h3v3h-3zM11 7h3v3h-3zM2 11.5h3v2H2zM6.5 11.5h3v2h-3zM11 11.5h3v2h-3z";
    /// A bell.
    pub(crate) const ALERTS: &str = "M3 11.8h10M4.3 11.8V7a3.7 3.7 0 0 1 7.4 0v4.8M6.8 14.2h2.4M8 3.3V1.8";
    /// A word that is spoken.
    pub(crate) const INFERENCE: &str = "M2 3h12v8H8.5L5 14v-3H2zM5 6h6M5 8.3h3.5";
    /// A bolt.
    pub(crate) const INCIDENTS: &str = "M9.2 1.5L3.5 9H8l-1.2 5.5L12.5 7H8z";
    /// Lines behind their marks.
    pub(crate) const LOGS: &str = "M2.5 3.5h.01M5.5 3.5h8M2.5 8h.01M5.5 8h8M2.5 12.5h.01M5.5 12.5h5";
    pub(crate) const JOBS: &str = "M2 3.5h9M2 8h12M2 12.5h6";
    pub(crate) const COSTS: &str = "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 1 0 8 1.8M10.2 5.8C9.7 5 8.9 4.7 8 4.7c-1.2 0-2.1.6-2.1 1.6 0 2.2 4.3 1.1 4.3 3.4 0 1-.9 1.6-2.2 1.6-1 0-1.8-.4-2.3-1.2M8 3.6v1.1M8 11.3v1.1";
    pub(crate) const REPORTS: &str = "M4 1.8h5.5L13 5.3v8.9H4zM9.3 1.8v3.7H13M6.3 8.5h4.2M6.3 11h4.2";
    pub(crate) const PRICES: &str = "M8.3 2H14v5.7l-6.2 6.1L2.2 8.2zM11 5v.1";
    pub(crate) const SQL: &str = "M2.5 3h11v10h-11zM4.8 6l2 2-2 2M8.5 10.3h2.8";
    pub(crate) const SETTINGS: &str = "M2 4.5h7.2M12.8 4.5H14M2 11.5h1.2M6.8 11.5H14M11 2.7a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6M5 9.7a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6";
    pub(crate) const DASHBOARDS: &str = "M2 2.5h12v4H2zM2 9h7v4.5H2zM11.5 9H14v4.5h-2.5z";
    pub(crate) const SEARCH: &str = "M7 2.2a4.8 4.8 0 1 0 0 9.6A4.8 4.8 0 1 0 7 2.2M10.5 10.5L14 14";
    pub(crate) const RUN: &str = "M4.5 2.8v10.4L12.8 8z";
    pub(crate) const STOP: &str = "M3.8 3.8h8.4v8.4H3.8z";
    pub(crate) const COLLAPSE: &str = "M10 3.5L5.5 8l4.5 4.5";
    pub(crate) const REFRESH: &str = "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.8v2.9h-2.9";
    pub(crate) const LIGHT: &str = "M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M3 13l1.2-1.2M11.8 4.2L13 3";
    pub(crate) const DARK: &str = "M13.6 9.6A6 6 0 0 1 6.4 2.4a6 6 0 1 0 7.2 7.2z";
    pub(crate) const SYSTEM: &str = "M2 3h12v8H2zM6 13.5h4";
    pub(crate) const USER: &str = "M8 2.5a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M2.8 14a5.2 5.2 0 0 1 10.4 0";
    /// A bookmark.
    pub(crate) const VIEWS: &str = "M4 2h8v12l-4-3-4 3z";
    /// Three points.
    pub(crate) const MORE: &str = "M3.2 8h.01M8 8h.01M12.8 8h.01";
    pub(crate) const CLOSE: &str = "M3.5 3.5l9 9M12.5 3.5l-9 9";
    pub(crate) const DOWNLOAD: &str = "M8 2v8M4.8 7L8 10.2 11.2 7M2.5 13.5h11";
    /// Severities differ in shape as well as colour: octagon, triangle, circle.
    pub(crate) const CRITICAL: &str = "M5.2 1.5h5.6L14.5 5.2v5.6l-3.7 3.7H5.2L1.5 10.8V5.2zM8 4.8v3.8M8 10.9v.3";
    pub(crate) const WARNING: &str = "M8 2L14.8 14H1.2zM8 6.6v3.4M8 11.9v.2";
    pub(crate) const NOTICE: &str = "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 1 0 8 1.8M8 7.4v3.8M8 4.9v.2";
}

/// Decoration; its meaning stands beside it or in a label.
pub(crate) fn icon(path: &'static str) -> impl IntoView {
    view! {
        <svg
            class="icon"
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
        >
            <path d=path></path>
        </svg>
    }
}

pub(crate) fn severity_icon(severity: Severity) -> impl IntoView {
    let (class, path, word) = match severity {
        Severity::Critical => ("severity critical", shape::CRITICAL, "critical"),
        Severity::Warning => ("severity warning", shape::WARNING, "warning"),
        Severity::Notice => ("severity notice", shape::NOTICE, "notice"),
    };
    view! { <span class=class title=word role="img" aria-label=word>{icon(path)}</span> }
}

/// What a state means, for a hover.
pub(crate) fn state_meaning(state: GpuState) -> &'static str {
    match state {
        GpuState::Active => "a job holds it and it works",
        GpuState::HeldIdle => "a job's process is on it and does nothing",
        GpuState::HeldEmpty => "a job holds it without a process",
        GpuState::Unallocated => "no job holds it",
        GpuState::Down => "it has left the bus, or its node is out of service",
        GpuState::Unknown => "no telemetry",
    }
}

pub(crate) fn state_name(state: GpuState) -> impl IntoView {
    view! {
        <span class="state" title=state_meaning(state)>
            <i class=format!("swatch {}", state.as_str())></i>
            {state_label(state)}
        </span>
    }
}

/// `8 active, 1 down`.
pub(crate) fn states_in_words(gpus: &ByState<u64>) -> String {
    let some = GpuState::ALL.into_iter().filter(|s| *gpus.get(*s) > 0);
    some.map(|s| format!("{} {}", gpus.get(s), state_label(s))).collect::<Vec<_>>().join(", ")
}

/// A bar whose parts are states, along it or up a cell.
pub(crate) fn state_parts(values: &ByState<f64>, side: &'static str) -> Vec<impl IntoView + use<>> {
    let part = |(state, _, size): (GpuState, f64, f64)| {
        view! { <span class=format!("part {}", state.as_str()) style=format!("{side}:{size:.2}%")></span> }
    };
    share::parts(values).into_iter().map(part).collect()
}

pub(crate) fn sparkline(class: &'static str, values: &[Option<f64>]) -> impl IntoView + use<> {
    let path = spark::path(values, 104.0, 32.0, Some(0.0));
    view! {
        <svg class=format!("spark {class}") viewBox="0 0 104 32" preserveAspectRatio="none" aria-hidden="true">
            <path d=path></path>
        </svg>
    }
}

/// A grey block where an answer will be.
pub(crate) fn skeleton(height: u32) -> impl IntoView {
    view! { <div class="skeleton" style=format!("height:{height}px") aria-busy="true"></div> }
}

/// In place of an answer that did not come.
pub(crate) fn failed(problem: Problem, retry: impl Fn() + 'static) -> impl IntoView {
    let id = problem.request_id.map(|id| view! { <p class="small muted">"Request " <code>{id}</code></p> });
    view! {
        <div class="say failed" role="alert">
            {icon(shape::CRITICAL)}
            <h3>"This could not be loaded"</h3>
            <p>{format::sentence(&problem.message)}</p>
            {id}
            <button class="control" on:click=move |_| retry()>{icon(shape::REFRESH)} "Try again"</button>
        </div>
    }
}

/// The same beside something that was tried: small, without a retry of its own.
pub(crate) fn refused(problem: &Problem) -> impl IntoView + use<> {
    let id = problem.request_id.clone().map(|id| view! { <span class="small">"Request " <code>{id}</code></span> });
    view! {
        <div class="refused" role="alert">
            {icon(shape::CRITICAL)}
            <div class="lines">{format::sentence(&problem.message)}</div>
            {id}
        </div>
    }
}

/// Answer, skeleton or problem. The view is built once and follows the answer; a failed refresh leaves it there.
pub(crate) fn answered<T>(
    asked: Asked<T>,
    waiting: impl Fn() -> AnyView + Send + 'static,
    ready: impl Fn(Signal<Arc<T>>) -> AnyView + Send + 'static,
) -> impl IntoView
where
    T: Send + Sync + 'static,
{
    let has_answer = Memo::new(move |_| asked.value.with(Option::is_some));
    let problem = Memo::new(move |_| if has_answer.get() { None } else { asked.problem.get() });
    let value = Signal::derive(move || asked.value.get().expect("an answer is never taken away again"));
    move || match (has_answer.get(), problem.get()) {
        (true, _) => ready(value),
        (false, Some(problem)) => {
            view! { <div class="card c12">{failed(problem, move || asked.retry())}</div> }.into_any()
        }
        (false, None) => waiting(),
    }
}

/// An answer, or why there is none, for a part of a page that others do not wait for.
pub(crate) type Waiting<T> = Signal<(Option<Arc<T>>, Option<Problem>)>;

pub(crate) fn waiting_for<T: Send + Sync + 'static>(asked: Asked<T>) -> Waiting<T> {
    Signal::derive(move || (asked.value.get(), asked.problem.get()))
}

/// The line above an answer that could not be refreshed.
pub(crate) fn stale_line<T: Send + Sync + 'static>(asked: Asked<T>) -> impl IntoView {
    move || {
        let problem = asked.value.with(Option::is_some).then(|| asked.problem.get()).flatten()?;
        let id = problem.request_id.map(|id| format!(" (request {id})")).unwrap_or_default();
        Some(view! {
            <div class="stale" role="alert">
                {icon(shape::WARNING)}
                <span>{format!("Not refreshed: {}{id}", problem.message)}</span>
                <button on:click=move |_| asked.retry()>"Try again"</button>
            </div>
        })
    }
}

/// Which command fills an empty page.
pub(crate) fn no_telemetry() -> impl IntoView {
    let server = browser::origin();
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"No GPU has reported yet"</h2>
                <p>"Make a token that may send rows, put it in a file, and start a collector on a node with GPUs."</p>
                <div class="code">{format!("coulomb token create --name NODE --role writer --server {server}")}</div>
                <div class="code">
                    {format!("coulomb-collector run --server {server} --token-file FILE --cluster NAME")}
                </div>
                <p>"Its rows show up here within seconds. Or look around with a simulated fleet of 256 GPUs:"</p>
                <div class="code">"cargo xtask demo"</div>
            </div>
        </div>
    }
}

/// There is telemetry, but not in the window that is chosen.
pub(crate) fn nothing_in_window(back: impl Fn() + 'static) -> impl IntoView {
    view! {
        <div class="card c12">
            <div class="say center">
                <h2>"No telemetry in this time range"</h2>
                <p>"Choose another range or cluster above, or go back to the last 24 hours."</p>
                <button class="control" on:click=move |_| back()>"Show the last 24 hours"</button>
            </div>
        </div>
    }
}

/// Puts a name in, or takes it out.
pub(super) fn turn(names: RwSignal<BTreeSet<String>>, name: &str) {
    names.update(|names| {
        if !names.remove(name) {
            names.insert(name.to_owned());
        }
    });
}
