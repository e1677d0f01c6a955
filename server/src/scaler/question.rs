//! What a scaled object asks, and whether it may. Pure but for the look at the token.

use super::messages::ScaledObjectRef;
use crate::access::{Access, Action};
use crate::error::ErrorKind;
use crate::insight::inference::{InferenceError, Objective};
use tonic::{Code, Status};

/// Where the token may stand in a trigger: KEDA sends nothing but its metadata, those of `FromEnv` with their values.
const TOKENS: [&str; 2] = ["tokenFromEnv", "token"];
const SERVICE: &str = "service";
const FIRST_TOKEN: &str = "timeToFirstTokenSeconds";
const QUEUE: &str = "queueSeconds";
const UTILISATION: &str = "utilisationRatio";

/// A service, and what shall hold for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) service: String,
    pub(super) objective: Objective,
}

/// Lets in who brings a token that may read, as metadata of the call or of the trigger.
pub(super) fn admit(access: &Access, of_call: Option<&str>, object: &ScaledObjectRef) -> Result<(), Status> {
    let of_trigger = || TOKENS.iter().find_map(|name| object.scaler_metadata.get(*name));
    let token = of_call.or_else(|| of_trigger().map(String::as_str)).ok_or_else(unauthenticated)?;
    let identity = access.identify_token(token).map_err(|error| status(error.kind(), error.to_string()))?;
    let identity = identity.ok_or_else(unauthenticated)?;
    if !identity.role.may(Action::Read) {
        let role = identity.role.as_str();
        return Err(Status::permission_denied(format!("a token of role {role} may not do this, use another one")));
    }
    Ok(())
}

fn unauthenticated() -> Status {
    let text = "no valid token, give the trigger `tokenFromEnv` or `token`, or the call `authorization: Bearer TOKEN`";
    Status::unauthenticated(text)
}

impl Question {
    pub(super) fn of(object: &ScaledObjectRef) -> Result<Self, Status> {
        let metadata = &object.scaler_metadata;
        let service = metadata.get(SERVICE).filter(|service| !service.is_empty());
        let missing = || Status::invalid_argument("the trigger names no `service`, say which one is scaled");
        let number = |name: &str| -> Result<Option<f64>, Status> {
            let read = |text: &String| {
                let shown: String = text.chars().take(40).collect();
                text.trim().parse().map_err(|_| Status::invalid_argument(format!("{name} {shown:?} is not a number")))
            };
            metadata.get(name).map(read).transpose()
        };
        let objective = Objective::of(number(FIRST_TOKEN)?, number(QUEUE)?, number(UTILISATION)?);
        Ok(Self { service: service.ok_or_else(missing)?.clone(), objective: objective.map_err(of_insight)? })
    }
}

fn of_insight(error: InferenceError) -> Status {
    status(error.kind(), error.to_string())
}

/// `kind` → code.
fn status(kind: ErrorKind, message: String) -> Status {
    let code = match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Limit => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Corrupt | ErrorKind::Internal => Code::Internal,
    };
    match code {
        Code::Internal => {
            tracing::error!(error = message, "a call of a scaler failed");
            Status::internal("internal error, the server's log has it")
        }
        code => Status::new(code, message),
    }
}
