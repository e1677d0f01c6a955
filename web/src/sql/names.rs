//! The tables and columns that SQL knows, with unit and meaning, and how a name that was begun goes on.

use contract::UNITS;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    /// By name.
    pub(crate) tables: Vec<TableShape>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableShape {
    pub(crate) name: String,
    pub(crate) meaning: &'static str,
    pub(crate) columns: Vec<ColumnShape>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) unit: &'static str,
    /// Empty where it is not known.
    pub(crate) meaning: &'static str,
}

/// What the engine is asked for to make a [`Schema`].
pub(crate) const SCHEMA_SQL: &str = "select table_name, column_name, data_type from information_schema.columns \
     where table_schema = 'public' order by table_name, ordinal_position";

/// What the derived tables are about; the others say it themselves.
const DERIVED: [(&str, &str); 10] = [
    ("gpu_samples_1h", "GPU samples by the hour, kept for long questions"),
    ("gpu_samples_1m", "GPU samples by the minute, kept for long questions"),
    ("host_samples_1h", "Node samples by the hour, kept for long questions"),
    ("host_samples_1m", "Node samples by the minute, kept for long questions"),
    ("jobs", "One row an attempt of a job, as it is known by now"),
    ("ledger", "Who pays what, by the hour: closed months as they were closed, others as they are now"),
    ("ledger_closed", "Rows of months as they were closed"),
    ("ledger_notices", "What a reader of the ledger should know"),
    ("ledger_open", "Rows of months that are not closed"),
    ("usage_hourly", "What each GPU and job did in each hour"),
];

impl Schema {
    /// Of rows of table, column and type, in this order.
    pub(crate) fn of_rows<'a>(rows: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let mut tables: Vec<TableShape> = Vec::new();
        for (table, name, type_name) in rows {
            if tables.last().is_none_or(|last| last.name != table) {
                tables.push(TableShape { name: table.to_owned(), meaning: meaning(table), columns: Vec::new() });
            }
            let (unit, meaning) = of_column(table, name);
            let column = ColumnShape { name: name.to_owned(), type_name: plain_type(type_name), unit, meaning };
            tables.last_mut().expect("one was put there").columns.push(column);
        }
        Self { tables }
    }
}

fn meaning(table: &str) -> &'static str {
    let derived = || DERIVED.iter().find(|(name, _)| *name == table).map(|(_, text)| *text);
    contract::table(table).map(|t| t.doc).or_else(derived).unwrap_or_default()
}

/// Unit and meaning; a derived table has its columns' names from the tables that it is made of.
fn of_column(table: &str, name: &str) -> (&'static str, &'static str) {
    let own = contract::table(table).and_then(|t| t.column(name));
    let base = if table == "jobs" { "job_events" } else { table.trim_end_matches("_1h").trim_end_matches("_1m") };
    let of_base = || contract::table(base).and_then(|t| t.column(name));
    if let Some(column) = own.or_else(of_base) {
        return (column.unit, column.doc);
    }
    let base_name = name.trim_end_matches("_total");
    let unit = UNITS.iter().find(|unit| base_name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')));
    (unit.copied().unwrap_or_default(), "")
}

/// The engine's name of a type in the words that answers use.
fn plain_type(engine: &str) -> String {
    match engine {
        "Utf8View" | "Utf8" | "LargeUtf8" => "text".to_owned(),
        "Int64" | "Int32" | "UInt64" | "UInt32" => "integer".to_owned(),
        "Float64" | "Float32" => "float".to_owned(),
        "Boolean" => "boolean".to_owned(),
        text if text.starts_with("Timestamp") => "time".to_owned(),
        text if text.starts_with("Decimal") => "decimal".to_owned(),
        text if text.starts_with("Duration") || text.starts_with("Interval") => "interval".to_owned(),
        text if text.starts_with("List") || text.starts_with("LargeList") => "list".to_owned(),
        text if text.starts_with("Map") => "map".to_owned(),
        text => text.to_lowercase(),
    }
}

/// So many names are offered at once.
pub(crate) const OFFERED_MAX: usize = 8;
const KEYWORDS: [&str; 16] = [
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "limit",
    "having",
    "between",
    "interval",
    "distinct",
    "count(*)",
    "sum(",
    "avg(",
    "max(",
    "min(",
    "date_trunc('hour', time)",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) text: String,
    /// What it is.
    pub(crate) note: String,
}

