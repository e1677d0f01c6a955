//! A dashboard as Grafana's JSON: panels of the Prometheus data source where a panel says PromQL, and of the data source
//! Infinity, which sends SQL to the query endpoint and reads CSV, for all others. Pure.

use super::board::{Choices, Dashboard, Kind, Panel, Severity, Unit, Variable};
use super::check::{ColumnShape, Role};
use crate::query::{Statement, with_placeholders};
use serde_json::{Value, json};

/// The format of Grafana 10 and later.
const SCHEMA_VERSION: u64 = 39;
/// Grafana's columns; ours are twelve.
const COLUMNS: u64 = 24;
const PROMETHEUS: &str = "prometheus";
/// Of Grafana Labs; it posts a body and reads CSV.
const INFINITY: &str = "yesoreyeram-infinity-datasource";
/// Below the base address that is set in the data source.
const QUERY_PATH: &str = "/api/v1/query";
const MICROS: &str = "_micros";
/// What a variable is where nothing is chosen: PromQL reads it as any, and SQL is told that it means the empty text,
/// because Grafana takes an empty value for none.
const ALL: &str = ".*";

/// `shapes` are the columns of each panel's statement, `currency` the ledger's.
pub fn grafana(name: &str, board: &Dashboard, shapes: &[Vec<ColumnShape>], currency: &str) -> Value {
    json!({
        "uid": format!("coulomb-{name}"),
        "title": format!("Coulomb: {}", board.title),
        "description": board.description,
        "tags": ["coulomb"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "1m",
        "time": { "from": "now-24h", "to": "now" },
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": templating(board) },
        "panels": panels(board, shapes, currency),
    })
}

fn templating(board: &Dashboard) -> Vec<Value> {
    let source = |name: &str, label: &str, kind: &str| {
        json!({ "type": "datasource", "name": name, "label": label, "query": kind, "refresh": 1, "regex": "", "hide": 0,
                "includeAll": false, "multi": false, "options": [], "current": {} })
    };
    let sources =
        [source("prometheus", "Coulomb, PromQL", PROMETHEUS), source("sql", "Coulomb, SQL", INFINITY)].into_iter();
    sources.chain(board.variables.iter().map(variable)).collect()
}

fn variable(variable: &Variable) -> Value {
    let mut made = json!({
        "name": variable.name, "label": variable.label, "hide": 0, "skipUrlSync": false, "multi": false, "includeAll": false,
    });
    let rest = match &variable.choices {
        Choices::Sql(statement) => {
            let target = infinity("variable", statement, &[], &[]);
            json!({ "type": "query", "datasource": source(INFINITY), "refresh": 2, "regex": "", "sort": 0, "options": [],
                    "current": {}, "query": { "queryType": "infinity", "query": "", "infinityQuery": target } })
        }
        Choices::Step | Choices::Fixed(_) => custom(variable),
    };
    for (key, value) in rest.as_object().into_iter().flatten() {
        made[key] = value.clone();
    }
    if variable.all.is_some() {
        made["includeAll"] = json!(true);
        made["allValue"] = json!(ALL);
        made["current"] = json!({ "text": "All", "value": "$__all" });
    }
    made
}

fn custom(variable: &Variable) -> Value {
    const DAY_SECONDS: i64 = 86_400;
    let values = variable.known();
    let chosen = variable.unchosen(DAY_SECONDS).unwrap_or_default();
    let option = |value: &String| json!({ "text": value, "value": value, "selected": *value == chosen });
    json!({ "type": "custom", "query": values.join(","), "options": values.iter().map(option).collect::<Vec<_>>(),
            "current": { "text": chosen, "value": chosen } })
}

fn source(kind: &str) -> Value {
    json!({ "type": kind, "uid": if kind == PROMETHEUS { "${prometheus}" } else { "${sql}" } })
}

/// Where the next panel goes: from left to right, then below the highest of the line.
#[derive(Default)]
struct Place {
    x: u64,
    y: u64,
    line_height: u64,
}

impl Place {
    fn take(&mut self, width: u64, height: u64) -> Value {
        if self.x + width > COLUMNS {
            self.next_line();
        }
        let taken = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.line_height = self.line_height.max(height);
        taken
    }

    fn next_line(&mut self) {
        (self.x, self.y, self.line_height) = (0, self.y + self.line_height, 0);
    }
}

fn panels(board: &Dashboard, shapes: &[Vec<ColumnShape>], currency: &str) -> Vec<Value> {
    let mut place = Place::default();
    let mut made: Vec<Value> = Vec::new();
    for (panel, shape) in board.panels.iter().zip(shapes) {
        if let Some(title) = &panel.row {
            place.next_line();
            let at = place.take(COLUMNS, 1);
            let id = made.len() + 1;
            made.push(
                json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": at, "panels": [] }),
            );
        }
        let height = match panel.kind {
            Kind::Stat => 4,
            Kind::Table | Kind::Bar => 9,
            Kind::Timeseries | Kind::Stacked | Kind::Heatmap => 8,
        };
        let at = place.take(u64::from(panel.width) * 2, height);
        let id = made.len() + 1;
        made.push(of_panel(panel, shape, &board.variables, currency, (id, at)));
    }
    made
}

fn of_panel(
    panel: &Panel,
    shape: &[ColumnShape],
    variables: &[Variable],
    currency: &str,
    (id, at): (usize, Value),
) -> Value {
    let (target, kind) = match &panel.promql {
        Some(promql) => (prometheus(panel, promql), PROMETHEUS),
        None => (infinity("A", &in_currency(panel, shape), shape, variables), INFINITY),
    };
    let style = match panel.kind {
        Kind::Stacked => json!({ "fillOpacity": 70, "lineWidth": 0, "stacking": { "mode": "normal", "group": "A" } }),
        _ => json!({ "fillOpacity": 0, "lineWidth": 1, "spanNulls": false }),
    };
    let format = if panel.kind.is_over_time() { "time_series" } else { "table" };
    let mut made = json!({
        "id": id,
        "title": panel.title,
        "description": panel.description.clone().unwrap_or_default(),
        "gridPos": at,
        "datasource": source(kind),
        "targets": [target],
        "fieldConfig": {
            "defaults": { "unit": unit(panel.unit, currency), "custom": style, "thresholds": thresholds(panel) },
            "overrides": [],
        },
        "options": {},
    });
    made["type"] = json!(match panel.kind {
        Kind::Timeseries | Kind::Stacked => "timeseries",
        Kind::Bar => "barchart",
        Kind::Table => "table",
        Kind::Stat => "stat",
        Kind::Heatmap => "status-history",
    });
    if kind == PROMETHEUS && format == "table" {
        made["targets"][0]["instant"] = json!(true);
        made["targets"][0]["range"] = json!(false);
    }
    if !panel.kind.is_over_time() {
        made["fieldConfig"]["defaults"]["custom"] = json!({});
    }
    made
}

fn prometheus(panel: &Panel, promql: &str) -> Value {
    json!({
        "refId": "A", "datasource": source(PROMETHEUS), "expr": promql, "range": true, "instant": false,
        "legendFormat": panel.legend.as_deref().unwrap_or("__auto"), "editorMode": "code",
    })
}

/// Posts a statement and reads CSV. Grafana puts the values into JSON texts, which the server binds as parameters.
fn infinity(id: &str, statement: &Statement, shape: &[ColumnShape], variables: &[Variable]) -> Value {
    let range = ["\"${__from:date:iso}\"".to_owned(), "\"${__to:date:iso}\"".to_owned()];
    let chosen = variables.iter().map(|variable| format!("\"${{{}}}\"", variable.name));
    let all: Vec<String> = range.into_iter().chain(chosen).collect();
    let parameters = statement.values(&all).join(", ");
    let sql = all_is_empty(statement, variables);
    let column = |column: &ColumnShape| {
        let name = shown_name(&column.name);
        let kind = match column.role {
            Role::Time => "timestamp",
            Role::Number => "number",
            Role::Text => "string",
        };
        json!({ "selector": name, "text": name, "type": kind })
    };
    let is_series =
        shape.iter().any(|column| column.role == Role::Time) && shape.iter().any(|c| c.role == Role::Number);
    json!({
        "refId": id,
        "datasource": source(INFINITY),
        "type": "csv",
        "source": "url",
        "parser": "backend",
        "format": if is_series && shape[0].role == Role::Time { "timeseries" } else { "table" },
        "url": QUERY_PATH,
        "url_options": {
            "method": "POST",
            "headers": [{ "key": "Accept", "value": "text/csv" }],
            "body_type": "raw",
            "body_content_type": "application/json",
            "data": format!("{{\"sql\": {}, \"parameters\": [{parameters}]}}", Value::from(sql)),
        },
        "root_selector": "",
        "columns": shape.iter().map(column).collect::<Vec<_>>(),
        "filters": [],
    })
}

/// A statement that takes [`ALL`] for the empty text, where a variable may be it.
fn all_is_empty(statement: &Statement, variables: &[Variable]) -> String {
    with_placeholders(&statement.sql, |number| {
        // The first two values are the range.
        let taken = statement.takes.get(number - 1).and_then(|taken| taken.checked_sub(2));
        match taken.and_then(|at| variables.get(at)).filter(|variable| variable.all.is_some()) {
            Some(_) => format!("replace(${number}, '{ALL}', '')"),
            None => format!("${number}"),
        }
    })
}

/// Grafana cannot divide by a million, so the statement does where there are amounts.
fn in_currency(panel: &Panel, shape: &[ColumnShape]) -> Statement {
    let is_amount = |column: &&ColumnShape| column.role == Role::Number && column.name.ends_with(MICROS);
    let Some(first) = shape.iter().find(is_amount) else { return panel.sql.clone() };
    let column = |column: &ColumnShape| match is_amount(&column) {
        true => format!("\"{}\" / 1e6 as \"{}\"", column.name, shown_name(&column.name)),
        false => format!("\"{}\"", column.name),
    };
    let columns = shape.iter().map(column).collect::<Vec<_>>().join(", ");
    let order = match shape.iter().find(|column| column.role == Role::Time) {
        Some(time) => format!("\"{}\"", time.name),
        None => format!("\"{}\" desc nulls last", shown_name(&first.name)),
    };
    let sql = format!("select {columns} from (\n{}\n) order by {order}", panel.sql.sql.trim());
    Statement { sql, takes: panel.sql.takes.clone() }
}

fn shown_name(name: &str) -> &str {
    name.strip_suffix(MICROS).unwrap_or(name)
}

/// In Grafana's words.
fn unit(unit: Unit, currency: &str) -> String {
    let known = match unit {
        Unit::Count => "short",
        Unit::Ratio => "percentunit",
        Unit::Watts => "watt",
        Unit::Celsius => "celsius",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "binBps",
        Unit::PerSecond => "cps",
        Unit::Hertz => "hertz",
        Unit::Joules => "joule",
        Unit::Seconds => "s",
        Unit::Hours => "suffix: h",
        Unit::Micros => return format!("currency:{currency} "),
    };
    known.to_owned()
}

fn thresholds(panel: &Panel) -> Value {
    let step = |(at, severity): &(f64, Severity)| json!({ "value": at, "color": if *severity == Severity::Critical { "red" } else { "orange" } });
    let first = json!({ "value": null, "color": if panel.thresholds.is_empty() { "blue" } else { "green" } });
    let steps: Vec<Value> = std::iter::once(first).chain(panel.thresholds.iter().map(step)).collect();
    json!({ "mode": "absolute", "steps": steps })
}
