//! Requests and replies of EPMD as bytes.

use bytes::{Buf, BufMut};
use erl_dist::epmd::{NodeType, TransportProtocol};
use pgmesh_name::AliveName;

const ALIVE2_REQ: u8 = 120;
const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT_PLEASE2_REQ: u8 = 122;
const PORT2_RESP: u8 = 119;
const NAMES_REQ: u8 = 110;

/// The distribution versions that we speak: 6 alone (OTP 23 and later).
const VERSION: u16 = 6;

/// The bytes of a PORT2_RESP before the name.
pub(crate) const PORT2_HEAD: usize = 12;
/// The bytes of the longer ALIVE2 reply.
pub(crate) const ALIVE2_REPLY: usize = 6;

/// What a node tells EPMD about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Under which name.
    pub name: AliveName,
    /// On which port it listens.
    pub port: u16,
}

/// Why a reply is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadReply;

/// The outcome of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alive2Reply {
    Registered { creation: u32 },
    Refused,
}

/// ALIVE2_REQ, as a hidden node.
pub(crate) fn alive2_request(registration: &Registration) -> Vec<u8> {
    let name = registration.name.as_str().as_bytes();
    let mut body = vec![ALIVE2_REQ];
    body.put_u16(registration.port);
    body.put_u8(NodeType::Hidden.into());
    body.put_u8(TransportProtocol::TcpIpV4.into());
    body.put_u16(VERSION);
    body.put_u16(VERSION);
    put_counted(&mut body, name);
    put_counted(&mut body, &[]);
    counted(&body)
}

/// How many bytes an ALIVE2 reply has that begins with `tag`.
pub(crate) fn alive2_reply_len(tag: u8) -> Result<usize, BadReply> {
    match tag {
        ALIVE2_RESP => Ok(4),
        ALIVE2_X_RESP => Ok(ALIVE2_REPLY),
        _ => Err(BadReply),
    }
}

pub(crate) fn alive2_reply(mut reply: &[u8]) -> Result<Alive2Reply, BadReply> {
    let tag = reply.try_get_u8().map_err(|_| BadReply)?;
    let result = reply.try_get_u8().map_err(|_| BadReply)?;
    let creation = match tag {
        ALIVE2_X_RESP => reply.try_get_u32().map_err(|_| BadReply)?,
        ALIVE2_RESP => u32::from(reply.try_get_u16().map_err(|_| BadReply)?),
        _ => return Err(BadReply),
    };
    Ok(match result {
        0 => Alive2Reply::Registered { creation },
        _ => Alive2Reply::Refused,
    })
}

pub(crate) fn port_please2_request(name: &str) -> Vec<u8> {
    counted(&[&[PORT_PLEASE2_REQ], name.as_bytes()].concat())
}

/// The port of a PORT2_RESP, or `None` if the name is unknown. Two bytes are
/// enough for the latter; otherwise give at least [`PORT2_HEAD`].
pub(crate) fn port2_reply(mut reply: &[u8]) -> Result<Option<u16>, BadReply> {
    let tag = reply.try_get_u8().map_err(|_| BadReply)?;
    let result = reply.try_get_u8().map_err(|_| BadReply)?;
    match (tag, result) {
        (PORT2_RESP, 0) => reply.try_get_u16().map(Some).map_err(|_| BadReply),
        (PORT2_RESP, _) => Ok(None),
        _ => Err(BadReply),
    }
}

pub(crate) fn names_request() -> Vec<u8> {
    counted(&[NAMES_REQ])
}

/// The names and ports of a whole NAMES_RESP. Lines that are no such entry are
/// passed over: an EPMD lists whatever it was told.
pub(crate) fn names_reply(mut reply: &[u8]) -> Result<Vec<(AliveName, u16)>, BadReply> {
    reply.try_get_u32().map_err(|_| BadReply)?;
    let text = String::from_utf8_lossy(reply);
    Ok(text.lines().filter_map(names_line).collect())
}

/// Reads the bytes as each of the replies.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_replies(bytes: &[u8]) {
    let _ = alive2_reply(bytes);
    let _ = port2_reply(bytes);
    let _ = names_reply(bytes);
}

fn names_line(line: &str) -> Option<(AliveName, u16)> {
    let (name, port) = line.strip_prefix("name ")?.split_once(" at port ")?;
    Some((name.parse().ok()?, port.trim().parse().ok()?))
}

fn counted(body: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(2 + body.len());
    put_counted(&mut request, body);
    request
}

// Names have at most 255 bytes, so a length always fits.
fn put_counted(into: &mut Vec<u8>, bytes: &[u8]) {
    into.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    into.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn registers_as_hidden() {
        let registration = Registration {
            name: "ab".parse().unwrap(),
            port: 0x1234,
        };
        let expected = [
            0, 15, 120, 0x12, 0x34, 72, 0, 0, 6, 0, 6, 0, 2, b'a', b'b', 0, 0,
        ];
        assert_eq!(alive2_request(&registration), expected);
    }

    #[test]
    fn reads_both_replies() {
        let registered = |creation| Ok(Alive2Reply::Registered { creation });
        assert_eq!(alive2_reply(&[118, 0, 1, 2, 3, 4]), registered(0x0102_0304));
        assert_eq!(alive2_reply(&[121, 0, 0, 3]), registered(3));
        assert_eq!(
            alive2_reply(&[118, 1, 0, 0, 0, 99]),
            Ok(Alive2Reply::Refused)
        );
        assert_eq!(alive2_reply(&[7, 0]), Err(BadReply));
    }

    #[test]
    fn reads_ports_and_names() {
        assert_eq!(port2_reply(&[119, 1]), Ok(None));
        assert_eq!(port2_reply(&[119, 0, 0x10, 1, 77]), Ok(Some(0x1001)));
        let reply = b"\0\0\x11\x11name a at port 9\nname  at port x\nname b_1 at port 10\n";
        let names = names_reply(reply).unwrap();
        let names: Vec<_> = names.iter().map(|(n, p)| (n.as_str(), *p)).collect();
        assert_eq!(names, [("a", 9), ("b_1", 10)]);
    }

    proptest! {
        #[test]
        fn any_reply_is_read_or_refused(reply in proptest::collection::vec(any::<u8>(), 0..64)) {
            fuzz_replies(&reply);
        }
    }
}
