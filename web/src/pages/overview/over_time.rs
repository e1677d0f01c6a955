//! What did the GPUs do over time? Six states, stacked, always in the same order.

use crate::format::{self, Unit};
use crate::pages::card::{Card, card};
use crate::pages::pieces::{state_label, state_meaning};
use crate::pages::plot::{Hover, Line, Look, Plot, beside, plot};
use crate::sheet::gpus;
use contract::answers::{Overview, StateBucket};
use contract::{ByState, GpuState};
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: u32 = 284;

pub(super) fn over_time(found: Signal<Arc<Overview>>) -> AnyView {
    let hidden = RwSignal::new([false; 6]);
    let hover: Hover = RwSignal::new(None);
    let head = Card {
        span: "c8",
        title: "What are the GPUs doing?".to_owned().into(),
        aside: "mean number of GPUs in each state".to_owned().into(),
    };
    let sheet = Signal::derive(move || gpus::by_state(&found.read()));
    card(head, sheet, move || {
        view! {
            <div class="body">
                <div class="chart" role="img" aria-label="GPUs in each state over time; the menu has the rows">
                    {plot(move || Some(stacked(&found.read(), hidden.get())), hover)}
                    {move || hover.get().and_then(|(at, x)| tip(&found.read(), at, x))}
                </div>
                {legend(hidden)}
            </div>
        }
        .into_any()
    })
}

/// Sums from the bottom up, drawn from the top down so that each lies on what is above it.
fn stacked(found: &Overview, hidden: [bool; 6]) -> Plot {
    let shown = || GpuState::ALL.into_iter().filter(move |s| !hidden[s.index()]);
    let line = |top: GpuState| {
        let sum = |b: &StateBucket| shown().filter(|s| s.index() <= top.index()).map(|s| b.gpus.get(s)).sum();
        Line {
            colour: token(top),
            look: if top == GpuState::Unknown { Look::Hatched } else { Look::Area },
            values: found.over_time.iter().map(|b| Some(sum(b))).collect(),
        }
    };
    let mut lines: Vec<Line> = shown().map(line).collect();
    lines.reverse();
    Plot {
        range: found.range,
        times_unix_micros: found.over_time.iter().map(|b| b.time_unix_micros).collect(),
        bucket_seconds: found.bucket_seconds,
        lines,
        height: HEIGHT,
        unit: Unit::Count,
        low: Some(0.0),
        high: None,
        group: "page",
        has_time_axis: true,
        events: vec![],
        levels: vec![],
    }
}

fn token(state: GpuState) -> &'static str {
    match state {
        GpuState::Active => "state-active",
        GpuState::HeldIdle => "state-held-idle",
        GpuState::HeldEmpty => "state-held-empty",
        GpuState::Unallocated => "state-unallocated",
        GpuState::Down => "state-down",
        GpuState::Unknown => "state-unknown",
    }
}

/// Top of the stack first, as it lies in the picture.
fn tip(found: &Overview, at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let bucket = found.over_time.get(at)?;
    let end = bucket.time_unix_micros + found.bucket_seconds * crate::instant::SECOND;
    let gpus: &ByState<f64> = &bucket.gpus;
    let row = |state: GpuState| {
        view! {
            <dt><i class=format!("swatch {}", state.as_str())></i> {state_label(state)}</dt>
            <dd>{format::digits(*gpus.get(state))}</dd>
        }
    };
    let place = beside(x, at * 2 < found.over_time.len());
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format::window(bucket.time_unix_micros, end)}</div>
            <dl>{GpuState::ALL.into_iter().rev().map(row).collect_view()}</dl>
        </div>
    })
}

fn legend(hidden: RwSignal<[bool; 6]>) -> impl IntoView {
    let entry = move |state: GpuState| {
        let i = state.index();
        view! {
            <button
                title=state_meaning(state)
                aria-pressed=move || (!hidden.get()[i]).to_string()
                on:click=move |_| hidden.update(|h| h[i] = !h[i])
            >
                <i class=format!("swatch {}", state.as_str())></i>
                {state_label(state)}
            </button>
        }
    };
    view! { <div class="legend" role="group" aria-label="States shown">{GpuState::ALL.map(entry).into_iter().collect_view()}</div> }
}
