//! From eetf's trees to bytes, in one pass.
//!
//! eetf writes what a BEAM does not take, or takes for something else: a list with -1 in
//! it as bytes, byte lists whose length has wrapped, references without words. So what is
//! sent is written here; tags are those of erl_ext_dist.

use eetf::{
    Atom, BitBinary, ExternalFun, FixInteger, Float, InternalFun, Pid, Port, Reference, Term,
};
use num_bigint::{BigInt, Sign};

use super::{TermError, VERSION};

/// Characters of an atom.
const MAX_ATOM: usize = 255;
/// Words of a reference.
const MAX_REFERENCE: usize = 5;
/// Bytes of a list that is written as bytes.
const MAX_BYTE_LIST: usize = u16::MAX as usize;

/// Encodes one external term, version byte first.
///
/// # Errors
///
/// When an atom, a tuple or an integer is too long for the format, or a term is
/// none that a BEAM takes: a reference without words would end it.
pub fn encode(term: &Term) -> Result<Vec<u8>, TermError> {
    let mut bytes = vec![VERSION];
    write(&mut bytes, term)?;
    Ok(bytes)
}

/// Adds a term, without a version byte. After an error the bytes end anywhere.
pub(crate) fn write(to: &mut Vec<u8>, term: &Term) -> Result<(), TermError> {
    match term {
        Term::Atom(atom) => write_atom(to, &atom.name)?,
        Term::FixInteger(FixInteger { value }) => write_integer(to, *value),
        Term::BigInteger(integer) => write_big(to, &integer.value)?,
        Term::Float(float) => write_float(to, float)?,
        Term::Pid(pid) => write_pid(to, pid)?,
        Term::Port(port) => write_port(to, port)?,
        Term::Reference(reference) => write_reference(to, reference)?,
        Term::ExternalFun(fun) => write_export(to, fun)?,
        Term::InternalFun(fun) => write_fun(to, fun)?,
        Term::Binary(binary) => write_binary(to, &binary.bytes)?,
        Term::BitBinary(bits) => write_bits(to, bits)?,
        Term::ByteList(list) => write_byte_list(to, &list.bytes)?,
        Term::List(list) => write_list(to, &list.elements)?,
        Term::ImproperList(list) => {
            write_list_head(to, list.elements.len())?;
            write_all(to, &list.elements)?;
            write(to, &list.last)?;
        }
        Term::Tuple(tuple) => {
            write_tuple_head(to, tuple.elements.len())?;
            write_all(to, &tuple.elements)?;
        }
        Term::Map(map) => {
            put_counted(to, 116, map.map.len())?;
            for (key, value) in &map.map {
                write(to, key)?;
                write(to, value)?;
            }
        }
    }
    Ok(())
}

fn write_all(to: &mut Vec<u8>, terms: &[Term]) -> Result<(), TermError> {
    terms.iter().try_for_each(|term| write(to, term))
}

