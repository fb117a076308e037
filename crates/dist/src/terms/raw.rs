//! A term as the bytes it came in.
//!
//! Tags of calls must go back byte for byte (a reference may have any shape that
//! its release likes), and most messages need no tree at all.

use eetf::{Atom, Pid, Term};

use super::scan::{Purpose, TermError, term_len};
use super::{VERSION, decode_unversioned};

/// NEW_PID_EXT.
const NEW_PID: u8 = 88;

/// A term as the bytes it came in, without a version byte.
///
/// For whoever needs no tree: it is taken apart by looking, and takes no memory. What is
/// never taken apart is never looked at, so that a message of a million elements costs
/// nothing until it is. Bytes that are no term give `None` where they are looked at.
///
/// ```
/// use pgmesh_dist::terms::{RawTerm, Term, Tuple, Atom, encode};
///
/// let hello = Tuple::from(vec![Term::from(Atom::from("hello")), Term::from(Atom::from("joe"))]);
/// let bytes = encode(&Term::from(hello))?;
/// let [what, name] = RawTerm::whole(&bytes)?.tuple().expect("a tuple of two");
/// assert!(what.is_atom("hello") && name.atom() == Some("joe"));
/// # Ok::<(), pgmesh_dist::terms::TermError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTerm<'a>(&'a [u8]);

