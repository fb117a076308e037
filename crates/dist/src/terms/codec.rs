//! Between bytes and eetf's trees, around eetf's traps.

use eetf::{BigInteger, BitBinary, FixInteger, List, Term};

use super::scan::{Purpose, term_len};
use super::{TermError, VERSION};

/// Characters of an atom.
const MAX_ATOM: usize = 255;
/// Words of a reference.
const MAX_REFERENCE: usize = 5;
/// Bytes of a list that is written as bytes.
const MAX_BYTE_LIST: usize = u16::MAX as usize;

/// Decodes one external term, version byte first.
///
/// # Errors
///
/// When the bytes are no term, or one that is too deep, too large or of a kind
/// that eetf does not know. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<Term, TermError> {
    match bytes.split_first() {
        Some((&VERSION, term)) => {
            let end = term_len(term, Purpose::Decode)?;
            let whole = &bytes[..=end];
            Term::decode(whole).map_err(|_| TermError::Undecodable)
        }
        _ => Err(TermError::NoVersion),
    }
}

/// Encodes one external term, version byte first.
///
/// # Errors
///
/// When an atom, a tuple or an integer is too long for the format, or a term is
/// none that a BEAM takes: a reference without words would end it.
pub fn encode(term: Term) -> Result<Vec<u8>, TermError> {
    let mut bytes = Vec::new();
    check(&term)?;
    let term = spare_lists(term);
    term.encode(&mut bytes)
        .map_err(|_| TermError::Undecodable)?;
    Ok(bytes)
}

/// Refuses what makes a BEAM close the link, or worse.
pub(crate) fn check(term: &Term) -> Result<(), TermError> {
    match term {
        Term::Atom(atom) if atom.name.chars().count() > MAX_ATOM => Err(TermError::Invalid("atom")),
        Term::Reference(of) if !(1..=MAX_REFERENCE).contains(&of.id.len()) => {
            Err(TermError::Invalid("reference"))
        }
        Term::Float(float) if !float.value.is_finite() => Err(TermError::Invalid("float")),
        Term::BitBinary(bits) if !is_bit_binary(bits) => Err(TermError::Invalid("bit string")),
        Term::List(list) => list.elements.iter().try_for_each(check),
        Term::Tuple(tuple) => tuple.elements.iter().try_for_each(check),
        Term::ImproperList(list) => {
            list.elements.iter().try_for_each(check)?;
            check(&list.last)
        }
        Term::Map(map) => map.map.iter().try_for_each(|(key, value)| {
            check(key)?;
            check(value)
        }),
        _ => Ok(()),
    }
}

/// Of its last byte at least one bit counts, and at most all.
fn is_bit_binary(bits: &BitBinary) -> bool {
    !bits.bytes.is_empty() && (1..=8).contains(&bits.tail_bits_size)
}

/// eetf writes a list of small integers as bytes, and takes -1 for one of them.
/// As a big integer it is left alone, and a BEAM makes it small again. The length of
/// its byte lists wraps: longer ones become lists of integers.
pub(crate) fn spare_lists(term: Term) -> Term {
    match term {
        Term::ByteList(list) if list.bytes.len() > MAX_BYTE_LIST => {
            let integer = |byte| Term::from(FixInteger::from(byte));
            Term::from(List {
                elements: list.bytes.into_iter().map(integer).collect(),
            })
        }
        Term::List(list) => Term::from(List {
            elements: list.elements.into_iter().map(spare_in_list).collect(),
        }),
        Term::Tuple(mut tuple) => {
            tuple.elements = spare_all(tuple.elements);
            Term::Tuple(tuple)
        }
        Term::ImproperList(mut list) => {
            list.elements = spare_all(list.elements);
            list.last = Box::new(spare_lists(*list.last));
            Term::ImproperList(list)
        }
        Term::Map(mut map) => {
            let spare = |(key, value)| (spare_lists(key), spare_lists(value));
            map.map = map.map.into_iter().map(spare).collect();
            Term::Map(map)
        }
        other => other,
    }
}

fn spare_all(terms: Vec<Term>) -> Vec<Term> {
    terms.into_iter().map(spare_lists).collect()
}

fn spare_in_list(element: Term) -> Term {
    match element {
        Term::FixInteger(FixInteger { value }) if value < 0 => Term::from(BigInteger::from(value)),
        other => spare_lists(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, Tuple};

    #[test]
    fn negative_integers_in_lists_survive() {
        let list = Term::from(List::from(vec![
            Term::from(FixInteger::from(-1)),
            Term::from(FixInteger::from(-2)),
        ]));
        let wrapped = Term::from(Tuple::from(vec![Term::from(Atom::from("x")), list]));
        let bytes = encode(wrapped).unwrap();
        let expected_list = [108, 0, 0, 0, 2, 110, 1, 1, 1, 110, 1, 1, 2, 106];
        assert!(bytes.ends_with(&expected_list), "{bytes:?}");
    }

    #[test]
    fn long_byte_lists_survive() {
        let text = "x".repeat(MAX_BYTE_LIST + 1);
        let bytes = encode(Term::from(text)).unwrap();
        assert_eq!(bytes[..8], [131, 108, 0, 1, 0, 0, 97, b'x']);
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn what_a_beam_does_not_take_is_refused() {
        let inside = |term: Term| encode(Term::from(Tuple::from(vec![term])));
        let reference = |words| {
            Term::from(eetf::Reference {
                node: Atom::from("a@h"),
                id: vec![1; words],
                creation: 1,
            })
        };
        for words in [0, MAX_REFERENCE + 1] {
            let refused = Err(TermError::Invalid("reference"));
            assert_eq!(inside(reference(words)), refused);
        }
        assert!(inside(reference(MAX_REFERENCE)).is_ok());
        let atom = |len| inside(Term::from(Atom::from("ä".repeat(len))));
        assert_eq!(atom(MAX_ATOM + 1), Err(TermError::Invalid("atom")));
        assert!(atom(MAX_ATOM).is_ok());
        for value in [f64::NAN, f64::INFINITY] {
            // eetf makes none of these, but its field is open.
            let float = Term::Float(eetf::Float { value });
            assert_eq!(inside(float), Err(TermError::Invalid("float")));
        }
        let bits = |bytes: &[u8], tail| inside(Term::from(BitBinary::from((bytes.to_vec(), tail))));
        for (bytes, tail) in [(&[1][..], 0), (&[1], 9), (&[], 1)] {
            let refused = Err(TermError::Invalid("bit string"));
            assert_eq!(bits(bytes, tail), refused);
        }
        assert!(bits(&[128], 1).is_ok() && bits(&[1], 8).is_ok());
    }

    #[test]
    fn the_trap_in_eetf_is_still_there() {
        // The day this fails, a part of `spare_lists` can go.
        let list = Term::from(List::from(vec![Term::from(FixInteger::from(-1))]));
        let mut bytes = Vec::new();
        list.encode(&mut bytes).unwrap();
        assert_eq!(bytes, [131, 107, 0, 1, 255]);
        let mut bytes = Vec::new();
        Term::from("x".repeat(MAX_BYTE_LIST + 2))
            .encode(&mut bytes)
            .unwrap();
        assert_eq!(bytes[..4], [131, 107, 0, 1]);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        assert_eq!(decode(&[]), Err(TermError::NoVersion));
        assert_eq!(decode(&[131]), Err(TermError::Truncated));
        assert_eq!(
            decode(&[131, 108, 255, 255, 255, 255]),
            Err(TermError::Truncated)
        );
        assert_eq!(decode(&[131, 80, 0]), Err(TermError::UnknownTag(80)));
    }
}
