//! Speaks to EPMD, the daemon that knows on which port a node listens.
//!
//! Every exchange has one deadline and a bound on its bytes: an EPMD that says
//! nothing, or never stops, costs neither time nor memory beyond those.
//! Source: erl_dist_protocol, "EPMD Protocol".

mod client;
mod codec;

pub(crate) use client::UNREACHABLE_REMEDY;
pub use client::{EpmdError, lookup, names, register};
pub use codec::Registration;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use codec::fuzz_replies;

/// EPMD's port, unless `ERL_EPMD_PORT` says otherwise.
pub const DEFAULT_PORT: u16 = 4369;
