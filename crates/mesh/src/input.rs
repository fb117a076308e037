//! What the mesh is told.

use pgmesh_name::NodeName;

use crate::{Config, DialId, IntroductionId, Time};

/// Everything that can happen to a mesh.
#[derive(Clone, Debug)]
pub enum Input {
    /// A name was said on the channel.
    HeardName(NodeName),
    /// A node said on the channel that it leaves. Anybody can say that of anybody:
    /// a link that stands, or the next announcement, is worth more.
    HeardGoodbye(NodeName),
    /// Our own announcement came back: we hear.
    EchoHeard,
    /// A link is up, whoever dialled. Replaces an older link of that name.
    LinkUp {
        /// Who is at the other end.
        peer: Peer,
        /// This link, as [`Input::LinkDown`] will name it.
        link: LinkId,
    },
    /// A link is gone.
    LinkDown {
        /// Who was at the other end.
        name: NodeName,
        /// Which of its links; one that was replaced changes nothing.
        link: LinkId,
        /// Why.
        failure: Failure,
    },
    /// A dial ended without a link.
    DialFailed {
        /// Whom we dialled.
        name: NodeName,
        /// Which dial; an answer to an old one changes nothing.
        dial: DialId,
        /// Why.
        failure: Failure,
    },
    /// The Postgres session listens: what we say is said, what is said reaches us
    /// (once an echo proves it).
    PostgresUp,
    /// The Postgres session is down or deaf.
    PostgresDown,
    /// All connections of a node to visible nodes, as an audit found them.
    Audited {
        /// Of whom.
        name: NodeName,
        /// The link over which it was told.
        link: LinkId,
        /// To whom.
        peers: Vec<NodeName>,
    },
    /// All connections of a node to visible nodes, as its watcher begins. Each later
    /// change is told as [`Self::EdgeUp`] or [`Self::EdgeDown`].
    PeersSeen {
        /// Of whom.
        name: NodeName,
        /// The link over which it was told.
        link: LinkId,
        /// To whom.
        peers: Vec<NodeName>,
    },
    /// A watched node is connected to another one more.
    EdgeUp {
        /// Which node tells.
        name: NodeName,
        /// The link over which it was told.
        link: LinkId,
        /// To whom.
        peer: NodeName,
    },
    /// A watched node is no longer connected to another.
    EdgeDown {
        /// Which node tells.
        name: NodeName,
        /// The link over which it was told.
        link: LinkId,
        /// To whom.
        peer: NodeName,
    },
    /// A node could not be watched.
    WatchFailed {
        /// Whom.
        name: NodeName,
        /// Over which link.
        link: LinkId,
    },
    /// A node did not say what it is connected to.
    AuditFailed {
        /// Whom.
        name: NodeName,
        /// Over which link.
        link: LinkId,
    },
    /// An introduction is over.
    IntroductionEnded {
        /// Which.
        id: IntroductionId,
        /// What came of it.
        outcome: IntroductionOutcome,
    },
    /// The OTP release of a linked node is known.
    OtpKnown {
        /// Of whom.
        name: NodeName,
        /// Over which link it was asked.
        link: LinkId,
        /// Its release: 27.
        release: u32,
    },
    /// Whether we are the one of several daemons that introduces at once.
    Leader(bool),
    /// The visible nodes that this host's EPMD lists: all of them, under the names
    /// that they gave themselves.
    LocalNames(Vec<NodeName>),
    /// EPMD has us.
    EpmdUp,
    /// EPMD is gone: what it no longer lists proves nothing.
    EpmdDown,
    /// A person wants this node disconnected and left alone.
    Hold {
        /// Whom.
        name: NodeName,
        /// Until when, if not until it is released.
        until: Option<Time>,
    },
    /// A person wants these two nodes connected: holds on them end.
    Release {
        /// One of them.
        a: NodeName,
        /// The other.
        b: NodeName,
    },
    /// A person wants this name forgotten.
    Forget(NodeName),
    /// The settings are others now; our own name stays.
    Reconfigured(Box<Config>),
    /// The time of [`crate::Mesh::poll_timeout`] has come.
    Timeout,
    /// The daemon is stopping: dial nobody any more.
    Shutdown,
}

/// What came of an introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntroductionOutcome {
    /// The node says that it is connected.
    Connected,
    /// It says that it cannot connect.
    Refused,
    /// This node is stopping.
    Stopping(NodeName),
    /// There was no answer.
    Failed,
}

impl IntroductionOutcome {
    /// Every kind, for tables and metrics.
    pub const KINDS: [&'static str; 4] = ["connected", "refused", "stopping", "failed"];

    /// A label from [`KINDS`](Self::KINDS).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Stopping(_) => "stopping",
            Self::Failed => "failed",
        }
    }
}

/// Names one link for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A node that a handshake has proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, from its own handshake.
    pub name: NodeName,
    /// Which life of that name this is.
    pub creation: u32,
    /// Whether it is a hidden node (no PUBLISHED among its distribution flags).
    pub hidden: bool,
}

/// Why a dial or a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A label from the closed set of the distribution layer.
    pub kind: &'static str,
    /// What happened and what to do about it, for a person.
    pub message: String,
    /// When trying again makes sense.
    pub retry: Retry,
}

/// When trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Soon: the node was away, or a packet was lost. Being heard is reason
    /// enough for another dial.
    Soon,
    /// It answered and said no: a person has to change something first, and each
    /// try writes into the other side's log.
    Slowly,
    /// It is a hidden node, and hidden nodes are none of ours.
    NotOurs,
}
