//! The routes, the same on the control socket and on `--http`. All only read.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, serve::Listener};
use serde::Deserialize;

use super::{Asker, Question};

const STOPPING: &str = "stopping\n";

/// Answers until the daemon ends. Errors of single connections end those alone.
pub(crate) async fn serve<L>(listener: L, asker: Asker)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    if let Err(error) = axum::serve(listener, router(asker)).await {
        tracing::error!("http server ended: {error}");
    }
}

fn router(asker: Asker) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/members", get(members))
        .route("/api/v1/matrix", get(matrix))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page\n") })
        .with_state(asker)
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
        None => unavailable(STOPPING),
    }
}

async fn status(State(asker): State<Asker>) -> Response {
    match asker.ask(Question::Status).await {
        Some(status) => Json(status).into_response(),
        None => unavailable(STOPPING),
    }
}

async fn members(State(asker): State<Asker>) -> Response {
    match asker.ask(Question::Members).await {
        Some(members) => Json(members).into_response(),
        None => unavailable(STOPPING),
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
        None => unavailable(STOPPING),
    }
}

fn unavailable(text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, text.to_owned()).into_response()
}
