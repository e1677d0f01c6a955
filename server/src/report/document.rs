//! A document as plain values: what every format shows, already decided, sorted and summed.

use super::figures::{money, number};

/// Columns that fit across a page that stands upright.
const UPRIGHT_COLUMNS_MAX: usize = 8;
/// Totals that stand in a message.
const TOTALS_TOLD_MAX: usize = 4;

/// A sentence that a reader of money needs, with its heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub title: String,
    pub text: String,
}

/// Emissions of the measured electricity in the document.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Carbon {
    /// CO2e of the energy from grids with a factor; none where there is none.
    pub(super) grams: Option<f64>,
    /// Energy from grids without one, whose emissions are not known.
    pub(super) without_factor_joules: f64,
    /// Whose factors they are.
    pub(super) sources: Vec<String>,
}

/// What a document is made with, beside the rows.
#[derive(Debug, Clone, Default)]
pub struct Making {
    /// Unix microseconds, UTC.
    pub made_micros: i64,
    /// Named outcomes of the pricing, shown first among the notes.
    pub notes: Vec<Note>,
}

/// What every renderer reads.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) title: &'static str,
    /// Of the period, in words.
    pub(super) period: String,
    /// The dimensions, in words.
    pub(super) grouped: String,
    /// Which rows of the ledger count.
    pub(super) basis: String,
    /// When it was made, UTC.
    pub(super) made: String,
    pub(super) made_micros: i64,
    pub(super) currency: String,
    /// What the document is not.
    pub(super) disclaimer: Option<&'static str>,
    pub(super) figures: Vec<Figure>,
    pub(super) chart: Option<Chart>,
    pub(super) table: Table,
    /// What the groups are made of, one by one.
    pub(super) listing: Option<Listing>,
    pub(super) notes: Vec<Note>,
    pub(super) appendix: Appendix,
}

/// What a document is, for whoever gets it without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gist {
    /// As in `GPU chargeback by team`.
    pub title: String,
    pub period: String,
    /// A line each.
    pub totals: Vec<String>,
}

impl Document {
    pub fn gist(&self) -> Gist {
        let whole = self.table.columns.iter().zip(&self.table.total).filter_map(|(column, cell)| {
            let said = match cell {
                Cell::Micros(micros) => format!("{} {}", money(*micros), self.currency),
                Cell::Hours(value) if column.shown => number(*value, 1),
                Cell::Count(count) => number(*count as f64, 0),
                _ => return None,
            };
            Some(format!("{}: {said}", column.title))
        });
        let totals = whole.take(TOTALS_TOLD_MAX).collect();
        Gist { title: format!("{} {}", self.title, self.grouped), period: self.period.clone(), totals }
    }

    /// Whether any amount of money is in the table.
    pub(super) fn has_money(&self) -> bool {
        self.table.columns.iter().any(|column| matches!(column.kind, CellKind::Micros | CellKind::Rate))
    }

    /// Whether its table needs a page that lies on its side.
    pub(super) fn is_wide(&self) -> bool {
        self.table.shown().count() > UPRIGHT_COLUMNS_MAX
    }

    /// When it was made, in which currency, and of what.
    pub(super) fn made_line(&self) -> String {
        let amounts = if self.has_money() { format!(" Amounts in {}.", self.currency) } else { String::new() };
        format!("Made {}.{amounts} {}", self.made, self.basis)
    }
}

/// A number of the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) unit: String,
    /// What it is compared with, or made of.
    pub(super) remark: String,
}

/// Amounts over time, stacked bottom up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) unit: String,
    /// What stands below the bars.
    pub(super) along: &'static str,
    pub(super) remark: Option<&'static str>,
    /// Days, months or years, without gaps; or names.
    pub(super) buckets: Vec<String>,
    pub(super) series: Vec<Series>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// As `#rrggbb`.
    pub(super) colour: &'static str,
    /// One a bucket.
    pub(super) values: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// In files for programs.
    pub(super) name: String,
    /// On paper.
    pub(super) title: String,
    pub(super) kind: CellKind,
    /// In CSV and Parquet.
    pub(super) exported: bool,
    /// In XLSX, HTML and PDF.
    pub(super) shown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Text,
    Hours,
    /// Millionths of the currency.
    Micros,
    Ratio,
    /// Currency a GPU-hour.
    Rate,
    /// Kilowatt-hours or kilograms.
    Amount,
    Count,
    Seconds,
}

impl Column {
    pub(super) fn is_number(&self) -> bool {
        self.kind != CellKind::Text
    }

    /// The title, with the currency where amounts stand below it.
    pub(super) fn heading(&self, currency: &str) -> String {
        match self.kind {
            CellKind::Micros | CellKind::Rate => format!("{}, {currency}", self.title),
            CellKind::Text
            | CellKind::Hours
            | CellKind::Ratio
            | CellKind::Amount
            | CellKind::Count
            | CellKind::Seconds => self.title.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Empty,
    Text(String),
    Hours(f64),
    Micros(i64),
    Ratio(f64),
    Rate(f64),
    Amount(f64),
    Count(i64),
    Seconds(f64),
}

/// Things that are told one by one, the worst first.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) title: &'static str,
    /// Of the numbers beside each.
    pub(super) columns: Vec<Column>,
    pub(super) items: Vec<Item>,
    /// Those that are left out, and who tells them.
    pub(super) rest: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) name: String,
    /// Where it is, whose, since when.
    pub(super) place: String,
    /// The one next thing to do.
    pub(super) action: String,
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Those of the dimensions first.
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Groups that are left out, and their sums.
    pub(super) rest: Option<(usize, Vec<Cell>)>,
    pub(super) total: Vec<Cell>,
}

impl Table {
    /// Positions of the columns that a reader sees.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.shown)
    }

    /// Positions of the columns that a program gets.
    pub(super) fn exported(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.exported)
    }
}

/// The way back from a number to its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Appendix {
    pub(super) prices: Vec<PriceUse>,
    pub(super) policies: Vec<PolicyUse>,
    /// All rows of the document, and those of each of its first groups.
    pub(super) statements: Vec<(String, String)>,
}

impl Appendix {
    pub(super) fn is_empty(&self) -> bool {
        self.prices.is_empty() && self.policies.is_empty() && self.statements.is_empty()
    }
}

/// A version of a price book within the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PriceUse {
    pub(super) version: String,
    pub(super) kind: String,
    /// First and last line of the book that were used.
    pub(super) lines: Option<(i64, i64)>,
    pub(super) gpu_hours: f64,
    pub(super) cost_micros: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PolicyUse {
    pub(super) version: String,
    pub(super) rows: i64,
    pub(super) cost_micros: Option<i64>,
}

impl PriceUse {
    pub(super) fn lines_text(&self) -> String {
        match self.lines {
            Some((first, last)) if first == last => format!("{first}"),
            Some((first, last)) => format!("{first}\u{2013}{last}"),
            None => String::new(),
        }
    }
}

impl PolicyUse {
    pub(super) fn sentence(&self, currency: &str) -> String {
        let rows = number(self.rows as f64, 0);
        let cost = self.cost_micros.map_or("no amount".to_owned(), |micros| format!("{} {currency}", money(micros)));
        format!("Policy {} made {rows} rows of the ledger, {cost} in total.", self.version)
    }
}
