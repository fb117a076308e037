//! The routes: on `--http` those that only read, on the control socket these and
//! those that change the mesh.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{Asker, Question, control, events};
use crate::dashboard;

/// For anybody who can reach us.
pub(crate) fn reading(asker: Asker) -> Router {
    readers().with_state(asker)
}

/// For the owner of the control socket.
pub(crate) fn controlling(asker: Asker) -> Router {
    readers().merge(control::routes()).with_state(asker)
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