/// A tag and a count of 32 bits.
fn put_counted(to: &mut Vec<u8>, tag: u8, count: usize) -> Result<(), TermError> {
    let count = u32::try_from(count).map_err(|_| TermError::TooMany)?;
    to.push(tag);
    to.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

pub(crate) fn write_atom(to: &mut Vec<u8>, text: &str) -> Result<(), TermError> {
    let too_long = TermError::Invalid("atom");
    if let Ok(len) = u8::try_from(text.len()) {
        to.extend_from_slice(&[119, len]);
    } else if text.chars().count() <= MAX_ATOM {
        let len = u16::try_from(text.len()).map_err(|_| too_long)?;
        to.push(118);
        to.extend_from_slice(&len.to_be_bytes());
    } else {
        return Err(too_long);
    }
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(crate) fn write_integer(to: &mut Vec<u8>, value: i32) {
    if let Ok(small) = u8::try_from(value) {
        to.extend_from_slice(&[97, small]);
    } else {
        to.push(98);
        to.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn write_big(to: &mut Vec<u8>, value: &BigInt) -> Result<(), TermError> {
    let (sign, digits) = value.to_bytes_le();
    match u8::try_from(digits.len()) {
        Ok(len) => to.extend_from_slice(&[110, len]),
        Err(_) => put_counted(to, 111, digits.len())?,
    }
    to.push(u8::from(sign == Sign::Minus));
    to.extend_from_slice(&digits);
    Ok(())
}

fn write_float(to: &mut Vec<u8>, float: &Float) -> Result<(), TermError> {
    if !float.value.is_finite() {
        return Err(TermError::Invalid("float"));
    }
    to.push(70);
    to.extend_from_slice(&float.value.to_be_bytes());
    Ok(())
}

pub(crate) fn write_pid(to: &mut Vec<u8>, pid: &Pid) -> Result<(), TermError> {
    to.push(88);
    write_atom(to, &pid.node.name)?;
    put_words(to, &[pid.id, pid.serial, pid.creation]);
    Ok(())
}

fn write_port(to: &mut Vec<u8>, port: &Port) -> Result<(), TermError> {
    match u32::try_from(port.id) {
        Ok(id) => {
            to.push(89);
            write_atom(to, &port.node.name)?;
            put_words(to, &[id]);
        }
        Err(_) => {
            to.push(120);
            write_atom(to, &port.node.name)?;
            to.extend_from_slice(&port.id.to_be_bytes());
        }
    }
    put_words(to, &[port.creation]);
    Ok(())
}

pub(crate) fn write_reference(to: &mut Vec<u8>, reference: &Reference) -> Result<(), TermError> {
    let words = reference.id.len();
    let count = match u8::try_from(words) {
        Ok(count) if (1..=MAX_REFERENCE).contains(&words) => count,
        _ => return Err(TermError::Invalid("reference")),
    };
    to.extend_from_slice(&[90, 0, count]);
    write_atom(to, &reference.node.name)?;
    put_words(to, &[reference.creation]);
    put_words(to, &reference.id);
    Ok(())
}

fn put_words(to: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        to.extend_from_slice(&word.to_be_bytes());
    }
}

fn write_export(to: &mut Vec<u8>, fun: &ExternalFun) -> Result<(), TermError> {
    to.push(113);
    write_atom(to, &fun.module.name)?;
    write_atom(to, &fun.function.name)?;
    write_integer(to, i32::from(fun.arity));
    Ok(())
}

fn write_fun(to: &mut Vec<u8>, fun: &InternalFun) -> Result<(), TermError> {
    match fun {
        InternalFun::Old {
            module,
            pid,
            free_vars,
            index,
            uniq,
        } => {
            put_counted(to, 117, free_vars.len())?;
            write_pid(to, pid)?;
            write_fun_place(to, module, [*index, *uniq])?;
            write_all(to, free_vars)
        }
        InternalFun::New {
            module,
            arity,
            pid,
            free_vars,
            index,
            uniq,
            old_index,
            old_uniq,
        } => {
            to.push(112);
            let size_at = to.len();
            to.extend_from_slice(&[0, 0, 0, 0, *arity]);
            to.extend_from_slice(uniq);
            let count = u32::try_from(free_vars.len()).map_err(|_| TermError::TooMany)?;
            put_words(to, &[*index, count]);
            write_fun_place(to, module, [*old_index, *old_uniq])?;
            write_pid(to, pid)?;
            write_all(to, free_vars)?;
            // The size counts itself.
            let size = u32::try_from(to.len() - size_at).map_err(|_| TermError::TooMany)?;
            to[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
            Ok(())
        }
    }
}

fn write_fun_place(to: &mut Vec<u8>, module: &Atom, numbers: [i32; 2]) -> Result<(), TermError> {
    write_atom(to, &module.name)?;
    numbers.iter().for_each(|number| write_integer(to, *number));
    Ok(())
}

pub(crate) fn write_binary(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TermError> {
    put_counted(to, 109, bytes.len())?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// Of the last byte at least one bit counts, and at most all; eetf has those low, the
/// format has them high.
fn write_bits(to: &mut Vec<u8>, bits: &BitBinary) -> Result<(), TermError> {
    let tail = bits.tail_bits_size;
    match bits.bytes.split_last() {
        Some((last, whole)) if (1..=8).contains(&tail) => {
            put_counted(to, 77, bits.bytes.len())?;
            to.push(tail);
            to.extend_from_slice(whole);
            to.push(last << (8 - tail));
            Ok(())
        }
        _ => Err(TermError::Invalid("bit string")),
    }
}

/// Longer ones become lists of integers: the length of a byte list has two bytes.
fn write_byte_list(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TermError> {
    match u16::try_from(bytes.len()) {
        Ok(0) => write_nil(to),
        Ok(len) => {
            to.push(107);
            to.extend_from_slice(&len.to_be_bytes());
            to.extend_from_slice(bytes);
        }
        Err(_) => {
            write_list_head(to, bytes.len())?;
            for byte in bytes {
                to.extend_from_slice(&[97, *byte]);
            }
            write_nil(to);
        }
    }
    Ok(())
}

/// As a BEAM does: a list of bytes as such, if it is short enough.
pub(crate) fn write_list(to: &mut Vec<u8>, elements: &[Term]) -> Result<(), TermError> {
    if elements.is_empty() {
        write_nil(to);
        return Ok(());
    }
    if elements.len() <= MAX_BYTE_LIST && elements.iter().all(|term| byte(term).is_some()) {
        let len = u16::try_from(elements.len()).map_err(|_| TermError::TooMany)?;
        to.push(107);
        to.extend_from_slice(&len.to_be_bytes());
        to.extend(elements.iter().filter_map(byte));
        return Ok(());
    }
    write_list_head(to, elements.len())?;
    write_all(to, elements)?;
    write_nil(to);
    Ok(())
}

/// What begins a list of at least one element; behind the last comes what ends it,
/// [`write_nil`] for a proper one.
pub(crate) fn write_list_head(to: &mut Vec<u8>, count: usize) -> Result<(), TermError> {
    put_counted(to, 108, count)
}

pub(crate) fn write_nil(to: &mut Vec<u8>) {
    to.push(106);
}

fn byte(term: &Term) -> Option<u8> {
    match term {
        Term::FixInteger(FixInteger { value }) => u8::try_from(*value).ok(),
        _ => None,
    }
}

pub(crate) fn write_tuple_head(to: &mut Vec<u8>, count: usize) -> Result<(), TermError> {
    match u8::try_from(count) {
        Ok(count) => to.extend_from_slice(&[104, count]),
        Err(_) => put_counted(to, 105, count)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::decode;
    use eetf::{BigInteger, Binary, ImproperList, List, Map, Tuple};
    use proptest::prelude::*;

    fn inside(term: Term) -> Result<Vec<u8>, TermError> {
        encode(&Term::from(Tuple::from(vec![term])))
    }

    #[test]
    fn negative_integers_in_lists_survive() {
        let list = Term::from(List::from(vec![
            Term::from(FixInteger::from(-1)),
            Term::from(FixInteger::from(2)),
        ]));
        let bytes = inside(list).unwrap();
        let expected = [108, 0, 0, 0, 2, 98, 255, 255, 255, 255, 97, 2, 106];
        assert_eq!(bytes[3..], expected);
    }

    #[test]
    fn long_byte_lists_survive() {
        let text = "x".repeat(MAX_BYTE_LIST + 1);
        let bytes = encode(&Term::from(text)).unwrap();
        assert_eq!(bytes[..8], [131, 108, 0, 1, 0, 0, 97, b'x']);
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn what_a_beam_does_not_take_is_refused() {
        let reference = |words| {
            Term::from(Reference {
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
            let float = Term::Float(Float { value });
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
    fn the_traps_in_eetf_are_still_there() {
        // The day this fails, eetf could write what we send.
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

    fn term() -> impl Strategy<Value = Term> {
        let pid = || Pid::new("a@h", 1, 2, 3);
        let leaf = prop_oneof![
            "[a-zäö@]{0,300}".prop_map(|text| Term::from(Atom::from(text))),
            any::<i32>().prop_map(|value| Term::from(FixInteger::from(value))),
            any::<i64>().prop_map(|value| Term::from(BigInteger::from(value))),
            any::<f64>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| Term::Float(Float { value })),
            any::<(u32, u32, u32)>().prop_map(|(id, serial, creation)| Term::from(Pid::new(
                "a@h", id, serial, creation
            ))),
            any::<(u64, u32)>().prop_map(|(id, creation)| Term::from(Port {
                node: Atom::from("a@h"),
                id,
                creation
            })),
            prop::collection::vec(any::<u32>(), 1..6).prop_map(|id| Term::from(Reference {
                node: Atom::from("a@h"),
                id,
                creation: 7
            })),
            (0..255_u8).prop_map(|arity| Term::from(ExternalFun {
                module: Atom::from("m"),
                function: Atom::from("f"),
                arity,
            })),
            prop::collection::vec(any::<u8>(), 0..300)
                .prop_map(|bytes| Term::from(Binary::from(bytes))),
            (prop::collection::vec(0..2_u8, 1..9), Just(1_u8))
                .prop_map(|(bytes, tail)| Term::from(BitBinary::from((bytes, tail)))),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let many = || prop::collection::vec(inner.clone(), 0..6);
            prop_oneof![
                many().prop_map(|elements| Term::from(Tuple::from(elements))),
                many().prop_map(|elements| Term::from(List::from(elements))),
                (prop::collection::vec(inner.clone(), 1..4), any::<i32>()).prop_map(
                    |(elements, last)| Term::from(ImproperList {
                        elements,
                        last: Box::new(Term::from(FixInteger::from(last))),
                    })
                ),
                prop::collection::vec((any::<i32>(), inner.clone()), 0..4).prop_map(|pairs| {
                    let key = |key| Term::from(FixInteger::from(key));
                    let pairs = pairs.into_iter().map(|(k, value)| (key(k), value));
                    Term::from(Map::from(
                        pairs.collect::<std::collections::HashMap<_, _>>(),
                    ))
                }),
                many().prop_map(move |free_vars| Term::from(InternalFun::New {
                    module: Atom::from("m"),
                    arity: 1,
                    pid: pid(),
                    free_vars,
                    index: 2,
                    uniq: [3; 16],
                    old_index: 4,
                    old_uniq: 5,
                })),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_means_the_same_to_eetf(term in term()) {
            let ours = encode(&term);
            prop_assume!(ours.is_ok());
            let ours = ours.unwrap();
            prop_assert_eq!(decode(&ours).map(canonical), Ok(canonical(term)));
        }
    }

    /// A list of bytes may come back as such.
    fn canonical(term: Term) -> Term {
        match term {
            Term::ByteList(list) => Term::from(List::from(
                list.bytes
                    .into_iter()
                    .map(|byte| Term::from(FixInteger::from(byte)))
                    .collect::<Vec<_>>(),
            )),
            Term::List(mut list) => {
                list.elements = list.elements.into_iter().map(canonical).collect();
                Term::List(list)
            }
            Term::Tuple(mut tuple) => {
                tuple.elements = tuple.elements.into_iter().map(canonical).collect();
                Term::Tuple(tuple)
            }
            Term::ImproperList(mut list) => {
                list.elements = list.elements.into_iter().map(canonical).collect();
                Term::ImproperList(list)
            }
            Term::Map(mut map) => {
                let pairs = map.map.into_iter();
                map.map = pairs.map(|(key, value)| (key, canonical(value))).collect();
                Term::Map(map)
            }
            Term::InternalFun(fun) => match *fun {
                InternalFun::New {
                    module,
                    arity,
                    pid,
                    free_vars,
                    index,
                    uniq,
                    old_index,
                    old_uniq,
                } => Term::from(InternalFun::New {
                    module,
                    arity,
                    pid,
                    free_vars: free_vars.into_iter().map(canonical).collect(),
                    index,
                    uniq,
                    old_index,
                    old_uniq,
                }),
                old @ InternalFun::Old { .. } => Term::from(old),
            },
            other => other,
        }
    }
}
