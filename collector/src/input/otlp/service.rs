//! One request: which protocol it speaks, and whether its sender may send.

use super::export::Exports;
use super::token::{is_given, read_token};
use super::{grpc, http};
use coulomb_otlp::Signal;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};

/// Clones are cheap.
#[derive(Clone)]
pub(super) struct Receiver {
    exports: Arc<Exports>,
    token_file: Option<Arc<Path>>,
}

impl Receiver {
    pub(super) fn new(exports: Arc<Exports>, token_file: Option<Arc<Path>>) -> Self {
        Self { exports, token_file }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(file) = &self.token_file else { return true };
        match read_token(file) {
            Ok(token) => is_given(headers, &token),
            Err(error) => {
                tracing::error!("nobody may send OTLP: {error:#}");
                false
            }
        }
    }
}

impl Service<Request<Body>> for Receiver {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let admitted = self.admits(request.headers());
        let exports = Arc::clone(&self.exports);
        Box::pin(async move {
            let is_grpc = grpc::is_spoken(request.headers()) || request.uri().path().starts_with(grpc::PREFIX);
            Ok(match is_grpc {
                true => grpc::answer(&exports, request, admitted).await,
                false => http::answer(&exports, request, admitted).await,
            })
        })
    }
}

/// Signals by their names in addresses.
pub(super) fn signal(names: [&str; 3], name: &str) -> Option<Signal> {
    let at = names.iter().position(|known| *known == name)?;
    Some([Signal::Traces, Signal::Logs, Signal::Metrics][at])
}
