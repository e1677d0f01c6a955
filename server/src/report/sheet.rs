//! The document as an XLSX workbook: summary with chart, table, notes, and the statements behind the rows.
//!
//! **Invariant:** text is written as text; no cell that holds a name is ever a formula.

use super::ReportError;
use super::document::{Cell, CellKind, Chart, Column, Document, Listing, Table};
use super::figures::units;
use super::shape::ALONG_TIME;
use super::words::NAMELESS;
use chrono::DateTime;
use rust_xlsxwriter::{
    Chart as Picture, ChartLegendPosition, ChartType, Color, DocProperties, ExcelDateTime, Format, FormatAlign,
    FormatBorder, Formula, Workbook, Worksheet, XlsxError,
};

/// What a cell holds; a longer name is cut here and whole in every other format.
const CELL_CHARS_MAX: usize = 32_000;
const SUMMARY: &str = "Summary";
const TABLE: &str = "Groups";
const SERIES_OVER_TIME: &str = "Over time";
const SERIES: &str = "Chart";
const NOTES: &str = "Notes";
const SOURCES: &str = "Sources";
const PICTURE_WIDTH: u32 = 860;
const PICTURE_HEIGHT: u32 = 320;
/// Of the columns that hold sentences, in characters; and the height of one line, in points.
const SENTENCE_WIDTH: u16 = 110;
const LINE_HEIGHT: f64 = 15.0;
/// Of the whole summary.
const SUMMARY_WIDTH: usize = 120;

impl From<XlsxError> for ReportError {
    fn from(error: XlsxError) -> Self {
        Self::internal(error)
    }
}

pub(super) fn xlsx(document: &Document) -> Result<Vec<u8>, ReportError> {
    let mut book = Workbook::new();
    book.set_properties(&properties(document));
    let (mut summary, mut groups) = (Worksheet::new(), Worksheet::new());
    fill_summary(summary.set_name(SUMMARY)?, document)?;
    fill_groups(groups.set_name(TABLE)?, &document.table, &document.currency)?;
    book.push_worksheet(summary);
    book.push_worksheet(groups);
    if let Some(chart) = &document.chart {
        fill_series(book.add_worksheet().set_name(series_name(chart))?, chart)?;
    }
    if let Some(listing) = &document.listing {
        fill_listing(book.add_worksheet().set_name(listing.title)?, listing, &document.currency)?;
    }
    fill_notes(book.add_worksheet().set_name(NOTES)?, document)?;
    if !document.appendix.is_empty() {
        fill_sources(book.add_worksheet().set_name(SOURCES)?, document)?;
    }
    Ok(book.save_to_buffer()?)
}

/// The workbook carries the time of making, and none of saving.
fn properties(document: &Document) -> DocProperties {
    let properties = DocProperties::new().set_title(document.title).set_author("Coulomb");
    let seconds = DateTime::from_timestamp_micros(document.made_micros).map(|time| time.timestamp());
    match seconds.and_then(|seconds| ExcelDateTime::from_timestamp(seconds).ok()) {
        Some(time) => properties.set_creation_datetime(&time),
        None => properties,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(CELL_CHARS_MAX).collect()
}

fn heading() -> Format {
    Format::new().set_bold().set_border_bottom(FormatBorder::Thin).set_text_wrap().set_align(FormatAlign::Bottom)
}

fn quiet() -> Format {
    Format::new().set_font_color(Color::RGB(0x5B_64_72))
}

fn wrapped() -> Format {
    Format::new().set_text_wrap().set_align(FormatAlign::Top)
}

/// A4 across, all columns on each page.
fn on_paper(sheet: &mut Worksheet) {
    sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0).set_footer("&L&A&R&P / &N");
}

/// Height of a row whose text is wrapped at so many characters: not every program finds it out by itself.
fn height(text: &str, width: usize) -> f64 {
    let lines = text.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum::<usize>();
    LINE_HEIGHT * lines.clamp(1, 26) as f64
}

fn number_format(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Text => "@",
        CellKind::Hours | CellKind::Amount => "#,##0.0",
        CellKind::Micros => "#,##0.00",
        CellKind::Ratio => "0.0%",
        CellKind::Rate => "#,##0.0000",
        CellKind::Count | CellKind::Seconds => "#,##0",
    }
}

