//! The frames of the handshake as bytes, without their length.

use bytes::{Buf, BufMut};
use erl_dist::DistributionFlags;
use pgmesh_name::NodeName;

use crate::cookie::Digest;
use crate::error::{Failure, FailureKind};

/// No frame of a handshake comes near this: a name has 255 bytes.
pub(crate) const MAX_FRAME: usize = 1024;

/// The dialler's name: `N` in the form of OTP 23 and later, or `n` from an OTP 23
/// or 24 that did not learn from EPMD that we are newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Of an `n`, the lower half alone.
    pub(crate) flags: DistributionFlags,
    /// Unknown from an `n`, until its complement comes.
    pub(crate) creation: Option<u32>,
    /// `alive@host`, or a host alone when a dynamic name is asked for.
    pub(crate) name: String,
}

/// `c`: what an `n` had no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complement {
    pub(crate) flags_high: u32,
    pub(crate) creation: u32,
}

/// `N`: the acceptor's name and challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) flags: DistributionFlags,
    pub(crate) challenge: u32,
    pub(crate) creation: u32,
    pub(crate) name: String,
}

/// `s`: what the acceptor makes of the dialler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    OkSimultaneous,
    Nok,
    NotAllowed,
    Alive,
    Named { name: NodeName, creation: u32 },
}

/// `r`: the dialler's challenge and its answer to the acceptor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChallengeReply {
    pub(crate) challenge: u32,
    pub(crate) digest: Digest,
}

pub(crate) fn malformed(what: &str) -> Failure {
    Failure::new(FailureKind::Malformed, format!("malformed {what}"))
}

impl Name {
    /// Always in the newer form: no release that we link to needs the older.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = vec![b'N'];
        frame.put_u64(self.flags.bits());
        frame.put_u32(self.creation.unwrap_or_default());
        put_name(&mut frame, &self.name);
        frame
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Failure> {
        let newer = |frame: &mut &[u8]| {
            Some(Self {
                flags: get_flags(frame)?,
                creation: Some(frame.try_get_u32().ok()?),
                name: get_name(frame)?,
            })
        };
        let older = |frame: &mut &[u8]| {
            let _version = frame.try_get_u16().ok()?;
            let flags = u64::from(frame.try_get_u32().ok()?);
            Some(Self {
                flags: DistributionFlags::from_bits_truncate(flags),
                creation: None,
                name: String::from_utf8(frame.to_vec()).ok()?,
            })
        };
        let name = expect(b'N', frame, newer).or_else(|| expect(b'n', frame, older));
        name.ok_or_else(|| malformed("name"))
    }
}

impl Complement {
    #[cfg(test)]
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut frame = vec![b'c'];
        frame.put_u32(self.flags_high);
        frame.put_u32(self.creation);
        frame
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Failure> {
        let read = |frame: &mut &[u8]| {
            Some(Self {
                flags_high: frame.try_get_u32().ok()?,
                creation: frame.try_get_u32().ok()?,
            })
        };
        expect(b'c', frame, read).ok_or_else(|| malformed("complement"))
    }
}

impl Challenge {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = vec![b'N'];
        frame.put_u64(self.flags.bits());
        frame.put_u32(self.challenge);
        frame.put_u32(self.creation);
        put_name(&mut frame, &self.name);
        frame
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Failure> {
        let read = |frame: &mut &[u8]| {
            Some(Self {
                flags: get_flags(frame)?,
                challenge: frame.try_get_u32().ok()?,
                creation: frame.try_get_u32().ok()?,
                name: get_name(frame)?,
            })
        };
        expect(b'N', frame, read).ok_or_else(|| malformed("challenge"))
    }
}

impl Status {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = vec![b's'];
        match self {
            Self::Ok => frame.put_slice(b"ok"),
            Self::OkSimultaneous => frame.put_slice(b"ok_simultaneous"),
            Self::Nok => frame.put_slice(b"nok"),
            Self::NotAllowed => frame.put_slice(b"not_allowed"),
            Self::Alive => frame.put_slice(b"alive"),
            Self::Named { name, creation } => {
                frame.put_slice(b"named:");
                put_name(&mut frame, name.as_str());
                frame.put_u32(*creation);
            }
        }
        frame
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Failure> {
        let text = frame.strip_prefix(b"s");
        let status = text.and_then(|text| match text {
            b"ok" => Some(Self::Ok),
            b"ok_simultaneous" => Some(Self::OkSimultaneous),
            b"nok" => Some(Self::Nok),
            b"not_allowed" => Some(Self::NotAllowed),
            b"alive" => Some(Self::Alive),
            _ => decode_named(text),
        });
        status.ok_or_else(|| malformed("status"))
    }
}

fn decode_named(text: &[u8]) -> Option<Status> {
    let mut rest = text.strip_prefix(b"named:")?;
    let name = get_name(&mut rest)?.parse().ok()?;
    let creation = rest.try_get_u32().ok()?;
    Some(Status::Named { name, creation })
}

