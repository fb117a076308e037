//! Erlang node names, who may be dialled, and where.
//!
//! A name comes from outside in many shapes: a Postgres payload, an EPMD
//! listing, a handshake, a flag. It is parsed here once; everything behind
//! works with [`NodeName`] and never looks at a string again.
//!
//! This crate knows nothing of sockets, clocks or Postgres.

mod allow;
mod node_name;
mod peers;

pub use allow::{AllowError, AllowList};
pub use node_name::{AliveName, NameError, NameForm, NodeName};
pub use peers::{PeerAddress, PeerError, PeerMap};

// The examples of the page that registries show are tried with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
