//! What was the job's time for? Goodput, steps, slow ranks, checkpoints and ends of a training job.

mod ends;
mod time;
mod trace;

use super::super::api::{Asked, Problem, ask};
use super::super::app::App;
use super::super::pieces::{failed, skeleton};
use super::super::stat::{More, Stat, stat};
use crate::address::encode;
use crate::format::{self, Unit};
use crate::training::{JobTraining, TrainingMfu};
use leptos::prelude::*;
use std::sync::Arc;

/// Follows the job of the address.
pub(super) fn asked(app: App) -> Asked<JobTraining> {
    ask(move || app.address.with(|a| format!("/api/v1/jobs/{}/{}/training", encode(&a.job.0), encode(&a.job.1))))
}

type Found = Memo<Option<Arc<JobTraining>>>;

/// All cards; those of steps only where spans tell of some.
pub(super) fn training(app: App, asked: Asked<JobTraining>) -> impl IntoView {
    // A refresh that brings the same is none.
    let found: Found = Memo::new(move |_| asked.value.get());
    let has_steps = Memo::new(move |_| found.with(|f| f.as_ref().is_some_and(|f| f.steps.is_some())));
    let has_goodput = Memo::new(move |_| found.with(|f| f.as_ref().is_some_and(|f| f.goodput.is_some())));
    let view = move || match (has_goodput.get(), has_steps.get()) {
        (true, true) => view! {
            {move || found.get().map(|found| stats(&found))}
            {time::time(found)}
            {move || found.get().map(|found| time::checkpoints(&found))}
            {time::steps(found)}
            {move || found.get().map(|found| time::slow(app, &found))}
            {trace::trace(app)}
        }
        .into_any(),
        (true, false) => time::time(found).into_any(),
        (false, _) => nothing(asked, found).into_any(),
    };
    view! { {view} {move || found.get().and_then(|found| ends::ends(&found))} }
}

fn nothing(asked: Asked<JobTraining>, found: Found) -> impl IntoView {
    let waiting = || view! { <div class="body">{skeleton(120)}</div> }.into_any();
    let problem = move |problem: Problem| failed(problem, move || asked.retry()).into_any();
    let body = move || match (found.get(), asked.problem.get()) {
        (Some(found), _) => time::without(&found).into_any(),
        (None, Some(told)) => problem(told),
        (None, None) => waiting(),
    };
    view! {
        <section class="card c12">
            <header><h2>"What was its time for?"</h2></header>
            {body}
        </section>
    }
}

fn stats(found: &JobTraining) -> impl IntoView + use<> {
    let goodput = found.goodput.clone().unwrap_or_default();
    let percent = |ratio: Option<f64>| ratio.map_or("not known".to_owned(), |ratio| format::digits(ratio * 100.0));
    let sign = |ratio: Option<f64>| if ratio.is_some() { "%" } else { "" };
    let good = Stat {
        label: "Goodput",
        hint: "Part of the time in which it held GPUs that went into steps that counted",
        value: percent(goodput.ratio),
        unit: sign(goodput.ratio).into(),
        more: More::Good,
        note: format!("of {}", format::gpu_hours(goodput.gpu_seconds / 3600.0)),
        ..Stat::default()
    };
    let steps = found.steps.clone().unwrap_or_default();
    let trend = steps.trend_ratio.map(|trend| (format::signed_percent(trend), trend));
    let second = |seconds| format::value(Unit::Seconds, seconds);
    let median = Stat {
        label: "Step",
        hint: "Median of the slowest rank of each step; the change is the last quarter of the steps against the first",
        value: second(steps.p50_seconds),
        change: trend,
        more: More::Bad,
        note: format!("p90 {}, p99 {}", second(steps.p90_seconds), second(steps.p99_seconds)),
        ..Stat::default()
    };
    [good, mfu(found.mfu.as_ref()), tokens(found), median].map(stat).into_iter().collect_view()
}

fn mfu(mfu: Option<&TrainingMfu>) -> Stat {
    let mfu = mfu.cloned().unwrap_or_default();
    let peak = mfu.peak_flops_per_second.map(|peak| format!("{} TFLOPS", format::digits(peak / 1e12)));
    let of = [mfu.gpu_model.clone(), mfu.dtype.clone(), peak].into_iter().flatten().collect::<Vec<_>>().join(", ");
    Stat {
        label: "MFU",
        hint: "Model FLOPs of its steps, of what its GPUs can compute in that time at most",
        value: mfu.ratio.map_or("not known".to_owned(), |ratio| format::digits(ratio * 100.0)),
        exact: mfu.peak_source.clone().map(|source| format!("peak by {source}")),
        unit: if mfu.ratio.is_some() { "%" } else { "" }.into(),
        more: More::Good,
        note: mfu.missing.map_or(of, |missing| format::sentence(&missing)),
        ..Stat::default()
    }
}

fn tokens(found: &JobTraining) -> Stat {
    let speed = found.mfu.as_ref().and_then(|mfu| mfu.tokens_per_second);
    let steps = found.steps.clone().unwrap_or_default();
    Stat {
        label: "Tokens",
        hint: "All ranks together, in the time of steps",
        value: speed.map_or("not known".to_owned(), format::compact),
        exact: speed.map(|speed| format!("{speed} tokens/s")),
        unit: if speed.is_some() { "tokens/s" } else { "" }.into(),
        more: More::Good,
        note: format!("{} on {}", format::counted(steps.count, "step"), format::counted(steps.ranks, "rank")),
        ..Stat::default()
    }
}
