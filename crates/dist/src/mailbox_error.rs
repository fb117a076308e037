//! What can go wrong with mailboxes and what is sent from them.

use pgmesh_name::NodeName;

use crate::ConnectError;
use crate::terms::TermError;

/// Why a mailbox has ended before its owner dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxEnded {
    /// A process sent it the exit signal `kill`.
    #[error("mailbox was killed by another process")]
    Killed,
    /// More waited in it than it may hold.
    #[error(
        "mailbox was killed: more than {limit} bytes waited in it \
         (receive faster, or raise NodeConfig::max_mailbox)"
    )]
    Overflowed {
        /// What it may hold, in bytes.
        limit: usize,
    },
    /// Its owner ended it.
    #[error("mailbox was closed")]
    Closed,
    /// The node was stopped.
    #[error("mailbox has ended: its node was stopped")]
    NodeStopped,
}

impl MailboxEnded {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Overflowed { .. } => "overflowed",
            Self::Closed => "closed",
            Self::NodeStopped => "node_stopped",
        }
    }

    /// What has ended does not come back.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// A mailbox that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another mailbox has the name.
    #[error("cannot register {0}: another mailbox has that name (drop it first)")]
    NameTaken(String),
    /// The name is none that a process can have.
    #[error(
        "cannot register {0:?}: a name has 1 to 255 bytes, and is neither undefined nor net_kernel"
    )]
    BadName(String),
    /// A dynamic node has no name before its first link, so that no pid is there.
    #[error("cannot open a mailbox: this node has no name yet (connect it first)")]
    NoNodeName,
    /// The node was stopped.
    #[error("cannot open a mailbox: this node was stopped")]
    NodeStopped,
}

impl RegisterError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "name_taken",
            Self::BadName(_) => "bad_name",
            Self::NoNodeName => "no_node_name",
            Self::NodeStopped => "node_stopped",
        }
    }

    /// Whether opening one again can help by itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NameTaken(_) | Self::NoNodeName)
    }
}

/// A signal that was not sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There was no link to the node, and dialling it brought none.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The link went away just before.
    #[error("cannot send to {0}: the link went away (send again)")]
    LinkLost(NodeName),
    /// The receiver's node has a name that is none.
    #[error("cannot send to a process of {0:?}: that is no node name")]
    BadNodeName(String),
    /// The term is none that the format has, or that a BEAM takes.
    #[error("cannot send a term: {0}")]
    Unencodable(#[from] TermError),
    /// The mailbox that it would come from has ended.
    #[error(transparent)]
    Ended(#[from] MailboxEnded),
}

impl SendError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.kind().as_str(),
            Self::LinkLost(_) => "link_lost",
            Self::BadNodeName(_) => "bad_node_name",
            Self::Unencodable(_) => "unencodable",
            Self::Ended(ended) => ended.kind(),
        }
    }

    /// Whether sending again can help by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_retryable(),
            Self::LinkLost(_) => true,
            Self::BadNodeName(_) | Self::Unencodable(_) | Self::Ended(_) => false,
        }
    }
}
