//! Erlang terms on the wire.
//!
//! eetf's [`Term`] is the tree that callers work with. Before eetf sees bytes
//! from outside they are scanned: some inputs of a few bytes make it allocate
//! without bound, overflow the stack or panic. What only has to be looked at or
//! passed on stays raw bytes.
//!
//! To and from Rust's types go `From`, `TryFrom` and the patterns:
//!
//! ```
//! use pgmesh_dist::terms::{Atom, FixInteger, Term, Tuple, pattern};
//!
//! let answer = Term::from(Tuple::from(vec![
//!     Term::from(Atom::from("ok")),
//!     Term::from(FixInteger::from(7)),
//! ]));
//! let Ok((_, number)) = answer.as_match(("ok", pattern::U32)) else {
//!     panic!("no {{ok, Number}}: {answer}");
//! };
//! assert_eq!(number, 7);
//! ```

mod codec;
mod raw;
mod scan;

pub(crate) use codec::{check, spare_lists};
pub use codec::{decode, encode};
pub use eetf::{
    Atom, BigInteger, Binary, BitBinary, ByteList, ExternalFun, FixInteger, Float, ImproperList,
    InternalFun, List, Map, Pid, Port, Reference, Term, Tuple, pattern,
};
pub(crate) use raw::RawTerm;
pub use scan::TermError;

/// The version byte before each external term.
pub(crate) const VERSION: u8 = 131;
