//! Documents of what was found: waste and incidents, which are no rows of the ledger but point at some.
//!
//! **Invariants:** an amount is in one part of one entry, so groups sum to the whole however they are told apart; what
//! has no price has no amount, and is not 0. Pure.

mod drawn;
mod figures;
mod sums;
mod written;

use super::ReportError;
use super::ask::{Kind, Request};
use super::document::{Appendix, Document, Making, Note};
use super::figures::hours;
use super::shape::NO_CURRENCY;
use super::words;
use sums::{Sum, grouped};

/// Something that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// As in `idle_gpus`; of an incident its category.
    pub kind: String,
    pub severity: String,
    pub title: String,
    /// The one next thing to do.
    pub action: String,
    pub cluster: String,
    pub node: Option<String>,
    pub from_micros: i64,
    pub to_micros: i64,
    pub is_ongoing: bool,
    /// One at least.
    pub parts: Vec<Part>,
}

/// A part of it, with its own owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    pub gpu: Option<String>,
    pub job: Option<String>,
    pub team: Option<String>,
    pub user: Option<String>,
    /// Time of GPUs that are down, and of no job.
    pub is_down: bool,
    pub gpu_hours: f64,
    /// None where nothing of it has a price.
    pub cost_micros: Option<i64>,
}

/// All that was found in a period.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The hours that are known of it, Unix microseconds.
    pub from_micros: i64,
    pub to_micros: i64,
    /// Empty where there is no ledger.
    pub currency: String,
    /// Of everything in these hours; none where nothing has a price, or nobody asked.
    pub whole_cost_micros: Option<i64>,
    /// What costs most first.
    pub entries: Vec<Entry>,
    /// What is in no number of the document, in sentences.
    pub set_aside: Vec<Note>,
}

/// A document of what was found in the request's period.
pub fn shape_found(request: &Request, found: &Found, making: Making) -> Result<Document, ReportError> {
    let currency = if found.currency.is_empty() { NO_CURRENCY.to_owned() } else { found.currency.clone() };
    let groups = grouped(request, found);
    let whole = groups.iter().fold(Sum::default(), |whole, (_, sum)| whole.with(sum));
    let shown = request.format.rows_shown_max();
    let is_rich = request.format.is_rich();
    let mut notes = making.notes.clone();
    notes.extend(found.set_aside.iter().cloned());
    notes.extend(self::notes(request, found, &whole));
    Ok(Document {
        title: words::title(request.kind),
        period: words::period(request.period),
        grouped: words::grouped(&request.by),
        basis: words::basis(request.kind, request.period),
        made: words::made(making.made_micros),
        made_micros: making.made_micros,
        disclaimer: words::disclaimer(request.kind),
        figures: if is_rich { figures::figures(request, found, &whole, &currency) } else { Vec::new() },
        chart: is_rich.then(|| drawn::chart(request, found, &groups, &currency)).flatten(),
        table: sums::table(request, found, &groups, &whole, shown),
        listing: is_rich.then(|| written::listing(request, found)).flatten(),
        notes,
        appendix: Appendix::default(),
        currency,
    })
}

fn notes(request: &Request, found: &Found, whole: &Sum) -> Vec<Note> {
    let note = |title: &str, text: String| Note { title: title.to_owned(), text };
    let mut notes = Vec::new();
    if found.entries.is_empty() {
        let what = if request.kind == Kind::Waste { "waste" } else { "failure" };
        notes
            .push(note("Nothing was found", format!("No {what} was found in the hours that are known of the period.")));
    }
    if whole.unpriced_gpu_hours > 0.0 {
        let text = format!(
            "{} GPU-hours of it have no price. Their cost is in no amount of this document; it is neither zero nor \
             estimated.",
            hours(whole.unpriced_gpu_hours)
        );
        notes.push(note("Hours without a price", text));
    }
    let end = request.period.bounds().map_or(0, |(_, to)| to);
    if !found.entries.is_empty() && found.to_micros < end {
        let until = words::made(found.to_micros);
        notes.push(note("Not all hours are known", format!("The ledger knows hours until {until}.")));
    }
    let (command, counted) = match request.kind {
        Kind::Waste => (
            "coulomb findings",
            "An hour of a GPU is in one finding at most, so all of them together are never more than the ledger has. \
             Per month is what 30 days like the known hours would cost.",
        ),
        _ => (
            "coulomb incidents",
            "What is lost is the work of attempts since their last checkpoint, or since their start where nobody knows \
             of one, and the hours in which GPUs were down. An attempt is in one incident, and an hour of a GPU in one.",
        ),
    };
    let text = format!("{counted} Amounts are rows of the ledger. {command} lists each with what it is judged by.");
    notes.push(note("What counts", text));
    notes
}
