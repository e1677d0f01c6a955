//! `GET /api/openapi.json`: what the API is, for programs. The document is data; tests hold it to the routes.

use actix_web::HttpResponse;

pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}
