//! One line per event, with the same field names everywhere.

use std::net::SocketAddr;
use std::time::Instant;

use pgmesh_dist::FailureKind;
use pgmesh_mesh::{Event, Failure, Retry};
use pgmesh_name::{NameError, NodeName};

use super::log_limit::{LogLimit, Write};

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

/// Writes events to the log. What anybody can cause by putting names on the
/// channel is written so often in a minute, and counted beyond.
pub(super) struct EventLog {
    names: LogLimit,
    payloads: LogLimit,
    strangers: LogLimit,
    /// This host's nodes, as last told.
    local: Option<Vec<NodeName>>,
}

impl EventLog {
    pub(super) fn new() -> Self {
        Self {
            names: LogLimit::per_minute(60),
            payloads: LogLimit::per_minute(1),
            strangers: LogLimit::per_minute(20),
            local: None,
        }
    }

    pub(super) fn log(&mut self, event: &Event) {
        match event {
            Event::Heard(node) => {
                if let Some(Write { left_out }) = self.names.ask("heard", Instant::now()) {
                    tracing::info!(%node, event = "heard", left_out, "heard {node}");
                }
            }
            Event::Goodbye(node) => {
                if let Some(Write { left_out }) = self.names.ask("goodbye", Instant::now()) {
                    tracing::info!(%node, event = "goodbye", left_out, "{node} says goodbye");
                }
            }
            Event::NodeUp { peer, restarted } => {
                let node = &peer.name;
                let again = if *restarted { ", restarted" } else { "" };
                let hidden = if peer.hidden { " (hidden)" } else { "" };
                tracing::info!(%node, event = "nodeup", "linked to {node}{hidden}{again}");
            }
            Event::NodeDown {
                name,
                hidden,
                failure,
            } => log_node_down(name, *hidden, failure),
            Event::DialFailed {
                name,
                attempts,
                failure,
            } => self.log_dial_failed(name, *attempts, failure),
            Event::EdgeUp(a, b) => {
                if let Some(Write { left_out }) = self.names.ask("edgeup", Instant::now()) {
                    tracing::info!(
                        node = %a, peer = %b, event = "edgeup", left_out,
                        "{a} and {b} are connected"
                    );
                }
            }
            Event::EdgeDown(a, b) => {
                if let Some(Write { left_out }) = self.names.ask("edgedown", Instant::now()) {
                    tracing::warn!(
                        node = %a, peer = %b, event = "edgedown", left_out,
                        "{a} and {b} are no longer connected"
                    );
                }
            }
            Event::Introduced { to, peer } => {
                tracing::debug!(node = %to, %peer, event = "introduced", "told {to} to connect to {peer}");
            }
            Event::Healed { a, b, after } => {
                if let Some(Write { left_out }) = self.names.ask("healed", Instant::now()) {
                    let after_ms = after.as_millis();
                    tracing::info!(
                        node = %a, peer = %b, event = "healed", after_ms, left_out,
                        "healed: {a} and {b} are connected again, after {after_ms} ms"
                    );
                }
            }
            Event::NotIntroduced { to, peer, outcome } => {
                if let Some(Write { left_out }) = self.names.ask("not_introduced", Instant::now()) {
                    tracing::warn!(
                        node = %to, %peer, event = "introduced", left_out,
                        "{to} did not connect to {peer}: {outcome:?}"
                    );
                }
            }
            Event::Held(node) => {
                tracing::info!(%node, event = "held", "{node} is held: disconnected and left alone");
            }
            Event::Released(node) => {
                tracing::info!(%node, event = "released", "{node} is no longer held");
            }
            Event::Forgotten(node) => {
                tracing::info!(%node, event = "forgotten", "forgot {node}: silent and without a link");
            }
            Event::Ignored(node, reason) => {
                tracing::debug!(%node, event = "ignored", kind = reason.kind(), "left {node} alone");
            }
        }
    }

    /// Says once who lives here, and again when that changes.
    pub(super) fn local_names(&mut self, names: &[NodeName]) {
        if self.local.as_deref() == Some(names) {
            return;
        }
        if names.is_empty() {
            tracing::info!(
                "this host's EPMD lists no visible node: with --introduce local nothing is healed"
            );
        } else {
            let list = names
                .iter()
                .map(NodeName::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            tracing::info!("this host's nodes: {list}");
        }
        self.local = Some(names.to_vec());
    }

    pub(super) fn bad_payload(&mut self, payload: &str, error: &NameError) {
        let kind = error.kind();
        if let Some(Write { left_out }) = self.payloads.ask(kind, Instant::now()) {
            tracing::warn!(kind, left_out, "payload {payload:?} is no name: {error}");
        }
    }

    /// Somebody dialled us with another cookie.
    pub(super) fn cookie_rejected(&mut self, address: SocketAddr, detail: &str) {
        let kind = FailureKind::CookieRejectedByUs.as_str();
        if let Some(Write { left_out }) = self.strangers.ask(kind, Instant::now()) {
            tracing::warn!(%address, kind, left_out, "refused a connection: {detail}");
        }
    }

    /// The first failure in a row is news, and every power of two after it.
    fn log_dial_failed(&mut self, node: &NodeName, attempts: u32, failure: &Failure) {
        let (kind, message) = (failure.kind, &failure.message);
        let event = match failure.retry {
            Retry::Slowly => "refused",
            Retry::Soon | Retry::NotOurs => "dial_failed",
        };
        let news = attempts.is_power_of_two();
        let write = news.then(|| self.names.ask(kind, Instant::now())).flatten();
        match write {
            Some(Write { left_out }) => {
                tracing::warn!(%node, event, kind, attempts, left_out, "{message}");
            }
            None => tracing::debug!(%node, event, kind, attempts, "{message}"),
        }
    }
}

/// Tools come and go; that a node went is news.
fn log_node_down(node: &NodeName, hidden: bool, failure: &Failure) {
    let (kind, message) = (failure.kind, &failure.message);
    if hidden {
        tracing::info!(%node, event = "nodedown", kind, "{message}");
    } else {
        tracing::warn!(%node, event = "nodedown", kind, "{message}");
    }
}
