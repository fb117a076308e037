//! The signals that processes send, as frames.
//!
//! Their parts are external terms without a version byte, as the peer gave them or
//! as we encoded them. Numbers and shapes: erl_dist_protocol, "Protocol between
//! Connected Nodes".

use bytes::Bytes;
use eetf::{Pid, Reference};

use super::frames::frame;
use crate::terms::{TermError, VERSION, write_atom, write_pid, write_reference};

/// The empty atom, in places that are not used.
const UNUSED: &[u8] = &[119, 0];
/// Of a spawn reply: the two are linked.
pub(crate) const LINKED: u8 = 1;
/// Of a spawn reply: the new process is monitored, under the request's reference.
pub(crate) const MONITORED: u8 = 2;

/// A message to a process.
pub(crate) fn send(to: &[u8], message: &[&[u8]]) -> Bytes {
    with_message(2, &[UNUSED, to], message)
}

/// Begins a message to a process; the message itself comes behind it.
pub(crate) fn begin_send(frame: &mut Vec<u8>, to: &Pid) -> Result<(), TermError> {
    frame.extend_from_slice(&[VERSION, 104, 3, 97, 2, 119, 0]);
    write_pid(frame, to)?;
    frame.push(VERSION);
    Ok(())
}

/// Begins a message to whoever has this name; `write_from` adds the sender's pid.
pub(crate) fn begin_send_to_name(
    frame: &mut Vec<u8>,
    write_from: impl FnOnce(&mut Vec<u8>),
    name: &str,
) -> Result<(), TermError> {
    frame.extend_from_slice(&[VERSION, 104, 4, 97, 6]);
    write_from(frame);
    frame.extend_from_slice(UNUSED);
    write_atom(frame, name)?;
    frame.push(VERSION);
    Ok(())
}

/// Begins a message to whoever made this alias.
pub(crate) fn begin_send_to_alias(
    frame: &mut Vec<u8>,
    write_from: impl FnOnce(&mut Vec<u8>),
    alias: &Reference,
) -> Result<(), TermError> {
    frame.extend_from_slice(&[VERSION, 104, 3, 97, 33]);
    write_from(frame);
    write_reference(frame, alias)?;
    frame.push(VERSION);
    Ok(())
}

/// A message to whoever has this name, an atom.
pub(crate) fn send_to_name(from: &[u8], name: &[u8], message: &[&[u8]]) -> Bytes {
    with_message(6, &[from, UNUSED, name], message)
}

pub(crate) fn link(from: &[u8], to: &[u8]) -> Bytes {
    signal(1, &[from, to])
}

/// The end of a process, to one that is linked to it.
pub(crate) fn exit(from: &[u8], to: &[u8], reason: &[u8]) -> Bytes {
    signal(3, &[from, to, reason])
}

/// For nodes that do not know [`unlink_id`]: OTP before 23.3.
pub(crate) fn unlink(from: &[u8], to: &[u8]) -> Bytes {
    signal(4, &[from, to])
}

/// What `exit/2` sends.
pub(crate) fn exit2(from: &[u8], to: &[u8], reason: &[u8]) -> Bytes {
    signal(8, &[from, to, reason])
}

/// `to` is a pid, or an atom: the name on that node.
pub(crate) fn monitor(from: &[u8], to: &[u8], reference: &[u8]) -> Bytes {
    signal(19, &[from, to, reference])
}

pub(crate) fn demonitor(from: &[u8], to: &[u8], reference: &[u8]) -> Bytes {
    signal(20, &[from, to, reference])
}

/// The end of a process, to one that monitors it.
pub(crate) fn monitor_exit(from: &[u8], to: &[u8], reference: &[u8], reason: &[u8]) -> Bytes {
    signal(21, &[from, to, reference, reason])
}

/// The id is an integer from 1 to 2⁶⁴ − 1.
pub(crate) fn unlink_id(id: u64, from: &[u8], to: &[u8]) -> Bytes {
    let digits = id.to_le_bytes();
    let len = digits
        .iter()
        .rposition(|digit| *digit != 0)
        .map_or(1, |at| at + 1);
    let len_byte = u8::try_from(len).unwrap_or(8);
    let id = [&[110, len_byte, 0], &digits[..len]].concat();
    signal(35, &[&id, from, to])
}

/// Owed for every [`unlink_id`], and before anything else.
pub(crate) fn unlink_id_ack(id: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    signal(36, &[id, from, to])
}

/// Asks for a process; `function` is `{Module, Function, Arity}`, and `leader` gets what
/// it prints.
pub(crate) fn spawn_request(
    request: &[u8],
    from: &[u8],
    leader: &[u8],
    function: &[u8],
    options: &[u8],
    args: &[u8],
) -> Bytes {
    with_message(29, &[request, from, leader, function, options], &[args])
}

