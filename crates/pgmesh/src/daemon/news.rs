//! What happened, put into words once, for the log and for the stream of events.

use std::borrow::Cow;

use pgmesh_mesh::{Event, Failure, IntroductionOutcome, Peer, Retry};
use pgmesh_name::NodeName;
use tracing::Level;

use crate::api::shapes;

/// Something that happened: an event, and how it is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) level: Level,
    /// By what the lines of this kind are counted, where anybody can cause many.
    pub(super) limit: Option<&'static str>,
    /// Whether only the log tells it: it is no event of the stream's closed set.
    pub(super) log_only: bool,
    pub(super) event: shapes::Event,
}

impl News {
    pub(super) fn new(level: Level, event: &'static str, message: impl Into<String>) -> Self {
        Self {
            level,
            limit: None,
            log_only: false,
            event: shapes::Event {
                event: event.into(),
                level: Some(word(level)),
                message: Some(message.into()),
                ..shapes::Event::default()
            },
        }
    }

    pub(super) fn info(event: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::INFO, event, message)
    }

    pub(super) fn warn(event: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::WARN, event, message)
    }

    fn debug(event: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::DEBUG, event, message)
    }

    pub(super) fn node(mut self, node: &NodeName) -> Self {
        self.event.node = Some(node.to_string());
        self
    }

    fn peer(mut self, peer: &NodeName) -> Self {
        self.event.peer = Some(peer.to_string());
        self
    }

    pub(super) fn kind(mut self, kind: &'static str) -> Self {
        self.event.kind = Some(Cow::Borrowed(kind));
        self
    }

    pub(super) fn state(mut self, state: &'static str) -> Self {
        self.event.state = Some(Cow::Borrowed(state));
        self
    }

    fn limited(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    fn log_only(mut self) -> Self {
        self.log_only = true;
        self
    }

    /// What the mesh tells.
    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::Heard(node) => Self::info("heard", format!("heard {node}"))
                .node(node)
                .limited("heard"),
            Event::Goodbye(node) => Self::info("goodbye", format!("{node} says goodbye"))
                .node(node)
                .limited("goodbye"),
            Event::NodeUp { peer, restarted } => node_up(peer, *restarted),
            Event::NodeDown {
                name,
                hidden,
                failure,
            } => node_down(name, *hidden, failure),
            Event::DialFailed {
                name,
                attempts,
                failure,
            } => dial_failed(name, *attempts, failure),
            Event::EdgeUp(a, b) => Self::info("edgeup", format!("{a} and {b} are connected"))
                .node(a)
                .peer(b)
                .limited("edgeup"),
            Event::EdgeDown(a, b) => {
                let message = format!("{a} and {b} are no longer connected");
                Self::warn("edgedown", message)
                    .node(a)
                    .peer(b)
                    .limited("edgedown")
            }
            Event::Introduced { to, peer } => {
                Self::debug("introduced", format!("told {to} to connect to {peer}"))
                    .node(to)
                    .peer(peer)
            }
            Event::Healed { a, b, after } => {
                let millis = after.as_millis();
                let message = format!("{a} and {b} are connected again, after {millis} ms");
                let mut news = Self::info("healed", message).node(a).peer(b);
                news.event.after_s = Some(shapes::seconds(*after));
                news.limited("healed")
            }
            Event::NotIntroduced { to, peer, outcome } => not_introduced(to, peer, outcome),
            Event::Held(node) => {
                let message = format!("{node} is held: disconnected and left alone");
                Self::info("held", message).node(node)
            }
            Event::Released(node) => {
                Self::info("released", format!("{node} is no longer held")).node(node)
            }
            Event::Forgotten(node) => {
                Self::info("forgotten", format!("forgot {node}: it has no link")).node(node)
            }
            Event::Ignored(node, reason) => Self::debug("ignored", format!("left {node} alone"))
                .node(node)
                .kind(reason.kind())
                .log_only(),
        }
    }
}

/// In small letters, as the other words of the shapes.
fn word(level: Level) -> Cow<'static, str> {
    level.as_str().to_ascii_lowercase().into()
}

fn node_up(peer: &Peer, restarted: bool) -> News {
    let node = &peer.name;
    let again = if restarted { ", restarted" } else { "" };
    let hidden = if peer.hidden { " (hidden)" } else { "" };
    let message = format!("linked to {node}{hidden}{again}");
    let mut news = News::info("nodeup", message).node(node);
    news.event.hidden = Some(peer.hidden);
    news.event.restarted = Some(restarted);
    news
}

/// Tools come and go; that a node went is news.
fn node_down(node: &NodeName, hidden: bool, failure: &Failure) -> News {
    let level = if hidden { Level::INFO } else { Level::WARN };
    let news = News::new(level, "nodedown", &failure.message).node(node);
    let mut news = news.kind(failure.kind);
    news.event.hidden = Some(hidden);
    news
}

/// The first failure in a row is news, and every power of two after it. Only who
/// answered and said no is an event: who is away has gone down, or never came up.
fn dial_failed(node: &NodeName, attempts: u32, failure: &Failure) -> News {
    let (event, refused) = match failure.retry {
        Retry::Slowly => ("refused", true),
        Retry::Soon | Retry::NotOurs => ("dial_failed", false),
    };
    let mut news = if attempts.is_power_of_two() {
        News::warn(event, &failure.message).limited(failure.kind)
    } else {
        News::debug(event, &failure.message)
    };
    news = news.node(node).kind(failure.kind);
    news.event.attempts = Some(attempts);
    news.log_only = !refused;
    news
}

fn not_introduced(to: &NodeName, peer: &NodeName, outcome: &IntroductionOutcome) -> News {
    let why = match outcome {
        IntroductionOutcome::Failed => {
            let remedy = "is its distribution port open from there?";
            format!("no answer in time ({remedy})")
        }
        IntroductionOutcome::Stopping(name) => format!("{name} is stopping"),
        IntroductionOutcome::Refused | IntroductionOutcome::Connected => {
            let remedy = "do their cookies agree, and is its port open from there?";
            format!("it cannot ({remedy})")
        }
    };
    News::warn(
        "introduced",
        format!("{to} did not connect to {peer}: {why}"),
    )
    .node(to)
    .peer(peer)
    .kind(outcome.kind())
    .limited("not_introduced")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn failure(retry: Retry) -> Failure {
        Failure {
            kind: "timeout_at_epmd",
            message: "cannot dial b@h: no answer".to_owned(),
            retry,
        }
    }

    #[test]
    fn healed_pair_is_told_with_both_ends_and_the_time() {
        let healed = Event::Healed {
            a: name("a@h"),
            b: name("b@h"),
            after: Duration::from_millis(1250),
        };
        let event = News::of(&healed).event;
        let expected = serde_json::json!({
            "at": "", "event": "healed", "level": "info", "node": "a@h", "peer": "b@h", "after_s": 1.25,
            "message": "a@h and b@h are connected again, after 1250 ms",
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    }

    #[test]
    fn only_refusals_among_failed_dials_are_events() {
        let failed = |attempts, retry| {
            News::of(&Event::DialFailed {
                name: name("b@h"),
                attempts,
                failure: failure(retry),
            })
        };
        let refused = failed(4, Retry::Slowly);
        assert_eq!((refused.level, refused.log_only), (Level::WARN, false));
        assert_eq!(refused.event.event, "refused");
        assert_eq!(failed(3, Retry::Slowly).level, Level::DEBUG);
        assert!(failed(1, Retry::Soon).log_only);
    }
}
