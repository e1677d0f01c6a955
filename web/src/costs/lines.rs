//! Rows of the ledger as a page of them comes: what each is for, and what its figure comes from. Pure.

use crate::format::{self, money};
use crate::instant::parse_instant;
use crate::sql::answer::Table;

/// A page of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lines {
    pub(crate) table: Table,
    /// Gives the next page; none after the last row.
    pub(crate) next: Option<String>,
}

impl Lines {
    pub(crate) fn len(&self) -> usize {
        self.table.rows.len()
    }

    /// None for null, and for a column that this version does not know.
    pub(crate) fn text(&self, row: usize, column: &str) -> Option<&str> {
        let at = self.table.columns.iter().position(|known| known.name == column)?;
        self.table.rows.get(row)?.get(at)?.as_deref()
    }

    pub(crate) fn micros(&self, row: usize, column: &str) -> Option<i64> {
        self.text(row, column)?.parse().ok()
    }

    fn number(&self, row: usize, column: &str) -> Option<f64> {
        self.text(row, column)?.parse().ok()
    }

    /// `24 Nov 01:00`.
    pub(crate) fn hour(&self, row: usize) -> String {
        let time = self.text(row, "time").unwrap_or_default();
        parse_instant(time, 0).map_or_else(|| time.to_owned(), format::short_instant)
    }

    /// `0.5 GPU-Hours`.
    pub(crate) fn quantity(&self, row: usize) -> String {
        let quantity = self.number(row, "quantity").map_or_else(|| "?".to_owned(), format::digits);
        format!("{quantity} {}", self.text(row, "unit").unwrap_or_default())
    }

    /// How the figure was made, in a sentence.
    pub(crate) fn sum(&self, row: usize) -> String {
        let (quantity, unit) = (self.text(row, "quantity").unwrap_or("?"), self.text(row, "unit").unwrap_or_default());
        let currency = self.text(row, "currency").unwrap_or_default();
        let cost = self.micros(row, "cost_micros").map(|micros| money::exact(micros, currency));
        match (self.text(row, "rate"), cost) {
            (Some(rate), Some(cost)) => format!(
                "{quantity} {unit} at {} {currency} each, rounded with the other uses of the hour: {cost}",
                decimal(rate)
            ),
            (None, Some(cost)) => format!("{quantity} {unit}: {cost}"),
            (_, None) => format!("{quantity} {unit} without a price, so without a cost"),
        }
    }

    /// What the row leads back to: what it is, who pays, what priced it, what it came from.
    pub(crate) fn lineage(&self, row: usize) -> Vec<(&'static str, String)> {
        let or = |column: &str, none: &str| self.text(row, column).unwrap_or(none).to_owned();
        let price = match (self.text(row, "price_version"), self.text(row, "price_line")) {
            (Some(version), Some(line)) => format!("{version}, line {line}"),
            (Some(version), None) => version.to_owned(),
            (None, _) => "no price".to_owned(),
        };
        let energy = self.number(row, "energy_joules").map_or_else(|| format::NOT_REPORTED.to_owned(), format::energy);
        let ratio = |column| format::maybe(format::Unit::Ratio, self.number(row, column));
        vec![
            ("Hour", or("time", "not known")),
            ("Billed in", money::month(&or("period", "not known"))),
            ("Job", or("job_id", "none")),
            ("Attempt", or("attempt", "none")),
            ("User", or("user", "nobody")),
            ("Queue", or("queue", "none")),
            ("Cluster", or("cluster", "none")),
            ("Node", or("node", "only accounting knows of it")),
            ("GPU", or("gpu_uuid", "none")),
            ("GPU model", or("gpu_model", "not known")),
            ("Pool", or("pool", "none")),
            ("Team", or("team", "none")),
            ("Cost centre", or("cost_centre", "none")),
            ("Project", or("project", "none")),
            ("State", super::state_label(&or("state", "by accounting")).to_owned()),
            ("Category", or("category", "none")),
            ("Kind of price", or("price_kind", "no price").replace('_', " ")),
            ("Price version", price),
            ("Policy version", or("policy_version", "none")),
            ("Corrects", self.text(row, "corrects").map_or_else(|| "no closed month".to_owned(), money::month)),
            ("Closing", or("closing", "none, the month is open")),
            ("Computed from", or("inputs", "not known")),
            ("Energy", energy),
            ("SM active", ratio("sm_active_ratio")),
            ("Tensor active", ratio("tensor_active_ratio")),
        ]
    }
}

/// Without zeros that say nothing.
fn decimal(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"columns":[{"name":"time","type":"timestamp"},{"name":"quantity","type":"float64"},{"name":"unit","type":"string"},{"name":"rate","type":"decimal128(38, 9)"},{"name":"cost_micros","type":"int64"},{"name":"currency","type":"string"},{"name":"price_version","type":"string"},{"name":"price_line","type":"int64"},{"name":"corrects","type":"string"}],"rows":[["2026-11-24T01:00:00.000000Z",0.5,"GPU-Hours",2.490000000,1245000,"USD","a1",3,null],
["2026-11-24T02:00:00.000000Z",1.25,"GPU-Hours",null,null,"USD",null,null,"2026-10"]],"row_count":2}"#;

    #[test]
    fn a_row_tells_how_its_figure_was_made() {
        let lines = Lines { table: Table::parse(ANSWER).expect("an answer"), next: None };
        assert_eq!(
            (lines.len(), lines.hour(0).as_str(), lines.quantity(1).as_str()),
            (2, "24 Nov 01:00", "1.25 GPU-Hours")
        );
        assert!(lines.sum(0).starts_with("0.5 GPU-Hours at 2.49 USD each"), "{}", lines.sum(0));
        assert!(lines.sum(0).ends_with("1.245000 USD"));
        assert!(lines.sum(1).contains("without a price"));
        let of = |row, name: &str| {
            lines.lineage(row).into_iter().find(|(label, _)| *label == name).map(|(_, text)| text).unwrap_or_default()
        };
        assert_eq!((of(0, "Price version").as_str(), of(1, "Price version").as_str()), ("a1, line 3", "no price"));
        assert_eq!((of(1, "Corrects").as_str(), of(0, "Energy").as_str()), ("Oct 2026", "not reported"));
        assert_eq!(lines.text(9, "time"), None);
    }
}
