//! The page at `/`: the mesh as a picture, out of the binary.
//!
//! It is plain files without a build step. The page asks our own `/api/v1/` and
//! nobody else, which its Content-Security-Policy makes certain.

mod assets;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use assets::{ASSETS, Asset, INDEX};

/// No script or style but ours, nothing from anywhere else, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// On every file. A browser asks each time whether its copy is still good: after an
/// upgrade, old and new modules must not meet.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-cache"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Only reads, and knows nothing of the daemon: what the page shows it asks for.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|headers| async move { serve(&INDEX, &headers) }))
        .route("/dashboard/{name}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => serve(asset, &headers),
        None => (StatusCode::NOT_FOUND, "no such page\n").into_response(),
    }
}

fn serve(asset: &Asset, request: &HeaderMap) -> Response {
    let tag = asset.tag();
    let known = request.get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = (HEADERS, [(ETAG, tag)]);
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        let content_type = [(CONTENT_TYPE, asset.content_type)];
        (headers, content_type, asset.content).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use axum::http::HeaderValue;

    async fn get_asset(name: &str) -> Response {
        asset(Path(name.to_owned()), HeaderMap::new()).await
    }

    fn header<'a>(response: &'a Response, name: &HeaderName) -> &'a str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[tokio::test]
    async fn every_file_has_its_type_and_may_load_nothing_from_elsewhere() {
        for (name, content_type) in [
            ("main.js", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ] {
            let response = get_asset(name).await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            assert_eq!(header(&response, &CONTENT_TYPE), content_type);
            assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
            let policy = header(&response, &CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(get_asset("../mod.rs").await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_copy_that_is_still_good_is_not_sent_again() {
        let first = serve(&INDEX, &HeaderMap::new());
        let tag = HeaderValue::from_str(header(&first, &ETAG)).unwrap();
        let again = serve(&INDEX, &HeaderMap::from_iter([(IF_NONE_MATCH, tag)]));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&again, &CACHE_CONTROL), "no-cache");
        let body = to_bytes(again.into_body(), 1024).await.unwrap();
        assert!(body.is_empty());
        let other = serve(&ASSETS[0], &HeaderMap::new());
        assert_ne!(header(&first, &ETAG), header(&other, &ETAG));
    }
}
