//! The document as one HTML file for reading and printing: no script, nothing loaded, light only.
//!
//! **Invariant:** every text goes through `escaped`.

use super::chart::{escaped, svg};
use super::document::{Appendix, Cell, Chart, Document, Listing, Table};
use super::figures::{hours, money, number, percent, span};
use super::words::NAMELESS;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
const FONT: &str = "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif";
/// Nothing may run and nothing may be fetched, wherever the file is opened.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A well-formed HTML file.
pub(super) fn html(document: &Document) -> String {
    let mut page = Page(String::new());
    let title = format!("{} {}, {}", document.title, document.grouped, document.period);
    page.add(format_args!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\
         <meta name=\"viewport\" content=\"width=device-width\"/><meta name=\"generator\" content=\"Coulomb\"/>\
         <title>{}</title><style>{STYLE}</style></head><body{}>\n",
        escaped(&title),
        if document.is_wide() { " class=\"wide\"" } else { "" }
    ));
    page.head(document);
    page.figures(document);
    if let Some(chart) = &document.chart {
        page.chart(chart);
    }
    page.add(format_args!("<h2>{}</h2>\n", escaped(&format!("All groups, {}", document.grouped))));
    page.table(&document.table, &document.currency);
    if let Some(listing) = &document.listing {
        page.listing(listing, &document.currency);
    }
    page.notes(document);
    page.appendix(&document.appendix, &document.currency);
    page.0.push_str("</body></html>\n");
    page.0
}

struct Page(String);

