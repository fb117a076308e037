//! What happened, for logs, streams and counters.

use std::time::Duration;

use pgmesh_name::NodeName;

use crate::{Failure, IntroductionOutcome, Peer};

/// A change that somebody watching the mesh wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A name was heard for the first time, or again after it was forgotten.
    Heard(NodeName),
    /// A node said that it leaves.
    Goodbye(NodeName),
    /// A node is linked.
    NodeUp {
        /// Who.
        peer: Peer,
        /// Whether it is another life of a node that we knew.
        restarted: bool,
    },
    /// A node's link is gone.
    NodeDown {
        /// Who.
        name: NodeName,
        /// Whether it was a hidden node: tools come and go.
        hidden: bool,
        /// Why.
        failure: Failure,
    },
    /// Two nodes that we are linked to are connected to each other.
    EdgeUp(NodeName, NodeName),
    /// Two nodes that we are linked to are no longer connected.
    EdgeDown(NodeName, NodeName),
    /// A node is told to connect to another.
    Introduced {
        /// Who is told.
        to: NodeName,
        /// To connect to whom.
        peer: NodeName,
    },
    /// Two nodes that had lost each other are connected again, after an introduction.
    Healed {
        /// One of them.
        a: NodeName,
        /// The other.
        b: NodeName,
        /// How long they were apart, as we saw it.
        after: Duration,
    },
    /// An introduction brought nothing.
    NotIntroduced {
        /// Who was told.
        to: NodeName,
        /// To connect to whom.
        peer: NodeName,
        /// What came of it.
        outcome: IntroductionOutcome,
    },
    /// A node is held: disconnected and left alone.
    Held(NodeName),
    /// A hold is over.
    Released(NodeName),
    /// A dial ended without a link.
    DialFailed {
        /// Whom we dialled.
        name: NodeName,
        /// How many dials in a row have failed.
        attempts: u32,
        /// Why.
        failure: Failure,
    },
    /// A name was silent and without a link for the expiry.
    Forgotten(NodeName),
    /// A name was heard that we leave alone.
    Ignored(NodeName, IgnoredName),
}

/// Why a heard name is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredName {
    /// No allow pattern covers it.
    NotAllowed,
    /// It lives on another host, and we join this host's nodes only.
    OtherHost,
}

impl IgnoredName {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 2] = [Self::NotAllowed, Self::OtherHost];

    /// A label from a closed set, for counters.
    pub fn kind(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed_here",
            Self::OtherHost => "other_host",
        }
    }
}
