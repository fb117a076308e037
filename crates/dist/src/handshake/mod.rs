//! The distribution handshake: frames in, frames out.
//!
//! Both roles are pure state machines that know every status; sockets, lengths
//! and deadlines belong to [`stream`]. Source: erl_dist_protocol, "Distribution
//! Handshake".

mod acceptor;
mod flags;
mod initiator;
mod inquirer;
mod message;
mod stream;

#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::{fuzz_handshake, prove_both};

pub(crate) use acceptor::{Acceptor, Offer};
pub(crate) use flags::{is_hidden, knows_unlink_id, takes_spawns};
pub(crate) use initiator::Initiator;
pub(crate) use inquirer::Inquirer;
pub(crate) use message::{Challenge, Status};
pub(crate) use stream::{HandshakeStream, LengthPrefix, accept, dial, inquire};

use std::sync::Arc;

use erl_dist::DistributionFlags;
use pgmesh_name::NodeName;

use crate::cookie::Cookies;

/// What we say of ourselves in either role.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) name: LocalName,
    pub(crate) creation: u32,
    pub(crate) cookies: Arc<Cookies>,
}

/// Under which name we dial.
#[derive(Clone, Debug)]
pub(crate) enum LocalName {
    /// Our own.
    Full(NodeName),
    /// None yet: the peer invents one on this host (NAME_ME, OTP 24 and later).
    Dynamic { host: String },
}

/// Who is at the other end, once the handshake has proven it.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) peer: NodeName,
    pub(crate) flags: DistributionFlags,
    pub(crate) creation: u32,
    /// Name and creation that the peer gave us, when we had none.
    pub(crate) named: Option<(NodeName, u32)>,
}
