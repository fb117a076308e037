//! Erlang terms on the wire.
//!
//! eetf's [`Term`] is the tree that callers work with. Before eetf sees bytes
//! from outside they are scanned: some inputs of a few bytes make it allocate
//! without bound, overflow the stack or panic. What only has to be looked at or
//! passed on stays raw bytes.

mod codec;
mod raw;
mod scan;

pub(crate) use codec::{check, spare_lists};
pub use codec::{decode, encode};
pub use eetf::{Atom, Pid, Reference, Term};
pub(crate) use raw::RawTerm;
pub use scan::TermError;

/// The version byte before each external term.
pub(crate) const VERSION: u8 = 131;
