//! What a frame asks for, without decoding more than that takes.
//!
//! erl_dist's messages are trees that fail on some of what real nodes send; here
//! the parts stay the bytes they came in, so that any reference or tag goes back
//! unchanged. Numbers and shapes: erl_dist_protocol, "Protocol between Connected
//! Nodes".

use super::frames::PASS_THROUGH;
use crate::terms::{RawTerm, VERSION};

/// A control message that means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control<'a> {
    /// A message to a pid or an alias.
    Send {
        to: RawTerm<'a>,
        message: RawTerm<'a>,
    },
    /// A message to a registered name.
    RegSend {
        to_name: &'a str,
        message: RawTerm<'a>,
    },
    Link {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
    },
    /// The end of a link without an acknowledgement: OTP before 23.3.
    Unlink {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
    },
    UnlinkId {
        id: RawTerm<'a>,
        from: RawTerm<'a>,
        to: RawTerm<'a>,
    },
    UnlinkIdAck {
        id: RawTerm<'a>,
        from: RawTerm<'a>,
        to: RawTerm<'a>,
    },
    /// The end of something that is linked to us.
    Exit {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
        reason: RawTerm<'a>,
    },
    /// What `exit/2` sends.
    Exit2 {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
        reason: RawTerm<'a>,
    },
    Monitor {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
        reference: RawTerm<'a>,
    },
    Demonitor {
        from: RawTerm<'a>,
        to: RawTerm<'a>,
        reference: RawTerm<'a>,
    },
    /// The end of something that we monitor.
    MonitorExit {
        to: RawTerm<'a>,
        reference: RawTerm<'a>,
        reason: RawTerm<'a>,
    },
    /// A process is to begin here.
    Spawn(Spawn<'a>),
    /// What became of one that we asked for: a pid, or an atom that says why not.
    SpawnReply {
        request: RawTerm<'a>,
        to: RawTerm<'a>,
        flags: u8,
        result: RawTerm<'a>,
    },
    /// A message that needs no answer from us.
    Other(u8),
}

/// A spawn request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spawn<'a> {
    /// A reference: of the request, and of the monitor if there is to be one.
    pub(crate) request: RawTerm<'a>,
    pub(crate) from: RawTerm<'a>,
    /// `{Module, Function, Arity}`.
    pub(crate) function: RawTerm<'a>,
    pub(crate) options: RawTerm<'a>,
    /// The list of arguments, unscanned.
    pub(crate) args: RawTerm<'a>,
}

impl<'a> Control<'a> {
    /// Reads a frame's body. `None` if it is no message that we can read: it is
    /// passed over, and the link stays up.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let rest = body.strip_prefix(&[PASS_THROUGH, VERSION])?;
        let (operation, parts, rest) = take_apart(rest)?;
        let payload = || Some(RawTerm::unscanned(rest.strip_prefix(&[VERSION])?));
        Some(match (operation, parts.as_slice()) {
            (2 | 22 | 33, &[_, to]) | (12 | 23 | 34, &[_, to, _]) => {
                let message = payload()?;
                Self::Send { to, message }
            }
            (6, &[_, _, name]) | (16, &[_, _, name, _]) => {
                let (to_name, message) = (name.atom()?, payload()?);
                Self::RegSend { to_name, message }
            }
            (1, &[from, to]) => Self::Link { from, to },
            (4, &[from, to]) => Self::Unlink { from, to },
            (35, &[id, from, to]) => Self::UnlinkId { id, from, to },
            (36, &[id, from, to]) => Self::UnlinkIdAck { id, from, to },
            (3, &[from, to, reason]) | (13, &[from, to, _, reason]) => {
                Self::Exit { from, to, reason }
            }
            (8, &[from, to, reason]) | (18, &[from, to, _, reason]) => {
                Self::Exit2 { from, to, reason }
            }
            (19, &[from, to, reference]) => Self::Monitor {
                from,
                to,
                reference,
            },
            (20, &[from, to, reference]) => Self::Demonitor {
                from,
                to,
                reference,
            },
            (21, &[_, to, reference, reason]) => Self::MonitorExit {
                to,
                reference,
                reason,
            },
            (29, &[request, from, _, function, options])
            | (30, &[request, from, _, function, options, _]) => Self::Spawn(Spawn {
                request,
                from,
                function,
                options,
                args: payload()?,
            }),
            (31, &[request, to, flags, result]) | (32, &[request, to, flags, result, _]) => {
                let flags = u8::try_from(flags.unsigned()?).ok()?;
                Self::SpawnReply {
                    request,
                    to,
                    flags,
                    result,
                }
            }
            // It may grow.
            (37, &[flags, _, to, ..]) => Self::altact_signal(flags, to, payload())?,
            (1..=4 | 6 | 8 | 12 | 13 | 16 | 18..=23 | 29..=37, _) => return None,
            (other, _) => Self::Other(other),
        })
    }

    /// OTP 28's signal of many kinds. Not asked for by our flags, but understood.
    fn altact_signal(
        flags: RawTerm<'a>,
        to: RawTerm<'a>,
        message: Option<RawTerm<'a>>,
    ) -> Option<Self> {
        const TO_NAME: u8 = 8;
        const EXIT: u8 = 16;
        let &[97, flags] = flags.bytes() else {
            return None;
        };
        if flags & EXIT != 0 {
            return Some(Self::Other(37));
        }
        let message = message?;
        Some(if flags & TO_NAME != 0 {
            let to_name = to.atom()?;
            Self::RegSend { to_name, message }
        } else {
            Self::Send { to, message }
        })
    }
}

