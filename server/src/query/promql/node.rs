//! A query as it is evaluated: every name resolved, every time in milliseconds, every selector numbered.

use super::functions::{date::DateFunction, point::PointFunction, window::WindowFunction};
use super::labels::Labels;
use super::selector::Selector;
use super::series::{Steps, When};
use promql_parser::label::Matcher;

pub(super) enum Node {
    Number(f64),
    Text(String),
    /// `time()`.
    Time,
    Select(Select),
    /// A range vector by itself; only an instant query may answer one.
    Range(Range),
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    /// A function of a range vector.
    Window {
        function: WindowFunction,
        range: Range,
        parameter: Option<Box<Node>>,
    },
    /// A function of each value by itself, with scalars.
    Point {
        function: PointFunction,
        vector: Box<Node>,
        parameters: Vec<Node>,
    },
    /// A part of a date, of values or of the evaluation's time.
    Date {
        function: DateFunction,
        of: Option<Box<Node>>,
    },
    Absent {
        of: Box<Node>,
        labels: Labels,
    },
    AbsentOverTime {
        range: Range,
        labels: Labels,
    },
    Scalar(Box<Node>),
    Vector(Box<Node>),
    Timestamp(Box<Node>),
    Sort {
        of: Box<Node>,
        descending: bool,
    },
    Relabel {
        of: Box<Node>,
        how: Relabel,
    },
    HistogramQuantile {
        quantile: Box<Node>,
        of: Box<Node>,
    },
}

/// What a node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Text,
    Vector,
    Range,
}

/// An instant selector; `source` is its place among the requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Select {
    pub(super) source: usize,
    pub(super) when: When,
}

/// The samples of the last `length` milliseconds.
pub(super) struct Range {
    pub(super) source: Source,
    pub(super) length: i64,
    pub(super) when: When,
}

pub(super) enum Source {
    Selector(usize),
    Subquery(Box<Node>, Steps),
}

/// The rows that a selector needs. Times are Unix milliseconds, both included.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) selector: Selector,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Whether also earlier rows are needed that still stand at `from`.
    pub(super) standing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Unless,
}

pub(super) struct Binary {
    pub(super) operator: Operator,
    pub(super) left: Node,
    pub(super) right: Node,
    /// `bool`: a comparison gives 0 or 1 instead of leaving values out.
    pub(super) as_bool: bool,
    pub(super) matching: Matching,
}

/// Which series of two vectors belong together.
#[derive(Debug, Clone, Default)]
pub(super) struct Matching {
    pub(super) by: By,
    /// The side that may have several series for one of the other.
    pub(super) many: Many,
    /// Labels that the result takes from the other side.
    pub(super) include: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Many {
    #[default]
    Neither,
    Left,
    Right,
}

/// `by`, `on`: these labels; `without`, `ignoring`: all but these and the name.
#[derive(Debug, Clone)]
pub(super) enum By {
    Only(Vec<String>),
    Without(Vec<String>),
}

impl Default for By {
    fn default() -> Self {
        Self::Without(Vec::new())
    }
}

impl By {
    pub(super) fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::Only(names) => labels.only(names),
            Self::Without(names) => labels.without_name().without(names),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
}

pub(super) struct Aggregate {
    pub(super) aggregation: Aggregation,
    pub(super) by: By,
    pub(super) of: Node,
    pub(super) parameter: Option<Node>,
}

pub(super) enum Relabel {
    Replace { to: String, replacement: String, from: String, pattern: Box<Matcher> },
    Join { to: String, separator: String, from: Vec<String> },
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) | Self::Time | Self::Scalar(_) => Kind::Scalar,
            Self::Text(_) => Kind::Text,
            Self::Range(_) => Kind::Range,
            Self::Negate(of) => of.kind(),
            Self::Binary(binary) if binary.left.kind() == Kind::Scalar && binary.right.kind() == Kind::Scalar => {
                Kind::Scalar
            }
            _ => Kind::Vector,
        }
    }
}
