//! The references that we make: of calls, monitors and aliases.

use eetf::{Atom, Reference};

use super::Identity;
use crate::terms;

/// NEWER_REFERENCE_EXT of three words.
const HEAD: [u8; 3] = [90, 0, 3];

/// The reference of this number in this life of the node.
pub(super) fn reference(identity: &Identity, number: u64) -> Reference {
    Reference {
        node: Atom::from(identity.name.as_str()),
        id: words(number).into(),
        creation: identity.creation,
    }
}

/// Low word first; a BEAM uses only 18 bits of the first.
pub(super) fn words(number: u64) -> [u32; 3] {
    let word = |shift: u32, mask: u64| u32::try_from((number >> shift) & mask).unwrap_or_default();
    [word(0, 0x3_FFFF), word(18, 0xFFFF_FFFF), word(50, 0x3FFF)]
}

/// Adds the reference of this number, as [`reference`] makes it.
pub(super) fn write(to: &mut Vec<u8>, identity: &Identity, number: u64) {
    to.extend_from_slice(&HEAD);
    let _ = terms::write_atom(to, identity.name.as_str());
    to.extend_from_slice(&identity.creation.to_be_bytes());
    for word in words(number) {
        to.extend_from_slice(&word.to_be_bytes());
    }
}

/// The number in the bytes of a reference of ours; `None` if they are of another
/// life.
pub(super) fn number(reference: &[u8], creation: u32) -> Option<u64> {
    let (of, number) = life_and_number(reference)?;
    (of == creation).then_some(number)
}

/// What the bytes of a reference would say if it were ours: its creation and its number.
pub(super) fn life_and_number(reference: &[u8]) -> Option<(u32, u64)> {
    let (_, end) = reference.strip_prefix(&HEAD)?.split_last_chunk::<16>()?;
    let word = |at: usize| {
        let bytes = end.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    let part = |at| word(at).map(u64::from);
    Some((word(0)?, part(4)? | part(8)? << 18 | part(12)? << 50))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Term;

    #[test]
    fn reference_carries_the_number_through_one_life() {
        let name = "a@h".parse().unwrap();
        let identity = Identity { name, creation: 9 };
        for of in [1, 0x3_FFFF, 0x4_0000, u64::MAX >> 1] {
            let term = Term::from(reference(&identity, of));
            let mut bytes = Vec::new();
            write(&mut bytes, &identity, of);
            assert_eq!(bytes, terms::encode(&term).unwrap()[1..]);
            assert_eq!(number(&bytes, 9), Some(of));
            assert_eq!(number(&bytes, 8), None);
            assert_eq!(number(&bytes[..9], 9), None);
        }
    }
}
