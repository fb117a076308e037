//! What the mesh wants done.

use pgmesh_name::NodeName;

use crate::LinkId;

/// Something to do. None of these may be waited for inside the loop that feeds
/// the mesh: start it, and report the outcome as an [`crate::Input`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial this name. Every dial is answered, by [`crate::Input::LinkUp`] or by
    /// [`crate::Input::DialFailed`] with this id.
    Dial {
        /// Whom.
        name: NodeName,
        /// Which dial.
        dial: DialId,
    },
    /// Give this dial up; its answer is no longer waited for.
    CancelDial(DialId),
    /// Say these names on the channel, in one transaction.
    Announce(Vec<NodeName>),
    /// Say on the channel that these names leave, if the dialect can.
    Goodbye(Vec<NodeName>),
    /// Watch this node's connections over this link. Answered by
    /// [`crate::Input::PeersSeen`] or by [`crate::Input::WatchFailed`].
    Watch {
        /// Whom.
        name: NodeName,
        /// Over which link.
        link: LinkId,
    },
    /// End the watch over this link; nothing answers.
    Unwatch {
        /// Whom.
        name: NodeName,
        /// Over which link.
        link: LinkId,
    },
    /// Ask this node for its connections. Answered by [`crate::Input::Audited`] or by
    /// [`crate::Input::AuditFailed`].
    Audit {
        /// Whom.
        name: NodeName,
        /// Over which link.
        link: LinkId,
    },
    /// Tell one node to connect to another, unless either is stopping. Answered by
    /// [`crate::Input::IntroductionEnded`].
    Introduce {
        /// Which introduction.
        id: IntroductionId,
        /// Who is told.
        to: NodeName,
        /// To connect to whom.
        peer: NodeName,
    },
    /// Tell all these nodes to disconnect from one, and close our own link to it.
    Disconnect {
        /// Who are told; one edge alone is never cut.
        at: Vec<NodeName>,
        /// From whom.
        peer: NodeName,
    },
}

/// Names one introduction for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntroductionId(pub u64);

/// Names one dial for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);
