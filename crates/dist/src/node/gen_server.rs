//! Calls and casts to processes that speak as a `gen_server` does, and answers to
//! theirs.
//!
//! A call is a monitor, `{'$gen_call', {Pid, [alias | Reference]}, Request}`, and
//! `{[alias | Reference], Reply}` back, to the alias or to the pid. Source: gen.erl.

use bytes::Bytes;
use eetf::{Pid, Reference};
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::calls::{Answer, Answerer, reason_text};
use super::destination::{Destination, Place, ServerRef};
use super::processes::identifier;
use super::sending::{encoded, message_frame};
use super::{CallLimits, Identity, Inner, Node, own_pid, own_reference};
use crate::link::{LinkId, signals};
use crate::terms::{RawTerm, Term, TermError};
use crate::{CallError, SendError};

/// `{'$gen_call', `
pub(super) const GEN_CALL: &[u8] = b"\x68\x03\x77\x09$gen_call";
/// `{'$gen_cast', `
const GEN_CAST: &[u8] = b"\x68\x02\x77\x09$gen_cast";
/// `[alias | `
pub(super) const ALIAS: &[u8] = b"\x6c\0\0\0\x01\x77\x05alias";

/// A message to a process that is to behave as a `gen_server`.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// It waits for [`Node::reply`] (`handle_call`).
    Call {
        /// Whom to answer.
        from: Caller,
        /// What is asked.
        request: Term,
    },
    /// It waits for nothing (`handle_cast`).
    Cast(Term),
    /// Any other message (`handle_info`).
    Info(Term),
}

/// Whom a call came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The process that waits, or one that waits for it.
    pub pid: Pid,
    /// What it knows the answer by.
    tag: Term,
}

impl From<Term> for Request {
    fn from(message: Term) -> Self {
        let Term::Tuple(tuple) = &message else {
            return Self::Info(message);
        };
        match &tuple.elements[..] {
            [call, from, request] if is_atom(call, "$gen_call") => match Caller::of(from) {
                Some(from) => Self::Call {
                    from,
                    request: request.clone(),
                },
                None => Self::Info(message),
            },
            [cast, request] if is_atom(cast, "$gen_cast") => Self::Cast(request.clone()),
            _ => Self::Info(message),
        }
    }
}

impl Caller {
    /// From `{Pid, Tag}`.
    pub(super) fn of(from: &Term) -> Option<Self> {
        let Term::Tuple(from) = from else {
            return None;
        };
        match &from.elements[..] {
            [Term::Pid(pid), tag] => Some(Self {
                pid: pid.clone(),
                tag: tag.clone(),
            }),
            _ => None,
        }
    }

    /// What answers it, and where that goes.
    pub(super) fn answer(&self, reply: &[u8]) -> Result<(Destination, Vec<u8>), TermError> {
        let message = [&[104, 2], &encoded(&self.tag)?[..], reply].concat();
        let to = match self.alias() {
            Some(alias) => Destination::from(alias),
            None => Destination::from(&self.pid),
        };
        Ok((to, message))
    }

    /// The alias, if it is to be answered there: then an answer that is late is
    /// dropped. As `gen:reply/2` finds it.
    fn alias(&self) -> Option<&Reference> {
        let Term::ImproperList(list) = &self.tag else {
            return None;
        };
        match (&list.elements[..], &*list.last) {
            ([alias], Term::Reference(reference)) if is_atom(alias, "alias") => Some(reference),
            ([Term::ImproperList(tag)], _) => match (&tag.elements[..], &*tag.last) {
                ([alias], Term::Reference(reference)) if is_atom(alias, "alias") => Some(reference),
                _ => None,
            },
            _ => None,
        }
    }
}

pub(super) fn is_atom(term: &Term, text: &str) -> bool {
    matches!(term, Term::Atom(atom) if atom.name == text)
}

impl Node {
    /// Calls a process as `gen_server:call/3` does, and returns its reply. Dials its
    /// node if there is no link to it.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, the process is not there or ends before it
    /// replies, or no reply comes within the limits; the time is for all of that.
    ///
    /// Cancel safe, but the process may handle the request all the same. A late reply
    /// is dropped.
    pub async fn gen_call(
        &self,
        server: impl Into<ServerRef>,
        request: &Term,
        limits: CallLimits,
    ) -> Result<Term, CallError> {
        let server = server.into();
        let inner = &self.inner;
        let place = inner.place_of(&server)?;
        let peer = inner.name_of(&place)?;
        let called = self.gen_call_at(&place, &peer, server, request, limits.answer_bytes);
        match tokio::time::timeout(limits.time, called).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Timeout(peer)),
        }
    }

    async fn gen_call_at(
        &self,
        place: &Place,
        peer: &NodeName,
        server: ServerRef,
        request: &Term,
        max_bytes: usize,
    ) -> Result<Term, CallError> {
        let inner = &self.inner;
        let request = encoded(request).map_err(SendError::from)?;
        inner.reach(place).await?;
        let lost = || CallError::LinkLost(peer.clone());
        let identity = inner.identity.get().ok_or_else(lost)?;
        let call =
            GenCall::new(identity, inner.next_id(), server, &request).map_err(SendError::from)?;
        // Not kept while it waits.
        drop(request);
        let (mut guard, answer) = inner.start_gen_call(place, call, max_bytes)?;
        match answer.await {
            Ok(Answer::Term(bytes)) => RawTerm::unscanned(&bytes).decode().map_err(|cause| {
                let peer = peer.clone();
                CallError::Unreadable { peer, cause }
            }),
            Ok(Answer::TooLarge(bytes)) => {
                let peer = peer.clone();
                Err(CallError::AnswerTooLarge { peer, bytes })
            }
            Ok(Answer::Down(reason)) => {
                guard.demonitor = None;
                let (peer, reason) = (peer.clone(), reason_text(RawTerm::unscanned(&reason)));
                Err(CallError::Down { peer, reason })
            }
            Err(_) => Err(lost()),
        }
    }

    /// Sends a request that nobody answers, as `gen_server:cast/2` does; unlike that
    /// it says if the node cannot be reached.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::send`](crate::Mailbox::send).
    ///
    /// Cancel safe: dropped before it returns, it has sent nothing.
    pub async fn gen_cast(
        &self,
        server: impl Into<ServerRef>,
        request: &Term,
    ) -> Result<(), SendError> {
        let message = [GEN_CAST, &encoded(request)?].concat();
        let to = Destination::Process(server.into());
        self.inner
            .send_encoded(own_pid::CALLER, &to, &message)
            .await
    }

    /// Answers a call that came as [`Request::Call`], as `gen_server:reply/2` does.
    /// Any task may, and at any time.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::send`](crate::Mailbox::send).
    ///
    /// Cancel safe: dropped before it returns, it has sent nothing.
    pub async fn reply(&self, to: &Caller, reply: &Term) -> Result<(), SendError> {
        let (to, message) = to.answer(&encoded(reply)?)?;
        self.inner
            .send_encoded(own_pid::CALLER, &to, &message)
            .await
    }
}

