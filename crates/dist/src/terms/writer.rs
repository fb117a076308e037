//! Terms written piece by piece, without a tree.

use std::fmt;

use bytes::Bytes;
use eetf::{Pid, Term};
use num_bigint::BigInt;

use super::scan::{Purpose, term_len};
use super::{
    RawTerm, TermError, write, write_atom, write_big, write_binary, write_integer, write_list_head,
    write_nil, write_pid, write_tuple_head,
};

/// Room for what is written piece by piece more often than not.
const USUAL: usize = 128;

/// Writes one term, piece by piece, in the order in which they stand in it.
///
/// For what is sent often, or made of parts of what was received. A tuple is its head, then
/// as many terms as the head says, and so is a list, with [`nil`](Self::nil) behind them;
/// [`finish`](Self::finish) finds out where one is missing.
///
/// ```
/// use pgmesh_dist::terms::{RawTerm, Writer};
///
/// let reference = RawTerm::whole(&[131, 97, 7])?; // as it came
/// let pong = Writer::new().tuple(2).atom("pong").raw(reference).finish()?;
/// assert_eq!(pong.decode()?.to_string(), "{'pong',7}");
/// # Ok::<(), pgmesh_dist::terms::TermError>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    error: Option<TermError>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            bytes: Vec::with_capacity(USUAL),
            error: None,
        }
    }
}

impl Writer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn add(mut self, add: impl FnOnce(&mut Vec<u8>) -> Result<(), TermError>) -> Self {
        if self.error.is_none() {
            self.error = add(&mut self.bytes).err();
        }
        self
    }

    /// Begins a tuple of so many terms.
    #[must_use]
    pub fn tuple(self, count: usize) -> Self {
        self.add(|bytes| write_tuple_head(bytes, count))
    }

    /// Begins a list of so many terms. Behind the last belongs [`nil`](Self::nil), as a list
    /// ends with an empty one; anything else there makes an improper list.
    ///
    /// A BEAM writes lists of small integers in a form of their own, and takes them in this
    /// one as well; [`RawTerm::byte_list`] reads that form alone.
    #[must_use]
    pub fn list(self, count: usize) -> Self {
        // Of none there is only the end.
        if count == 0 {
            return self;
        }
        self.add(|bytes| write_list_head(bytes, count))
    }

    /// Adds the empty list, `[]` (Elixir's `nil` is an atom).
    #[must_use]
    pub fn nil(self) -> Self {
        self.add(|bytes| {
            write_nil(bytes);
            Ok(())
        })
    }

    /// Adds an atom.
    #[must_use]
    pub fn atom(self, text: &str) -> Self {
        self.add(|bytes| write_atom(bytes, text))
    }

    /// Adds an integer.
    #[must_use]
    pub fn integer(self, value: impl Into<i128>) -> Self {
        let value = value.into();
        self.add(|bytes| match i32::try_from(value) {
            Ok(value) => {
                write_integer(bytes, value);
                Ok(())
            }
            Err(_) => write_big(bytes, &BigInt::from(value)),
        })
    }

    /// Adds a binary.
    #[must_use]
    pub fn binary(self, binary: &[u8]) -> Self {
        self.add(|bytes| write_binary(bytes, binary))
    }

    /// Adds a pid.
    #[must_use]
    pub fn pid(self, pid: &Pid) -> Self {
        self.add(|bytes| write_pid(bytes, pid))
    }

    /// Adds any term.
    #[must_use]
    pub fn term(self, term: &Term) -> Self {
        self.add(|bytes| write(bytes, term))
    }

    /// Adds a term as it came.
    #[must_use]
    pub fn raw(self, term: RawTerm<'_>) -> Self {
        self.add(|bytes| {
            bytes.extend_from_slice(term.bytes());
            Ok(())
        })
    }

    /// The term, if it is one.
    ///
    /// # Errors
    ///
    /// When a piece was none that can be sent, or there is less than one term, or more.
    pub fn finish(self) -> Result<Encoded, TermError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if term_len(&self.bytes, Purpose::Skip)? != self.bytes.len() {
            return Err(TermError::Undecodable);
        }
        Ok(Encoded(self.bytes.into()))
    }
}

/// A term as bytes, ready to be sent as often as one likes. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// A tree, encoded once.
    ///
    /// # Errors
    ///
    /// As [`encode`](super::encode).
    pub fn new(term: &Term) -> Result<Self, TermError> {
        Writer::new().term(term).finish()
    }

    /// The term, to be taken apart.
    pub fn as_term(&self) -> RawTerm<'_> {
        RawTerm::unscanned(&self.0)
    }

    /// The tree of it.
    ///
    /// # Errors
    ///
    /// As [`decode`](super::decode).
    pub fn decode(&self) -> Result<Term, TermError> {
        self.as_term().decode()
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoded").field(&self.decode()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, BigInteger, FixInteger, List};

    #[test]
    fn pieces_make_the_term_that_the_tree_makes() {
        let list = Term::from(List::from(vec![Term::from(FixInteger::from(300))]));
        let pid = Pid::new("a@h", 1, 2, 3);
        let written = Writer::new()
            .tuple(7)
            .list(0)
            .nil()
            .atom("x")
            .integer(-1)
            .integer(i64::MAX)
            .binary(b"ab")
            .pid(&pid)
            .list(1)
            .integer(300)
            .nil();
        let tree = Term::from(eetf::Tuple::from(vec![
            Term::from(List::nil()),
            Term::from(Atom::from("x")),
            Term::from(FixInteger::from(-1)),
            Term::from(BigInteger::from(i64::MAX)),
            Term::from(eetf::Binary::from(b"ab".to_vec())),
            Term::from(pid),
            list,
        ]));
        assert_eq!(written.finish(), Encoded::new(&tree));
    }

    #[test]
    fn what_is_no_term_is_not_sent() {
        let finish = |writer: Writer| writer.finish().map(drop);
        assert_eq!(finish(Writer::new()), Err(TermError::Truncated));
        let too_few = Writer::new().tuple(2).atom("x");
        assert_eq!(finish(too_few), Err(TermError::Truncated));
        let endless = Writer::new().list(1).atom("x");
        assert_eq!(finish(endless), Err(TermError::Truncated));
        let too_many = Writer::new().atom("x").atom("y");
        assert_eq!(finish(too_many), Err(TermError::Undecodable));
        let long = Writer::new().atom(&"x".repeat(256)).integer(1);
        assert_eq!(finish(long), Err(TermError::Invalid("atom")));
    }
}
