//! The answers that every node owes its peers, whoever lives on it.
//!
//! Without them calls from a BEAM hang for ever: `net_adm:ping` has no time-out.
//! Pure: a message in, a frame out. The parts of answers are the bytes of the
//! question.

use bytes::Bytes;

use super::{Control, signals};
use crate::terms::RawTerm;

const ATOM_OK: &[u8] = b"\x77\x02ok";
const ATOM_YES: &[u8] = b"\x77\x03yes";
const ERROR_UNSUPPORTED: &[u8] = b"\x68\x02\x77\x05error\x77\x0bunsupported";
const ERROR_ENOTSUP: &[u8] = b"\x68\x02\x77\x05error\x77\x07enotsup";
const ATOM_NOPROC: &[u8] = b"\x77\x06noproc";
const ATOM_NOTSUP: &[u8] = b"\x77\x06notsup";
pub(crate) const ATOM_ABANDONED: &[u8] = b"\x77\x09abandoned";

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Answered with this frame.
    With(Bytes),
    /// Ours, and no answer is due.
    Silently,
    /// Not ours.
    No,
}

/// Answers a message that no process of ours is meant to get. `own_pid` says
/// whether a pid is alive here.
pub(crate) fn answer(control: &Control<'_>, own_pid: impl Fn(&[u8]) -> bool) -> Answered {
    match *control {
        Control::RegSend {
            to_name: "net_kernel",
            message,
        } => answer_net_kernel(message).map_or(Answered::No, Answered::With),
        Control::Send { to, message } if own_pid(to.bytes()) => {
            answer_io_request(message).map_or(Answered::No, Answered::With)
        }
        // It lives as long as the node does.
        Control::Monitor { to, .. } if to.is_atom("net_kernel") => Answered::Silently,
        Control::Monitor { to, .. } | Control::Link { to, .. } if own_pid(to.bytes()) => {
            Answered::Silently
        }
        Control::Monitor {
            from,
            to,
            reference,
        } => Answered::With(monitor_exit(to, from, reference)),
        Control::Link { from, to } => {
            Answered::With(signals::exit(to.bytes(), from.bytes(), ATOM_NOPROC))
        }
        // Owed for unknown pids too.
        Control::UnlinkId { id, from, to } => {
            let ack = signals::unlink_id_ack(id.bytes(), to.bytes(), from.bytes());
            Answered::With(ack)
        }
        // Nothing can be spawned here but what is served.
        Control::Spawn(spawn) => {
            let (request, to) = (spawn.request.bytes(), spawn.from.bytes());
            Answered::With(signals::spawn_reply(request, to, 0, ATOM_NOTSUP))
        }
        Control::SpawnReply {
            request,
            to,
            flags,
            result,
        } if flags != 0 && result.pid().is_some() => {
            Answered::With(let_go(request, to, flags, result))
        }
        Control::SpawnReply { .. } => Answered::Silently,
        Control::Send { .. }
        | Control::RegSend { .. }
        | Control::Unlink { .. }
        | Control::UnlinkIdAck { .. }
        | Control::Exit { .. }
        | Control::Exit2 { .. }
        | Control::Demonitor { .. }
        | Control::MonitorExit { .. }
        | Control::Other(_) => Answered::No,
    }
}

/// `{'$gen_call', {Pid, Tag}, Request}`. `net_adm:ping` asks `{is_auth, Node}`;
/// whatever else a node asks is refused, so that nobody waits for ever.
fn answer_net_kernel(message: RawTerm<'_>) -> Option<Bytes> {
    let [call, from, request] = message.tuple()?;
    let [pid, tag] = from.tuple()?;
    if !call.is_atom("$gen_call") {
        return None;
    }
    let is_auth = request
        .tuple()
        .is_some_and(|[what, _node]| what.is_atom("is_auth"));
    let reply = if is_auth { ATOM_YES } else { ERROR_UNSUPPORTED };
    let reply = [&[104, 2], tag.bytes(), reply];
    Some(signals::send(pid.bytes(), &reply))
}