fn series_name(chart: &Chart) -> &'static str {
    if chart.along == ALONG_TIME { SERIES_OVER_TIME } else { SERIES }
}

/// Of a column, with the unit where a number alone would not tell it.
fn title(column: &Column, currency: &str) -> String {
    match column.kind {
        CellKind::Seconds => format!("{}, s", column.title),
        _ => column.heading(currency),
    }
}

fn fill_summary(sheet: &mut Worksheet, document: &Document) -> Result<(), ReportError> {
    sheet.set_screen_gridlines(false).set_column_width(0, 26)?.set_column_width(1, 20)?;
    sheet.set_column_width(2, 16)?.set_column_width(3, 60)?;
    on_paper(sheet);
    let title = format!("{} {}", document.title, document.grouped);
    sheet.write_string_with_format(0, 0, cut(&title), &Format::new().set_bold().set_font_size(18))?;
    sheet.write_string_with_format(1, 0, &document.period, &Format::new().set_font_size(14))?;
    let made = document.made_line();
    sheet.merge_range(2, 0, 2, 3, &cut(&made), &quiet().set_text_wrap().set_align(FormatAlign::Top))?;
    sheet.set_row_height(2, height(&made, SUMMARY_WIDTH))?;
    if let Some(text) = document.disclaimer {
        sheet.write_string_with_format(3, 0, text, &Format::new().set_bold())?;
    }
    let value = Format::new().set_bold().set_font_size(12).set_align(FormatAlign::Right);
    let mut row = 5;
    for figure in &document.figures {
        sheet.write_string(row, 0, figure.label)?;
        sheet.write_string_with_format(row, 1, &figure.value, &value)?;
        sheet.write_string_with_format(row, 2, &figure.unit, &quiet())?;
        sheet.write_string_with_format(row, 3, cut(&figure.remark), &quiet())?;
        row += 1;
    }
    if let Some(chart) = &document.chart {
        sheet.insert_chart(row + 1, 0, &picture(chart))?;
    }
    Ok(())
}

fn picture(chart: &Chart) -> Picture {
    let mut picture = Picture::new(ChartType::ColumnStacked);
    let (last, sheet) = (u32::try_from(chart.buckets.len()).unwrap_or(u32::MAX), series_name(chart));
    for (at, series) in chart.series.iter().enumerate() {
        let column = u16::try_from(at + 1).unwrap_or(u16::MAX);
        let added = picture.add_series();
        added.set_categories((sheet, 1, 0, last, 0)).set_values((sheet, 1, column, last, column));
        added.set_name((sheet, 0, column)).set_gap(20).set_overlap(100);
        added.set_format(
            rust_xlsxwriter::ChartFormat::new()
                .set_solid_fill(rust_xlsxwriter::ChartSolidFill::new().set_color(series.colour)),
        );
    }
    picture.title().set_name(cut(&chart.title).as_str());
    picture.y_axis().set_name(cut(&chart.unit).as_str()).set_num_format("#,##0");
    picture.legend().set_position(ChartLegendPosition::Bottom);
    picture.set_width(PICTURE_WIDTH).set_height(PICTURE_HEIGHT);
    picture
}

fn fill_groups(sheet: &mut Worksheet, table: &Table, currency: &str) -> Result<(), ReportError> {
    let shown: Vec<(usize, CellKind)> = table.shown().map(|(at, column)| (at, column.kind)).collect();
    for (place, (_, column)) in (0_u16..).zip(table.shown()) {
        let format = if column.is_number() { heading().set_align(FormatAlign::Right) } else { heading() };
        sheet.write_string_with_format(0, place, cut(&title(column, currency)), &format)?;
        sheet.set_column_width(place, if column.is_number() { 16 } else { 30 })?;
    }
    sheet.set_freeze_panes(1, 0)?.set_repeat_rows(0, 0)?;
    on_paper(sheet);
    let formats: Vec<Format> =
        shown.iter().map(|(_, kind)| Format::new().set_num_format(number_format(*kind))).collect();
    let mut row = 0;
    for cells in &table.rows {
        row += 1;
        for (place, ((at, kind), format)) in (0_u16..).zip(shown.iter().zip(&formats)) {
            write(sheet, row, place, &cells[*at], *kind, format)?;
        }
    }
    if row > 0 {
        sheet.autofilter(0, 0, row, u16::try_from(shown.len() - 1).unwrap_or_default())?;
        totals(sheet, table, row)?;
    }
    Ok(())
}

