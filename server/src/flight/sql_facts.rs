//! What drivers ask about the server and its SQL: fixed facts, in the numbers of Flight SQL.

use crate::query::SQL_BYTES_MAX;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries,
    SqlSupportedTransaction, SqlSupportedUnions, SqlTransactionIsolationLevel, SupportedSqlGrammar, XdbcDataType,
};
use std::collections::HashMap;

/// The version of the Arrow format, as the specification numbers it.
const ARROW_FORMAT_VERSION: &str = "1.5";

/// Functions of everyday use; `SHOW FUNCTIONS` has all.
const NUMERIC_FUNCTIONS: &[&str] =
    &["abs", "ceil", "exp", "floor", "ln", "log", "log10", "log2", "mod", "power", "round", "signum", "sqrt", "trunc"];
const TEXT_FUNCTIONS: &[&str] = &[
    "btrim",
    "character_length",
    "concat",
    "contains",
    "left",
    "lower",
    "lpad",
    "ltrim",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "upper",
];
const TIME_FUNCTIONS: &[&str] = &[
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "now",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_unixtime",
];

/// One row for each fact of `wanted` that is known; all when none is named.
pub(super) fn about_server(wanted: &[u32]) -> Result<RecordBatch, FlightError> {
    let mut facts = SqlInfoDataBuilder::new();
    add_server(&mut facts);
    add_yes_and_no(&mut facts);
    add_words(&mut facts);
    add_levels(&mut facts);
    for unlimited in LENGTHS {
        // 0 says that there is no limit, or none that is known.
        facts.append(unlimited, 0_i64);
    }
    facts.append(SqlInfo::SqlMaxStatementLength, SQL_BYTES_MAX as i64);
    facts.append(SqlInfo::SqlSupportsConvert, HashMap::<i32, Vec<i32>>::new());
    facts.build()?.record_batch(wanted.iter().copied())
}

fn add_server(facts: &mut SqlInfoDataBuilder) {
    facts.append(SqlInfo::FlightSqlServerName, "Coulomb");
    facts.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    facts.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_FORMAT_VERSION);
    facts.append(SqlInfo::FlightSqlServerReadOnly, true);
    facts.append(SqlInfo::FlightSqlServerSql, true);
    facts.append(SqlInfo::FlightSqlServerSubstrait, false);
    facts.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    facts.append(SqlInfo::FlightSqlServerCancel, true);
    facts.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    facts.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    facts.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    facts.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
}

fn add_yes_and_no(facts: &mut SqlInfoDataBuilder) {
    for yes in [
        SqlInfo::SqlAllTablesAreSelectable,
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlCatalogAtStart,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        facts.append(yes, true);
    }
    for no in [
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlMaxRowSizeIncludesBlobs,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        facts.append(no, false);
    }
}

fn add_words(facts: &mut SqlInfoDataBuilder) {
    for (name, word) in [
        (SqlInfo::SqlIdentifierQuoteChar, "\""),
        (SqlInfo::SqlSearchStringEscape, "\\"),
        (SqlInfo::SqlExtraNameCharacters, ""),
        (SqlInfo::SqlCatalogTerm, "catalog"),
        (SqlInfo::SqlSchemaTerm, "schema"),
        (SqlInfo::SqlProcedureTerm, "procedure"),
    ] {
        facts.append(name, word);
    }
    let none: &[&str] = &[];
    for (name, words) in [
        (SqlInfo::SqlKeywords, none),
        (SqlInfo::SqlSystemFunctions, none),
        (SqlInfo::SqlNumericFunctions, NUMERIC_FUNCTIONS),
        (SqlInfo::SqlStringFunctions, TEXT_FUNCTIONS),
        (SqlInfo::SqlDatetimeFunctions, TIME_FUNCTIONS),
    ] {
        facts.append(name, words);
    }
}

