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
        let (control, rest) = RawTerm::split(rest).ok()?;
        let payload = || Some(RawTerm::unscanned(rest.strip_prefix(&[VERSION])?));
        let op = operation(control)?;
        Some(match op {
            2 | 22 | 33 => {
                let [_, _, to] = control.tuple()?;
                let message = payload()?;
                Self::Send { to, message }
            }
            12 | 23 | 34 => {
                let [_, _, to, _token] = control.tuple()?;
                let message = payload()?;
                Self::Send { to, message }
            }
            6 => {
                let [_, _from, _, name] = control.tuple()?;
                let (to_name, message) = (name.atom()?, payload()?);
                Self::RegSend { to_name, message }
            }
            16 => {
                let [_, _from, _, name, _token] = control.tuple()?;
                let (to_name, message) = (name.atom()?, payload()?);
                Self::RegSend { to_name, message }
            }
            1 => {
                let [_, from, to] = control.tuple()?;
                Self::Link { from, to }
            }
            4 => {
                let [_, from, to] = control.tuple()?;
                Self::Unlink { from, to }
            }
            35 => {
                let [_, id, from, to] = control.tuple()?;
                Self::UnlinkId { id, from, to }
            }
            36 => {
                let [_, id, from, to] = control.tuple()?;
                Self::UnlinkIdAck { id, from, to }
            }
            3 => {
                let [_, from, to, reason] = control.tuple()?;
                Self::Exit { from, to, reason }
            }
            13 => {
                let [_, from, to, _token, reason] = control.tuple()?;
                Self::Exit { from, to, reason }
            }
            8 => {
                let [_, from, to, reason] = control.tuple()?;
                Self::Exit2 { from, to, reason }
            }
            18 => {
                let [_, from, to, _token, reason] = control.tuple()?;
                Self::Exit2 { from, to, reason }
            }
            19 => {
                let [_, from, to, reference] = control.tuple()?;
                Self::Monitor {
                    from,
                    to,
                    reference,
                }
            }
            20 => {
                let [_, from, to, reference] = control.tuple()?;
                Self::Demonitor {
                    from,
                    to,
                    reference,
                }
            }
            21 => {
                let [_, _from, to, reference, reason] = control.tuple()?;
                Self::MonitorExit {
                    to,
                    reference,
                    reason,
                }
            }
            29 => {
                let [_, request, from, _leader, function, options] = control.tuple()?;
                let args = payload()?;
                Self::Spawn(Spawn {
                    request,
                    from,
                    function,
                    options,
                    args,
                })
            }
            30 => {
                let [_, request, from, _leader, function, options, _token] = control.tuple()?;
                let args = payload()?;
                Self::Spawn(Spawn {
                    request,
                    from,
                    function,
                    options,
                    args,
                })
            }
            31 => {
                let [_, request, to, flags, result] = control.tuple()?;
                Self::spawn_reply(request, to, flags, result)?
            }
            32 => {
                let [_, request, to, flags, result, _token] = control.tuple()?;
                Self::spawn_reply(request, to, flags, result)?
            }
            37 => Self::altact_signal(control, payload())?,
            other => Self::Other(other),
        })
    }

    fn spawn_reply(
        request: RawTerm<'a>,
        to: RawTerm<'a>,
        flags: RawTerm<'a>,
        result: RawTerm<'a>,
    ) -> Option<Self> {
        let flags = u8::try_from(flags.unsigned()?).ok()?;
        Some(Self::SpawnReply {
            request,
            to,
            flags,
            result,
        })
    }

    /// OTP 28's signal of many kinds: `{37, Flags, Sender, To, ...}`, which may
    /// grow. Not asked for by our flags, but understood.
    fn altact_signal(control: RawTerm<'a>, message: Option<RawTerm<'a>>) -> Option<Self> {
        const TO_NAME: u8 = 8;
        const EXIT: u8 = 16;
        let [_, flags, _sender, to] = control.tuple_start()?;
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

/// The first element of a control tuple, whatever its size.
fn operation(control: RawTerm<'_>) -> Option<u8> {
    match control.bytes() {
        [104, _, 97, op, ..] => Some(*op),
        _ => None,
    }
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