fn write(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    cell: &Cell,
    kind: CellKind,
    format: &Format,
) -> Result<(), XlsxError> {
    match cell {
        Cell::Empty if kind == CellKind::Text => sheet.write_string_with_format(row, column, NAMELESS, &quiet())?,
        Cell::Empty => sheet.write_blank(row, column, format)?,
        Cell::Text(name) => sheet.write_string_with_format(row, column, cut(name), format)?,
        Cell::Hours(value) | Cell::Ratio(value) | Cell::Rate(value) | Cell::Amount(value) | Cell::Seconds(value) => {
            sheet.write_number_with_format(row, column, *value, format)?
        }
        Cell::Count(count) => sheet.write_number_with_format(row, column, *count as f64, format)?,
        Cell::Micros(micros) => sheet.write_number_with_format(row, column, units(*micros), format)?,
    };
    Ok(())
}

/// Sums as formulas, with the value that a viewer shows which does not compute.
fn totals(sheet: &mut Worksheet, table: &Table, last: u32) -> Result<(), ReportError> {
    let bold = |kind| Format::new().set_bold().set_border_top(FormatBorder::Thin).set_num_format(number_format(kind));
    let row = last + 1;
    for (place, (at, column)) in (0_u16..).zip(table.shown()) {
        let format = bold(column.kind);
        let letter = rust_xlsxwriter::utility::column_number_to_name(place);
        match (&table.total[at], place) {
            (_, 0) => sheet.write_string_with_format(row, place, "Total", &format)?,
            (Cell::Hours(value) | Cell::Amount(value), _) => {
                let sum = Formula::new(format!("=SUM({letter}2:{letter}{row})")).set_result(value.to_string());
                sheet.write_formula_with_format(row, place, sum, &format)?
            }
            (Cell::Micros(micros), _) => {
                let sum = Formula::new(format!("=SUM({letter}2:{letter}{row})")).set_result(units(*micros).to_string());
                sheet.write_formula_with_format(row, place, sum, &format)?
            }
            // The ratio of a whole is none of its parts' sum.
            (Cell::Ratio(value) | Cell::Rate(value), _) => {
                sheet.write_number_with_format(row, place, *value, &format)?
            }
            (Cell::Seconds(value), _) => sheet.write_number_with_format(row, place, *value, &format)?,
            // The same may be in several groups.
            (Cell::Count(count), _) => sheet.write_number_with_format(row, place, *count as f64, &format)?,
            (Cell::Empty | Cell::Text(_), _) => sheet.write_blank(row, place, &format)?,
        };
    }
    Ok(())
}

fn fill_series(sheet: &mut Worksheet, chart: &Chart) -> Result<(), ReportError> {
    sheet.set_column_width(0, 14)?.set_freeze_panes(1, 1)?.set_repeat_rows(0, 0)?;
    on_paper(sheet);
    sheet.write_string_with_format(0, 0, chart.along, &heading())?;
    for (row, bucket) in (1_u32..).zip(&chart.buckets) {
        sheet.write_string(row, 0, bucket)?;
    }
    let format = Format::new().set_num_format("#,##0.00");
    // Before its first row and after its last one the ledger says nothing, which is not zero.
    let has_any = |at: &usize| chart.series.iter().any(|series| series.values.get(*at).is_some_and(|v| *v != 0.0));
    let mut known = (0..chart.buckets.len()).filter(has_any);
    let first = known.next().unwrap_or_default();
    let known = first..known.next_back().unwrap_or(first) + 1;
    for (column, series) in (1_u16..).zip(&chart.series) {
        sheet.set_column_width(column, 16)?;
        let head = heading().set_align(FormatAlign::Right);
        sheet.write_string_with_format(0, column, cut(&series.name), &head)?;
        for ((at, row), value) in (0..).zip(1_u32..).zip(&series.values) {
            if !known.contains(&at) {
                continue;
            }
            sheet.write_number_with_format(row, column, *value, &format)?;
        }
    }
    Ok(())
}