/// Numbers of one thing, and sums of the bits of several.
fn add_levels(facts: &mut SqlInfoDataBuilder) {
    let bits = |numbers: &[i32]| numbers.iter().fold(0, |sum, number| sum | 1 << number);
    let every_subquery = bits(&[
        SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
        SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
        SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    ]);
    let read_only = bits(&[SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32]);
    for (name, level) in [
        (SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32),
        (SqlInfo::SqlQuotedIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32),
        (SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32),
        (SqlInfo::SqlSupportedGroupBy, bits(&[SqlSupportedGroupBy::SqlGroupByUnrelated as i32])),
        (SqlInfo::SqlSupportedGrammar, bits(&[SupportedSqlGrammar::SqlMinimumGrammar as i32])),
        // The entry level of SQL-92.
        (SqlInfo::SqlAnsi92SupportedLevel, bits(&[0])),
        (SqlInfo::SqlOuterJoinsSupportLevel, bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32])),
        (SqlInfo::SqlSchemasSupportedActions, 0),
        (SqlInfo::SqlCatalogsSupportedActions, 0),
        (SqlInfo::SqlSupportedPositionedCommands, 0),
        (SqlInfo::SqlSupportedSubqueries, every_subquery),
        (
            SqlInfo::SqlSupportedUnions,
            bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]),
        ),
        (SqlInfo::SqlDefaultTransactionIsolation, SqlTransactionIsolationLevel::SqlTransactionNone as i32),
        (
            SqlInfo::SqlSupportedTransactionsIsolationLevels,
            bits(&[SqlTransactionIsolationLevel::SqlTransactionNone as i32]),
        ),
        (SqlInfo::SqlSupportedResultSetTypes, bits(&[SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32])),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, read_only),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, read_only),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0),
    ] {
        facts.append(name, level);
    }
}

const LENGTHS: [SqlInfo; 19] = [
    SqlInfo::SqlMaxBinaryLiteralLength,
    SqlInfo::SqlMaxCharLiteralLength,
    SqlInfo::SqlMaxColumnNameLength,
    SqlInfo::SqlMaxColumnsInGroupBy,
    SqlInfo::SqlMaxColumnsInIndex,
    SqlInfo::SqlMaxColumnsInOrderBy,
    SqlInfo::SqlMaxColumnsInSelect,
    SqlInfo::SqlMaxColumnsInTable,
    SqlInfo::SqlMaxConnections,
    SqlInfo::SqlMaxCursorNameLength,
    SqlInfo::SqlMaxIndexLength,
    SqlInfo::SqlDbSchemaNameLength,
    SqlInfo::SqlMaxProcedureNameLength,
    SqlInfo::SqlMaxCatalogNameLength,
    SqlInfo::SqlMaxRowSize,
    SqlInfo::SqlMaxStatements,
    SqlInfo::SqlMaxTableNameLength,
    SqlInfo::SqlMaxTablesInSelect,
    SqlInfo::SqlMaxUsernameLength,
];

/// The types of columns: name, number, digits or characters, radix, and what a literal starts with.
type Kind = (&'static str, XdbcDataType, Option<i32>, Option<i32>, Option<&'static str>);

const TYPES: [Kind; 8] = [
    ("BIGINT", XdbcDataType::XdbcBigint, Some(19), Some(10), None),
    ("BOOLEAN", XdbcDataType::XdbcBit, Some(1), None, None),
    ("DATE", XdbcDataType::XdbcDate, Some(10), None, Some("DATE '")),
    ("DECIMAL", XdbcDataType::XdbcDecimal, Some(38), Some(10), None),
    ("DOUBLE", XdbcDataType::XdbcDouble, Some(53), Some(2), None),
    ("REAL", XdbcDataType::XdbcReal, Some(24), Some(2), None),
    ("TIMESTAMP", XdbcDataType::XdbcTimestamp, Some(26), None, Some("TIMESTAMP '")),
    ("VARCHAR", XdbcDataType::XdbcVarchar, None, None, Some("'")),
];

/// The types of columns, or those of one number.
pub(super) fn about_types(number: Option<i32>) -> Result<RecordBatch, FlightError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for (name, kind, column_size, num_prec_radix, prefix) in TYPES {
        let is_number = num_prec_radix.is_some();
        types.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type: kind,
            column_size,
            literal_prefix: prefix.map(str::to_owned),
            literal_suffix: prefix.map(|_| "'".to_owned()),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: name == "VARCHAR",
            searchable: Searchable::Full,
            unsigned_attribute: is_number.then_some(false),
            auto_increment: is_number.then_some(false),
            sql_data_type: kind,
            num_prec_radix,
            ..XdbcTypeInfo::default()
        });
    }
    types.build()?.record_batch(number)
}

/// What SQL calls a column's type.
pub(super) fn type_name(kind: &DataType) -> &'static str {
    match kind {
        DataType::Boolean => "BOOLEAN",
        kind if kind.is_integer() => "BIGINT",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => "ARRAY",
        DataType::Map(_, _) => "MAP",
        DataType::Struct(_) => "STRUCT",
        kind if kind.is_decimal() => "DECIMAL",
        DataType::Utf8 | DataType::LargeUtf8 => "VARCHAR",
        _ => "OTHER",
    }
}