/// The part of a name before this place, in bytes.
pub(crate) fn word_before(sql: &str, at: usize) -> &str {
    let before = sql.get(..at).unwrap_or_default();
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    &before[before.trim_end_matches(is_of_name).len()..]
}

/// Names that go on where the caret is: tables after FROM and JOIN, else columns of the tables that the statement
/// names first.
pub(crate) fn offers(schema: &Schema, sql: &str, at: usize) -> Vec<Offer> {
    let word = word_before(sql, at);
    let lower = word.to_lowercase();
    if word.is_empty() || word.chars().all(|c| c.is_ascii_digit()) || in_quotes(sql, at) {
        return Vec::new();
    }
    let before = sql[..at - word.len()].trim_end().to_lowercase();
    let wants_table = before.ends_with("from") || before.ends_with("join");
    let used: Vec<&TableShape> = schema.tables.iter().filter(|t| names(sql, &t.name)).collect();
    let tables = schema.tables.iter().map(|t| Offer { text: t.name.clone(), note: "table".to_owned() });
    let of_used = used.iter().flat_map(|t| t.columns.iter().map(move |c| column_offer(t, c)));
    let of_others = schema.tables.iter().filter(|_| used.is_empty());
    let of_others = of_others.flat_map(|t| t.columns.iter().map(move |c| column_offer(t, c)));
    let keywords = KEYWORDS.iter().map(|k| Offer { text: (*k).to_owned(), note: "SQL".to_owned() });
    let ordered: Vec<Offer> =
        if wants_table { tables.collect() } else { of_used.chain(tables).chain(keywords).chain(of_others).collect() };
    let mut out: Vec<Offer> = Vec::new();
    for offer in ordered {
        let begins = offer.text.to_lowercase().starts_with(&lower) && offer.text.len() > word.len();
        if begins && out.len() < OFFERED_MAX && !out.iter().any(|o| o.text == offer.text) {
            out.push(offer);
        }
    }
    out
}

fn column_offer(table: &TableShape, column: &ColumnShape) -> Offer {
    let unit = if ["", "time", "count"].contains(&column.unit) { &column.type_name } else { column.unit };
    Offer { text: column.name.clone(), note: format!("{} · {unit}", table.name) }
}

/// Whether the statement has this name as a word.
fn names(sql: &str, name: &str) -> bool {
    sql.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

fn in_quotes(sql: &str, at: usize) -> bool {
    sql[..at].matches('\'').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let rows = [
            ("gpu_samples", "gpu_busy_ratio", "Float64"),
            ("gpu_samples", "time", "Timestamp(µs, \"UTC\")"),
            ("jobs", "ended_at", "Timestamp(µs, \"UTC\")"),
            ("jobs", "gpu_seconds", "Float64"),
            ("ledger", "cost_micros", "Int64"),
        ];
        Schema::of_rows(rows.into_iter())
    }

    #[test]
    fn columns_have_unit_and_meaning() {
        let schema = schema();
        let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["gpu_samples", "jobs", "ledger"]);
        let busy = &schema.tables[0].columns[0];
        assert_eq!((busy.unit, busy.type_name.as_str()), ("ratio", "float"));
        assert!(busy.meaning.contains("kernel"), "{busy:?}");
        assert!(schema.tables.iter().all(|t| !t.meaning.is_empty()));
        let jobs = &schema.tables[1].columns;
        assert!(!jobs[0].meaning.is_empty(), "jobs are made of job_events");
        assert_eq!((jobs[1].unit, jobs[1].meaning), ("seconds", ""));
        assert_eq!(schema.tables[2].columns[0].unit, "micros");
    }

    #[test]
    fn names_go_on_by_what_stands_before() {
        let schema = schema();
        let texts = |sql: &str, at: usize| offers(&schema, sql, at).into_iter().map(|o| o.text).collect::<Vec<_>>();
        assert_eq!(texts("select * from g", 15), ["gpu_samples"]);
        assert_eq!(texts("select gpu from gpu_samples", 10), ["gpu_busy_ratio", "gpu_samples"]);
        assert_eq!(texts("select GPU from jobs", 10)[0], "gpu_seconds");
        assert_eq!(texts("sel", 3), ["select"]);
        for (sql, at) in [("", 0), ("select 12", 9), ("where node = 'gp", 16), ("select time from gpu_samples", 11)] {
            assert!(texts(sql, at).is_empty(), "{sql}");
        }
        assert_eq!((word_before("a.bé_1", 7), word_before("x", 9), word_before("a ", 2)), ("bé_1", "", ""));
    }
}