fn fill_listing(sheet: &mut Worksheet, listing: &Listing, currency: &str) -> Result<(), ReportError> {
    on_paper(sheet);
    sheet.set_freeze_panes(1, 0)?.set_repeat_rows(0, 0)?;
    for (place, (name, width)) in (0_u16..).zip([(listing.title, 50), ("Where and since when", 60), ("Next step", 60)])
    {
        sheet.write_string_with_format(0, place, name, &heading())?.set_column_width(place, width)?;
    }
    for (place, column) in (3_u16..).zip(&listing.columns) {
        let head = heading().set_align(FormatAlign::Right);
        sheet.write_string_with_format(0, place, cut(&title(column, currency)), &head)?.set_column_width(place, 16)?;
    }
    let of_column = |kind| Format::new().set_num_format(number_format(kind)).set_align(FormatAlign::Top);
    let formats: Vec<Format> = listing.columns.iter().map(|column| of_column(column.kind)).collect();
    for (row, item) in (1_u32..).zip(&listing.items) {
        for (place, text) in (0_u16..).zip([&item.name, &item.place, &item.action]) {
            sheet.write_string_with_format(row, place, cut(text), &wrapped())?;
        }
        for (place, (cell, (column, format))) in
            (3_u16..).zip(item.cells.iter().zip(listing.columns.iter().zip(&formats)))
        {
            write(sheet, row, place, cell, column.kind, format)?;
        }
        let lines = [(&item.name, 50), (&item.place, 60), (&item.action, 60)].map(|(text, width)| height(text, width));
        sheet.set_row_height(row, lines.into_iter().fold(LINE_HEIGHT, f64::max))?;
    }
    Ok(())
}

fn fill_notes(sheet: &mut Worksheet, document: &Document) -> Result<(), ReportError> {
    sheet.set_column_width(0, 32)?.set_column_width(1, SENTENCE_WIDTH)?.set_freeze_panes(1, 0)?;
    on_paper(sheet);
    sheet.write_string_with_format(0, 0, "Note", &heading())?.write_string_with_format(0, 1, "Text", &heading())?;
    for (row, note) in (1_u32..).zip(&document.notes) {
        sheet.write_string_with_format(row, 0, cut(&note.title), &wrapped().set_bold())?;
        sheet.write_string_with_format(row, 1, cut(&note.text), &wrapped())?;
        sheet.set_row_height(row, height(&note.text, SENTENCE_WIDTH.into()))?;
    }
    Ok(())
}

fn fill_sources(sheet: &mut Worksheet, document: &Document) -> Result<(), ReportError> {
    let appendix = &document.appendix;
    sheet.set_column_width(0, 40)?.set_column_width(1, SENTENCE_WIDTH)?;
    on_paper(sheet);
    let mut row = 0;
    let mut line = |name: &str, text: &str, format: &Format| -> Result<(), XlsxError> {
        sheet.write_string_with_format(row, 0, cut(name), format)?;
        sheet.write_string_with_format(row, 1, cut(text), format)?;
        sheet.set_row_height(row, height(text, SENTENCE_WIDTH.into()))?;
        row += 1;
        Ok(())
    };
    line("Price version", "Use", &heading())?;
    for price in &appendix.prices {
        let cost = price.cost_micros.map_or("no amount".to_owned(), super::figures::money);
        let lines = price.lines_text();
        let text = format!(
            "{}, lines {lines}: {} GPU-hours, {cost} {}",
            price.kind,
            super::figures::hours(price.gpu_hours),
            document.currency
        );
        line(&price.version, &text, &wrapped())?;
    }
    line("Policy version", "Use", &heading())?;
    for policy in &appendix.policies {
        line(&policy.version, &policy.sentence(&document.currency), &wrapped())?;
    }
    line("Group", "SQL that shows its rows", &heading())?;
    for (name, sql) in &appendix.statements {
        line(name, sql, &wrapped())?;
    }
    Ok(())
}
