//! A hidden Erlang distribution node.
//!
//! [`Node::start`] listens, registers with EPMD and accepts links;
//! [`Node::connect`] dials another node by name; [`Node::call`] calls a function
//! there; [`Node::watch`] follows whom a node is linked to. What happens to links is told by [`NodeEvents`].
//!
//! The handshake and the table that settles simultaneous connects are pure state
//! machines; frames, ticks and answers sit between them and the sockets.
//! Nothing here knows of Postgres or decides whom to dial.
//!
//! Sources: Erlang's *Distribution Protocol* (`erl_dist_protocol`) and *External
//! Term Format* (`erl_ext_dist`).

mod cookie;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod link;
mod node;
pub mod terms;

pub use cookie::Cookie;
pub use error::{CallError, ConnectError, FailureKind, LinkError, ProbeError, StartError, Step};
pub use link::{LinkId, Traffic};
pub use node::{
    CallLimits, Counters, Direction, Introduced, MeshIntent, Node, NodeConfig, NodeEvent,
    NodeEvents, NodeTraffic, PeerInfo, Probed,
};
pub use pgmesh_epmd as epmd;