/// `{io_request, From, ReplyAs, Request}`: what a process prints or asks for whose group
/// leader is ours. It hangs without an answer. What is printed is dropped: a call must
/// not fail because its function says something.
fn answer_io_request(message: RawTerm<'_>) -> Option<Bytes> {
    let [what, from, reply_as, request] = message.tuple()?;
    let prints = request
        .tuple_start()
        .is_some_and(|[what]: [RawTerm<'_>; 1]| what.is_atom("put_chars"));
    let head = b"\x68\x03\x77\x08io_reply";
    let outcome = if prints { ATOM_OK } else { ERROR_ENOTSUP };
    let reply = [head, reply_as.bytes(), outcome];
    what.is_atom("io_request")
        .then(|| signals::send(from.bytes(), &reply))
}

/// What `To` monitored is not there any more.
pub(crate) fn monitor_exit(from: RawTerm<'_>, to: RawTerm<'_>, reference: RawTerm<'_>) -> Bytes {
    signals::monitor_exit(from.bytes(), to.bytes(), reference.bytes(), ATOM_NOPROC)
}

/// Whoever asked for this process wants nothing to do with it any more. As
/// `spawn_request_abandon/1` has it: a linked one ends.
pub(crate) fn let_go(request: RawTerm<'_>, to: RawTerm<'_>, flags: u8, pid: RawTerm<'_>) -> Bytes {
    if flags & signals::LINKED != 0 {
        return signals::exit(to.bytes(), pid.bytes(), ATOM_ABANDONED);
    }
    signals::demonitor(to.bytes(), pid.bytes(), request.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::body_of;
    use crate::terms::VERSION;

    const ATOM_EMPTY: &[u8] = &[119, 0];
    // <0.1.0> of a@h, as the pid of a caller.
    const CALLER: &[u8] = b"\x58\x77\x03a@h\0\0\0\x01\0\0\0\0\0\0\0\x05";

    fn ask(parts: &[&[u8]]) -> Answered {
        let body = [&[112, VERSION][..], &parts.concat()].concat();
        answer(&Control::parse(&body).unwrap(), |_| false)
    }

    fn body(answered: Answered) -> Bytes {
        let Answered::With(frame) = answered else {
            panic!("no answer: {answered:?}");
        };
        frame.slice_ref(body_of(&frame))
    }

    #[test]
    fn ping_is_answered_with_the_tag_untouched() {
        // The tag of OTP 24 and later: an improper list around a reference whose
        // shape we need not know.
        let tag = b"\x6c\0\0\0\x01\x77\x05alias\x61\x07";
        let control = [&[104, 4, 97, 6], CALLER, ATOM_EMPTY, b"\x77\x0anet_kernel"].concat();
        let message = [
            &b"\x68\x03\x77\x09$gen_call\x68\x02"[..],
            CALLER,
            tag,
            b"\x68\x02\x77\x07is_auth\x77\x03a@h",
        ]
        .concat();
        let answered = body(ask(&[&control, &[VERSION], &message]));
        assert!(answered.ends_with(&[&[VERSION, 104, 2], &tag[..], ATOM_YES].concat()));
    }

    #[test]
    fn other_questions_to_net_kernel_are_refused() {
        let control = [&[104, 4, 97, 6], CALLER, ATOM_EMPTY, b"\x77\x0anet_kernel"].concat();
        let message = [
            &b"\x68\x03\x77\x09$gen_call\x68\x02"[..],
            CALLER,
            &[97, 7],
            b"\x77\x05spawn",
        ]
        .concat();
        let answered = body(ask(&[&control, &[VERSION], &message]));
        assert!(answered.ends_with(&[&[104, 2, 97, 7], ERROR_UNSUPPORTED].concat()));
    }

    #[test]
    fn printing_to_us_does_not_hang() {
        let control = [&[104, 3, 97, 2], ATOM_EMPTY, CALLER].concat();
        for (request, expected) in [
            (&[106][..], ERROR_ENOTSUP),
            (b"\x68\x03\x77\x09put_chars\x77\x07unicode\x6a", ATOM_OK),
        ] {
            let request = [b"\x68\x04\x77\x0aio_request", CALLER, &[97, 3], request].concat();
            let sent = [&[112, VERSION][..], &control, &[VERSION], &request].concat();
            let to_us = Control::parse(&sent).unwrap();
            let answered = body(answer(&to_us, |pid| pid == CALLER));
            assert!(answered.ends_with(&[&[97, 3], expected].concat()));
            assert_eq!(answer(&to_us, |_| false), Answered::No);
        }
    }

    #[test]
    fn monitors_of_nobody_fire_at_once_but_net_kernel_lives() {
        let monitor = |to: &[u8]| ask(&[&[104, 4, 97, 19], CALLER, to, &[97, 9]]);
        let fired = body(monitor(b"\x77\x06nosuch"));
        let expected = [&b"\x77\x06nosuch"[..], CALLER, &[97, 9], ATOM_NOPROC].concat();
        assert_eq!(&fired[6..], expected);
        assert_eq!(monitor(b"\x77\x0anet_kernel"), Answered::Silently);
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_let_go() {
        let reply = |flags: u8, result: &[u8]| {
            ask(&[&[104, 5, 97, 31, 97, 1], CALLER, &[97, flags], result])
        };
        let demonitor = body(reply(2, CALLER));
        assert_eq!(demonitor[..6], [112, VERSION, 104, 4, 97, 20]);
        assert_eq!(demonitor[6..], [CALLER, CALLER, &[97, 1]].concat());
        let exit = body(reply(3, CALLER));
        assert_eq!(exit[..6], [112, VERSION, 104, 4, 97, 3]);
        assert_eq!(reply(0, CALLER), Answered::Silently);
        assert_eq!(reply(2, ATOM_NOTSUP), Answered::Silently);
    }

    #[test]
    fn links_unlinks_and_spawns_are_answered() {
        let link = body(ask(&[&[104, 3, 97, 1], CALLER, CALLER]));
        assert_eq!(link[..6], [112, VERSION, 104, 4, 97, 3]);
        let id = b"\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\xff";
        let unlink = body(ask(&[&[104, 4, 97, 35], id, CALLER, CALLER]));
        assert_eq!(unlink[..6], [112, VERSION, 104, 4, 97, 36]);
        assert_eq!(unlink[6..17], id[..]);
        // The argument list of bytes that erl_dist cannot read.
        let mfa = b"\x68\x03\x77\x01m\x77\x01f\x61\x02";
        let spawn = [&[104, 6, 97, 29, 97, 1], CALLER, CALLER, mfa, &[106]].concat();
        let refused = body(ask(&[&spawn, &[VERSION, 107, 0, 2, 1, 2]]));
        assert!(refused.ends_with(&[&[97, 0], ATOM_NOTSUP].concat()));
    }
}
