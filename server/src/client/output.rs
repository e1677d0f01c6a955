//! Rows on standard output, as a table for people.

use super::ClientError;
use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What the API answers: columns, rows and their count.
    Json,
    Csv,
    /// Aligned columns, for reading.
    Table,
}

/// A wider cell is cut in a table, so that one long text does not push the rest off the screen.
const CELL_CHARS_MAX: usize = 80;

/// Writes aligned columns. Numbers stand to the right, null is empty.
pub(super) fn write_table(out: &mut impl Write, names: &[String], rows: &[Vec<Value>]) -> Result<(), ClientError> {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell_text).collect()).collect();
    let width_of = |column: usize| {
        let widest = cells.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        widest.unwrap_or(0).max(names[column].chars().count())
    };
    let widths: Vec<usize> = (0..names.len()).map(width_of).collect();
    let numeric = |column: usize| {
        let mut values = rows.iter().filter_map(|row| row.get(column)).filter(|v| !v.is_null()).peekable();
        values.peek().is_some() && values.all(Value::is_number)
    };
    let right: Vec<bool> = (0..names.len()).map(numeric).collect();
    write_line(out, names, &widths, &right)?;
    let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    write_line(out, &rules, &widths, &right)?;
    for row in &cells {
        write_line(out, row, &widths, &right)?;
    }
    Ok(())
}

fn write_line(out: &mut impl Write, cells: &[String], widths: &[usize], right: &[bool]) -> Result<(), ClientError> {
    let mut line = String::new();
    for ((cell, &width), &right) in cells.iter().zip(widths).zip(right) {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let parts = if right { [padding.as_str(), cell] } else { [cell.as_str(), &padding] };
        line.extend([if line.is_empty() { "" } else { "  " }, parts[0], parts[1]]);
    }
    Ok(writeln!(out, "{}", line.trim_end())?)
}

fn cell_text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(|c: char| c.is_control(), " "),
        other => other.to_string(),
    };
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let rows =
            vec![vec![json!("a"), json!(5)], vec![json!(null), json!(12.5)], vec![json!("longer\n"), json!(null)]];
        let mut out = Vec::new();
        write_table(&mut out, &["name".into(), "n".into()], &rows).unwrap();
        let expected = "name        n\n-------  ----\na           5\n         12.5\nlonger\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn long_cells_are_cut() {
        assert_eq!(cell_text(&json!("x".repeat(500))).chars().count(), CELL_CHARS_MAX);
    }
}
