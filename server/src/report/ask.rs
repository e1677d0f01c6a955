//! What a document is asked for: kind, time, dimensions, format. Parsed once, here.

use super::ReportError;
use crate::cost::{DIMENSIONS, LedgerDimension};
use chrono::{DateTime, Datelike, Months, NaiveDate};

/// Groups on paper; a thicker document is not read.
const ROWS_SHOWN_MAX: usize = 10_000;

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
    /// What there is, what of it is held, used and free, and how long jobs wait.
    Capacity,
    /// What is paid for and of no use to anybody.
    Waste,
    /// What failed and what that took.
    Incidents,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Chargeback, Self::Showback, Self::Utilization, Self::Capacity, Self::Waste, Self::Incidents];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chargeback => "chargeback",
            Self::Showback => "showback",
            Self::Utilization => "utilization",
            Self::Capacity => "capacity",
            Self::Waste => "waste",
            Self::Incidents => "incidents",
        }
    }

    /// The groups where nobody says any.
    pub fn default_by(self) -> Vec<Dimension> {
        let names: &[&str] = match self {
            Self::Chargeback | Self::Showback | Self::Utilization => &["team"],
            Self::Capacity => &[DAY],
            Self::Waste => &["team", "kind"],
            Self::Incidents => &["category"],
        };
        names.iter().filter_map(|name| named().find(|known| known.name == *name)).map(Dimension::Named).collect()
    }

    /// Whether it says what each group is charged.
    pub fn is_of_money(self) -> bool {
        matches!(self, Self::Chargeback | Self::Showback)
    }

    /// Whether its groups may be told apart by a dimension.
    fn knows(self, dimension: &Dimension) -> bool {
        match dimension {
            Dimension::Label(_) => self.is_of_money() || self == Self::Utilization,
            Dimension::Named(named) => self.names().any(|name| name == named.name),
        }
    }

    fn names(self) -> Box<dyn Iterator<Item = &'static str>> {
        let of_ledger = || DIMENSIONS.iter().map(|known| known.name).chain([DAY]);
        match self {
            Self::Chargeback | Self::Showback => Box::new(of_ledger()),
            Self::Utilization => Box::new(named().filter(|n| n.name != HOUR && in_usage(n).is_some()).map(|n| n.name)),
            Self::Capacity => Box::new([DAY, HOUR, "cluster", "node", "gpu_model", "queue"].into_iter()),
            Self::Waste => {
                Box::new(["team", KIND, FINDING, "user", "job", "gpu", "node", "cluster", SEVERITY, DAY].into_iter())
            }
            Self::Incidents => {
                Box::new(["category", INCIDENT, "user", "job", "node", "cluster", SEVERITY, DAY].into_iter())
            }
        }
    }

    /// Of a dimension that it has none of.
    fn dimension_of(self) -> &'static str {
        match self {
            Self::Chargeback => "dimension of a chargeback",
            Self::Showback => "dimension of a showback",
            Self::Utilization => "dimension of utilization",
            Self::Capacity => "dimension of capacity",
            Self::Waste => "dimension of waste",
            Self::Incidents => "dimension of incidents",
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

    /// How many lines of the table it shows; the others it counts.
    pub(super) fn rows_shown_max(self) -> usize {
        match self {
            Self::Html | Self::Pdf => ROWS_SHOWN_MAX,
            Self::Csv | Self::Parquet | Self::Xlsx => usize::MAX,
        }
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
    Named(&'static LedgerDimension),
    /// A label of the job.
    Label(String),
}

const DAY: &str = "day";
const PERIOD: &str = "period";
const HOUR: &str = "hour";
/// Of what was found.
const KIND: &str = "kind";
const FINDING: &str = "finding";
const INCIDENT: &str = "incident";
const SEVERITY: &str = "severity";

/// Beside the ledger's: its time, and what tells findings and incidents apart, which are no rows of tables.
static OTHERS: [LedgerDimension; 6] = [
    LedgerDimension { name: DAY, title: "Day", column: "to_char(l.time, '%Y-%m-%d')" },
    LedgerDimension { name: HOUR, title: "Hour", column: "to_char(l.time, '%Y-%m-%d %H:00')" },
    LedgerDimension { name: KIND, title: "Kind", column: "" },
    LedgerDimension { name: FINDING, title: "Finding", column: "" },
    LedgerDimension { name: INCIDENT, title: "Incident", column: "" },
    LedgerDimension { name: SEVERITY, title: "Severity", column: "" },
];

fn named() -> impl Iterator<Item = &'static LedgerDimension> {
    DIMENSIONS.iter().chain(&OTHERS)
}

/// In the hours of use, `l`, with what is known of their job and owner, `o`; none where it makes no sense there.
fn in_usage(named: &LedgerDimension) -> Option<String> {
    match named.name {
        DAY | HOUR => Some(named.column.to_owned()),
        "cluster" | "node" | "gpu_model" | "gpu" | "job" => Some(format!("l.{}", named.column)),
        "pool" | "user" | "account" | "project" | "queue" | "team" | "cost_centre" => {
            Some(format!("o.{}", named.column))
        }
        _ => None,
    }
}

impl Dimension {
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        if let Some(label) = text.strip_prefix(LABEL) {
            return match label.len() {
                1..=LABEL_BYTES_MAX => Ok(Self::Label(label.to_owned())),
                _ => Err(ReportError::Invalid(format!("a label's name has 1 to {LABEL_BYTES_MAX} bytes"))),
            };
        }
        let known = || named().map(|n| n.name.to_owned()).chain([format!("{LABEL}NAME")]).collect();
        let found = named().find(|named| named.name == text);
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

    /// Without the name of a label.
    pub(super) fn plain_title(&self) -> &'static str {
        match self {
            Self::Named(named) => named.title,
            Self::Label(_) => "Label",
        }
    }

    /// Whether its values are times: those are not stacked in a chart over time.
    pub(super) fn is_time(&self) -> bool {
        matches!(self, Self::Named(named) if [DAY, HOUR, PERIOD].contains(&named.name))
    }

    /// Whether it needs the owner or the job of an hour of use.
    pub(super) fn is_of_owner(&self) -> bool {
        self.usage().is_some_and(|usage| usage.starts_with("o."))
    }

    /// In a statement about the ledger `l`; of a label none.
    pub(super) fn ledger(&self) -> Option<String> {
        match self {
            Self::Named(named) if self.is_time() && named.name != PERIOD => Some(named.column.to_owned()),
            Self::Named(named) => Some(format!("l.{}", named.column)),
            Self::Label(_) => None,
        }
    }

    /// In a statement about hours of use; none where it makes no sense there, and of a label.
    pub(super) fn usage(&self) -> Option<String> {
        match self {
            Self::Named(named) => in_usage(named),
            Self::Label(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    pub period: Period,
    /// One to [`DIMENSIONS_MAX`], none twice.
    pub by: Vec<Dimension>,
    pub format: Format,
    /// What stands beside money.
    pub with: Vec<Beside>,
}

/// What a document about money can have beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Kilowatt-hours, as measured at the GPUs.
    Energy,
    /// Emissions of them, where the grid has a factor.
    Carbon,
}

impl Beside {
    pub const ALL: [Self; 2] = [Self::Energy, Self::Carbon];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Energy => "energy",
            Self::Carbon => "carbon",
        }
    }

    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let names = || Self::ALL.map(|beside| beside.as_str().to_owned()).to_vec();
        let found = Self::ALL.into_iter().find(|beside| beside.as_str() == text);
        found.ok_or_else(|| unknown("column beside money", text, names()))
    }
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
        if let Some(senseless) = by.iter().find(|dimension| !kind.knows(dimension)) {
            let label = (kind.is_of_money() || kind == Kind::Utilization).then(|| format!("{LABEL}NAME"));
            let known = kind.names().map(str::to_owned).chain(label).collect();
            return Err(unknown(kind.dimension_of(), &senseless.name(), known));
        }
        Ok(Self { kind, period, by, format, with: Vec::new() })
    }

    /// The same with energy or carbon beside money, in every format.
    pub fn with(self, with: Vec<Beside>) -> Result<Self, ReportError> {
        if !self.kind.is_of_money() && !with.is_empty() {
            let why = "energy and carbon stand beside money: ask for a chargeback or a showback";
            return Err(ReportError::Invalid(why.to_owned()));
        }
        Ok(Self { with, ..self })
    }

    /// Whether the ledger's energy is asked for: where it is shown, or wanted.
    pub(super) fn has_energy(&self) -> bool {
        self.kind.is_of_money() && (self.format.is_rich() || !self.with.is_empty())
    }

    /// The first dimension that is not a time: what the chart stacks.
    pub(super) fn stacked(&self) -> Option<usize> {
        self.by.iter().position(|dimension| !dimension.is_time())
    }
}

fn unknown(what: &'static str, name: &str, known: Vec<String>) -> ReportError {
    ReportError::Unknown { what, name: name.chars().take(100).collect(), known }
}
