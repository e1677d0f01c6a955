//! A statement and its parameters as bytes: what a prepared statement's handle and a ticket are made of.
//!
//! **Invariant:** decoding arbitrary bytes gives a statement or a refusal, and takes memory in proportion to them.

use super::error;
use crate::query::Parameter;
use prost::{Message, Oneof};
use tonic::Status;

/// Bytes of a handle: as many as HTTP takes for SQL and parameters.
pub(super) const HANDLE_BYTES_MAX: usize = 1 << 20;
/// More placeholders than any statement that fits into a handle needs; as over HTTP.
const PARAMETERS_MAX: usize = 1000;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Statement {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<Value>,
    /// Of a ticket: tells its answers apart from those of other tickets, so that they can be cancelled.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) id: Vec<u8>,
}

/// No kind is null.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(sint64, tag = "2")]
    Int(i64),
    #[prost(double, tag = "3")]
    Float(f64),
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(sint32, tag = "5")]
    Date(i32),
    #[prost(sint64, tag = "6")]
    Time(i64),
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new(), id: Vec::new() }
    }

    pub(super) fn decode_handle(bytes: &[u8]) -> Result<Self, Status> {
        too_long(bytes.len())?;
        let statement = Self::decode(bytes).map_err(|_| error::invalid("this handle is none of this server's"))?;
        too_many(statement.values.len())?;
        Ok(statement)
    }

    pub(super) fn encode_handle(&self) -> Result<Vec<u8>, Status> {
        too_long(self.encoded_len())?;
        Ok(self.encode_to_vec())
    }

    pub(super) fn called(self, id: Vec<u8>) -> Self {
        Self { id, ..self }
    }

    /// The same statement with other values.
    pub(super) fn with(self, parameters: Vec<Parameter>) -> Result<Self, Status> {
        too_many(parameters.len())?;
        let value = |parameter| Value {
            kind: match parameter {
                Parameter::Null => None,
                Parameter::Bool(value) => Some(Kind::Bool(value)),
                Parameter::Int(value) => Some(Kind::Int(value)),
                Parameter::Float(value) => Some(Kind::Float(value)),
                Parameter::Text(value) => Some(Kind::Text(value)),
                Parameter::Date(days) => Some(Kind::Date(days)),
                Parameter::Time(micros) => Some(Kind::Time(micros)),
            },
        };
        Ok(Self { values: parameters.into_iter().map(value).collect(), ..self })
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let parameter = |value: &Value| match &value.kind {
            None => Parameter::Null,
            Some(Kind::Bool(value)) => Parameter::Bool(*value),
            Some(Kind::Int(value)) => Parameter::Int(*value),
            Some(Kind::Float(value)) => Parameter::Float(*value),
            Some(Kind::Text(value)) => Parameter::Text(value.clone()),
            Some(Kind::Date(days)) => Parameter::Date(*days),
            Some(Kind::Time(micros)) => Parameter::Time(*micros),
        };
        self.values.iter().map(parameter).collect()
    }
}

fn too_long(bytes: usize) -> Result<(), Status> {
    if bytes <= HANDLE_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the query and its parameters have {bytes} bytes, at most {HANDLE_BYTES_MAX} are allowed");
    Err(error::invalid(message))
}

fn too_many(parameters: usize) -> Result<(), Status> {
    if parameters <= PARAMETERS_MAX {
        return Ok(());
    }
    Err(error::invalid(format!("there are {parameters} parameters, at most {PARAMETERS_MAX}")))
}
