//! The parser's tree → a [`Node`]. What is not supported is refused here, by its name.

use super::super::QueryError;
use super::functions;
use super::node::*;
use super::selector::Selector;
use super::series::{Steps, When};
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Expr, LabelModifier, Offset, SubqueryExpr, VectorMatchCardinality,
    VectorSelector,
};
use std::time::{Duration, SystemTime};

/// Step of a subquery that names none: Prometheus' default evaluation interval.
const SUBQUERY_STEP_MILLIS: i64 = 60_000;
/// Most steps of a subquery: a day at every tenth of a second, or a month at every three seconds.
const SUBQUERY_STEPS_MAX: i64 = 1_000_000;
/// Longest range or offset: what is longer is a mistake in units. 100 years.
const DURATION_MILLIS_MAX: i64 = 100 * 366 * 86_400_000;

/// Latest time of `@`: the end of the year 9999.
const AT_MILLIS_MAX: i64 = 253_402_300_799_999;

/// Collects the requests of a query's selectors.
pub(super) struct Lowering {
    /// The steps of the whole query, which `start()` and `end()` mean.
    steps: Steps,
    pub(super) requests: Vec<Request>,
}

pub(super) fn unsupported(what: &str) -> QueryError {
    QueryError::Invalid(format!("{what} is not supported; docs/prometheus.md says what is"))
}

impl Lowering {
    pub(super) fn new(steps: Steps) -> Self {
        Self { steps, requests: Vec::new() }
    }

    /// `steps` are those at which the node will be evaluated.
    pub(super) fn node(&mut self, expression: &Expr, steps: Steps) -> Result<Node, QueryError> {
        Ok(match expression {
            Expr::NumberLiteral(number) => Node::Number(number.val),
            Expr::StringLiteral(text) => Node::Text(text.val.clone()),
            Expr::Paren(inner) => self.node(&inner.expr, steps)?,
            Expr::Unary(inner) => Node::Negate(Box::new(self.node(&inner.expr, steps)?)),
            Expr::VectorSelector(selector) => Node::Select(self.select(selector, steps)?),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Node::Range(self.range(expression, steps)?),
            Expr::Binary(binary) => Node::Binary(Box::new(self.binary(binary, steps)?)),
            Expr::Aggregate(aggregate) => Node::Aggregate(Box::new(self.aggregate(aggregate, steps)?)),
            Expr::Call(call) => functions::lower(self, call, steps)?,
            Expr::Extension(_) => return Err(unsupported("an extension")),
        })
    }

    fn select(&mut self, selector: &VectorSelector, steps: Steps) -> Result<Select, QueryError> {
        let when = self.when(&selector.offset, &selector.at)?;
        let source = self.request(selector, when, 0, true, steps)?;
        Ok(Select { source, when })
    }

    /// A range selector or a subquery.
    pub(super) fn range(&mut self, expression: &Expr, steps: Steps) -> Result<Range, QueryError> {
        match expression {
            Expr::Paren(inner) => self.range(&inner.expr, steps),
            Expr::MatrixSelector(matrix) => {
                let length = millis(matrix.range)?;
                let when = self.when(&matrix.vs.offset, &matrix.vs.at)?;
                let source = Source::Selector(self.request(&matrix.vs, when, length, false, steps)?);
                Ok(Range { source, length, when })
            }
            Expr::Subquery(subquery) => self.subquery(subquery, steps),
            _ => Err(QueryError::Invalid("a range vector such as name[5m] is expected here".to_owned())),
        }
    }

    fn subquery(&mut self, subquery: &SubqueryExpr, steps: Steps) -> Result<Range, QueryError> {
        let length = millis(subquery.range)?;
        let when = self.when(&subquery.offset, &subquery.at)?;
        let step = subquery.step.map_or(Ok(SUBQUERY_STEP_MILLIS), millis)?.max(1);
        let from = when.time(steps.start) - length;
        // The steps of a subquery are whole multiples of their length.
        let start = from.div_euclid(step) * step;
        let start = if start < from { start + step } else { start };
        let end = when.time(steps.end).max(start);
        let inner = Steps { start, end, step };
        if (end - start) / step >= SUBQUERY_STEPS_MAX {
            return Err(QueryError::Invalid(format!(
                "a subquery has more than {SUBQUERY_STEPS_MAX} steps; name a larger step or a shorter range"
            )));
        }
        let node = self.node(&subquery.expr, inner)?;
        Ok(Range { source: Source::Subquery(Box::new(node), inner), length, when })
    }

