//! Whether a call may go on, decided by its headers before anything of it is decoded.
//!
//! A token comes as `Bearer TOKEN`, or as the password of `Basic`, which is how drivers send a user's name and
//! password. The first call of such a driver is a handshake, whose answer tells it to go on with the token.

use super::error;
use crate::access::{Access, Action};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, header};
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
    let token = token(headers).ok_or_else(error::unauthenticated)?;
    let identity = access.identify_token(&token).map_err(error::of_access)?.ok_or_else(error::unauthenticated)?;
    if !identity.role.may(Action::Read) {
        let role = identity.role.as_str();
        return Err(Status::permission_denied(format!("a token of role {role} may not do this, use another one")));
    }
    Ok(Token(token))
}

fn token(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| base64(rest))??;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// The bytes of a base64 text, with or without its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token(&headers)
        };
        assert_eq!(token(&HeaderMap::new()), None);
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            // ada:coulomb_x:y and :z
            ("Basic YWRhOmNvdWxvbWJfeDp5", Some("coulomb_x:y")),
            ("basic Ono=", Some("z")),
            ("Basic Ono", Some("z")),
            ("Basic !!!!", None),
            ("Basic YWRh", None),
            ("Digest abc", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(of(value).as_deref(), expected, "{value}");
        }
    }
}
