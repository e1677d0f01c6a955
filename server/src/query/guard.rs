//! SQL text → a plan that can only read.
//!
//! **Invariant:** what leaves here is one query, EXPLAIN, SHOW or DESCRIBE over registered tables. It is
//! checked twice on different paths: the kind of the parsed statement, and every node of the plan.

use super::{Parameter, QueryError};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrame, WindowFunctionDefinition};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Statement as Sql, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Longest query text: parsing and planning are not interruptible, and take seconds from about here.
pub const SQL_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of expressions: a thread's stack holds this with a wide margin.
const SQL_DEPTH_MAX: usize = 100;
/// Most operators and keywords. `1 + 1 + …` and `… union all …` nest as deep as they are long, without brackets,
/// and such a tree is walked and dropped on the thread's stack. Lists of values are flat and do not count.
const SQL_LINKS_MAX: usize = 2_000;
/// Most tables that one statement names: joining them by commas nests, too.
const SQL_TABLES_MAX: usize = 200;

/// The table of the engine's settings, some of which name folders of this machine.
const SETTINGS: &str = "df_settings";
/// Aggregates whose value over a moving window takes the same short time at each row.
const MOVING: [&str; 13] = [
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "first_value",
    "last_value",
    "max",
    "min",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// Parses, checks and plans one read-only statement.
pub(super) async fn plan(
    context: &SessionContext,
    sql: &str,
    parameters: Vec<Parameter>,
) -> Result<LogicalPlan, QueryError> {
    bind(unbound(context, sql).await?, parameters.into_iter().map(scalar).collect())
}

/// The same before its parameters have values.
pub(super) async fn unbound(context: &SessionContext, sql: &str) -> Result<LogicalPlan, QueryError> {
    let statement = parse(sql)?;
    if !reads_only(&statement) {
        return Err(QueryError::Invalid(
            "only SELECT, EXPLAIN, SHOW and DESCRIBE are allowed; rows come in through ingest only".to_owned(),
        ));
    }
    let state = context.state();
    check_tables(&state, &statement).await?;
    let plan = state.statement_to_plan(statement).await?;
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&plan)?;
    check_windows(&plan)?;
    Ok(plan)
}

/// Parses one statement of any kind.
pub(super) fn parse(sql: &str) -> Result<Statement, QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        let bytes = sql.len();
        return Err(QueryError::Invalid(format!("the query has {bytes} bytes, at most {SQL_BYTES_MAX} are allowed")));
    }
    // A text that has no tokens is left to the parser, which says what is wrong.
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default();
    let links = tokens.iter().filter(|t| links(&t.token)).count();
    if links > SQL_LINKS_MAX {
        return Err(QueryError::Invalid(format!(
            "the query has {links} operators and keywords, at most {SQL_LINKS_MAX} are allowed; use IN or VALUES lists"
        )));
    }
    let sql = adapted(sql, &tokens)?;
    let parser = DFParserBuilder::new(sql.as_ref()).with_recursion_limit(SQL_DEPTH_MAX).build()?;
    let mut statements = { parser }.parse_statements()?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(QueryError::Invalid("the query is empty; send one SELECT".to_owned())),
        (Some(_), false) => {
            let count = statements.len() + 1;
            Err(QueryError::Invalid(format!("the query has {count} statements; send one at a time")))
        }
    }
}

/// Whether a token can tie a further level to a tree that is already there.
fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => false,
        Token::Comma | Token::LParen | Token::RParen | Token::Whitespace(_) | Token::EOF => false,
        _ => true,
    }
}

