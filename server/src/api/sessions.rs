//! Log in, log out, one-time links, tokens.

use super::error::Refusal;
use super::serve::State;
use crate::access::{Identity, IssuedToken, Role, SESSION_SECONDS, TokenEntry};
use crate::answers::{LoginLink, Token, TokenRequest};
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, HttpResponse, web};
use contract::answers::{LoginRequest, Session};

pub(super) const SESSION_COOKIE: &str = "coulomb_session";

type Answer = Result<HttpResponse, Refusal>;

/// A browser that came through TLS, as the proxy in front says, sends the cookie back through TLS only.
fn cookie<'a>(request: &HttpRequest, value: &'a str, seconds: i64) -> Cookie<'a> {
    Cookie::build(SESSION_COOKIE, value)
        .path("/")
        .secure(request.connection_info().scheme() == "https")
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(Duration::seconds(seconds))
        .finish()
}

fn session(identity: &Identity) -> Session {
    Session { name: identity.name.clone(), role: identity.role.as_str().to_owned() }
}

/// `POST /api/v1/session`: a token or a login code for a cookie.
pub(super) async fn log_in(request: HttpRequest, body: web::Json<LoginRequest>, state: web::Data<State>) -> Answer {
    let now = (state.clock)();
    let identity = match (&body.token, &body.code) {
        (Some(token), None) => state.access.identify_token(token.trim())?,
        (None, Some(code)) => state.access.redeem_login_code(code.trim(), now)?,
        _ => return Err(Refusal::invalid("give either a token or a code")),
    };
    let refused = || Refusal {
        message: match body.token {
            Some(_) => "this token is not valid".to_owned(),
            None => "this link was used before or is older than ten minutes, make a new one".to_owned(),
        },
        ..Refusal::unauthorized()
    };
    let identity = identity.ok_or_else(refused)?;
    let secret = state.access.open_session(&identity, now)?;
    tracing::info!(name = identity.name, role = identity.role.as_str(), "logged in");
    Ok(HttpResponse::Ok().cookie(cookie(&request, secret.expose(), SESSION_SECONDS)).json(session(&identity)))
}

/// `GET /api/v1/session`.
pub(super) async fn who(identity: web::ReqData<Identity>) -> Answer {
    Ok(HttpResponse::Ok().json(session(&identity)))
}

/// `DELETE /api/v1/session`.
pub(super) async fn log_out(request: HttpRequest, state: web::Data<State>) -> Answer {
    if let Some(given) = request.cookie(SESSION_COOKIE) {
        state.access.close_session(given.value())?;
    }
    Ok(HttpResponse::NoContent().cookie(cookie(&request, "", 0)).finish())
}

/// `POST /api/v1/login-links`.
pub(super) async fn create_link(identity: web::ReqData<Identity>, state: web::Data<State>) -> Answer {
    let code = state.access.create_login_code(&identity, (state.clock)())?;
    let path = format!("/login?code={}", code.secret.expose());
    Ok(HttpResponse::Created().json(LoginLink { path, expires_unix_micros: code.expires_unix_micros }))
}

fn token(entry: TokenEntry, secret: Option<String>) -> Token {
    let TokenEntry { id, name, role, created_unix_micros } = entry;
    Token { id, name, role: role.as_str().to_owned(), created_unix_micros, secret }
}

/// `POST /api/v1/tokens`.
pub(super) async fn create_token(
    by: web::ReqData<Identity>,
    body: web::Json<TokenRequest>,
    state: web::Data<State>,
) -> Answer {
    let role = Role::parse(&body.role)?;
    let IssuedToken { entry, secret } = state.access.create_token(&body.name, role, (state.clock)())?;
    tracing::info!(id = entry.id, name = entry.name, role = role.as_str(), by = by.name, "made a token");
    Ok(HttpResponse::Created().json(token(entry, Some(secret.expose().to_owned()))))
}

/// `GET /api/v1/tokens`.
pub(super) async fn tokens(state: web::Data<State>) -> Answer {
    let tokens: Vec<Token> = state.access.tokens()?.into_iter().map(|entry| token(entry, None)).collect();
    Ok(HttpResponse::Ok().json(tokens))
}

/// `DELETE /api/v1/tokens/{id}`.
pub(super) async fn revoke_token(by: web::ReqData<Identity>, id: web::Path<String>, state: web::Data<State>) -> Answer {
    state.access.revoke_token(&id, (state.clock)())?;
    tracing::info!(id = %id, by = by.name, "revoked a token");
    Ok(HttpResponse::NoContent().finish())
}
