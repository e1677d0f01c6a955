//! The functions by their names, and how their arguments are read.

pub(super) mod date;
pub(super) mod histogram;
pub(super) mod point;
pub(super) mod relabel;
pub(super) mod window;

use super::super::QueryError;
use super::labels::Labels;
use super::lower::{Lowering, unsupported};
use super::node::{Node, Relabel};
use super::selector::Selector;
use super::series::Steps;
use promql_parser::parser::{Call, Expr};

/// A call whose arguments the parser has counted and typed.
pub(super) fn lower(lowering: &mut Lowering, call: &Call, steps: Steps) -> Result<Node, QueryError> {
    let name = call.func.name;
    let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
    if let Some(function) = window::named(name) {
        return window_call(lowering, function, &arguments, steps);
    }
    let mut nodes = || arguments.iter().map(|argument| lowering.node(argument, steps)).collect::<Result<Vec<_>, _>>();
    if let Some(function) = point::named(name) {
        let mut nodes = nodes()?.into_iter();
        let vector = Box::new(next(&mut nodes, name)?);
        return Ok(Node::Point { function, vector, parameters: nodes.collect() });
    }
    if let Some(function) = date::named(name) {
        return Ok(Node::Date { function, of: nodes()?.pop().map(Box::new) });
    }
    if name == "absent_over_time" {
        let range = lowering.range(argument(&arguments, 0, name)?, steps)?;
        return Ok(Node::AbsentOverTime { range, labels: absent_labels(&arguments)? });
    }
    let mut nodes = nodes()?.into_iter();
    let mut of = || next(&mut nodes, name).map(Box::new);
    Ok(match name {
        "time" => Node::Time,
        "pi" => Node::Number(std::f64::consts::PI),
        "scalar" => Node::Scalar(of()?),
        "vector" => Node::Vector(of()?),
        "timestamp" => Node::Timestamp(of()?),
        "sort" => Node::Sort { of: of()?, descending: false },
        "sort_desc" => Node::Sort { of: of()?, descending: true },
        "absent" => Node::Absent { of: of()?, labels: absent_labels(&arguments)? },
        "histogram_quantile" => Node::HistogramQuantile { quantile: of()?, of: of()? },
        "label_replace" | "label_join" => Node::Relabel { of: of()?, how: relabel_of(name, &arguments)? },
        _ => return Err(unsupported(&format!("the function {name}"))),
    })
}

fn next(nodes: &mut impl Iterator<Item = Node>, name: &str) -> Result<Node, QueryError> {
    nodes.next().ok_or_else(|| missing(name))
}

fn argument<'a>(arguments: &[&'a Expr], at: usize, name: &str) -> Result<&'a Expr, QueryError> {
    arguments.get(at).copied().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> QueryError {
    QueryError::Invalid(format!("an argument of {name} is missing"))
}

fn window_call(
    lowering: &mut Lowering,
    function: window::WindowFunction,
    arguments: &[&Expr],
    steps: Steps,
) -> Result<Node, QueryError> {
    let (range, parameter) = match arguments {
        [range] => (range, None),
        // `quantile_over_time(0.9, x[5m])` and `predict_linear(x[5m], 60)`.
        [parameter, range] if function.parameter_first => (range, Some(parameter)),
        [range, parameter] => (range, Some(parameter)),
        _ => return Err(QueryError::Invalid("a range vector is expected here".to_owned())),
    };
    let parameter = parameter.map(|parameter| lowering.node(parameter, steps)).transpose()?.map(Box::new);
    Ok(Node::Window { function, range: lowering.range(range, steps)?, parameter })
}

fn absent_labels(arguments: &[&Expr]) -> Result<Labels, QueryError> {
    match arguments {
        [Expr::VectorSelector(selector)] => Ok(Selector::of(selector)?.absent_labels()),
        [Expr::MatrixSelector(matrix)] => Ok(Selector::of(&matrix.vs)?.absent_labels()),
        [Expr::Paren(inner)] => absent_labels(&[&inner.expr]),
        _ => Ok(Labels::default()),
    }
}

fn relabel_of(name: &str, arguments: &[&Expr]) -> Result<Relabel, QueryError> {
    let texts = arguments.iter().skip(1).map(|argument| match argument {
        Expr::StringLiteral(text) => Ok(text.val.clone()),
        _ => Err(QueryError::Invalid(format!("{name} takes texts in quotes after its first argument"))),
    });
    relabel::of(name, texts.collect::<Result<_, _>>()?)
}
