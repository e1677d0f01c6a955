//! How busy was each GPU? One row a GPU over time.

use crate::address::Open;
use crate::format::{self, Unit};
use crate::jobs::runs;
use crate::order;
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::sheet::gpus;
use contract::answers::{FleetGpu, JobDetail};
use leptos::prelude::*;
use std::sync::Arc;

/// Rows that are drawn; a larger job has its least busy GPUs here.
const ROWS_MAX: usize = 64;

pub(super) fn strip(app: App, found: Signal<Arc<JobDetail>>) -> AnyView {
    let aside = move || {
        let window = found.read().window;
        format::window(window.from_unix_micros, window.to_unix_micros)
    };
    let head = Card { span: "c8", title: "How busy was each GPU?".to_owned().into(), aside: Signal::derive(aside) };
    card(head, Signal::derive(move || gpus::of_job(&found.read())), move || ranks(app, &found.read()))
}

/// In its place where no GPU is known.
pub(super) fn nothing(found: &JobDetail) -> AnyView {
    let text = match found.job.started_unix_micros {
        Some(_) => {
            "No sample of a GPU names this job. Collectors learn of it from its processes' environment and cgroups; until then only accounting knows what it held."
        }
        None => "It has not started.",
    };
    view! {
        <section class="card c8">
            <header><h2>"How busy was each GPU?"</h2></header>
            <div class="say"><p>{text}</p></div>
        </section>
    }
    .into_any()
}

fn ranks(app: App, found: &JobDetail) -> AnyView {
    let nodes = found.gpu_nodes.iter().map(String::as_str).chain(std::iter::repeat(""));
    let mut rows: Vec<(&FleetGpu, &str)> = found.gpus.iter().zip(nodes).collect();
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    if left_out > 0 {
        let busy = |row: &(&FleetGpu, &str)| row.0.gpu_busy_ratio.unwrap_or(-1.0);
        order::sort_by(&mut rows, |a, b| busy(a).total_cmp(&busy(b)));
        rows.truncate(ROWS_MAX);
    }
    let note = (left_out > 0).then(|| format!("The {ROWS_MAX} least busy GPUs; {left_out} busier ones are not drawn."));
    view! {
        <div class="body ranks">{rows.iter().map(|(gpu, node)| row(app, gpu, node)).collect_view()}</div>
        <div class="foot legend">
            <span class="scale">
                "0 %" <span class="ramp"></span> "100 %"
                <span class="state"><i class="swatch unknown"></i> {format::NOT_REPORTED}</span>
            </span>
            <span class="muted">{note}</span>
        </div>
    }
    .into_any()
}

fn row(app: App, gpu: &FleetGpu, node: &str) -> impl IntoView + use<> {
    let count = gpu.cells.len().max(1) as f64;
    let part = |(class, at, length): (String, usize, usize)| {
        let style = format!("left:{:.3}%;width:{:.3}%", at as f64 / count * 100.0, length as f64 / count * 100.0);
        view! { <i class=class style=style></i> }
    };
    let href = app.address.with_untracked(|a| {
        let mut here = a.clone();
        here.open = Some(Open::Gpu(gpu.gpu_uuid.clone()));
        here.href()
    });
    let mean = format::maybe(Unit::Ratio, gpu.gpu_busy_ratio);
    let hint = format!("{node} · {} · {} · {mean} busy", gpu.gpu_uuid, gpu.gpu_model);
    view! {
        <a class="rank" href=href title=hint>
            <span class="name">{format!("{node} · GPU {}", gpu.gpu_index)}</span>
            <span class="cells" aria-hidden="true">{runs(&gpu.cells).into_iter().map(part).collect_view()}</span>
            <span class="mean">{mean.clone()}</span>
        </a>
    }
}
