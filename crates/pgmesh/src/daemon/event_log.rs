//! One line per event, with the same field names everywhere.

use pgmesh_dist::FailureKind;
use pgmesh_mesh::{Event, Failure, Retry};

/// The distribution layer's failure, as the mesh wants it.
pub(super) fn failure(kind: FailureKind, error: &dyn std::error::Error) -> Failure {
    let retry = match kind {
        FailureKind::NotPublic => Retry::NotOurs,
        kind if kind.is_retryable() => Retry::Soon,
        _ => Retry::Slowly,
    };
    Failure {
        kind: kind.as_str(),
        message: error.to_string(),
        retry,
    }
}

/// Writes an event to the log.
pub(super) fn log(event: &Event) {
    match event {
        Event::Heard(node) => tracing::info!(%node, event = "heard", "heard {node}"),
        Event::NodeUp { peer, restarted } => {
            let node = &peer.name;
            let again = if *restarted { ", restarted" } else { "" };
            let hidden = if peer.hidden { " (hidden)" } else { "" };
            tracing::info!(%node, event = "nodeup", "linked to {node}{hidden}{again}");
        }
        Event::NodeDown { name, failure } => {
            tracing::warn!(node = %name, event = "nodedown", kind = failure.kind, "{}", failure.message);
        }
        Event::DialFailed {
            name,
            attempts,
            failure,
        } => log_dial_failed(name, *attempts, failure),
        Event::Forgotten(node) => {
            tracing::info!(%node, event = "forgotten", "forgot {node}: silent and without a link");
        }
        Event::Ignored(node, reason) => {
            tracing::debug!(%node, event = "ignored", kind = reason.kind(), "left {node} alone");
        }
    }
}

/// The first failure in a row is news, and every power of two after it.
fn log_dial_failed(node: &pgmesh_name::NodeName, attempts: u32, failure: &Failure) {
    let (kind, message) = (failure.kind, &failure.message);
    if attempts.is_power_of_two() {
        tracing::warn!(%node, event = "refused", kind, attempts, "{message}");
    } else {
        tracing::debug!(%node, event = "refused", kind, attempts, "{message}");
    }
}
