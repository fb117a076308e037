//! Erlang terms on the wire.
//!
//! eetf's [`Term`] is the tree that callers work with. Before eetf sees bytes
//! from outside they are scanned: some inputs of a few bytes make it allocate
//! without bound, overflow the stack or panic. What only has to be looked at or
//! passed on stays raw bytes ([`RawTerm`]), and what is made for one message only can be
//! written without a tree ([`Writer`]).
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

mod decode;
mod encode;
mod payload;
mod raw;
mod scan;
mod writer;

pub use decode::decode;
pub(crate) use decode::decode_unversioned;
pub use eetf::{
    Atom, BigInteger, Binary, BitBinary, ByteList, ExternalFun, FixInteger, Float, ImproperList,
    InternalFun, List, Map, Pid, Port, Reference, Term, Tuple, pattern,
};
pub use encode::encode;
pub(crate) use encode::{
    write, write_atom, write_big, write_binary, write_integer, write_list_head, write_nil,
    write_pid, write_reference, write_tuple_head,
};
pub(crate) use payload::LARGE;
pub use payload::Payload;
pub use raw::RawTerm;
pub use scan::TermError;
pub use writer::{Encoded, Writer};

/// The version byte before each external term.
pub(crate) const VERSION: u8 = 131;
