//! What can go wrong with processes that other nodes are asked for.

use std::fmt;

use pgmesh_name::NodeName;

use crate::terms::{Term, TermError};
use crate::{Class, Exception, MailboxEnded, SendError};

/// A process that did not begin.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The node takes no spawn requests: no node of OTP 23 or later.
    #[error("cannot spawn at {0}: it takes no spawn requests (call it through rex)")]
    NotSupported(NodeName),
    /// The node said no: `system_limit`, `notsup`, `badarg`.
    #[error("cannot spawn at {peer}: it answers {reason}")]
    Refused {
        /// Who refused.
        peer: NodeName,
        /// The atom that it gave as its reason.
        reason: String,
    },
    /// The link went away before the answer; the process may have begun.
    #[error("cannot spawn at {0}: the link went away before the answer")]
    LinkLost(NodeName),
}

impl SpawnError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Send(error) => error.kind(),
            Self::NotSupported(_) => "not_supported",
            Self::Refused { .. } => "refused",
            Self::LinkLost(_) => "link_lost",
        }
    }

    /// Whether asking again can help by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Send(error) => error.is_retryable(),
            Self::Refused { reason, .. } => reason == "system_limit",
            Self::LinkLost(_) => true,
            Self::NotSupported(_) => false,
        }
    }
}

impl From<MailboxEnded> for SpawnError {
    fn from(ended: MailboxEnded) -> Self {
        Self::Send(ended.into())
    }
}

impl From<TermError> for SpawnError {
    fn from(cause: TermError) -> Self {
        Self::Send(cause.into())
    }
}

/// A call as `erpc:call/5` makes it that brought no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErpcError {
    /// The function raised an exception: `error:{exception, Reason, Stack}`,
    /// `exit:{exception, Reason}` or what it threw.
    #[error("the call failed at {peer}: {raised}")]
    Raised {
        /// Where.
        peer: NodeName,
        /// What it raised.
        raised: Box<Raised>,
    },
    /// The process that made the call was ended from outside: `exit:{signal, Reason}`.
    #[error("the call was ended at {peer}: {}", crate::node::term_text(.reason))]
    Signal {
        /// Where.
        peer: NodeName,
        /// With which reason.
        reason: Term,
    },
    /// The call did not begin there: `error:{erpc, Reason}`, and `noconnection` if the
    /// node cannot be reached or its link went away.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// No answer in time: `error:{erpc, timeout}`. The call may still run there.
    #[error("cannot call {0}: no answer in time (the call may still run there)")]
    Timeout(NodeName),
    /// The link went away before the answer: `error:{erpc, noconnection}`.
    #[error("cannot call {0}: the link went away before the answer")]
    LinkLost(NodeName),
    /// The answer is larger than the call allows.
    #[error("cannot call {peer}: its answer has more than {limit} bytes")]
    AnswerTooLarge {
        /// Who answered.
        peer: NodeName,
        /// What was allowed.
        limit: usize,
    },
    /// The answer has terms that we do not read.
    #[error("cannot call {peer}: its answer is unreadable: {cause}")]
    Unreadable {
        /// Who answered.
        peer: NodeName,
        /// What is wrong with it.
        cause: TermError,
    },
}

impl ErpcError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Raised { raised, .. } => match raised.exception.class {
                Class::Error => "raised_error",
                Class::Exit => "raised_exit",
                Class::Throw => "raised_throw",
            },
            Self::Signal { .. } => "signal",
            Self::Spawn(error) => error.kind(),
            Self::Timeout(_) => "timeout",
            Self::LinkLost(_) => "link_lost",
            Self::AnswerTooLarge { .. } => "answer_too_large",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// Whether calling again can help by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Spawn(error) => error.is_retryable(),
            Self::Timeout(_) | Self::LinkLost(_) => true,
            _ => false,
        }
    }
}

/// What a function of another node raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// The exception.
    pub exception: Exception,
    /// Where it was raised, as Erlang's stack traces are; empty unless it is an error.
    pub stack: Term,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exception.fmt(f)
    }
}