/// `result` is the pid, or an atom that says why there is none.
pub(crate) fn spawn_reply(request: &[u8], to: &[u8], flags: u8, result: &[u8]) -> Bytes {
    signal(31, &[request, to, &[97, flags], result])
}

fn signal(operation: u8, parts: &[&[u8]]) -> Bytes {
    frame(&[&control(operation, parts)])
}

fn with_message(operation: u8, parts: &[&[u8]], message: &[&[u8]]) -> Bytes {
    let head = [&control(operation, parts)[..], &[VERSION]].concat();
    frame(&[&[&head[..]], message].concat())
}

/// `{Operation, Part, …}` of at most 254 parts, version byte first.
fn control(operation: u8, parts: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(1 + parts.len()).unwrap_or(u8::MAX);
    let head = [VERSION, 104, count, 97, operation];
    [&[&head[..]], parts].concat().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Control, Spawn, body_of, frame_with};
    use crate::terms::RawTerm;

    fn body(frame: &Bytes) -> Bytes {
        frame.slice_ref(body_of(frame))
    }

    #[test]
    fn what_is_written_is_read() {
        let (a, b, r) = (&[97, 1][..], &[97, 2][..], &[97, 3][..]);
        let term = RawTerm::unscanned;
        let (from, to, reference) = (term(a), term(b), term(r));
        let reason = term(&[106]);
        let message = term(&[106]);
        let id = term(&[110, 1, 0, 9]);
        for (frame, control) in [
            (send(b, &[&[106]]), Control::Send { to, message }),
            (
                send_to_name(a, b"\x77\x01x", &[&[106]]),
                Control::RegSend {
                    to_name: "x",
                    message,
                },
            ),
            (link(a, b), Control::Link { from, to }),
            (unlink(a, b), Control::Unlink { from, to }),
            (exit(a, b, &[106]), Control::Exit { from, to, reason }),
            (exit2(a, b, &[106]), Control::Exit2 { from, to, reason }),
            (
                monitor(a, b, r),
                Control::Monitor {
                    from,
                    to,
                    reference,
                },
            ),
            (
                demonitor(a, b, r),
                Control::Demonitor {
                    from,
                    to,
                    reference,
                },
            ),
            (
                monitor_exit(a, b, r, &[106]),
                Control::MonitorExit {
                    to,
                    reference,
                    reason,
                },
            ),
            (
                spawn_request(r, a, a, b, &[106], &[106]),
                Control::Spawn(Spawn {
                    request: reference,
                    from,
                    function: to,
                    options: message,
                    args: message,
                }),
            ),
            (
                spawn_reply(r, b, 2, a),
                Control::SpawnReply {
                    request: reference,
                    to,
                    flags: 2,
                    result: from,
                },
            ),
            (unlink_id(9, a, b), Control::UnlinkId { id, from, to }),
            (
                unlink_id_ack(&[110, 1, 0, 9], a, b),
                Control::UnlinkIdAck { id, from, to },
            ),
        ] {
            assert_eq!(Control::parse(&body(&frame)), Some(control));
        }
    }

    #[test]
    fn messages_that_are_begun_are_read() {
        let pid = Pid::new("a@h", 1, 2, 3);
        let alias = Reference {
            node: eetf::Atom::from("a@h"),
            id: vec![1, 2, 3],
            creation: 4,
        };
        let from = |frame: &mut Vec<u8>| frame.extend_from_slice(&[97, 1]);
        let (mut to_pid, mut to_alias) = (Vec::new(), Vec::new());
        write_pid(&mut to_pid, &pid).unwrap();
        write_reference(&mut to_alias, &alias).unwrap();
        let with = |begin: &dyn Fn(&mut Vec<u8>) -> Result<(), TermError>| {
            let frame = frame_with(|frame| {
                begin(frame)?;
                frame.push(106);
                Ok::<_, TermError>(None)
            });
            body(&frame.unwrap())
        };
        let message = RawTerm::unscanned(&[106]);
        let sent = with(&|frame| begin_send(frame, &pid));
        let to = RawTerm::unscanned(&to_pid);
        assert_eq!(Control::parse(&sent), Some(Control::Send { to, message }));
        let sent = with(&|frame| begin_send_to_alias(frame, from, &alias));
        let to = RawTerm::unscanned(&to_alias);
        assert_eq!(Control::parse(&sent), Some(Control::Send { to, message }));
        let sent = with(&|frame| begin_send_to_name(frame, from, "x"));
        let to_name = "x";
        let expected = Control::RegSend { to_name, message };
        assert_eq!(Control::parse(&sent), Some(expected));
    }

    #[test]
    fn ids_of_unlinks_are_whole() {
        for id in [1, 255, 256, u64::MAX] {
            let body = body(&unlink_id(id, &[97, 1], &[97, 2]));
            let Some(Control::UnlinkId { id: read, .. }) = Control::parse(&body) else {
                panic!("no unlink");
            };
            assert_eq!(read.unsigned(), Some(id));
        }
    }
}