impl<'a> RawTerm<'a> {
    /// Splits the first term off `bytes`.
    pub(crate) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), TermError> {
        let end = term_len(bytes, Purpose::Skip)?;
        let (term, rest) = bytes.split_at(end);
        Ok((Self(term), rest))
    }

    /// The one term in `bytes`, version byte first.
    ///
    /// # Errors
    ///
    /// When they are no term, or more than one.
    pub fn whole(bytes: &'a [u8]) -> Result<Self, TermError> {
        let term = bytes.strip_prefix(&[VERSION]).ok_or(TermError::NoVersion)?;
        Self::only(term)
    }

    /// The same without a version byte.
    pub(crate) fn only(bytes: &'a [u8]) -> Result<Self, TermError> {
        match Self::split(bytes)? {
            (term, []) => Ok(term),
            _ => Err(TermError::Undecodable),
        }
    }

    /// Takes all of `bytes` for one term, whatever they are.
    pub(crate) fn unscanned(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The two elements, if this is a tuple of two; the second is not scanned.
    pub(crate) fn pair(self) -> Option<(Self, Self)> {
        let (2, elements) = self.tuple_parts()? else {
            return None;
        };
        let (first, rest) = Self::split(elements).ok()?;
        Some((first, Self(rest)))
    }

    /// The elements, if this is a list of at most `max`, with nothing behind it. Not of
    /// lists that are written as bytes ([`byte_list`](Self::byte_list)).
    pub fn list(self, max: usize) -> Option<Vec<Self>> {
        if self.0 == [106] {
            return Some(Vec::new());
        }
        let (count, mut rest) = self.0.strip_prefix(&[108])?.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        // Each element has a byte at least, so a count beyond that lies.
        if count > max.min(rest.len()) {
            return None;
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            let (element, after) = Self::split(rest).ok()?;
            elements.push(element);
            rest = after;
        }
        (rest == [106]).then_some(elements)
    }

    /// The bytes themselves.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The tree of it.
    ///
    /// # Errors
    ///
    /// As [`decode`](super::decode).
    pub fn decode(self) -> Result<Term, TermError> {
        decode_unversioned(self.0)
    }

    /// The elements, if this is a tuple of exactly `N`.
    pub fn tuple<const N: usize>(self) -> Option<[Self; N]> {
        let (count, elements) = self.tuple_parts()?;
        (count == N).then(|| self.first_of(elements)).flatten()
    }

    /// The first elements, if this is a tuple of `N` or more: later releases may
    /// have added some.
    pub fn tuple_start<const N: usize>(self) -> Option<[Self; N]> {
        let (count, elements) = self.tuple_parts()?;
        (count >= N).then(|| self.first_of(elements)).flatten()
    }

    fn tuple_parts(self) -> Option<(usize, &'a [u8])> {
        match *self.0.first()? {
            104 => Some((usize::from(*self.0.get(1)?), self.0.get(2..)?)),
            105 => {
                let count = u32::from_be_bytes(self.0.get(1..5)?.try_into().ok()?);
                Some((usize::try_from(count).ok()?, self.0.get(5..)?))
            }
            _ => None,
        }
    }

    fn first_of<const N: usize>(self, mut rest: &'a [u8]) -> Option<[Self; N]> {
        let mut elements = [self; N];
        for element in &mut elements {
            (*element, rest) = Self::split(rest).ok()?;
        }
        Some(elements)
    }

    /// The text, if this is an atom in UTF-8 or ASCII.
    pub fn atom(self) -> Option<&'a str> {
        let text = match *self.0.first()? {
            100 | 118 => self.0.get(3..)?,
            115 | 119 => self.0.get(2..)?,
            _ => return None,
        };
        std::str::from_utf8(text).ok()
    }

    /// The process, if this is a pid of OTP 23 or later.
    pub fn pid(self) -> Option<Pid> {
        let (node, end) = self.0.strip_prefix(&[NEW_PID])?.split_last_chunk::<12>()?;
        let word = |at: usize| {
            let bytes = end.get(at..at + 4)?;
            bytes.try_into().ok().map(u32::from_be_bytes)
        };
        let node = Atom::from(Self(node).atom()?);
        Some(Pid::new(node, word(0)?, word(4)?, word(8)?))
    }

    /// The number, if this is an integer from 0 to 2⁶⁴ − 1.
    pub fn unsigned(self) -> Option<u64> {
        match *self.0 {
            [97, number] => Some(u64::from(number)),
            [98, a, b, c, d] => u64::try_from(i32::from_be_bytes([a, b, c, d])).ok(),
            [110, len, 0, ref digits @ ..] if digits.len() == usize::from(len) && len <= 8 => {
                let shift = |number, digit: &u8| number << 8 | u64::from(*digit);
                Some(digits.iter().rev().fold(0, shift))
            }
            _ => None,
        }
    }

    /// The bytes of it, if this is a binary.
    pub fn binary(self) -> Option<&'a [u8]> {
        let (len, bytes) = self.0.strip_prefix(&[109])?.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        (bytes.len() == len).then_some(bytes)
    }

    /// The bytes of it, if this is a list that is written as bytes: text, as a rule.
    pub fn byte_list(self) -> Option<&'a [u8]> {
        let (len, bytes) = self.0.strip_prefix(&[107])?.split_first_chunk::<2>()?;
        (bytes.len() == usize::from(u16::from_be_bytes(*len))).then_some(bytes)
    }

    /// Whether this is that atom.
    pub fn is_atom(self, text: &str) -> bool {
        self.atom() == Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_tuple_apart() {
        // {6, [], rex}
        let bytes = [104, 3, 97, 6, 106, 119, 3, b'r', b'e', b'x'];
        let (term, rest) = RawTerm::split(&bytes).unwrap();
        assert!(rest.is_empty());
        let [op, nil, name] = term.tuple().unwrap();
        assert_eq!(op.bytes(), [97, 6]);
        assert_eq!(nil.bytes(), [106]);
        assert!(name.is_atom("rex"));
        assert_eq!(term.tuple::<2>(), None);
        assert_eq!(term.tuple_start::<2>(), Some([op, nil]));
        assert_eq!(term.tuple_start::<4>(), None);
        assert_eq!(name.tuple::<0>(), None);
        // {a, <bytes that are no term>}
        let pair = RawTerm::unscanned(&[104, 2, 119, 1, b'a', 255, 255]);
        let (first, second) = pair.pair().unwrap();
        assert!(first.is_atom("a"));
        assert_eq!(second.bytes(), [255, 255]);
        assert_eq!(term.pair(), None);
    }

    #[test]
    fn reads_pids_and_numbers() {
        let pid = Pid::new("a@h", 1, 2, 3);
        let bytes = crate::terms::encode(&pid.clone().into()).unwrap();
        assert_eq!(RawTerm::unscanned(&bytes[1..]).pid(), Some(pid));
        assert_eq!(RawTerm::unscanned(&bytes[1..9]).pid(), None);
        let number = |bytes| RawTerm::unscanned(bytes).unsigned();
        assert_eq!(number(&[97, 255]), Some(255));
        assert_eq!(number(&[98, 0, 1, 0, 0]), Some(65536));
        assert_eq!(number(&[98, 255, 255, 255, 255]), None);
        assert_eq!(number(&[110, 2, 0, 1, 2]), Some(0x201));
        let highest = [&[110, 8, 0][..], &[255; 8]].concat();
        assert_eq!(number(&highest), Some(u64::MAX));
        assert_eq!(number(&[110, 1, 1, 1]), None);
        assert_eq!(number(&[110, 9, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]), None);
    }

    #[test]
    fn reads_binaries_that_are_whole() {
        let term = RawTerm::unscanned(&[109, 0, 0, 0, 2, 7, 8]);
        assert_eq!((term.binary(), term.byte_list()), (Some(&[7, 8][..]), None));
        for bytes in [&[109, 0, 0, 0, 3, 7, 8][..], &[109, 0, 0], &[108, 0], &[]] {
            assert_eq!(RawTerm::unscanned(bytes).binary(), None);
        }
        let term = RawTerm::unscanned(&[107, 0, 1, 7]);
        assert_eq!((term.byte_list(), term.binary()), (Some(&[7][..]), None));
    }

    #[test]
    fn takes_a_list_apart() {
        let list = |bytes| RawTerm::unscanned(bytes).list(2);
        assert_eq!(list(&[106]), Some(vec![]));
        let two = list(&[108, 0, 0, 0, 2, 97, 1, 97, 2, 106]).unwrap();
        assert_eq!(
            two.iter().map(|one| one.bytes()[1]).collect::<Vec<_>>(),
            [1, 2]
        );
        let others: [&[u8]; 5] = [
            &[108, 0, 0, 0, 3, 97, 1, 97, 2, 97, 3, 106],
            &[108, 255, 255, 255, 255],
            &[108, 0, 0, 0, 1, 97, 1, 97, 2],
            &[108, 0, 0, 0, 1, 97, 1, 106, 0],
            &[107, 0, 1, 1],
        ];
        assert!(others.iter().all(|bytes| list(bytes).is_none()));
    }
}
