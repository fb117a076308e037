//! What a node tells EPMD, and EPMD tells of it: the same bytes both ways.

use bytes::{Buf as _, BufMut};

use super::Malformed;

/// A node as EPMD knows it. Name and extra field may be any bytes: who must refuse
/// some of them says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo<'a> {
    /// The part of its name before the `@`.
    pub name: &'a [u8],
    /// Where it listens.
    pub port: u16,
    /// [`VISIBLE_NODE`](super::VISIBLE_NODE) or [`HIDDEN_NODE`](super::HIDDEN_NODE).
    pub node_type: u8,
    /// [`TCP_IPV4`](super::TCP_IPV4).
    pub protocol: u8,
    /// The newest distribution version that it speaks.
    pub highest_version: u16,
    /// The oldest one.
    pub lowest_version: u16,
    /// Nobody uses this.
    pub extra: &'a [u8],
}

impl<'a> NodeInfo<'a> {
    /// The bytes of an empty one.
    pub(super) const LEAST: usize = 12;

    pub(super) fn encoded_len(&self) -> usize {
        Self::LEAST + self.name.len() + self.extra.len()
    }

    pub(super) fn encode(&self, into: &mut impl BufMut) {
        into.put_u16(self.port);
        into.put_u8(self.node_type);
        into.put_u8(self.protocol);
        into.put_u16(self.highest_version);
        into.put_u16(self.lowest_version);
        put_counted(into, self.name);
        put_counted(into, self.extra);
    }

    /// What follows it is left alone, as OTP's EPMD does.
    pub(super) fn decode(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < Self::LEAST {
            return Err(Malformed);
        }
        Ok(Self {
            port: bytes.get_u16(),
            node_type: bytes.get_u8(),
            protocol: bytes.get_u8(),
            highest_version: bytes.get_u16(),
            lowest_version: bytes.get_u16(),
            name: take_counted(&mut bytes)?,
            extra: take_counted(&mut bytes)?,
        })
    }
}

/// A longer field than a length can say is cut.
fn put_counted(into: &mut impl BufMut, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.put_u16(len);
    into.put_slice(&bytes[..usize::from(len)]);
}

fn take_counted<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = bytes.try_get_u16().map_err(|_| Malformed)?;
    let (field, rest) = bytes.split_at_checked(len.into()).ok_or(Malformed)?;
    *bytes = rest;
    Ok(field)
}
