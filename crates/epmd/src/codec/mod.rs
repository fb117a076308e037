//! Requests and replies of EPMD as bytes, for whoever asks and for whoever answers.

mod incoming;
mod node_info;
mod reply;
mod request;

pub use incoming::{Incoming, MAX_REQUEST};
pub use node_info::NodeInfo;
pub use reply::{
    ALIVE2_REPLY, Alive2Reply, PORT2_HEAD, alive2_reply_len, decode_names, decode_port2,
    encode_names_head, encode_port2, encode_unknown, names_line,
};
pub use request::Request;

/// Why bytes are no request, or no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub struct Malformed;

/// The type of a node that counts in `nodes()`.
pub const VISIBLE_NODE: u8 = 77;
/// The type of a node that does not.
pub const HIDDEN_NODE: u8 = 72;
/// The protocol of all nodes there are.
pub const TCP_IPV4: u8 = 0;
/// From this distribution version on, a creation has 32 bits (OTP 23).
pub const LONG_CREATIONS: u16 = 6;

#[cfg(test)]
mod tests;
