//! The document as PDF, set by Typst from a fixed template with the fonts of this program.
//!
//! **Invariant:** the template reads strings from JSON, so no text of a user is ever parsed as markup, and it can
//! name no other file.

use super::ReportError;
use super::chart::svg;
use super::document::{Cell, Document};
use super::figures::{hours, money, number};
use super::page::cell_text;
use super::words::NAMELESS;
use chrono::{DateTime, Datelike, Timelike};
use serde_json::{Value, json};
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, Timestamp};

const TEMPLATE: &str = include_str!("print.typ");
const CHART_FONT: &str = "Libertinus Serif";
/// Results of earlier documents that the typesetter remembers; they share little but the fonts.
const REMEMBERED: usize = 1;

/// A tagged PDF.
pub(super) fn pdf(document: &Document) -> Result<Vec<u8>, ReportError> {
    let paper = Paper::new(document)?;
    let set = typst::compile::<PagedDocument>(&paper).output.map_err(|errors| first(&errors))?;
    let options = PdfOptions {
        creator: Smart::Custom(Some("Coulomb".to_owned())),
        timestamp: made(document.made_micros).map(Timestamp::new_utc),
        ..PdfOptions::default()
    };
    let bytes = typst_pdf::pdf(&set, &options).map_err(|errors| first(&errors));
    typst::comemo::evict(REMEMBERED);
    bytes
}

fn first(errors: &[SourceDiagnostic]) -> ReportError {
    ReportError::internal(errors.first().map_or("the typesetter gave up", |error| error.message.as_str()))
}

fn made(micros: i64) -> Option<Datetime> {
    let time = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let part = |value: u32| u8::try_from(value).ok();
    Datetime::from_ymd_hms(
        time.year(),
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
    )
}

fn rows_text(rows: &[Vec<Cell>], document: &Document) -> Vec<Vec<String>> {
    rows.iter().map(|row| row_text(row, document, None)).collect()
}

fn row_text(row: &[Cell], document: &Document, name: Option<&str>) -> Vec<String> {
    let text = |(at, column): (usize, &super::document::Column)| match (name, &row[at]) {
        (Some(name), _) if at == 0 => name.to_owned(),
        (Some(_), Cell::Empty) => String::new(),
        (None, Cell::Empty) if column.is_number() => "–".to_owned(),
        (None, Cell::Empty) => NAMELESS.to_owned(),
        (_, Cell::Text(name)) => breakable(name),
        (_, cell) => cell_text(cell),
    };
    document.table.shown().map(text).collect()
}

/// Long names may break after what joins their parts, and anywhere after that many letters.
fn breakable(name: &str) -> String {
    const RUN_MAX: usize = 18;
    let mut out = String::with_capacity(name.len());
    let mut run = 0;
    for c in name.chars().filter(|c| !c.is_control()) {
        out.push(c);
        run = if c.is_whitespace() { 0 } else { run + 1 };
        if run > 0 && (matches!(c, '/' | '-' | '_' | '.' | '@' | ':' | '=' | ',') || run >= RUN_MAX) {
            out.push('\u{200b}');
            run = 0;
        }
    }
    out
}

/// What the template reads.
pub(super) fn value_of(document: &Document) -> Value {
    let table = &document.table;
    let rest = match &table.rest {
        Some((groups, sums)) => row_text(sums, document, Some(&format!("{} more groups", number(*groups as f64, 0)))),
        None => Vec::new(),
    };
    let prices = document.appendix.prices.iter().map(|price| {
        let cost = price.cost_micros.map_or("–".to_owned(), money);
        [breakable(&price.version), price.kind.clone(), price.lines_text(), hours(price.gpu_hours), cost]
    });
    let policies = document.appendix.policies.iter().map(|policy| policy.sentence(&document.currency));
    let statements = document.appendix.statements.iter().map(|(name, sql)| [breakable(name), breakable(sql)]);
    let figures = document.figures.iter().map(
        |figure| json!({ "label": figure.label, "value": figure.value, "unit": figure.unit, "remark": figure.remark }),
    );
    let chart = document.chart.as_ref().map(|chart| {
        let series = chart.series.iter().map(|s| json!({ "name": breakable(&s.name), "colour": s.colour }));
        let caption = format!("{}{}", chart.unit, chart.remark.map(|r| format!(" · {r}")).unwrap_or_default());
        json!({ "title": chart.title, "caption": caption, "series": series.collect::<Vec<_>>() })
    });
    let listing = document.listing.as_ref().map(|listing| {
        let text = |cell: &Cell| if *cell == Cell::Empty { "–".to_owned() } else { cell_text(cell) };
        let item = |item: &super::document::Item| {
            json!({
                "name": breakable(&item.name),
                "place": breakable(&item.place),
                "action": item.action,
                "cells": item.cells.iter().map(text).collect::<Vec<_>>(),
            })
        };
        json!({
            "title": listing.title,
            "headings": listing.columns.iter().map(|c| c.heading(&document.currency)).collect::<Vec<_>>(),
            "items": listing.items.iter().map(item).collect::<Vec<_>>(),
            "rest": listing.rest,
        })
    });
    json!({
        "title": format!("{} {}", document.title, document.grouped),
        "period": document.period,
        "made": document.made_line(),
        "currency": document.currency,
        "disclaimer": document.disclaimer,
        "wide": document.is_wide(),
        "figures": figures.collect::<Vec<_>>(),
        "chart": chart,
        "table": {
            "title": format!("All groups, {}", document.grouped),
            "numeric": table.shown().map(|(_, column)| column.is_number()).collect::<Vec<_>>(),
            "headings": table.shown().map(|(_, column)| column.heading(&document.currency)).collect::<Vec<_>>(),
            "rows": rows_text(&table.rows, document),
            "rest": rest,
            "total": row_text(&table.total, document, Some("Total")),
        },
        "listing": listing,
        "notes": document.notes.iter().map(|n| json!({ "title": n.title, "text": n.text })).collect::<Vec<_>>(),
        "prices": prices.collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
        "statements": statements.collect::<Vec<_>>(),
    })
}

/// All that the typesetter may see: the template, the document, the chart, the fonts.
struct Paper {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    main: Source,
    files: [(FileId, Bytes); 2],
}

impl Paper {
    fn new(document: &Document) -> Result<Self, ReportError> {
        let fonts: Vec<Font> = typst_assets::fonts().flat_map(|font| Font::iter(Bytes::new(font))).collect();
        let chart = document.chart.as_ref().map(|chart| svg(chart, CHART_FONT)).unwrap_or_default();
        let value = value_of(document).to_string();
        Ok(Self {
            library: LazyHash::new(Library::default()),
            book: LazyHash::new(FontBook::from_fonts(&fonts)),
            fonts,
            main: Source::new(file("/print.typ")?, TEMPLATE.to_owned()),
            files: [
                (file("/document.json")?, Bytes::from_string(value)),
                (file("/chart.svg")?, Bytes::from_string(chart)),
            ],
        })
    }
}

fn file(path: &str) -> Result<FileId, ReportError> {
    let path = VirtualPath::new(path).map_err(|_| ReportError::internal("a path of the template is none"))?;
    Ok(RootedPath::new(VirtualRoot::Project, path).intern())
}

impl World for Paper {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let found = self.files.iter().find(|(file, _)| *file == id);
        found.map(|(_, bytes)| bytes.clone()).ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
