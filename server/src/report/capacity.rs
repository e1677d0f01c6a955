//! The document about capacity: what GPUs there are, what of them is held, used and free, and how long jobs wait.
//!
//! **Invariants:** hours in the six states sum to those of the GPUs; hours without telemetry are in no ratio, and what
//! nobody knows of a group is empty, not 0.

mod figures;
mod lines;
mod sql;

use super::ask::Request;
use super::document::{Appendix, Chart, Document, Making, Note, Series};
use super::gather::{Columns, Source, bucket};
use super::shape::{ALONG_TIME, NO_CURRENCY, buckets};
use super::{ReportError, words};
use arrow::array::RecordBatch;
use lines::{Line, Lines, Wait};
use std::collections::BTreeMap;

/// Groups of a document; as of the others.
const GROUPS_MAX: usize = 1_000_000;
/// What a GPU's time is drawn as, from below.
const DRAWN: [(&str, &str); 6] = [
    ("used", "#1B998B"),
    ("held without work", "#E0A526"),
    ("free", "#8A94A6"),
    ("free, beside jobs", "#5B5F97"),
    ("down", "#C13C37"),
    ("unknown", "#D5D9E0"),
];

/// Everything that a document about capacity is made of.
pub struct Capacity {
    lines: Lines,
    whole: Line,
    by_time: BTreeMap<String, Line>,
    /// Jobs that waited at the end of the period, and the GPUs that they asked for.
    waiting: (i64, i64),
}

/// Asks what the request's format shows.
pub async fn gather_capacity(source: &impl Source, request: &Request) -> Result<Capacity, ReportError> {
    let mut lines = Lines::default();
    let groups = source.rows(sql::groups(request, GROUPS_MAX)).await?;
    if groups.iter().map(RecordBatch::num_rows).sum::<usize>() > GROUPS_MAX {
        return Err(ReportError::TooManyGroups { bound: GROUPS_MAX });
    }
    each(&groups, |columns, row| lines.add_hours(request.by.len(), columns, row))?;
    if let Some(waits) = sql::waits(request, &request.by, GROUPS_MAX) {
        let waits = source.rows(waits).await?;
        each(&waits, |columns, row| lines.add_wait(request.by.len(), columns, row))?;
    }
    let mut whole = Line::default();
    each(&source.rows(sql::whole(request)).await?, |columns, row| whole = Line::read(0, columns, row))?;
    if let Some(wait) = sql::waits(request, &[], GROUPS_MAX) {
        let wait = source.rows(wait).await?;
        each(&wait, |columns, row| whole.wait = Wait::read(0, columns, row))?;
    }
    let mut capacity = Capacity { lines, whole, by_time: BTreeMap::new(), waiting: (0, 0) };
    if request.format.is_rich() {
        let by_time = source.rows(sql::by_time(request, bucket(request.period))).await?;
        each(&by_time, |columns, row| {
            capacity.by_time.insert(columns.text(0, row).unwrap_or_default().to_owned(), Line::read(1, columns, row));
        })?;
        each(&source.rows(sql::waiting(request)).await?, |columns, row| {
            capacity.waiting = (columns.int(0, row).unwrap_or_default(), columns.int(1, row).unwrap_or_default());
        })?;
    }
    Ok(capacity)
}

fn each(batches: &[RecordBatch], mut take: impl FnMut(&Columns, usize)) -> Result<(), ReportError> {
    for batch in batches {
        let columns = Columns::of(batch)?;
        (0..columns.rows).for_each(|row| take(&columns, row));
    }
    Ok(())
}

/// A document of what was gathered for the same request.
pub fn shape_capacity(request: &Request, capacity: &Capacity, making: Making) -> Document {
    let shown = request.format.rows_shown_max();
    let is_rich = request.format.is_rich();
    let mut notes = making.notes.clone();
    notes.extend(self::notes(request, capacity));
    Document {
        title: words::title(request.kind),
        period: words::period(request.period),
        grouped: words::grouped(&request.by),
        basis: words::basis(request.kind, request.period),
        made: words::made(making.made_micros),
        made_micros: making.made_micros,
        disclaimer: words::disclaimer(request.kind),
        figures: if is_rich { figures::figures(&capacity.whole, capacity.waiting) } else { Vec::new() },
        chart: if is_rich { chart(request, capacity) } else { None },
        table: lines::table(request, &capacity.lines, &capacity.whole, shown),
        listing: None,
        notes,
        appendix: Appendix { statements: statements(request), ..Appendix::default() },
        currency: NO_CURRENCY.to_owned(),
    }
}

fn statements(request: &Request) -> Vec<(String, String)> {
    let statements = [
        ("Hours of use", super::sql::rows_of(request, &[])),
        ("Jobs that started", sql::started(request)),
        ("Each group", sql::groups(request, GROUPS_MAX)),
    ];
    statements.into_iter().map(|(name, sql)| (name.to_owned(), sql)).collect()
}

fn chart(request: &Request, capacity: &Capacity) -> Option<Chart> {
    if capacity.by_time.is_empty() {
        return None;
    }
    let buckets = buckets(request);
    let values =
        |at: usize| buckets.iter().map(move |bucket| capacity.by_time.get(bucket).map_or(0.0, |l| l.drawn()[at]));
    let series = DRAWN.iter().enumerate().map(|(at, (name, colour))| Series {
        name: (*name).to_owned(),
        colour,
        values: values(at).collect(),
    });
    Some(Chart {
        title: format!("GPU-hours by {} and what the GPUs did", words::every(bucket(request.period))),
        unit: "GPU-hours".to_owned(),
        along: ALONG_TIME,
        remark: None,
        series: series.collect(),
        buckets,
    })
}

fn notes(request: &Request, capacity: &Capacity) -> Vec<Note> {
    let note = |title: &str, text: &str| Note { title: title.to_owned(), text: text.to_owned() };
    let mut notes = Vec::new();
    if capacity.whole.gpus == 0 {
        notes.push(note(
            "No GPUs",
            "No telemetry of GPUs came in this period: what there was, and what of it was used, is not known.",
        ));
    }
    if capacity.whole.unknown > 0.0 {
        let text = "Hours without telemetry are in no ratio: what GPUs did in them is not known.";
        notes.push(note("Hours without telemetry", text));
    }
    notes.push(note(
        "Free beside jobs",
        "Free time of a node in which others of its GPUs were held: jobs that want whole nodes cannot have it. It is the \
         least that the free times of the GPUs of an hour allow for.",
    ));
    if sql::waits(request, &request.by, 1).is_none() {
        let text = "Which node or model a job waited for is not known, so the groups have no waits; the total has.";
        notes.push(note("Waits", text));
    } else {
        notes.push(note("Waits", "Of jobs for GPUs that started in the period, from submission to start."));
    }
    notes
}
