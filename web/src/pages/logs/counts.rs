//! How much was said when, by severity; a stretch that is marked becomes the range.

use crate::format::{self, Unit};
use crate::instant::{SECOND, parse_instant};
use crate::logs::{Level, LogBucket, LogCounts, Logs, summary};
use crate::pages::app::App;
use crate::pages::card::{Card, card};
use crate::pages::plot::{Hover, Line, Look, Plot, beside, plot};
use crate::sheet::{Field, Sheet, named, number, text};
use contract::answers::Range;
use leptos::prelude::*;
use std::sync::Arc;

const HEIGHT: u32 = 132;

pub(super) fn counts(app: App, found: Signal<Arc<Logs>>) -> AnyView {
    let hover: Hover = RwSignal::new(None);
    let of = move || found.read().counts.clone().unwrap_or_default();
    let head = Card {
        span: "c12",
        title: "How much was said?".to_owned().into(),
        aside: Signal::derive(move || summary(&of())),
    };
    let sheet = Signal::derive(move || rows(&of()));
    card(head, sheet, move || {
        view! {
            <div class="body">
                <div class="chart" role="img" aria-label="Records over time by severity; the menu has the rows">
                    {plot(move || Some(stacked(app, &of())), hover)}
                    {move || hover.get().and_then(|(at, x)| tip(app, &of(), at, x))}
                </div>
                <ul class="legend">{Level::ALL.map(legend).into_iter().collect_view()}</ul>
            </div>
        }
        .into_any()
    })
}

fn legend(level: Level) -> impl IntoView {
    view! { <li><i class="swatch" style=format!("--fill:var(--{})", level.token())></i> {level.word()}</li> }
}

/// Every bucket of the range, also those without a record.
fn buckets(app: App, counts: &LogCounts) -> (Range, Vec<LogBucket>) {
    let now = app.now_micros();
    let at = |text: &str| parse_instant(text, now).unwrap_or(now);
    let (from, to) = app.address.with_untracked(|a| (at(&a.from), at(&a.to)));
    let width = counts.bucket_seconds.max(1) * SECOND;
    let mut known = counts.buckets.iter().peekable();
    let mut all = Vec::new();
    let mut time = from.div_euclid(width) * width;
    while time < to {
        let here = known.next_if(|bucket| bucket.time_unix_micros <= time);
        all.push(LogBucket { time_unix_micros: time, counts: here.map_or(vec![0; 6], |bucket| bucket.counts.clone()) });
        time += width;
    }
    (Range { from_unix_micros: from, to_unix_micros: to }, all)
}

/// Sums from the bottom up, drawn from the top down so that each lies on what is above it.
fn stacked(app: App, counts: &LogCounts) -> Plot {
    let (range, buckets) = buckets(app, counts);
    let line = |top: usize| Line {
        colour: Level::ALL[top].token(),
        look: Look::Area,
        values: buckets.iter().map(|b| Some(b.counts.iter().take(top + 1).sum::<u64>() as f64)).collect(),
    };
    Plot {
        range,
        times_unix_micros: buckets.iter().map(|b| b.time_unix_micros).collect(),
        bucket_seconds: counts.bucket_seconds,
        lines: (0..Level::ALL.len()).rev().map(line).collect(),
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

fn tip(app: App, counts: &LogCounts, at: usize, x: f64) -> Option<impl IntoView + use<>> {
    let (_, buckets) = buckets(app, counts);
    let bucket = buckets.get(at)?.clone();
    let end = bucket.time_unix_micros + counts.bucket_seconds * SECOND;
    let row = |level: Level| {
        let count = bucket.counts.get(level as usize).copied().unwrap_or(0);
        view! {
            <dt><i class="swatch" style=format!("--fill:var(--{})", level.token())></i> {level.word()}</dt>
            <dd>{format::count(count)}</dd>
        }
    };
    let place = beside(x, at * 2 < buckets.len());
    Some(view! {
        <div class="tip" style=place>
            <div class="when">{format::window(bucket.time_unix_micros, end)}</div>
            <dl>{Level::ALL.into_iter().rev().map(row).collect_view()}</dl>
        </div>
    })
}

fn rows(counts: &LogCounts) -> Sheet {
    let mut heads = vec![text("Time, UTC", "time")];
    heads.extend(Level::ALL.map(|level| number(level.word(), format!("records_{}", level.word()))));
    let row = |bucket: &LogBucket| {
        let time = bucket.time_unix_micros;
        let mut row = vec![Field { shown: format::short_instant(time), exact: crate::instant::rfc3339(time) }];
        row.extend(bucket.counts.iter().map(|count| named(count.to_string())));
        row
    };
    Sheet { name: "logs-over-time".to_owned(), heads, rows: counts.buckets.iter().map(row).collect() }
}
