//! What EPMD is asked.

use bytes::BufMut;

use super::{Malformed, NodeInfo};

const ALIVE2_REQ: u8 = 120;
const PORT_PLEASE2_REQ: u8 = 122;
const NAMES_REQ: u8 = 110;
const DUMP_REQ: u8 = 100;
const KILL_REQ: u8 = 107;
const STOP_REQ: u8 = 115;

/// The characters of a name that can be looked up. One of 255 can be registered and
/// not be found: OTP's EPMD counts the end of the name, too.
const MAX_LOOKUP_CHARS: usize = 254;

/// A request to EPMD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Registers a node.
    Alive2(NodeInfo<'a>),
    /// Asks for the port of a name.
    PortPlease2(&'a str),
    /// Asks for all names.
    Names,
    /// Asks for all names, and those that were.
    Dump,
    /// Ends EPMD.
    Kill,
    /// Takes away a registration.
    Stop(&'a [u8]),
}

impl<'a> Request<'a> {
    /// The bytes to send, behind their length.
    pub fn encode(&self) -> Vec<u8> {
        let mut request = vec![0, 0];
        match self {
            Self::Alive2(info) => {
                request.put_u8(ALIVE2_REQ);
                info.encode(&mut request);
            }
            Self::PortPlease2(name) => put_named(&mut request, PORT_PLEASE2_REQ, name.as_bytes()),
            Self::Names => request.put_u8(NAMES_REQ),
            Self::Dump => request.put_u8(DUMP_REQ),
            Self::Kill => request.put_u8(KILL_REQ),
            Self::Stop(name) => put_named(&mut request, STOP_REQ, name),
        }
        request.truncate(2 + usize::from(u16::MAX));
        let len = u16::try_from(request.len() - 2).unwrap_or(u16::MAX);
        request[..2].copy_from_slice(&len.to_be_bytes());
        request
    }

    /// Reads what came behind the length.
    ///
    /// # Errors
    ///
    /// On what OTP's EPMD closes the connection at, without a word.
    pub fn decode(request: &'a [u8]) -> Result<Self, Malformed> {
        let (&tag, body) = request.split_first().ok_or(Malformed)?;
        match tag {
            ALIVE2_REQ => alive2(body),
            PORT_PLEASE2_REQ => port_please2(body),
            NAMES_REQ => Ok(Self::Names),
            DUMP_REQ => Ok(Self::Dump),
            KILL_REQ => Ok(Self::Kill),
            STOP_REQ => stop(body),
            _ => Err(Malformed),
        }
    }
}

/// An empty name is refused only where nothing else makes the request long enough.
fn alive2(body: &[u8]) -> Result<Request<'_>, Malformed> {
    if body.len() <= NodeInfo::LEAST {
        return Err(Malformed);
    }
    let info = NodeInfo::decode(body)?;
    if info.name.contains(&0) {
        return Err(Malformed);
    }
    Ok(Request::Alive2(info))
}

fn port_please2(body: &[u8]) -> Result<Request<'_>, Malformed> {
    let name = body.strip_suffix(&[0]).unwrap_or(body);
    let name = str::from_utf8(name).map_err(|_| Malformed)?;
    let fits = (1..=MAX_LOOKUP_CHARS).contains(&name.chars().count());
    if !fits || name.contains('\0') {
        return Err(Malformed);
    }
    Ok(Request::PortPlease2(name))
}

fn stop(body: &[u8]) -> Result<Request<'_>, Malformed> {
    if body.is_empty() {
        return Err(Malformed);
    }
    let name = body.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Request::Stop(name))
}

fn put_named(request: &mut Vec<u8>, tag: u8, name: &[u8]) {
    request.put_u8(tag);
    request.put_slice(name);
}
