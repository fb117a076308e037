//! Calls to functions on other nodes, through `rex`.
//!
//! One message out, one in: `{'$gen_call', {Pid, Ref}, {call, M, F, A, user}}` to
//! `rex`, `{Ref, Result}` back (rpc.erl). It needs no distribution flag, works on
//! every release, and each call has a process of its own there, so that a slow
//! one delays no other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use eetf::{Atom, Reference};
use erl_dist::message::Message;
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::abstract_code::{atom, list, tuple};
use super::{Identity, Inner, Node, own_pid};
use crate::CallError;
use crate::link::{LinkId, frame_of};
use crate::terms::{self, RawTerm, Term, TermError};

/// How much of a failed call's reason is kept, in bytes.
const MAX_REASON: usize = 300;

/// Calls that wait for their answer.
#[derive(Default)]
pub(super) struct Calls(Mutex<HashMap<u64, Waiting>>);

struct Waiting {
    link: LinkId,
    max_bytes: usize,
    answer: oneshot::Sender<Answer>,
}

/// What came back: an external term, or too much to take.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Term(Vec<u8>),
    TooLarge(usize),
}

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// How long to wait for the answer.
    pub time: Duration,
    /// How many bytes the answer may have; each can become forty in memory.
    pub answer_bytes: usize,
}

impl Calls {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, number: u64, link: LinkId, max_bytes: usize) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting {
            link,
            max_bytes,
            answer,
        };
        self.waiting().insert(number, waiting);
        receiver
    }

    /// Hands a term to the call with this reference, if it came over the link that
    /// the call went out on.
    pub(super) fn answered(&self, link: LinkId, reference: &[u8], result: &[u8]) {
        let Some(number) = call_number(reference) else {
            return;
        };
        let mut waiting = self.waiting();
        if waiting.get(&number).is_some_and(|call| call.link == link)
            && let Some(call) = waiting.remove(&number)
        {
            let answer = if result.len() <= call.max_bytes {
                Answer::Term([&[terms::VERSION], result].concat())
            } else {
                Answer::TooLarge(result.len())
            };
            // A caller that gave up meanwhile does not matter.
            let _ = call.answer.send(answer);
        }
    }

    /// Whoever waits for an answer over this link waits in vain.
    pub(super) fn link_lost(&self, link: LinkId) {
        self.waiting().retain(|_, waiting| waiting.link != link);
    }
}

/// Removes a call whose caller no longer waits.
struct CallGuard<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.calls.waiting().remove(&self.number);
    }
}

impl Node {
    /// Calls `module:function(args...)` on a linked node and returns its result;
    /// what it throws comes back as `{badrpc, Reason}`.
    ///
    /// # Errors
    ///
    /// When there is no link, it goes away, no answer comes within the limits, or
    /// the answer has terms that we do not read.
    ///
    /// Cancel safe, but the call may run there all the same.
    pub async fn call(
        &self,
        peer: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
        limits: CallLimits,
    ) -> Result<Term, CallError> {
        let bytes = self.call_raw(peer, module, function, args, limits).await?;
        terms::decode(&bytes).map_err(|cause| unreadable(peer, cause))
    }

