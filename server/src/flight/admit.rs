//! Whether a call may go on, decided by its headers before anything of it is decoded.
//!
//! The first call of a driver that has a user's name and password is a handshake, whose answer tells it to go on
//! with the token.

use super::error;
use crate::access::{Access, Action};
use crate::grpc;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

/// The token of an admitted call, for the handshake that hands it back.
#[derive(Clone)]
pub(super) struct Token(pub(super) String);

/// A service behind the check.
#[derive(Clone)]
pub(super) struct Admitted<S> {
    inner: S,
    access: Access,
}

impl<S> Admitted<S> {
    pub(super) fn new(inner: S, access: Access) -> Self {
        Self { inner, access }
    }
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Admitted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match admit(&self.access, request.headers()) {
            Ok(token) => {
                request.extensions_mut().insert(token);
                Box::pin(self.inner.call(request))
            }
            Err(refused) => Box::pin(async move { Ok(refused.into_http()) }),
        }
    }
}

fn admit(access: &Access, headers: &HeaderMap) -> Result<Token, Status> {
    let token = grpc::token(headers).ok_or_else(error::unauthenticated)?;
    let identity = access.identify_token(&token).map_err(error::of_access)?.ok_or_else(error::unauthenticated)?;
    if !identity.role.may(Action::Read) {
        let role = identity.role.as_str();
        return Err(Status::permission_denied(format!("a token of role {role} may not do this, use another one")));
    }
    Ok(Token(token))
}
