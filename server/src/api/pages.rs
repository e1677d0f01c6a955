//! The files of the web bundle, compiled into the program; without a bundle, a page that says how to make one.
//!
//! **Invariant:** only names that carry a hash of their content are cached for long.

use actix_web::http::header::{
    self, AcceptEncoding, CacheControl, CacheDirective, ContentEncoding, ETag, EntityTag, Header, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};

/// A file of the bundle.
struct Asset {
    name: &'static str,
    /// Tells its content.
    tag: &'static str,
    bytes: &'static [u8],
    /// The same, compressed when the bundle was made.
    brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/web_bundle.rs"));

/// A year, the longest that caches honour.
const CACHED_SECONDS: u32 = 365 * 24 * 3600;

const NOT_BUILT: Asset =
    Asset { name: "index.html", tag: "not-built", bytes: include_bytes!("not_built.html"), brotli: None };

/// `GET` and `HEAD` of everything that is not the API. A path without a file is a page of the application, which
/// finds its state in the address.
pub(super) async fn page(request: HttpRequest) -> HttpResponse {
    let wanted = request.path().trim_start_matches('/');
    let file = find(wanted).or_else(|| if is_asset(wanted) { None } else { find("index.html") });
    match file {
        Some(asset) => serve(&request, asset),
        None if is_asset(wanted) => HttpResponse::NotFound().finish(),
        None => serve(&request, &NOT_BUILT),
    }
}

fn find(name: &str) -> Option<&'static Asset> {
    WEB_BUNDLE.iter().find(|asset| asset.name == name)
}

/// A missing script must be a 404 and not the page, which a browser would try to run.
fn is_asset(path: &str) -> bool {
    content_type(path).is_some()
}

fn serve(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    // Weak, because the bytes of one content differ by encoding.
    let tag = EntityTag::new_weak(asset.tag.to_owned());
    let cache = if has_content_hash(asset.name) {
        vec![
            CacheDirective::Public,
            CacheDirective::MaxAge(CACHED_SECONDS),
            CacheDirective::Extension("immutable".into(), None),
        ]
    } else {
        vec![CacheDirective::NoCache]
    };
    let same = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|t| t.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag)).insert_header(CacheControl(cache));
    if same {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, content_type(asset.name).unwrap_or("application/octet-stream")));
    match asset.brotli.filter(|_| takes_brotli(request)) {
        Some(brotli) => response
            .insert_header(ContentEncoding::Brotli)
            .insert_header((header::VARY, header::ACCEPT_ENCODING.as_str()))
            .body(brotli),
        None => response.body(asset.bytes),
    }
}

fn takes_brotli(request: &HttpRequest) -> bool {
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    accepted.iter().any(|wanted| wanted.quality > header::Quality::ZERO && is_brotli(&wanted.item))
}

fn is_brotli(encoding: &header::Preference<header::Encoding>) -> bool {
    matches!(encoding, header::Preference::Specific(header::Encoding::Known(ContentEncoding::Brotli)))
}

fn content_type(name: &str) -> Option<&'static str> {
    let file = name.rsplit('/').next()?;
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Whether a name is like `app-3f2a9c81.js` or `app.3f2a9c81d0.wasm`: a part of at least eight hexadecimal digits.
fn has_content_hash(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let mut parts: Vec<&str> = file.split(['.', '-', '_']).collect();
    // Neither the first word nor the extension is a hash.
    parts.pop();
    let is_hexadecimal = |part: &str| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.iter().skip(1).any(|part| is_hexadecimal(part) && part.bytes().any(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_names_are_cached_for_long() {
        for name in ["app-3f2a9c81.js", "app.3f2a9c81d0.wasm", "assets/app_bg-00112233445566.wasm"] {
            assert!(has_content_hash(name), "{name}");
        }
        for name in ["index.html", "app.js", "app_bg.wasm", "deadbeef99.js", "app-feedface.css", "uPlot-1.6.32.js"] {
            assert!(!has_content_hash(name), "{name}");
        }
    }

    #[test]
    fn a_job_or_node_with_a_dot_is_no_asset() {
        for page in ["", "fleet", "nodes/c/gpu-1.example", "jobs/123.batch"] {
            assert!(!is_asset(page), "{page}");
        }
        assert!(is_asset("missing.js") && is_asset("a/b.wasm"));
    }
}