/// The elements of a control tuple behind its operation, as many as are looked at.
struct Parts<'a> {
    first: [RawTerm<'a>; MAX_PARTS],
    count: usize,
}

/// The longest tuple that we know has six; others may have more.
const MAX_PARTS: usize = 6;

impl<'a> Parts<'a> {
    fn as_slice(&self) -> &[RawTerm<'a>] {
        &self.first[..self.count]
    }
}

/// The operation of a control tuple, its other elements, and what comes behind it: in one
/// pass and without memory of its own, since every message comes with one.
fn take_apart(bytes: &[u8]) -> Option<(u8, Parts<'_>, &[u8])> {
    let (&[104, arity, 97, operation], mut rest) = bytes.split_first_chunk()? else {
        return None;
    };
    let count = usize::from(arity).checked_sub(1)?;
    let mut first = [RawTerm::unscanned(&[]); MAX_PARTS];
    for at in 0..count {
        let (part, after) = RawTerm::split(rest).ok()?;
        if let Some(place) = first.get_mut(at) {
            *place = part;
        }
        rest = after;
    }
    let count = count.min(MAX_PARTS);
    Some((operation, Parts { first, count }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, FixInteger, Pid, Reference, Term};
    use erl_dist::message::Message;
    use proptest::prelude::*;

    fn body(message: Message) -> Vec<u8> {
        let mut body = vec![PASS_THROUGH];
        message.write_into(&mut body).unwrap();
        body
    }

    fn raw(term: impl Into<Term>) -> Vec<u8> {
        let mut bytes = Vec::new();
        term.into().encode(&mut bytes).unwrap();
        bytes.split_off(1)
    }

    #[test]
    fn reads_what_erl_dist_writes() {
        let pid = Pid::new("a@h", 1, 2, 3);
        let reference = Reference {
            node: Atom::from("a@h"),
            id: vec![1, 2, 3],
            creation: 3,
        };
        let hi = Term::from(Atom::from("hi"));
        let sent = body(Message::reg_send(
            pid.clone(),
            Atom::from("rex"),
            hi.clone(),
        ));
        assert!(matches!(
            Control::parse(&sent),
            Some(Control::RegSend { to_name: "rex", message }) if message.is_atom("hi")
        ));
        let sent = body(Message::send(pid.clone(), hi));
        let Some(Control::Send { to, .. }) = Control::parse(&sent) else {
            panic!("no send: {sent:?}");
        };
        assert_eq!(to.bytes(), raw(pid.clone()));
        let to = erl_dist::term::PidOrAtom::Atom(Atom::from("nosuch"));
        let sent = body(Message::monitor_p(pid, to, reference.clone()));
        let Some(Control::Monitor {
            reference: read,
            to,
            ..
        }) = Control::parse(&sent)
        else {
            panic!("no monitor: {sent:?}");
        };
        assert!(to.is_atom("nosuch"));
        assert_eq!(read.bytes(), raw(reference));
    }

    #[test]
    fn send_with_a_trace_token_is_read() {
        // erl_dist swaps its fields and never decodes it.
        let pid = raw(Pid::new("a@h", 1, 2, 3));
        let unused = raw(Atom::from(""));
        let token = raw(FixInteger::from(0));
        let control = [&[104, 4, 97, 12][..], &unused, &pid, &token].concat();
        let sent = [&[PASS_THROUGH, VERSION][..], &control, &[VERSION, 106]].concat();
        let Some(Control::Send { to, message }) = Control::parse(&sent) else {
            panic!("no send");
        };
        assert_eq!((to.bytes(), message.bytes()), (&pid[..], &[106][..]));
    }

    #[test]
    fn signals_of_otp_28_are_read() {
        let pid = raw(Pid::new("a@h", 1, 2, 3));
        let read = |flags: u8, to: &[u8], more: &[u8]| {
            let size = if more.is_empty() { 4 } else { 5 };
            let control = [&[104, size, 97, 37, 97, flags][..], &pid, to, more].concat();
            let sent = [&[PASS_THROUGH, VERSION][..], &control, &[VERSION, 106]].concat();
            match Control::parse(&sent) {
                Some(Control::Send { .. }) => "send",
                Some(Control::RegSend { to_name: "x", .. }) => "to a name",
                Some(Control::Other(37)) => "exit",
                _ => "unreadable",
            }
        };
        assert_eq!(read(1, &pid, &[]), "send");
        assert_eq!(read(2, &pid, &[106]), "send", "with a trace token");
        assert_eq!(read(8, b"\x77\x01x", &[]), "to a name");
        assert_eq!(read(16, &pid, &[]), "exit");
        assert_eq!(read(8, &pid, &[]), "unreadable");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Control::parse(&rest);
            let _ = Control::parse(&[&[PASS_THROUGH, VERSION, 104][..], &rest].concat());
        }
    }
}
