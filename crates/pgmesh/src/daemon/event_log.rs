//! One line per event, with the same field names everywhere.

use std::net::SocketAddr;
use std::time::Instant;

use pgmesh_dist::FailureKind;
use pgmesh_mesh::{Failure, IntroduceScope, Retry};
use pgmesh_name::{NameError, NodeName};
use tracing::Level;

use super::log_limit::LogLimit;
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
        let limit = news.limit;
        let is_written = limit.is_none_or(|kind| self.names.ask(kind, Instant::now()));
        let level = if is_written { news.level } else { Level::DEBUG };
        write_line(level, &news.event);
    }

    /// When [`sum_up`](Self::sum_up) has something to say.
    pub(super) fn sum_up_at(&self) -> Option<Instant> {
        let limits = [&self.names, &self.payloads, &self.strangers];
        limits.into_iter().filter_map(LogLimit::sum_up_at).min()
    }

    /// Says how many lines were left out in the minutes that are over.
    pub(super) fn sum_up(&mut self) {
        let now = Instant::now();
        for limit in [&mut self.names, &mut self.payloads, &mut self.strangers] {
            for (kind, left_out) in limit.sum_up(now) {
                tracing::warn!(kind, left_out, "left out {left_out} more lines like these");
            }
        }
    }

    /// Says once who lives here, and again when that changes.
    pub(super) fn local_names(&mut self, names: &[NodeName], introduce: IntroduceScope) {
        if self.local.as_deref() == Some(names) {
            return;
        }
        if names.is_empty() {
            let heals_nothing = match introduce {
                IntroduceScope::Local => ": with --introduce local nothing is healed",
                IntroduceScope::None | IntroduceScope::All => "",
            };
            tracing::info!("this host's EPMD lists no visible node{heals_nothing}");
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
        if self.payloads.ask(kind, Instant::now()) {
            tracing::warn!(kind, "payload {payload:?} is no name: {error}");
        }
    }

    /// Somebody dialled us with another cookie.
    pub(super) fn cookie_rejected(&mut self, address: SocketAddr, detail: &str) {
        let kind = FailureKind::CookieRejectedByUs.as_str();
        if self.strangers.ask(kind, Instant::now()) {
            tracing::warn!(%address, kind, "refused a connection: {detail}");
        }
    }
}

/// The macros want their level to be a constant.
fn write_line(level: Level, event: &Event) {
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                node = event.node.as_ref().map(tracing::field::display),
                peer = event.peer.as_ref().map(tracing::field::display),
                event = event.event.as_ref(),
                kind = event.kind.as_deref(),
                state = event.state.as_deref(),
                attempts = event.attempts,
                after_s = event.after_s,
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
