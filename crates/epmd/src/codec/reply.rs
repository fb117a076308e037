//! What EPMD answers.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use pgmesh_name::AliveName;

use super::{LONG_CREATIONS, Malformed, NodeInfo};

const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT2_RESP: u8 = 119;

const OK: u8 = 0;
const REFUSED: u8 = 1;
/// What OTP's EPMD says for a creation where there is none.
const NO_CREATION: u8 = 99;

/// The bytes of a PORT2_RESP before the name.
pub const PORT2_HEAD: usize = 12;
/// The bytes of the longer ALIVE2 reply.
pub const ALIVE2_REPLY: usize = 6;

/// The outcome of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive2Reply {
    /// The name is the node's.
    Registered {
        /// Which life of that name this is: 1 to 3 for old nodes.
        creation: u32,
    },
    /// Taken, or no name.
    Refused,
}

impl Alive2Reply {
    /// The bytes for a node whose highest distribution version is this.
    pub fn encode(self, highest_version: u16) -> Bytes {
        let (result, creation) = match self {
            Self::Registered { creation } => (OK, creation),
            Self::Refused => (REFUSED, NO_CREATION.into()),
        };
        let mut reply = BytesMut::with_capacity(ALIVE2_REPLY);
        if highest_version >= LONG_CREATIONS {
            reply.put_slice(&[ALIVE2_X_RESP, result]);
            reply.put_u32(creation);
        } else {
            reply.put_slice(&[ALIVE2_RESP, result]);
            reply.put_u16(short_creation(creation, result));
        }
        reply.freeze()
    }

    /// Reads a whole reply of either form.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn decode(mut reply: &[u8]) -> Result<Self, Malformed> {
        let tag = reply.try_get_u8().map_err(|_| Malformed)?;
        let result = reply.try_get_u8().map_err(|_| Malformed)?;
        let creation = match tag {
            ALIVE2_X_RESP => reply.try_get_u32().map_err(|_| Malformed)?,
            ALIVE2_RESP => u32::from(reply.try_get_u16().map_err(|_| Malformed)?),
            _ => return Err(Malformed),
        };
        Ok(match result {
            OK => Self::Registered { creation },
            _ => Self::Refused,
        })
    }
}

/// How many bytes an ALIVE2 reply has that begins with `tag`.
///
/// # Errors
///
/// When none begins so.
pub fn alive2_reply_len(tag: u8) -> Result<usize, Malformed> {
    match tag {
        ALIVE2_RESP => Ok(4),
        ALIVE2_X_RESP => Ok(ALIVE2_REPLY),
        _ => Err(Malformed),
    }
}

/// PORT2_RESP for a node that is known.
pub fn encode_port2(info: &NodeInfo<'_>) -> Bytes {
    let mut reply = BytesMut::with_capacity(2 + info.encoded_len());
    reply.put_slice(&[PORT2_RESP, OK]);
    info.encode(&mut reply);
    reply.freeze()
}

/// PORT2_RESP for a name that nobody has.
pub fn encode_unknown() -> Bytes {
    Bytes::from_static(&[PORT2_RESP, REFUSED])
}

/// The port of a PORT2_RESP, or `None` if the name is unknown. Two bytes are
/// enough for the latter; otherwise give at least [`PORT2_HEAD`].
///
/// # Errors
///
/// When it is no such reply.
pub fn decode_port2(mut reply: &[u8]) -> Result<Option<u16>, Malformed> {
    let tag = reply.try_get_u8().map_err(|_| Malformed)?;
    let result = reply.try_get_u8().map_err(|_| Malformed)?;
    match (tag, result) {
        (PORT2_RESP, OK) => reply.try_get_u16().map(Some).map_err(|_| Malformed),
        (PORT2_RESP, _) => Ok(None),
        _ => Err(Malformed),
    }
}

/// What a NAMES_RESP begins with: EPMD's own port.
pub fn encode_names_head(port: u16) -> [u8; 4] {
    u32::from(port).to_be_bytes()
}

/// A line of a NAMES_RESP. OTP's `erl_epmd` takes these apart: no byte may change.
pub fn names_line(into: &mut BytesMut, name: &[u8], port: u16) {
    into.put_slice(b"name ");
    into.put_slice(name);
    into.put_slice(format!(" at port {port}\n").as_bytes());
}

/// The names and ports of a whole NAMES_RESP. Lines that are no such entry are
/// passed over: an EPMD lists whatever it was told.
///
/// # Errors
///
/// When it does not begin with a port.
pub fn decode_names(mut reply: &[u8]) -> Result<Vec<(AliveName, u16)>, Malformed> {
    reply.try_get_u32().map_err(|_| Malformed)?;
    let text = String::from_utf8_lossy(reply);
    Ok(text.lines().filter_map(decode_line).collect())
}

fn decode_line(line: &str) -> Option<(AliveName, u16)> {
    let (name, port) = line.strip_prefix("name ")?.split_once(" at port ")?;
    Some((name.parse().ok()?, port.trim().parse().ok()?))
}

/// Old nodes have two bits for it, and 0 is none.
fn short_creation(creation: u32, result: u8) -> u16 {
    match (result, u16::try_from(creation % 3)) {
        (OK, Ok(rest)) => rest + 1,
        _ => NO_CREATION.into(),
    }
}
