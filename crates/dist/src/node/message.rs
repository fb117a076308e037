//! A message as it came, looked at when somebody wants to.

use std::fmt;

use bytes::Bytes;

use crate::terms::{Encoded, RawTerm, Term, TermError};

/// A message that a [`Mailbox`](super::Mailbox) has received: its bytes, which nobody has
/// looked at yet.
///
/// [`decode`](Self::decode) makes the tree, which costs some forty bytes of memory for each
/// of its elements and fails on terms that we do not read; [`as_term`](Self::as_term) takes
/// it apart where it lies.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Bytes);

impl Message {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The term, to be taken apart.
    pub fn as_term(&self) -> RawTerm<'_> {
        RawTerm::unscanned(&self.0)
    }

    /// The tree of it.
    ///
    /// # Errors
    ///
    /// When the message has terms that we do not read, as
    /// [`terms::decode`](crate::terms::decode).
    pub fn decode(&self) -> Result<Term, TermError> {
        self.as_term().decode()
    }

    /// Its bytes, if the message is a binary. They are not copied.
    pub fn binary(&self) -> Option<Bytes> {
        let bytes = self.as_term().binary()?;
        Some(self.0.slice_ref(bytes))
    }
}

impl From<Encoded> for Message {
    fn from(term: Encoded) -> Self {
        Self(term.into_bytes())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&self.decode()).finish()
    }
}
