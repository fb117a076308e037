//! The pids of ours that others may write to.
//!
//! One makes all calls and lives as long as the node; each watcher reports to one
//! of its own, which lives as long as that watch; and each mailbox has one.

use eetf::Pid;

use super::Identity;
use crate::terms;

/// The number of the pid that makes calls.
pub(super) const CALLER: u32 = 1;
/// OTP 23 keeps 15 bits of an id and 13 of a serial.
const ID_BITS: u32 = 15;
const NUMBER_BITS: u32 = 28;
const ID_MASK: u32 = (1 << ID_BITS) - 1;

/// The pid of this number in this life of the node.
pub(super) fn pid(identity: &Identity, number: u32) -> Pid {
    let name = identity.name.as_str();
    let (id, serial) = (number & ID_MASK, number >> ID_BITS);
    Pid::new(name, id, serial, identity.creation)
}

/// Adds the pid of this number, as [`pid`] makes it. A node name is an atom.
pub(super) fn write(to: &mut Vec<u8>, identity: &Identity, number: u32) {
    let name = identity.name.as_str();
    to.push(88);
    let _ = terms::write_atom(to, name);
    for word in [number & ID_MASK, number >> ID_BITS, identity.creation] {
        to.extend_from_slice(&word.to_be_bytes());
    }
}

/// The number in the bytes of a pid of ours; `None` if they are of another life.
pub(super) fn number(pid: &[u8], creation: u32) -> Option<u32> {
    // NEW_PID_EXT ends with id, serial and creation, four bytes each.
    let (_, end) = pid.strip_prefix(&[88])?.split_last_chunk::<12>()?;
    let word = |at: usize| {
        let bytes = end.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    let (id, serial) = (word(0)?, word(4)?);
    let is_ours = word(8)? == creation && id <= ID_MASK && serial < 1 << (NUMBER_BITS - ID_BITS);
    is_ours.then_some(serial << ID_BITS | id)
}

/// The number of the nth pid that was opened. After a quarter of a billion they come again.
pub(super) fn nth_number(nth: u64) -> u32 {
    let first = CALLER + 1;
    let numbers = u64::from((1 << NUMBER_BITS) - first);
    first + u32::try_from(nth % numbers).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u32, creation: u32) -> Vec<u8> {
        let name = "a@h".parse().unwrap();
        let identity = Identity { name, creation };
        let mut bytes = Vec::new();
        write(&mut bytes, &identity, number);
        let tree = terms::Term::from(pid(&identity, number));
        assert_eq!(bytes, terms::encode(&tree).unwrap()[1..]);
        bytes
    }

    #[test]
    fn number_survives_and_fits_into_the_bits_of_otp_23() {
        for of in [CALLER, nth_number(0), 0x7FFF, 0x8000, (1 << 28) - 1] {
            assert_eq!(number(&bytes(of, 9), 9), Some(of));
        }
        assert_eq!(nth_number((1 << 28) - 3), (1 << 28) - 1);
        assert_eq!(nth_number((1 << 28) - 2), nth_number(0));
    }

    #[test]
    fn pid_of_an_earlier_life_is_nobody() {
        assert_eq!(number(&bytes(CALLER, 8), 9), None);
        assert_eq!(number(b"short", 9), None);
        let too_wide = [&[88, 119, 0][..], &[0, 0, 0x80, 0], &[0; 4], &[0, 0, 0, 9]].concat();
        assert_eq!(number(&too_wide, 9), None);
    }
}
