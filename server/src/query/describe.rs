//! What a statement would answer and what tables there are, without reading a row.

use super::answer::client_schema;
use super::ask::bounded;
use super::{CATALOG, Engine, Parameter, QueryError, SCHEMA, guard};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlan, TableType};

/// What is known of a statement before its parameters have values.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The columns of its answer, as well as they can be guessed; `None` where they depend on the parameters.
    pub schema: Option<SchemaRef>,
    /// The types of `$1`, `$2`, …, where they follow from the text.
    pub parameters: Vec<Option<DataType>>,
}

/// A table as SQL sees it.
#[derive(Debug, Clone)]
pub struct TableShape {
    pub name: String,
    /// Derived from other tables when it is asked for.
    pub is_view: bool,
    /// The columns that `SELECT *` answers.
    pub schema: SchemaRef,
}

/// The columns of a statement's answer.
pub(super) async fn schema(engine: &Engine, sql: String, parameters: Vec<Parameter>) -> Result<SchemaRef, QueryError> {
    let worker = engine.clone();
    let planning = async move {
        let context = worker.session()?;
        let plan = guard::plan(&context, &sql, parameters).await?;
        planned_schema(&context, plan).await
    };
    bounded(engine, planning).await
}

pub(super) async fn prepare(engine: &Engine, sql: String) -> Result<Prepared, QueryError> {
    let worker = engine.clone();
    let planning = async move {
        let context = worker.session()?;
        let plan = guard::unbound(&context, &sql).await?;
        let named = plan.get_parameter_types()?;
        let types = (1..=named.len()).map(|n| named.get(&format!("${n}")).cloned().flatten());
        let parameters: Vec<Option<DataType>> = types.collect();
        let null = |of: &Option<DataType>| ScalarValue::try_new_null(of.as_ref().unwrap_or(&DataType::Null));
        let nulls = parameters.iter().map(null).collect::<Result<Vec<_>, _>>()?;
        let schema = planned_schema(&context, guard::bind(plan, nulls)?).await;
        // What has no plan with nulls may have one with values.
        let schema = if parameters.is_empty() { Some(schema?) } else { schema.ok() };
        Ok(Prepared { schema, parameters })
    };
    bounded(engine, planning).await
}

/// The columns of the physical plan are what is sent; those of the logical one may differ in what is nullable.
async fn planned_schema(context: &SessionContext, plan: LogicalPlan) -> Result<SchemaRef, QueryError> {
    let plan = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
    Ok(client_schema(&plan.schema()))
}

pub(super) async fn tables(engine: &Engine) -> Result<Vec<TableShape>, QueryError> {
    let state = engine.session()?.state();
    let schema = state.catalog_list().catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
    let schema = schema.ok_or_else(|| QueryError::Internal("the session has no tables".to_owned()))?;
    let mut names = schema.table_names();
    names.sort();
    let mut shapes = Vec::with_capacity(names.len());
    for name in names {
        let Some(table) = schema.table(&name).await? else { continue };
        let is_view = table.table_type() == TableType::View;
        shapes.push(TableShape { name, is_view, schema: client_schema(&table.schema()) });
    }
    Ok(shapes)
}
