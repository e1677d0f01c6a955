//! Whether the statements of a dashboard can be asked, and what columns they answer.

use super::board::{Choices, Dashboard, Kind, Panel, Variable};
use super::error::DashboardError;
use crate::cost::LineFault as Fault;
use crate::error::ErrorKind;
use crate::query::{Engine, Parameter, QueryError};
use crate::shelf::ShelfError;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};

/// Any range and any name do to plan a statement.
const FROM: &str = "2026-01-01T00:00:00Z";
const TO: &str = "2026-01-02T00:00:00Z";
const SPAN_SECONDS: i64 = 86_400;

/// What a column is to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Time,
    Number,
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnShape {
    pub name: String,
    pub role: Role,
}

/// The columns of each panel; all that is wrong is told, with the lines of the statements.
pub async fn check(engine: &Engine, name: &str, board: &Dashboard) -> Result<Vec<Vec<ColumnShape>>, DashboardError> {
    let range = [FROM, TO].map(|time| Parameter::Text(time.to_owned()));
    let chosen =
        board.variables.iter().map(|variable| Parameter::Text(variable.unchosen(SPAN_SECONDS).unwrap_or_default()));
    let all: Vec<Parameter> = range.iter().cloned().chain(chosen).collect();
    let (mut faults, mut shapes) = (Vec::new(), Vec::new());
    for variable in &board.variables {
        let Choices::Sql(statement) = &variable.choices else { continue };
        if let Err(error) = engine.schema(&statement.sql, statement.values(&range)).await {
            faults.push(fault(variable.line, &format!("variable {:?}", variable.name), error)?);
        }
    }
    for panel in &board.panels {
        match engine.schema(&panel.sql.sql, panel.sql.values(&all)).await {
            Ok(schema) => {
                let shape = shape(&schema);
                faults.extend(misfit(panel, &shape));
                shapes.push(shape);
            }
            Err(error) => faults.push(fault(panel.line, &format!("panel {:?}", panel.title), error)?),
        }
    }
    if faults.is_empty() {
        return Ok(shapes);
    }
    faults.sort();
    Err(ShelfError::Faulty { name: name.to_owned(), faults }.into())
}

/// What is the asker's to mend is a fault of the text.
fn fault(line: usize, what: &str, error: QueryError) -> Result<Fault, DashboardError> {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Limit => {
            let told = error.to_string().lines().collect::<Vec<_>>().join(" ");
            Ok(Fault { line, what: format!("{what}: {told}") })
        }
        _ => Err(error.into()),
    }
}

fn shape(schema: &SchemaRef) -> Vec<ColumnShape> {
    let role = |data_type: &DataType| match data_type {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => Role::Time,
        data_type if data_type.is_numeric() => Role::Number,
        _ => Role::Text,
    };
    let column =
        |field: &arrow::datatypes::FieldRef| ColumnShape { name: field.name().clone(), role: role(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

/// Columns that the kind of the panel needs and the statement does not answer.
fn misfit(panel: &Panel, shape: &[ColumnShape]) -> Option<Fault> {
    let has = |role: Role| shape.iter().any(|column| column.role == role);
    let missing = match panel.kind {
        kind if kind.is_over_time() && !has(Role::Time) => "a column of times",
        Kind::Bar | Kind::Heatmap if !has(Role::Text) => "a column of names",
        Kind::Table => return None,
        _ if !has(Role::Number) => "a column of numbers",
        _ => return None,
    };
    let what =
        format!("panel {:?}: a {} needs {missing}, which its sql does not answer", panel.title, panel.kind.as_str());
    Some(Fault { line: panel.line, what })
}

/// The first choice of a variable whose choices are rows; empty where there are none.
pub async fn first_choice(
    engine: &Engine,
    variable: &Variable,
    range: &[Parameter; 2],
) -> Result<String, DashboardError> {
    let Choices::Sql(statement) = &variable.choices else { return Ok(String::new()) };
    for batch in engine.sql(&statement.sql, statement.values(range)).await?.collect().await? {
        let Some(column) = batch.columns().first().filter(|_| batch.num_rows() > 0) else { continue };
        // What is no text has none.
        let Ok(texts) = cast(column, &DataType::Utf8) else { continue };
        return Ok(texts.as_string::<i32>().value(0).to_owned());
    }
    Ok(String::new())
}
