//! What the mesh wants done.

use pgmesh_name::NodeName;

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
}

/// Names one dial for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);
