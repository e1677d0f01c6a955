//! What a document is asked for: kind, time, dimensions, format. Parsed once, here.

use super::ReportError;
use chrono::{DateTime, Datelike, Months, NaiveDate};

/// More columns of names than a page is wide.
pub const DIMENSIONS_MAX: usize = 6;
/// Longer than any label of Kubernetes with its prefix.
const LABEL_BYTES_MAX: usize = 320;
const LABEL: &str = "label:";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What each group is charged.
    Chargeback,
    /// The same, for information.
    Showback,
    /// What the GPUs of each group did.
    Utilization,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Chargeback, Self::Showback, Self::Utilization];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chargeback => "chargeback",
            Self::Showback => "showback",
            Self::Utilization => "utilization",
        }
    }

    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let names = || Self::ALL.map(|kind| kind.as_str().to_owned()).to_vec();
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| unknown("kind of document", text, names()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
    Xlsx,
    Html,
    Pdf,
}

impl Format {
    pub const ALL: [Self; 5] = [Self::Csv, Self::Parquet, Self::Xlsx, Self::Html, Self::Pdf];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }

    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let names = || Self::ALL.map(|format| format.as_str().to_owned()).to_vec();
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| unknown("format", text, names()))
    }

    /// Whether it carries summary, chart and notes, and not the table only.
    pub(super) fn is_rich(self) -> bool {
        matches!(self, Self::Xlsx | Self::Html | Self::Pdf)
    }
}

/// Half-open, and which of the ledger's two times it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// What lands in the bill of a month, with the adjustments of closed ones.
    Month { year: i32, month: u32 },
    /// What arose in `[from, to)`, Unix microseconds.
    Range { from_micros: i64, to_micros: i64 },
}

impl Period {
    /// `2026-11`.
    pub fn month(text: &str) -> Result<Self, ReportError> {
        let bad = || ReportError::Invalid(format!("month {text:?} is not one like 2026-11"));
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").map_err(|_| bad())?;
        let shaped =
            text.len() == 7 && text.starts_with(|c: char| c.is_ascii_digit()) && (1970..=9999).contains(&first.year());
        shaped.then(|| Self::Month { year: first.year(), month: first.month() }).ok_or_else(bad)
    }

    /// The one of the same length that ends where this one begins; whole months before whole months.
    pub(super) fn before(self) -> Option<Self> {
        match self {
            Self::Month { year, month } => {
                let first = NaiveDate::from_ymd_opt(year, month, 1)?.checked_sub_months(Months::new(1))?;
                Some(Self::Month { year: first.year(), month: first.month() })
            }
            Self::Range { from_micros, to_micros } => {
                let earlier = match (month_start(from_micros), month_start(to_micros)) {
                    (Some(from), Some(to)) => {
                        let months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
                        let first = from.checked_sub_months(Months::new(u32::try_from(months).ok()?))?;
                        first.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros()
                    }
                    _ => from_micros.checked_sub(to_micros.checked_sub(from_micros)?)?,
                };
                Some(Self::Range { from_micros: earlier, to_micros: from_micros })
            }
        }
    }

    /// Start and end, Unix microseconds; none beyond the calendar.
    pub(super) fn bounds(self) -> Option<(i64, i64)> {
        match self {
            Self::Range { from_micros, to_micros } => Some((from_micros, to_micros)),
            Self::Month { year, month } => {
                let first = NaiveDate::from_ymd_opt(year, month, 1)?;
                let micros = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
                Some((micros(first)?, micros(first.checked_add_months(Months::new(1))?)?))
            }
        }
    }
}

fn month_start(micros: i64) -> Option<NaiveDate> {
    let time = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let starts = time.day() == 1 && time.time() == chrono::NaiveTime::MIN;
    starts.then(|| time.date())
}

/// What groups are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// A column of the ledger, or the day of its time.
    Named(&'static Named),
    /// A label of the job.
    Label(String),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// In the ledger.
    pub(super) ledger: &'static str,
    /// In the hours of use, with what is known of their job and owner; none where it makes no sense there.
    pub(super) usage: Option<&'static str>,
}

const fn named(name: &'static str, title: &'static str, ledger: &'static str, usage: Option<&'static str>) -> Named {
    Named { name, title, ledger, usage }
}

const DAY: &str = "day";
const PERIOD: &str = "period";

