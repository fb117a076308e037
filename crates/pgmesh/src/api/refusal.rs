//! Why a change that somebody asked for is not made.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pgmesh_name::NodeName;

use super::shapes::{Error, Failed};

/// A change that is not made, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0} is named twice (name two nodes)")]
    SameNode(NodeName),
    #[error("{0} is this daemon itself (name another node)")]
    OwnNode(NodeName),
    #[error("{0} is not known here (see pgmesh members)")]
    UnknownNode(NodeName),
    #[error("{0} is a hidden node: those are left alone")]
    HiddenNode(NodeName),
    #[error("{0} is not allowed here (see --allow)")]
    NotAllowed(NodeName),
    /// What it is instead stands beside it.
    #[error("{0} is not linked to this daemon: {1}")]
    NotLinked(NodeName, String),
    #[error("{0} is linked (disconnect it first)")]
    StillLinked(NodeName),
    #[error("{0} is one of our --peers (take it out of there, and reload)")]
    Configured(NodeName),
    #[error("the daemon is stopping")]
    Stopping,
}

impl Refusal {
    /// A label from a closed set, for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::SameNode(_) => "same_node",
            Self::OwnNode(_) => "own_node",
            Self::UnknownNode(_) => "unknown_node",
            Self::HiddenNode(_) => "hidden_node",
            Self::NotAllowed(_) => "not_allowed",
            Self::NotLinked(..) => "not_linked",
            Self::StillLinked(_) => "still_linked",
            Self::Configured(_) => "configured",
            Self::Stopping => "stopping",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownNode(_) => StatusCode::NOT_FOUND,
            Self::NotLinked(..) | Self::StillLinked(_) | Self::Configured(_) => {
                StatusCode::CONFLICT
            }
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadRequest(_)
            | Self::SameNode(_)
            | Self::OwnNode(_)
            | Self::HiddenNode(_)
            | Self::NotAllowed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = Error {
            kind: self.kind().to_owned(),
            message: self.to_string(),
        };
        (self.status(), Json(Failed { error })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn refusals_have_a_status_a_kind_and_a_remedy() {
        let node: NodeName = "b@db2".parse().unwrap();
        let not_linked = Refusal::NotLinked(node.clone(), "it is down".to_owned());
        for (refusal, status, kind, message) in [
            (
                Refusal::UnknownNode(node.clone()),
                404,
                "unknown_node",
                "b@db2 is not known here (see pgmesh members)",
            ),
            (
                not_linked,
                409,
                "not_linked",
                "b@db2 is not linked to this daemon: it is down",
            ),
            (
                Refusal::StillLinked(node.clone()),
                409,
                "still_linked",
                "b@db2 is linked (disconnect it first)",
            ),
            (
                Refusal::Configured(node.clone()),
                409,
                "configured",
                "b@db2 is one of our --peers (take it out of there, and reload)",
            ),
            (
                Refusal::NotAllowed(node.clone()),
                422,
                "not_allowed",
                "b@db2 is not allowed here (see --allow)",
            ),
            (
                Refusal::HiddenNode(node.clone()),
                422,
                "hidden_node",
                "b@db2 is a hidden node: those are left alone",
            ),
            (
                Refusal::SameNode(node),
                422,
                "same_node",
                "b@db2 is named twice (name two nodes)",
            ),
        ] {
            let response = refusal.into_response();
            assert_eq!(response.status(), status, "{kind}");
            let body = to_bytes(response.into_body(), 1024).await.unwrap();
            let expected = serde_json::json!({"error": {"kind": kind, "message": message}});
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
                expected
            );
        }
    }
}
