//! One line per event, with the same field names everywhere.

use std::net::SocketAddr;
use std::time::Instant;

use pgmesh_dist::FailureKind;
use pgmesh_mesh::{Failure, Retry};
use pgmesh_name::{NameError, NodeName};
use tracing::Level;

use super::log_limit::{LogLimit, Write};
use super::news::News;
use crate::api::shapes::Event;

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

    /// What is one too many in its minute is written for those who debug.
    pub(super) fn write(&mut self, news: &News) {
        let asked = news.limit.map(|kind| self.names.ask(kind, Instant::now()));
        let (level, left_out) = match asked {
            Some(None) => (Level::DEBUG, None),
            Some(Some(Write { left_out })) => (news.level, left_out),
            None => (news.level, None),
        };
        write_line(level, left_out, &news.event);
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
}

/// The macros want their level to be a constant.
fn write_line(level: Level, left_out: Option<u64>, event: &Event) {
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                node = event.node.as_ref().map(tracing::field::display),
                peer = event.peer.as_ref().map(tracing::field::display),
                event = event.event.as_ref(),
                kind = event.kind.as_deref(),
                attempts = event.attempts,
                after_s = event.after_s,
                left_out,
                "{}",
                event.message.as_deref().unwrap_or_default()
            )
        };
    }
    match level {
        Level::ERROR => line!(Level::ERROR),
        Level::WARN => line!(Level::WARN),
        Level::INFO => line!(Level::INFO),
        _ => line!(Level::DEBUG),
    }
}
