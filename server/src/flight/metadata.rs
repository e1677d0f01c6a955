//! What there is: catalogs, schemas, tables and their columns, in the fixed forms of Flight SQL.

use super::{error, sql_facts};
use crate::query::{CATALOG, SCHEMA, TableShape};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow_flight::error::FlightError as BuildError;
use arrow_flight::sql::Command;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder};
use std::sync::Arc;
use tonic::Status;

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";
/// The notes on a column by which drivers tell its meaning and type.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";

/// The answer to a question about the catalog.
pub(super) fn rows(command: &Command, tables: &[TableShape]) -> Result<RecordBatch, Status> {
    let built = match command {
        Command::CommandGetCatalogs(_) => {
            let mut catalogs = GetCatalogsBuilder::new();
            catalogs.append(CATALOG);
            catalogs.build()
        }
        Command::CommandGetDbSchemas(asked) => {
            let mut schemas = GetDbSchemasBuilder::new(asked.catalog.clone(), asked.db_schema_filter_pattern.clone());
            schemas.append(CATALOG, SCHEMA);
            schemas.build()
        }
        Command::CommandGetTables(asked) => {
            let mut found = asked.clone().into_builder();
            let append = |table: &TableShape| {
                let kind = if table.is_view { VIEW } else { TABLE };
                found.append(CATALOG, SCHEMA, &table.name, kind, &with_notes(&table.schema))
            };
            tables.iter().try_for_each(append).and_then(|()| found.build())
        }
        Command::CommandGetTableTypes(_) => table_types().map_err(BuildError::from),
        Command::CommandGetSqlInfo(asked) => sql_facts::about_server(&asked.info),
        Command::CommandGetXdbcTypeInfo(asked) => sql_facts::about_types(asked.data_type),
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(Arc::new(primary_keys()))),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(RecordBatch::new_empty(Arc::new(foreign_keys()))),
        other => return Err(super::commands::refusal(other)),
    };
    built.map_err(|failed| match failed {
        // A pattern that cannot be compiled.
        BuildError::Arrow(ArrowError::InvalidArgumentError(text)) => error::invalid(text),
        other => error::internal(other),
    })
}

fn table_types() -> Result<RecordBatch, ArrowError> {
    let schema = Schema::new(vec![Field::new("table_type", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec![TABLE, VIEW]))])
}

/// A table's columns with their meaning where drivers look for it.
fn with_notes(schema: &Schema) -> Schema {
    let noted = |field: &Arc<Field>| {
        let mut notes = field.metadata().clone();
        notes.insert(TYPE_NAME.to_owned(), sql_facts::type_name(field.data_type()).to_owned());
        if let Some(doc) = field.metadata().get("doc") {
            let unit = field.metadata().get("unit").map(|unit| format!(" ({unit})")).unwrap_or_default();
            notes.insert(REMARKS.to_owned(), format!("{doc}{unit}"));
        }
        field.as_ref().clone().with_metadata(notes)
    };
    Schema::new_with_metadata(schema.fields().iter().map(noted).collect::<Vec<_>>(), schema.metadata().clone())
}

/// No table has keys, but drivers want the columns in which they would stand.
fn primary_keys() -> Schema {
    Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ])
}

fn foreign_keys() -> Schema {
    Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
}