    fn request(
        &mut self,
        selector: &VectorSelector,
        when: When,
        length: i64,
        standing: bool,
        steps: Steps,
    ) -> Result<usize, QueryError> {
        let (a, b) = (when.time(steps.start), when.time(steps.end));
        let request = Request { selector: Selector::of(selector)?, from: a - length, to: b, standing };
        let known = self.requests.iter().position(|r| *r == request);
        Ok(known.unwrap_or_else(|| {
            self.requests.push(request);
            self.requests.len() - 1
        }))
    }

    fn when(&self, offset: &Option<Offset>, at: &Option<AtModifier>) -> Result<When, QueryError> {
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(duration)) => millis(*duration)?,
            Some(Offset::Neg(duration)) => -millis(*duration)?,
        };
        let at = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.steps.start),
            Some(AtModifier::End) => Some(self.steps.end),
            Some(AtModifier::At(time)) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => whole_millis(after, AT_MILLIS_MAX)?,
                Err(before) => -whole_millis(before.duration(), AT_MILLIS_MAX)?,
            }),
        };
        Ok(When { offset, at })
    }

    fn binary(&mut self, binary: &BinaryExpr, steps: Steps) -> Result<Binary, QueryError> {
        let modifier = binary.modifier.clone().unwrap_or_default();
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err(unsupported("fill"));
        }
        let (many, include) = match &modifier.card {
            VectorMatchCardinality::ManyToOne(labels) => (Many::Left, labels.labels.clone()),
            VectorMatchCardinality::OneToMany(labels) => (Many::Right, labels.labels.clone()),
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => (Many::Neither, Vec::new()),
        };
        Ok(Binary {
            operator: operator(binary.op)?,
            left: self.node(&binary.lhs, steps)?,
            right: self.node(&binary.rhs, steps)?,
            as_bool: modifier.return_bool,
            matching: Matching { by: by(modifier.matching.as_ref()).unwrap_or_default(), many, include },
        })
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr, steps: Steps) -> Result<Aggregate, QueryError> {
        let parameter = aggregate.param.as_ref().map(|parameter| self.node(parameter, steps)).transpose()?;
        Ok(Aggregate {
            aggregation: aggregation(aggregate.op)?,
            by: by(aggregate.modifier.as_ref()).unwrap_or(By::Only(Vec::new())),
            of: self.node(&aggregate.expr, steps)?,
            parameter,
        })
    }
}

fn by(modifier: Option<&LabelModifier>) -> Option<By> {
    Some(match modifier? {
        LabelModifier::Include(labels) => By::Only(labels.labels.clone()),
        LabelModifier::Exclude(labels) => By::Without(labels.labels.clone()),
    })
}

fn millis(duration: Duration) -> Result<i64, QueryError> {
    whole_millis(duration, DURATION_MILLIS_MAX)
}

fn whole_millis(duration: Duration, most: i64) -> Result<i64, QueryError> {
    let millis = i64::try_from(duration.as_millis()).ok().filter(|millis| *millis <= most);
    millis.ok_or_else(|| {
        QueryError::Invalid(format!("{} s is too long, at most {} s is possible", duration.as_secs(), most / 1000))
    })
}

fn operator(op: TokenType) -> Result<Operator, QueryError> {
    Ok(match op.id() {
        token::T_ADD => Operator::Add,
        token::T_SUB => Operator::Subtract,
        token::T_MUL => Operator::Multiply,
        token::T_DIV => Operator::Divide,
        token::T_MOD => Operator::Modulo,
        token::T_POW => Operator::Power,
        token::T_ATAN2 => Operator::Atan2,
        token::T_EQLC => Operator::Equal,
        token::T_NEQ => Operator::NotEqual,
        token::T_GTR => Operator::Greater,
        token::T_GTE => Operator::GreaterOrEqual,
        token::T_LSS => Operator::Less,
        token::T_LTE => Operator::LessOrEqual,
        token::T_LAND => Operator::And,
        token::T_LOR => Operator::Or,
        token::T_LUNLESS => Operator::Unless,
        _ => return Err(unsupported(&format!("the operator {op}"))),
    })
}

fn aggregation(op: TokenType) -> Result<Aggregation, QueryError> {
    Ok(match op.id() {
        token::T_SUM => Aggregation::Sum,
        token::T_AVG => Aggregation::Avg,
        token::T_MIN => Aggregation::Min,
        token::T_MAX => Aggregation::Max,
        token::T_COUNT => Aggregation::Count,
        token::T_GROUP => Aggregation::Group,
        token::T_STDDEV => Aggregation::Stddev,
        token::T_STDVAR => Aggregation::Stdvar,
        token::T_TOPK => Aggregation::TopK,
        token::T_BOTTOMK => Aggregation::BottomK,
        token::T_QUANTILE => Aggregation::Quantile,
        token::T_COUNT_VALUES => Aggregation::CountValues,
        _ => return Err(unsupported(&format!("the aggregation {op}"))),
    })
}
