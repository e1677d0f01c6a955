//! KEDA's external scaler: how many replicas of a service of inference there should be, over gRPC.
//!
//! Owns the messages of `externalscaler.ExternalScaler`. Must not know how replicas are counted (`insight` does) or
//! where it listens. **Invariants:** no call is answered without a token that may read; what is not known is an
//! error, so that nobody scales by a guess. **Not here:** TLS.

mod call;
mod codec;
mod messages;
mod question;

#[cfg(test)]
mod tests;

use crate::access::Access;
use crate::insight::inference::Inference;
use tonic::service::Routes;

/// The service, for a listener that others share.
pub fn routes(inference: Inference, access: Access) -> Routes {
    Routes::new(call::Scaler::new(inference, access))
}
