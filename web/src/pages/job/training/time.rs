//! The bar of its time, its steps, and who is slow.

use super::super::super::app::App;
use super::super::super::card::{Card, card};
use super::super::super::drawing::drawing;
use super::super::super::panel::parts::facts;
use super::Found;
use crate::charts::steps::picture;
use crate::format::{self, Unit, money};
use crate::training::{
    JobTraining, TrainingSlowStep, TrainingStraggler, part_in_words, parts_sheet, shares, steps_sheet, story,
    without_spans,
};
use leptos::prelude::*;

const HEIGHT: f64 = 220.0;

pub(super) fn time(found: Found) -> AnyView {
    let aside = move || {
        found.get().and_then(|f| f.goodput.clone()).map(|goodput| {
            let cost = goodput.cost_micros.map_or("no price known yet".to_owned(), money::money);
            format!("{}, {cost}", format::gpu_hours(goodput.gpu_seconds / 3600.0))
        })
    };
    let head = Card {
        span: "c8",
        title: "What was its time for?".to_owned().into(),
        aside: Signal::derive(move || aside().unwrap_or_default()),
    };
    let sheet = Signal::derive(move || found.get().map(|found| parts_sheet(&found)).unwrap_or_default());
    card(head, sheet, move || found.get().map(|found| bar(&found)).unwrap_or_else(|| ().into_any()))
}

fn bar(found: &JobTraining) -> AnyView {
    let goodput = found.goodput.clone().unwrap_or_default();
    let part = |(category, width): (&'static crate::training::Category, f64)| {
        view! { <span class="part" style=format!("width:{width:.3}%;--fill:var(--{})", category.colour)></span> }
    };
    let entry = |part: &crate::training::TrainingPart| {
        let category = crate::training::Category::named(&part.category);
        let exact = part.cost_micros.map(|micros| money::exact(micros, &found.currency)).unwrap_or_default();
        view! {
            <span class="entry" title=format!("{}; {exact}", category.meaning)>
                <i class="swatch" style=format!("--fill:var(--{})", category.colour)></i>
                {part_in_words(part, &goodput, &found.currency)}
            </span>
        }
    };
    let parts = shares(&goodput).into_iter().map(part).collect_view();
    let legend = goodput.parts.iter().map(entry).collect_view();
    view! {
        <div class="body tall">
            <div class="bar-of-states thick" aria-hidden="true">{parts}</div>
            <div class="legend">{legend}</div>
            <p class="small muted">{story(found)}</p>
        </div>
    }
    .into_any()
}

/// Where no span tells of steps.
pub(super) fn without(found: &JobTraining) -> AnyView {
    let code = "import coulomb\ncoulomb.init()\nwith coulomb.step(n, tokens=batch_tokens):\n    train(batch)";
    view! {
        <div class="say">
            <p>{without_spans(found)}</p>
            <pre class="code" tabindex="0">{code}</pre>
            <p class="small">"docs/training.md tells the rest; any OpenTelemetry SDK will do, too."</p>
        </div>
    }
    .into_any()
}

pub(super) fn steps(found: Found) -> AnyView {
    let aside = move || {
        let steps = found.get().and_then(|f| f.steps.clone()).unwrap_or_default();
        format!("{} from {}", format::counted(steps.count, "step"), format::counted(steps.ranks, "rank"))
    };
    let head = Card { span: "c8", title: "How long did steps take?".to_owned().into(), aside: Signal::derive(aside) };
    let sheet = Signal::derive(move || found.get().map(|found| steps_sheet(&found)).unwrap_or_default());
    card(head, sheet, move || {
        let drawn = drawing("Time of steps by their number".to_owned(), move |width| {
            let steps = found.get().and_then(|f| f.steps.clone()).unwrap_or_default();
            picture(&steps, width, HEIGHT)
        });
        let entry = |colour: &'static str, text: &'static str| {
            view! { <span class="entry"><i class="swatch" style=format!("--fill:var(--{colour})")></i> {text}</span> }
        };
        view! {
            <div class="body">{drawn}</div>
            <div class="foot legend">
                {entry("accent", "median, up to the slowest")} {entry("good", "work of the middle rank, without waiting")}
                {entry("broken", "computed again")}
            </div>
        }
        .into_any()
    })
}