impl ChallengeReply {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = vec![b'r'];
        frame.put_u32(self.challenge);
        frame.put_slice(&self.digest);
        frame
    }

    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Failure> {
        let read = |frame: &mut &[u8]| {
            Some(Self {
                challenge: frame.try_get_u32().ok()?,
                digest: get_digest(frame)?,
            })
        };
        expect(b'r', frame, read).ok_or_else(|| malformed("challenge reply"))
    }
}

/// `a`: the acceptor's answer to the dialler's challenge.
pub(crate) fn encode_ack(digest: &Digest) -> Vec<u8> {
    [b"a", &digest[..]].concat()
}

pub(crate) fn decode_ack(frame: &[u8]) -> Result<Digest, Failure> {
    expect(b'a', frame, get_digest).ok_or_else(|| malformed("challenge acknowledgement"))
}

/// The dialler's word on `alive`: does it still want this link?
pub(crate) fn encode_alive_answer(wanted: bool) -> Vec<u8> {
    if wanted { b"strue" } else { &b"sfalse"[..] }.to_vec()
}

pub(crate) fn decode_alive_answer(frame: &[u8]) -> Result<bool, Failure> {
    match frame {
        b"strue" => Ok(true),
        b"sfalse" => Ok(false),
        _ => Err(malformed("answer to alive")),
    }
}

/// Reads a frame of this tag. Bytes behind what is read are left alone: a BEAM
/// ignores them after the name, so that later releases may add some.
fn expect<T>(tag: u8, frame: &[u8], read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<T> {
    let (first, mut rest) = frame.split_first()?;
    (*first == tag).then(|| read(&mut rest)).flatten()
}

fn get_flags(frame: &mut &[u8]) -> Option<DistributionFlags> {
    let bits = frame.try_get_u64().ok()?;
    Some(DistributionFlags::from_bits_truncate(bits))
}

fn get_digest(frame: &mut &[u8]) -> Option<Digest> {
    let mut digest = Digest::default();
    frame.try_copy_to_slice(&mut digest).ok()?;
    Some(digest)
}

fn get_name(frame: &mut &[u8]) -> Option<String> {
    let len = usize::from(frame.try_get_u16().ok()?);
    let (name, rest) = frame.split_at_checked(len)?;
    *frame = rest;
    String::from_utf8(name.to_vec()).ok()
}

// Names have at most 255 bytes, so a length always fits.
fn put_name(frame: &mut Vec<u8>, name: &str) {
    frame.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    frame.put_slice(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flags(bits: u64) -> DistributionFlags {
        DistributionFlags::from_bits_truncate(bits)
    }

    #[test]
    fn statuses_round_trip() {
        let named = Status::Named {
            name: "dyn@h".parse().unwrap(),
            creation: 7,
        };
        for status in [
            Status::Ok,
            Status::OkSimultaneous,
            Status::Nok,
            Status::NotAllowed,
            Status::Alive,
            named,
        ] {
            assert_eq!(Status::decode(&status.encode()).unwrap(), status);
        }
        assert!(Status::decode(b"smaybe").is_err());
        assert!(Status::decode(b"ok").is_err());
    }

    #[test]
    fn answers_to_alive() {
        assert!(decode_alive_answer(&encode_alive_answer(true)).unwrap());
        assert!(!decode_alive_answer(&encode_alive_answer(false)).unwrap());
        assert!(decode_alive_answer(b"sperhaps").is_err());
    }

    #[test]
    fn older_name_has_no_creation_and_half_the_flags() {
        let frame = [&b"n\0\x05\x01\xdf\x7f\xbd"[..], b"a@h"].concat();
        let name = Name::decode(&frame).unwrap();
        assert_eq!(name.flags.bits(), 0x1df_7fbd);
        assert_eq!((name.creation, name.name.as_str()), (None, "a@h"));
        let complement = Complement {
            flags_high: 1,
            creation: 9,
        };
        assert_eq!(
            Complement::decode(&complement.encode()).unwrap(),
            complement
        );
    }

    proptest! {
        #[test]
        fn frames_round_trip(bits: u64, creation: u32, challenge: u32, name in "[a-z]{0,255}", digest: Digest) {
            let sent = Name { flags: flags(bits), creation: Some(creation), name: name.clone() };
            prop_assert_eq!(Name::decode(&sent.encode()).unwrap(), sent);
            let sent = Challenge { flags: flags(bits), challenge, creation, name };
            prop_assert_eq!(Challenge::decode(&sent.encode()).unwrap(), sent);
            let sent = ChallengeReply { challenge, digest };
            prop_assert_eq!(ChallengeReply::decode(&sent.encode()).unwrap(), sent);
            prop_assert_eq!(decode_ack(&encode_ack(&digest)).unwrap(), digest);
        }

        #[test]
        fn any_bytes_are_read_or_refused(frame in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Name::decode(&frame), Challenge::decode(&frame), Status::decode(&frame));
            let _ = (ChallengeReply::decode(&frame), decode_ack(&frame), Complement::decode(&frame));
        }
    }
}
