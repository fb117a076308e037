//! The routes: on `--http` those that only read, on the control socket these and
//! those that change the mesh.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{Asker, Question, control, events};
use crate::dashboard;

/// For anybody who can reach us.
pub(crate) fn reading(asker: Asker) -> Router {
    readers().layer(map_response(careful)).with_state(asker)
}

/// For the owner of the control socket.
pub(crate) fn controlling(asker: Asker) -> Router {
    let routes = readers().merge(control::routes());
    routes.layer(map_response(careful)).with_state(asker)
}

fn readers() -> Router<Asker> {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/members", get(members))
        .route("/api/v1/matrix", get(matrix))
        .route("/api/v1/events", events::route())
        .merge(dashboard::routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page\n") })
}

/// What is true of this moment is kept by nobody, and taken for nothing else than it
/// says it is. The page's own files say for themselves how they are kept.
async fn careful(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let entry = headers.entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    answer
}

#[derive(Deserialize)]
struct ReadyQuery {
    /// `1` or `true`: not ready either while Postgres is down or deaf.
    postgres: Option<String>,
}

async fn readyz(State(asker): State<Asker>, Query(query): Query<ReadyQuery>) -> Response {
    let postgres = matches!(query.postgres.as_deref(), Some("1" | "true"));
    let ready = asker.ask(|answer| Question::Ready { postgres, answer });
    match ready.await.map(|readiness| readiness.0) {
        Some(Ok(())) => "ready\n".into_response(),
        Some(Err(missing)) => unavailable(&format!("not ready: {missing}\n")),
        None => stopping(),
    }
}

async fn metrics(State(asker): State<Asker>) -> Response {
    match asker.ask(Question::Metrics).await {
        Some(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        None => stopping(),
    }
}

async fn status(State(asker): State<Asker>) -> Response {
    match asker.ask(Question::Status).await {
        Some(status) => Json(status).into_response(),
        None => stopping(),
    }
}

async fn members(State(asker): State<Asker>) -> Response {
    match asker.ask(Question::Members).await {
        Some(members) => Json(members).into_response(),
        None => stopping(),
    }
}

#[derive(Deserialize)]
struct MatrixQuery {
    /// `1` or `true`: also the pairs that are linked.
    full: Option<String>,
}

async fn matrix(State(asker): State<Asker>, Query(query): Query<MatrixQuery>) -> Response {
    let full = matches!(query.full.as_deref(), Some("1" | "true"));
    match asker.ask(Question::Matrix).await {
        Some(mut matrix) => {
            matrix.links = matrix.links.filter(|_| full);
            Json(matrix).into_response()
        }
        None => stopping(),
    }
}

/// For questions that the loop no longer answers.
pub(super) fn stopping() -> Response {
    unavailable("stopping\n")
}

fn unavailable(text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    #[tokio::test]
    async fn no_answer_is_kept_or_taken_for_something_else() {
        let (asker, questions) = Asker::new();
        drop(questions);
        for routes in [reading(asker.clone()), controlling(asker)] {
            let routes = TowerToHyperService::new(routes);
            for (page, kept) in [
                ("/api/v1/status", "no-store"),
                ("/livez", "no-store"),
                ("/nothing", "no-store"),
                ("/", "no-cache"),
            ] {
                let request = Request::get(page).body(Body::empty()).unwrap();
                let answer = routes.call(request).await.unwrap();
                assert_eq!(answer.headers()[header::CACHE_CONTROL], kept, "{page}");
                assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            }
        }
    }
}
