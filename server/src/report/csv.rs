//! The table as CSV (RFC 4180), with a head and without a total.
//!
//! Names stand exactly as they are, quoted where the format wants it. One that begins with `=`, `+`, `-` or `@` is
//! not altered, because programs read this form and would find another name; whoever opens it by hand takes XLSX,
//! where every name is text.

use super::document::{Cell, Document};
use super::figures::plain;
use crate::cost::Micros;

/// Null is empty; amounts have six decimals, hours and ratios at most six.
pub(super) fn csv(document: &Document) -> Vec<u8> {
    let mut out = String::new();
    let exported: Vec<(usize, &str)> =
        document.table.exported().map(|(at, column)| (at, column.name.as_str())).collect();
    let head: Vec<String> = exported.iter().map(|(_, name)| quoted(name)).collect();
    out.push_str(&head.join(","));
    // What has no amount has no currency.
    let currency = document.has_money().then(|| quoted(&document.currency));
    out.push_str(if currency.is_some() { ",currency\n" } else { "\n" });
    for row in &document.table.rows {
        let cells = exported.iter().map(|(at, _)| text(&row[*at])).chain(currency.clone());
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push('\n');
    }
    out.into_bytes()
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(name) => quoted(name),
        Cell::Hours(value) | Cell::Ratio(value) | Cell::Rate(value) | Cell::Amount(value) | Cell::Seconds(value) => {
            plain(*value)
        }
        Cell::Count(count) => count.to_string(),
        Cell::Micros(micros) => format!("{:.6}", Micros(*micros).decimal()),
    }
}

/// An empty text is quoted, so that it is not taken for null.
fn quoted(name: &str) -> String {
    let plain = !name.is_empty() && !name.contains([',', '"', '\n', '\r']) && name.trim() == name;
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