impl Page {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes every text");
    }

    fn head(&mut self, document: &Document) {
        self.add(format_args!(
            "<header><h1>{} {}</h1><p class=\"period\">{}</p><p class=\"made\">{}</p></header>\n",
            escaped(document.title),
            escaped(&document.grouped),
            escaped(&document.period),
            escaped(&document.made_line())
        ));
        if let Some(text) = document.disclaimer {
            self.add(format_args!("<p class=\"disclaimer\">{}</p>\n", escaped(text)));
        }
    }

    fn figures(&mut self, document: &Document) {
        self.0.push_str("<dl class=\"figures\">");
        for figure in &document.figures {
            self.add(format_args!(
                "<div><dt>{}</dt><dd class=\"value\">{} <span class=\"unit\">{}</span></dd><dd class=\"remark\">{}</dd></div>",
                escaped(figure.label),
                escaped(&figure.value),
                escaped(&figure.unit),
                escaped(&figure.remark)
            ));
        }
        // The last line of the grid has no holes.
        for _ in 0..(3 - document.figures.len() % 3) % 3 {
            self.0.push_str("<div></div>");
        }
        self.0.push_str("</dl>\n");
    }

    fn chart(&mut self, chart: &Chart) {
        let remark = chart.remark.map(|text| format!(" · {text}")).unwrap_or_default();
        self.add(format_args!(
            "<h2>{}</h2>\n<figure><figcaption>{}{}</figcaption>{}<ul class=\"legend\">",
            escaped(&chart.title),
            escaped(&chart.unit),
            escaped(&remark),
            svg(chart, FONT)
        ));
        for series in &chart.series {
            self.add(format_args!(
                "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect width=\"10\" height=\"10\" rx=\"2\" fill=\"{}\"/></svg>{}</li>",
                series.colour,
                escaped(&series.name)
            ));
        }
        self.0.push_str("</ul></figure>\n");
    }

    fn table(&mut self, table: &Table, currency: &str) {
        self.0.push_str("<table class=\"groups\"><thead><tr>");
        for (_, column) in table.shown() {
            let class = if column.is_number() { " class=\"number\"" } else { "" };
            self.add(format_args!("<th scope=\"col\"{class}>{}</th>", escaped(&column.heading(currency))));
        }
        self.0.push_str("</tr></thead><tbody>\n");
        for row in &table.rows {
            self.row("", table, row, None);
        }
        if let Some((groups, sums)) = &table.rest {
            self.row(" class=\"rest\"", table, sums, Some(&format!("{} more groups", number(*groups as f64, 0))));
        }
        self.row(" class=\"total\"", table, &table.total, Some("Total"));
        self.0.push_str("</tbody></table>\n");
    }

    fn listing(&mut self, listing: &Listing, currency: &str) {
        let title = escaped(listing.title);
        self.add(format_args!(
            "<h2>{title}, one by one</h2>\n<table class=\"listing\"><thead><tr><th scope=\"col\">{title}</th>"
        ));
        for column in &listing.columns {
            self.add(format_args!("<th scope=\"col\" class=\"number\">{}</th>", escaped(&column.heading(currency))));
        }
        self.0.push_str("</tr></thead><tbody>\n");
        for item in &listing.items {
            self.add(format_args!(
                "<tr><td><b>{}</b><span class=\"place\">{}</span><span>{}</span></td>",
                escaped(&item.name),
                escaped(&item.place),
                escaped(&item.action)
            ));
            for cell in &item.cells {
                match cell {
                    Cell::Empty => self.0.push_str("<td class=\"number none\">–</td>"),
                    cell => self.add(format_args!("<td class=\"number\">{}</td>", cell_text(cell))),
                }
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</tbody></table>\n");
        if let Some(rest) = &listing.rest {
            self.add(format_args!("<p class=\"made\">{}</p>\n", escaped(rest)));
        }
    }

    fn row(&mut self, class: &str, table: &Table, row: &[Cell], name: Option<&str>) {
        self.add(format_args!("<tr{class}>"));
        for (at, column) in table.shown() {
            match (name, &row[at]) {
                (Some(name), _) if at == 0 => self.add(format_args!("<td>{}</td>", escaped(name))),
                (Some(_), Cell::Empty) => self.0.push_str("<td></td>"),
                (_, Cell::Empty) if column.is_number() => self.0.push_str("<td class=\"number none\">–</td>"),
                (_, Cell::Empty) => self.add(format_args!("<td class=\"none\">{NAMELESS}</td>")),
                (_, Cell::Text(name)) => self.add(format_args!("<td>{}</td>", escaped(name))),
                (_, cell) => self.add(format_args!("<td class=\"number\">{}</td>", cell_text(cell))),
            }
        }
        self.0.push_str("</tr>\n");
    }

    fn notes(&mut self, document: &Document) {
        if document.notes.is_empty() {
            return;
        }
        self.0.push_str("<h2>Notes</h2>\n<dl class=\"notes\">");
        for note in &document.notes {
            let (title, text) = (escaped(&note.title), escaped(&note.text));
            self.add(format_args!("<div><dt>{title}</dt><dd>{text}</dd></div>"));
        }
        self.0.push_str("</dl>\n");
    }

    fn appendix(&mut self, appendix: &Appendix, currency: &str) {
        if appendix.is_empty() {
            return;
        }
        self.0.push_str("<section class=\"appendix\">");
        if !appendix.prices.is_empty() || !appendix.policies.is_empty() {
            self.0.push_str("<h2>Where the numbers come from</h2>\n");
        }
        if !appendix.prices.is_empty() {
            self.add(format_args!(
                "<table><thead><tr><th scope=\"col\">Price version</th><th scope=\"col\">Kind</th>\
                 <th scope=\"col\">Lines</th><th scope=\"col\" class=\"number\">GPU-hours</th>\
                 <th scope=\"col\" class=\"number\">Cost {}</th></tr></thead><tbody>",
                escaped(currency)
            ));
            for price in &appendix.prices {
                self.add(format_args!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                    escaped(&price.version),
                    escaped(&price.kind),
                    price.lines_text(),
                    hours(price.gpu_hours),
                    price.cost_micros.map_or("–".to_owned(), money)
                ));
            }
            self.0.push_str("</tbody></table>\n");
        }
        for policy in &appendix.policies {
            self.add(format_args!("<p>{}</p>", escaped(&policy.sentence(currency))));
        }
        self.0.push_str("<h2>Statements that show the rows</h2>\n<table class=\"statements\"><thead><tr><th scope=\"col\">Group</th><th scope=\"col\">SQL</th></tr></thead><tbody>");
        for (name, sql) in &appendix.statements {
            self.add(format_args!("<tr><td>{}</td><td><code>{}</code></td></tr>", escaped(name), escaped(sql)));
        }
        self.0.push_str("</tbody></table></section>\n");
    }
}

/// A cell as people read it.
pub(super) fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(name) => name.clone(),
        Cell::Hours(value) => hours(*value),
        Cell::Micros(micros) => money(*micros),
        Cell::Ratio(ratio) => percent(*ratio),
        Cell::Rate(rate) => number(*rate, 4),
        Cell::Amount(value) => number(*value, 1),
        Cell::Count(count) => number(*count as f64, 0),
        Cell::Seconds(value) => span(*value),
    }
}