    /// [`call`](Self::call) with a result of a known shape: `read` takes it from
    /// the bytes, or says that it is none such.
    pub(super) async fn ask<T>(
        &self,
        peer: &NodeName,
        (module, function): (&str, &str),
        args: Vec<Term>,
        limits: CallLimits,
        read: impl FnOnce(RawTerm<'_>) -> Option<T>,
    ) -> Result<T, CallError> {
        let bytes = self.call_raw(peer, module, function, args, limits).await?;
        let result = RawTerm::whole(&bytes).map_err(|cause| unreadable(peer, cause))?;
        if let Some([badrpc, reason]) = result.tuple()
            && badrpc.is_atom("badrpc")
        {
            return Err(CallError::Failed {
                peer: peer.clone(),
                reason: reason_text(reason),
            });
        }
        read(result).ok_or_else(|| CallError::Unexpected(peer.clone()))
    }

    /// The result as an external term that nobody has looked at.
    async fn call_raw(
        &self,
        peer: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
        limits: CallLimits,
    ) -> Result<Vec<u8>, CallError> {
        let inner = &self.inner;
        let not_linked = || CallError::NotLinked(peer.clone());
        let identity = inner.identity.get().ok_or_else(not_linked)?;
        let number = inner.next_id();
        let frame = request(identity, number, module, function, args)
            .map_err(|_| CallError::Unencodable(peer.clone()))?;
        let answer = inner
            .send_call(peer, number, frame, limits.answer_bytes)
            .ok_or_else(not_linked)?;
        let _guard = CallGuard {
            calls: &inner.calls,
            number,
        };
        match tokio::time::timeout(limits.time, answer).await {
            Ok(Ok(Answer::Term(bytes))) => Ok(bytes),
            Ok(Ok(Answer::TooLarge(bytes))) => Err(CallError::AnswerTooLarge {
                peer: peer.clone(),
                bytes,
            }),
            Ok(Err(_)) => Err(CallError::LinkLost(peer.clone())),
            Err(_) => Err(CallError::Timeout(peer.clone())),
        }
    }
}

fn unreadable(peer: &NodeName, cause: TermError) -> CallError {
    CallError::Unreadable {
        peer: peer.clone(),
        cause,
    }
}

/// A reason as Erlang prints it, or the beginning of it.
fn reason_text(reason: RawTerm<'_>) -> String {
    use std::fmt::Write as _;
    let Ok(term) = terms::decode(&[&[terms::VERSION], reason.bytes()].concat()) else {
        return "unreadable".to_owned();
    };
    let mut text = Beginning::default();
    // An error here is the end of the room.
    let _ = write!(text, "{term}");
    text.0
}

/// Takes text until there is enough of it.
#[derive(Default)]
struct Beginning(String);

impl std::fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            if self.0.len() + character.len_utf8() > MAX_REASON {
                return Err(std::fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

impl Inner {
    fn send_call(
        &self,
        peer: &NodeName,
        number: u64,
        frame: Bytes,
        max_bytes: usize,
    ) -> Option<oneshot::Receiver<Answer>> {
        let links = self.links();
        let link = links.table.link(peer)?;
        let sender = links.senders.get(&link)?;
        let answer = self.calls.start(number, link, max_bytes);
        sender.send(frame);
        Some(answer)
    }
}

fn request(
    identity: &Identity,
    number: u64,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<Bytes, TermError> {
    let own = identity.name.as_str();
    let pid = own_pid::pid(identity, own_pid::CALLER);
    let reference = Reference {
        node: Atom::from(own),
        id: reference_words(number),
        creation: identity.creation,
    };
    let args = terms::spare_negative_lists(list(args));
    let call = tuple(vec![
        atom("call"),
        atom(module),
        atom(function),
        args,
        atom("user"),
    ]);
    let from = tuple(vec![Term::from(pid.clone()), Term::from(reference)]);
    let message = tuple(vec![atom("$gen_call"), from, call]);
    frame_of(Message::reg_send(pid, Atom::from("rex"), message))
}

/// The call's number, low word first; a BEAM uses only 18 bits of the first.
fn reference_words(number: u64) -> Vec<u32> {
    let word = |shift: u32, mask: u64| u32::try_from((number >> shift) & mask).unwrap_or_default();
    vec![word(0, 0x3_FFFF), word(18, 0xFFFF_FFFF), word(50, 0x3FFF)]
}

/// The number in a reference of ours, from its bytes.
fn call_number(reference: &[u8]) -> Option<u64> {
    let at = reference.len().checked_sub(12)?;
    let word = |n: usize| {
        let bytes = reference.get(at + 4 * n..at + 4 * n + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes).map(u64::from)
    };
    // NEWER_REFERENCE_EXT of three words.
    if !reference.starts_with(&[90, 0, 3]) {
        return None;
    }
    Some(word(0)? | word(1)? << 18 | word(2)? << 50)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::RawTerm;

    #[test]
    fn reference_carries_the_number() {
        for number in [1, 0x3_FFFF, 0x4_0000, u64::MAX >> 1] {
            let reference = Reference {
                node: Atom::from("a@h"),
                id: reference_words(number),
                creation: 9,
            };
            let bytes = terms::encode(Term::from(reference)).unwrap();
            let (raw, _) = RawTerm::split(&bytes[1..]).unwrap();
            assert_eq!(call_number(raw.bytes()), Some(number));
        }
    }

    #[test]
    fn reason_of_a_failed_call_is_printed_and_cut_short() {
        let text = |bytes| reason_text(RawTerm::unscanned(bytes));
        assert_eq!(text(b"\x68\x01\x77\x05undef"), "{'undef'}");
        assert_eq!(text(&[255]), "unreadable");
        let long = [&[109, 0, 0, 4, 0][..], &[7; 1024]].concat();
        assert_eq!(text(&long).len(), MAX_REASON);
    }

    #[test]
    fn answer_reaches_its_caller_only() {
        let calls = Calls::default();
        let mut answer = calls.start(7, LinkId(1), 2);
        let reference = Reference {
            node: Atom::from("a@h"),
            id: reference_words(7),
            creation: 9,
        };
        let reference = terms::encode(Term::from(reference)).unwrap().split_off(1);
        calls.answered(LinkId(1), b"no reference", &[97, 1]);
        calls.answered(LinkId(2), &reference, &[97, 2]);
        assert!(answer.try_recv().is_err());
        calls.answered(LinkId(1), &reference, &[97, 3]);
        assert_eq!(answer.try_recv(), Ok(Answer::Term(vec![131, 97, 3])));
        let mut large = calls.start(7, LinkId(1), 2);
        calls.answered(LinkId(1), &reference, &[104, 1, 106]);
        assert_eq!(large.try_recv(), Ok(Answer::TooLarge(3)));
        let mut other = calls.start(8, LinkId(1), 2);
        calls.link_lost(LinkId(2));
        assert_eq!(calls.waiting().len(), 1);
        calls.link_lost(LinkId(1));
        assert_eq!(other.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