/// Slow ranks and slow steps.
pub(super) fn slow(app: App, found: &JobTraining) -> impl IntoView + use<> {
    let ranks = found.stragglers.iter().map(|one| straggler(one, &found.currency)).collect_view();
    let steps = found.slow_steps.iter().map(|one| slow_step(app, one, &found.currency)).collect_view();
    let body = match found.stragglers.is_empty() && found.slow_steps.is_empty() {
        true => view! { <div class="say"><p>"Nobody: all ranks keep up with each other, and with themselves."</p></div> }
            .into_any(),
        false => view! { <div class="findings" tabindex="0" role="region" aria-label="Slow ranks and steps">{ranks} {steps}</div> }.into_any(),
    };
    view! {
        <section class="card c4">
            <header><h2>"Who is slow?"</h2></header>
            {body}
        </section>
    }
}

fn finding(title: AnyView, cost: Option<i64>, currency: &str, detail: String) -> impl IntoView + use<> {
    let text = cost.map(|micros| format!("{} {currency}", money::money(micros)));
    let exact = cost.map(|micros| money::exact(micros, currency));
    view! {
        <div class="finding">
            {super::super::super::pieces::severity_icon(contract::answers::Severity::Warning)}
            <div class="title">{title}</div>
            <div class="cost" title=exact>{text}</div>
            <div class="detail">{detail}</div>
        </div>
    }
}

fn straggler(one: &TrainingStraggler, currency: &str) -> impl IntoView + use<> {
    let on = one.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
    let title = format!("Rank {}{on}", one.rank).into_any();
    let detail = format!(
        "{} × the work time of the others, slow in {} of {}; all waited {}",
        format::digits(one.work_ratio),
        format::count(one.slow_steps),
        format::counted(one.steps, "step"),
        format::gpu_hours(one.lost_gpu_seconds / 3600.0)
    );
    finding(title, one.cost_micros, currency, detail)
}

fn slow_step(app: App, one: &TrainingSlowStep, currency: &str) -> impl IntoView + use<> {
    let href = app.address.with_untracked(|a| {
        let mut there = a.clone();
        there.set_own("step", &one.step.to_string());
        there.set_own("ranks", "");
        there.href()
    });
    let title = view! { <a href=href>{format!("Step {}, rank {}", one.step, one.rank)}</a> }.into_any();
    let second = |seconds| format::value(Unit::Seconds, seconds);
    let on = one.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
    let detail = format!("{}{on}, usually {}", second(one.work_seconds), second(one.usual_seconds));
    finding(title, one.cost_micros, currency, detail)
}

/// What they cost, and how often to save one.
pub(super) fn checkpoints(found: &JobTraining) -> impl IntoView + use<> {
    let body = match &found.checkpoints {
        None => view! { <div class="say"><p>"No span tells of a checkpoint: a failure would cost all of its work."</p></div> }.into_any(),
        Some(known) => {
            let time = |seconds: Option<f64>| match seconds {
                Some(seconds) => format::value(Unit::Seconds, seconds).into_any(),
                None => view! { <span class="muted">"not known"</span> }.into_any(),
            };
            let ratio = |ratio: Option<f64>| ratio.map_or("not known".to_owned(), format::percent).into_any();
            let of = match known.failures_of.as_deref() {
                Some("cluster") => "Between cluster failures",
                _ => "Between failures",
            };
            let all = vec![
                ("Saved", format::count(known.saves).into_any()),
                ("One save", time(known.save_seconds)),
                ("Every", time(known.interval_seconds)),
                (of, time(known.failure_seconds)),
                ("Suggested", time(known.suggested_seconds)),
                ("Saves and lost work", ratio(known.overhead_ratio)),
                ("At the suggested", ratio(known.suggested_overhead_ratio)),
                ("Read", format::count(known.restores).into_any()),
            ];
            let why = match known.suggested_seconds {
                Some(_) => "The suggested interval is √(2 × time of a save × time between failures): more often costs more in saves, less often more in lost work.",
                None => "Without a failure nobody can say how often to save.",
            };
            view! { <div class="body tall">{facts(all)} <p class="small muted">{why}</p></div> }.into_any()
        }
    };
    view! {
        <section class="card c4">
            <header><h2>"How often to save?"</h2></header>
            {body}
        </section>
    }
}