/// What a call sends, and takes back at its end.
struct GenCall {
    number: u64,
    monitor: Bytes,
    request: Bytes,
    demonitor: Bytes,
}

impl GenCall {
    fn new(
        identity: &Identity,
        number: u64,
        server: ServerRef,
        request: &[u8],
    ) -> Result<Self, TermError> {
        let (mut from, mut reference) = (Vec::new(), Vec::new());
        own_pid::write(&mut from, identity, own_pid::CALLER);
        own_reference::write(&mut reference, identity, number);
        let to = identifier(&server);
        let tag = [ALIAS, &reference].concat();
        let message = [GEN_CALL, &[104, 2], &from, &tag, request].concat();
        let destination = Destination::Process(server);
        Ok(Self {
            number,
            monitor: signals::monitor(&from, &to, &reference),
            request: message_frame(identity, own_pid::CALLER, &destination, &message)?,
            demonitor: signals::demonitor(&from, &to, &reference),
        })
    }
}

/// Ends a call whose caller no longer waits.
struct GenCallGuard<'a> {
    inner: &'a Inner,
    number: u64,
    demonitor: Option<(LinkId, Bytes)>,
}

impl Drop for GenCallGuard<'_> {
    fn drop(&mut self) {
        let mut links = self.inner.links();
        links.calls.give_up(self.number);
        links.post(self.demonitor.take());
    }
}

impl Inner {
    fn name_of(&self, place: &Place) -> Result<NodeName, SendError> {
        match place {
            Place::At(peer) => Ok(peer.clone()),
            Place::Here => match self.identity.get() {
                Some(own) => Ok(own.name.clone()),
                None => Err(SendError::BadNodeName(String::new())),
            },
        }
    }

    fn start_gen_call(
        &self,
        place: &Place,
        call: GenCall,
        max_bytes: usize,
    ) -> Result<(GenCallGuard<'_>, oneshot::Receiver<Answer>), SendError> {
        let mut links = self.links();
        let link = links.link_to(place)?;
        let answer = links
            .calls
            .start(call.number, link, max_bytes, Answerer::Anybody);
        links.post([(link, call.monitor), (link, call.request)]);
        let guard = GenCallGuard {
            inner: self,
            number: call.number,
            demonitor: Some((link, call.demonitor)),
        };
        Ok((guard, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::{Atom, ImproperList, Tuple};

    fn atom(text: &str) -> Term {
        Term::from(Atom::from(text))
    }

    fn tuple(elements: Vec<Term>) -> Term {
        Term::from(Tuple::from(elements))
    }

    fn improper(first: Term, last: Term) -> Term {
        Term::from(ImproperList {
            elements: vec![first],
            last: Box::new(last),
        })
    }

    fn reference() -> Reference {
        Reference {
            node: Atom::from("a@h"),
            id: vec![1, 2, 3],
            creation: 4,
        }
    }

    fn caller(tag: Term) -> Caller {
        let pid = Pid::new("a@h", 1, 2, 3);
        let from = tuple(vec![Term::from(pid), tag]);
        let message = tuple(vec![atom("$gen_call"), from, atom("hi")]);
        match Request::from(message) {
            Request::Call { from, request } if request == atom("hi") => from,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_go_to_the_alias_where_there_is_one() {
        let alias = || improper(atom("alias"), Term::from(reference()));
        assert_eq!(caller(alias()).alias(), Some(&reference()));
        let of_many = improper(alias(), atom("a@h"));
        assert_eq!(caller(of_many).alias(), Some(&reference()));
        for tag in [
            Term::from(reference()),
            improper(atom("other"), Term::from(reference())),
            improper(atom("alias"), atom("none")),
            tuple(vec![alias(), atom("a@h")]),
        ] {
            assert_eq!(caller(tag).alias(), None);
        }
    }

    #[test]
    fn what_is_no_request_is_any_message() {
        let cast = tuple(vec![atom("$gen_cast"), atom("hi")]);
        assert_eq!(Request::from(cast), Request::Cast(atom("hi")));
        for message in [
            atom("hi"),
            tuple(vec![]),
            tuple(vec![atom("$gen_call"), atom("nobody"), atom("hi")]),
            tuple(vec![
                atom("$gen_call"),
                tuple(vec![atom("x"), atom("y")]),
                atom("hi"),
            ]),
            tuple(vec![atom("$gen_cast")]),
        ] {
            assert_eq!(Request::from(message.clone()), Request::Info(message));
        }
    }
}
