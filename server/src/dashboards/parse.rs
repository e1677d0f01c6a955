//! From the text to a dashboard, strictly: an unknown key, a wrong type or an odd value is a fault with its line.

use super::board::{Choices, Dashboard, Kind, Need, Panel, Severity, Unit, Variable};
use crate::cost::LineFault as Fault;
use crate::query::Statement;
use serde::Deserialize;
use toml::Spanned;

/// A text that people write; a larger one is none.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Each asks the engine once when the page is opened.
const PANELS_MAX: usize = 60;
/// Selects that fit above a page.
const VARIABLES_MAX: usize = 12;
/// Of fixed choices: a longer list is a statement's.
const CHOICES_MAX: usize = 200;
const NEEDS_MAX: usize = 20;
const THRESHOLDS_MAX: usize = 4;
/// Columns of the page.
const WIDTH_MAX: i64 = 12;
const WIDTH_DEFAULT: i64 = 6;
/// `$1` and `$2` are the range.
const RANGE_PARAMETERS: usize = 2;
/// More faults than anyone reads at once.
const FAULTS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBoard {
    title: Spanned<String>,
    description: Spanned<String>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
    #[serde(default, rename = "variable")]
    variables: Vec<Spanned<WrittenVariable>>,
    #[serde(default, rename = "panel")]
    panels: Vec<Spanned<WrittenPanel>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVariable {
    name: Spanned<String>,
    label: Spanned<String>,
    kind: Option<Spanned<VariableKind>>,
    choices: Option<Spanned<Vec<String>>>,
    sql: Option<Spanned<String>>,
    default: Option<Spanned<String>>,
    all: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum VariableKind {
    Step,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPanel {
    title: Spanned<String>,
    description: Option<Spanned<String>>,
    row: Option<Spanned<String>>,
    kind: Kind,
    unit: Unit,
    width: Option<Spanned<i64>>,
    sql: Spanned<String>,
    promql: Option<Spanned<String>>,
    legend: Option<Spanned<String>>,
    #[serde(default)]
    thresholds: Vec<Spanned<WrittenThreshold>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenThreshold {
    at: f64,
    severity: Severity,
}

/// The faults of a text.
struct Reading<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

/// All faults are found, unless the text is no TOML or has a key or type that cannot be.
pub fn parse(text: &str) -> Result<Dashboard, Vec<Fault>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(vec![Fault { line: 1, what: format!("the text is larger than {} KiB", TEXT_BYTES_MAX >> 10) }]);
    }
    let mut reading = Reading { text, faults: Vec::new() };
    let written: WrittenBoard = match toml::from_str(text) {
        Ok(written) => written,
        Err(error) => {
            let what = error.message().lines().collect::<Vec<_>>().join(", ");
            reading.fault(error.span().map_or(0, |span| span.start), what);
            return Err(reading.faults);
        }
    };
    let title = reading.words("title", &written.title);
    let description = reading.words("description", &written.description);
    reading.at_most("needs", written.needs.len(), NEEDS_MAX);
    reading.at_most("variables", written.variables.len(), VARIABLES_MAX);
    reading.at_most("panels", written.panels.len(), PANELS_MAX);
    if written.panels.is_empty() {
        reading.fault(0, "there is no [[panel]], and so nothing to show".to_owned());
    }
    let needs = written.needs.iter().filter_map(|need| reading.need(need)).collect();
    let mut variables: Vec<Variable> = Vec::new();
    for written in written.variables {
        let at = written.span().start;
        let variable = reading.variable(at, written.into_inner());
        if variables.iter().any(|known| known.name == variable.name) {
            reading.fault(at, format!("there is another variable {:?}", variable.name));
        }
        variables.push(variable);
    }
    let known = RANGE_PARAMETERS + variables.len();
    let panels = written.panels.into_iter().map(|panel| reading.panel(panel.into_inner(), known)).collect();
    let Reading { mut faults, .. } = reading;
    if faults.is_empty() {
        return Ok(Dashboard { title, description, needs, variables, panels });
    }
    faults.sort();
    Err(faults)
}

impl Reading<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn fault(&mut self, at: usize, what: String) {
        if self.faults.len() < FAULTS_MAX {
            let line = self.line(at);
            self.faults.push(Fault { line, what });
        }
    }

    fn at_most(&mut self, what: &str, count: usize, most: usize) {
        if count > most {
            self.fault(0, format!("there are {count} {what}, at most {most} are allowed"));
        }
    }

    /// A text that is not empty.
    fn words(&mut self, name: &str, written: &Spanned<String>) -> String {
        if written.get_ref().trim().is_empty() {
            self.fault(written.span().start, format!("{name} is empty"));
        }
        written.get_ref().clone()
    }

    fn maybe_words(&mut self, name: &str, written: Option<&Spanned<String>>) -> Option<String> {
        written.map(|written| self.words(name, written))
    }

    fn need(&mut self, written: &Spanned<String>) -> Option<Need> {
        let text = written.get_ref();
        let (table, column) = text.split_once('.').map_or((text.as_str(), None), |(t, c)| (t, Some(c)));
        if is_name(table) && column.is_none_or(is_name) {
            return Some(Need { table: table.to_owned(), column: column.map(str::to_owned) });
        }
        self.fault(written.span().start, format!("needs: {text:?} is neither a table nor a table.column"));
        None
    }

    fn variable(&mut self, at: usize, written: WrittenVariable) -> Variable {
        let name = written.name.get_ref().clone();
        if !is_name(&name) {
            let what = format!("name {name:?} is not made of small letters, digits and underscores");
            self.fault(written.name.span().start, what);
        }
        let label = self.words("label", &written.label);
        let line = self.line(written.sql.as_ref().map_or(at, |sql| sql.span().start));
        let choices = match (written.kind, written.choices, written.sql) {
            (Some(kind), None, None) => match kind.into_inner() {
                VariableKind::Step => Choices::Step,
            },
            (None, Some(values), None) => self.fixed(&values),
            (None, None, Some(sql)) => {
                let text = self.words("sql", &sql);
                self.parameters(&sql, RANGE_PARAMETERS);
                Choices::Sql(Statement::new(&text))
            }
            _ => {
                self.fault(at, "a variable has one of sql, choices and kind = \"step\"".to_owned());
                Choices::Step
            }
        };
        let variable =
            Variable { name, label, choices, default: None, all: self.maybe_words("all", written.all.as_ref()), line };
        let Some(default) = written.default else { return variable };
        let (known, value) = (variable.known(), default.get_ref());
        let may_be_empty = value.is_empty() && variable.all.is_some();
        if !known.is_empty() && !known.contains(value) && !may_be_empty {
            self.fault(default.span().start, format!("default {value:?} is none of {}", known.join(", ")));
        }
        Variable { default: Some(default.into_inner()), ..variable }
    }

    fn fixed(&mut self, values: &Spanned<Vec<String>>) -> Choices {
        let (at, values) = (values.span().start, values.get_ref());
        if values.is_empty() || values.len() > CHOICES_MAX || values.iter().any(String::is_empty) {
            self.fault(at, format!("choices are 1 to {CHOICES_MAX} texts, none of them empty"));
        }
        Choices::Fixed(values.clone())
    }

    fn panel(&mut self, written: WrittenPanel, parameters: usize) -> Panel {
        let width = written.width.as_ref().map_or(WIDTH_DEFAULT, |width| *width.get_ref());
        if !(1..=WIDTH_MAX).contains(&width) {
            let at = written.width.as_ref().map_or(0, |width| width.span().start);
            self.fault(at, format!("width {width} is not from 1 to {WIDTH_MAX}"));
        }
        let line = self.line(written.sql.span().start);
        self.parameters(&written.sql, parameters);
        if let (None, Some(legend)) = (&written.promql, &written.legend) {
            self.fault(legend.span().start, "legend is about promql, which is not there".to_owned());
        }
        self.at_most("thresholds", written.thresholds.len(), THRESHOLDS_MAX);
        for threshold in written.thresholds.iter().filter(|t| !t.get_ref().at.is_finite()) {
            self.fault(threshold.span().start, "at is no number".to_owned());
        }
        let mut thresholds: Vec<(f64, Severity)> =
            written.thresholds.iter().map(|t| (t.get_ref().at, t.get_ref().severity)).collect();
        thresholds.sort_by(|a, b| a.0.total_cmp(&b.0));
        Panel {
            title: self.words("title", &written.title),
            description: self.maybe_words("description", written.description.as_ref()),
            row: self.maybe_words("row", written.row.as_ref()),
            kind: written.kind,
            unit: written.unit,
            width: u8::try_from(width).unwrap_or_default(),
            sql: Statement::new(&self.words("sql", &written.sql)),
            promql: self.maybe_words("promql", written.promql.as_ref()),
            legend: self.maybe_words("legend", written.legend.as_ref()),
            thresholds,
            line,
        }
    }

    /// Each `$n` of a statement has a value.
    fn parameters(&mut self, sql: &Spanned<String>, known: usize) {
        let takes = Statement::new(sql.get_ref()).takes.into_iter();
        let beyond = takes.map(|at| at + 1).find(|number| *number > known);
        if let Some(number) = beyond {
            let what = format!("${number} has no value: $1 and $2 are the range, $3 is the first variable");
            self.fault(sql.span().start, what);
        }
    }
}

/// As tables, columns and variables are named.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 60 && text.chars().all(is_part)
}

#[cfg(test)]
mod tests;