/// What the parser reads in place of some words of a text.
///
/// `cluster` is a column of most tables, and a keyword to the parser: after a comma it would end the list of
/// columns. `CLUSTER BY`, for which the keyword is reserved, the engine does not have. Each `?` becomes the next
/// numbered parameter, because most drivers write them so and the engine takes all for the same one.
fn adapted<'a>(sql: &'a str, tokens: &[TokenWithSpan]) -> Result<Cow<'a, str>, QueryError> {
    let mut words: HashMap<(u64, u64), (usize, String)> = HashMap::new();
    let (mut unnumbered, mut numbered) = (0, false);
    for token in tokens {
        let place = (token.span.start.line, token.span.start.column);
        match &token.token {
            Token::Word(word) if word.keyword == Keyword::CLUSTER => {
                words.insert(place, ("cluster".len(), "\"cluster\"".to_owned()));
            }
            Token::Placeholder(name) if name == "?" => {
                unnumbered += 1;
                words.insert(place, (1, format!("${unnumbered}")));
            }
            Token::Placeholder(_) => numbered = true,
            _ => {}
        }
    }
    if numbered && unnumbered > 0 {
        return Err(QueryError::Invalid("write $1, $2, … or a ? for each parameter, not both".to_owned()));
    }
    if words.is_empty() {
        return Ok(Cow::Borrowed(sql));
    }
    let mut text = String::with_capacity(sql.len() + 4 * words.len());
    let (mut line, mut column, mut skip) = (1, 1, 0);
    for c in sql.chars() {
        if let Some((length, word)) = words.get(&(line, column)) {
            skip = *length;
            text.push_str(word);
        }
        if skip > 0 {
            skip -= 1;
        } else {
            text.push(c);
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(Cow::Owned(text))
}

fn reads_only(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(sql) => match &**sql {
            // The engine's other settings are ours, and some name folders of this machine.
            Sql::ShowVariable { variable } => {
                variable.iter().map(|word| word.value.to_ascii_lowercase()).eq(["time", "zone"])
            }
            sql => matches!(
                sql,
                Sql::Query(_)
                    | Sql::ShowTables { .. }
                    | Sql::ShowColumns { .. }
                    | Sql::ShowFunctions { .. }
                    | Sql::Explain { .. }
                    | Sql::ExplainTable { .. }
            ),
        },
        Statement::Explain(explain) => reads_only(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

/// The last part of each table's name as it is written.
fn tables(statement: &Statement) -> Vec<String> {
    let mut names = Vec::new();
    match statement {
        Statement::Statement(sql) => {
            let end: ControlFlow<()> = visit_relations(sql.as_ref(), |name| {
                let last = name.0.last().and_then(|part| part.as_ident());
                names.push(last.map_or_else(String::new, |ident| ident.value.to_ascii_lowercase()));
                ControlFlow::Continue(())
            });
            debug_assert!(end.is_continue(), "nothing breaks off");
        }
        Statement::Explain(explain) => names = tables(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {}
    }
    names
}

/// A moving window asks an aggregate for its value at each row, within one step of the engine. Where that value
/// is made from all rows of the window, a step takes hours and nothing can stop it.
fn check_windows(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::WindowFunction(window) = part
                    && let WindowFunctionDefinition::AggregateUDF(function) = &window.fun
                    && !MOVING.contains(&function.name())
                    && !covers_all(&window.params.window_frame)
                {
                    refused = Some(function.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let Some(name) = refused else { return Ok(()) };
    Err(QueryError::Invalid(format!(
        "{name} is not possible over a moving window; leave ORDER BY out of OVER, or say ROWS BETWEEN UNBOUNDED \
         PRECEDING AND UNBOUNDED FOLLOWING; over moving windows there are {}",
        MOVING.join(", ")
    )))
}

fn covers_all(frame: &WindowFrame) -> bool {
    frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded()
}

/// Names every table before planning, so that an unknown one is answered with the known ones.
async fn check_tables(state: &SessionState, statement: &Statement) -> Result<(), QueryError> {
    let known = || {
        let schema = state.catalog_list().catalog(super::CATALOG).and_then(|c| c.schema(super::SCHEMA));
        let mut names = schema.map(|s| s.table_names()).unwrap_or_default();
        names.sort();
        names
    };
    let tables = tables(statement);
    if tables.len() > SQL_TABLES_MAX {
        let count = tables.len();
        return Err(QueryError::Invalid(format!(
            "the query names {count} tables, at most {SQL_TABLES_MAX} are allowed"
        )));
    }
    if tables.iter().any(|name| name == SETTINGS) {
        return Err(QueryError::Invalid("the engine's settings are not shown; ask SHOW TIME ZONE".to_owned()));
    }
    for reference in state.resolve_table_references(statement)? {
        // Table functions are named like tables; they have their own check when planned.
        let function = reference.schema().is_none() && state.table_functions().contains_key(reference.table());
        if function {
            continue;
        }
        if reference.schema() == Some("information_schema") {
            continue;
        }
        let plain = TableReference::partial(super::SCHEMA, reference.table());
        let here = reference.schema().is_none_or(|s| s == super::SCHEMA)
            && reference.catalog().is_none_or(|c| c == super::CATALOG);
        let schema = state.schema_for_ref(plain)?;
        if !here || !schema.table_exist(reference.table()) {
            return Err(QueryError::UnknownTable { table: reference.to_string(), known: known() });
        }
    }
    Ok(())
}

/// Puts the value of each parameter into its place.
pub(super) fn bind(plan: LogicalPlan, parameters: Vec<ScalarValue>) -> Result<LogicalPlan, QueryError> {
    let named = plan.get_parameter_names()?;
    for name in &named {
        let position = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        if !position.is_some_and(|n| (1..=parameters.len()).contains(&n)) {
            let given = parameters.len();
            return Err(QueryError::Invalid(format!(
                "the query names parameter {name}, but {given} are given; number them $1, $2, … and give each a value"
            )));
        }
    }
    if named.len() < parameters.len() {
        let (given, used) = (parameters.len(), named.len());
        return Err(QueryError::Invalid(format!("{given} parameters are given, but the query uses {used} of them")));
    }
    if parameters.is_empty() {
        return Ok(plan);
    }
    Ok(plan.with_param_values(ParamValues::from(parameters))?)
}

fn scalar(parameter: Parameter) -> ScalarValue {
    match parameter {
        Parameter::Null => ScalarValue::Null,
        Parameter::Bool(value) => ScalarValue::Boolean(Some(value)),
        Parameter::Int(value) => ScalarValue::Int64(Some(value)),
        Parameter::Float(value) => ScalarValue::Float64(Some(value)),
        Parameter::Text(value) => ScalarValue::Utf8(Some(value)),
        Parameter::Date(days) => ScalarValue::Date32(Some(days)),
        Parameter::Time(micros) => ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())),
    }
}
