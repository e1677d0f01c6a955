//! The numbers on the first page.

use super::super::document::Figure;
use super::super::figures::{hours, number, span};
use super::super::summary::{figure, percent_or_none};
use super::lines::Line;

pub(super) fn figures(whole: &Line, (jobs, gpus): (i64, i64)) -> Vec<Figure> {
    let count = |value: i64| number(value as f64, 0);
    let known = whole.known();
    let away =
        format!("{} GPU-h, {} down, {} without telemetry", hours(whole.all()), hours(whole.down), hours(whole.unknown));
    let beside =
        format!("{} GPU-h, {} of it beside jobs", hours(whole.free), percent_or_none(whole.beside, whole.free));
    let wait = whole.wait.as_ref().filter(|wait| wait.jobs > 0);
    let median = wait.and_then(|wait| wait.median_seconds).map_or("–".to_owned(), span);
    let p95 = match wait {
        None => "no job for GPUs started".to_owned(),
        Some(wait) => {
            let p95 = wait.p95_seconds.map_or("–".to_owned(), span);
            format!("{p95} or less for 95 % of {} jobs", count(wait.jobs))
        }
    };
    let waiting = format!("asked for by {} jobs at the end", count(jobs));
    vec![
        figure("GPUs", count(whole.gpus), "", away),
        figure(
            "Allocated",
            percent_or_none(whole.allocated(), known),
            "of GPU-hours",
            format!("{} GPU-h held by jobs", hours(whole.allocated())),
        ),
        figure(
            "Used",
            percent_or_none(whole.used, known),
            "of GPU-hours",
            format!("{} GPU-h held without work", hours(whole.idle)),
        ),
        figure("Free", percent_or_none(whole.free, known), "of GPU-hours", beside),
        figure("Wait in the queue", median, "", format!("the median; {p95}")),
        figure("Waited for", count(gpus), "GPUs", waiting),
    ]
}