static NAMED: [Named; 16] = [
    named("cluster", "Cluster", "l.cluster", Some("l.cluster")),
    named("node", "Node", "l.node", Some("l.node")),
    named("gpu_model", "GPU model", "l.gpu_model", Some("l.gpu_model")),
    named("gpu", "GPU", "l.gpu_uuid", Some("l.gpu_uuid")),
    named("pool", "Pool", "l.pool", Some("o.pool")),
    named("job", "Job", "l.job_id", Some("l.job_id")),
    named("user", "User", "l.\"user\"", Some("o.\"user\"")),
    named("account", "Account", "l.account", Some("o.account")),
    named("project", "Project", "l.project", Some("o.project")),
    named("queue", "Queue", "l.queue", Some("o.queue")),
    named("team", "Team", "l.team", Some("o.team")),
    named("cost_centre", "Cost centre", "l.cost_centre", Some("o.cost_centre")),
    named("state", "State", "l.state", None),
    named("category", "Category", "l.category", None),
    named(PERIOD, "Period", "l.period", None),
    named(DAY, "Day", "to_char(l.time, '%Y-%m-%d')", Some("to_char(l.time, '%Y-%m-%d')")),
];

impl Dimension {
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        if let Some(label) = text.strip_prefix(LABEL) {
            return match label.len() {
                1..=LABEL_BYTES_MAX => Ok(Self::Label(label.to_owned())),
                _ => Err(ReportError::Invalid(format!("a label's name has 1 to {LABEL_BYTES_MAX} bytes"))),
            };
        }
        let known = || NAMED.iter().map(|n| n.name.to_owned()).chain([format!("{LABEL}NAME")]).collect();
        let found = NAMED.iter().find(|named| named.name == text);
        found.map(Self::Named).ok_or_else(|| unknown("dimension", text, known()))
    }

    /// As it was asked for, and the name of its column.
    pub fn name(&self) -> String {
        match self {
            Self::Named(named) => named.name.to_owned(),
            Self::Label(label) => format!("{LABEL}{label}"),
        }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Self::Named(named) => named.title.to_owned(),
            Self::Label(label) => format!("Label {label}"),
        }
    }

    /// Whether its values are times: those are not stacked in a chart over time.
    pub(super) fn is_time(&self) -> bool {
        matches!(self, Self::Named(named) if [DAY, PERIOD].contains(&named.name))
    }

    /// Whether it needs the owner or the job of an hour of use.
    pub(super) fn is_of_owner(&self) -> bool {
        matches!(self, Self::Named(named) if named.usage.is_some_and(|usage| usage.starts_with("o.")))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    pub period: Period,
    /// One to [`DIMENSIONS_MAX`], none twice.
    pub by: Vec<Dimension>,
    pub format: Format,
}

impl Request {
    pub fn new(kind: Kind, period: Period, by: Vec<Dimension>, format: Format) -> Result<Self, ReportError> {
        let invalid = |text: String| Err(ReportError::Invalid(text));
        if by.is_empty() || by.len() > DIMENSIONS_MAX {
            return invalid(format!("by takes 1 to {DIMENSIONS_MAX} dimensions, there are {}", by.len()));
        }
        if let Some(twice) = by.iter().enumerate().find(|(at, d)| by[..*at].contains(d)) {
            return invalid(format!("by names {:?} twice", twice.1.name()));
        }
        if let Period::Range { from_micros, to_micros } = period
            && from_micros >= to_micros
        {
            return invalid("from is not before to, ask for a range that has a length".to_owned());
        }
        if period.bounds().is_none() {
            return invalid("the time is beyond the calendar".to_owned());
        }
        let senseless = |d: &&Dimension| matches!(d, Dimension::Named(named) if named.usage.is_none());
        if let Some(senseless) = by.iter().find(|d| kind == Kind::Utilization && senseless(d)) {
            let known = NAMED.iter().filter(|n| n.usage.is_some()).map(|n| n.name.to_owned());
            let known = known.chain([format!("{LABEL}NAME")]).collect();
            return Err(unknown("dimension of utilization", &senseless.name(), known));
        }
        Ok(Self { kind, period, by, format })
    }

    /// The first dimension that is not a time: what the chart stacks.
    pub(super) fn stacked(&self) -> Option<usize> {
        self.by.iter().position(|dimension| !dimension.is_time())
    }
}

fn unknown(what: &'static str, name: &str, known: Vec<String>) -> ReportError {
    ReportError::Unknown { what, name: name.chars().take(100).collect(), known }
}
