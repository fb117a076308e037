//! Between bytes and eetf's trees, around eetf's traps.

use eetf::{BigInteger, FixInteger, List, Term};

use super::scan::{Purpose, term_len};
use super::{TermError, VERSION};

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
/// When an atom, a tuple or an integer is too long for the format.
pub fn encode(term: Term) -> Result<Vec<u8>, TermError> {
    let mut bytes = Vec::new();
    let term = spare_negative_lists(term);
    term.encode(&mut bytes)
        .map_err(|_| TermError::Undecodable)?;
    Ok(bytes)
}

/// eetf writes a list of small integers as bytes, and takes -1 for one of them.
/// As a big integer it is left alone, and a BEAM makes it small again.
pub(crate) fn spare_negative_lists(term: Term) -> Term {
    match term {
        Term::List(list) => Term::from(List {
            elements: list.elements.into_iter().map(spare_in_list).collect(),
        }),
        Term::Tuple(mut tuple) => {
            tuple.elements = spare_all(tuple.elements);
            Term::Tuple(tuple)
        }
        Term::ImproperList(mut list) => {
            list.elements = spare_all(list.elements);
            list.last = Box::new(spare_negative_lists(*list.last));
            Term::ImproperList(list)
        }
        Term::Map(mut map) => {
            let spare = |(key, value)| (spare_negative_lists(key), spare_negative_lists(value));
            map.map = map.map.into_iter().map(spare).collect();
            Term::Map(map)
        }
        other => other,
    }
}

fn spare_all(terms: Vec<Term>) -> Vec<Term> {
    terms.into_iter().map(spare_negative_lists).collect()
}

fn spare_in_list(element: Term) -> Term {
    match element {
        Term::FixInteger(FixInteger { value }) if value < 0 => Term::from(BigInteger::from(value)),
        other => spare_negative_lists(other),
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
    fn the_trap_in_eetf_is_still_there() {
        // The day this fails, `spare_negative_lists` can go.
        let list = Term::from(List::from(vec![Term::from(FixInteger::from(-1))]));
        let mut bytes = Vec::new();
        list.encode(&mut bytes).unwrap();
        assert_eq!(bytes, [131, 107, 0, 1, 255]);
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
