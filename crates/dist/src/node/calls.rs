//! Calls to functions on other nodes, through `rex`.
//!
//! One message out, one in: `{'$gen_call', {Pid, Ref}, {call, M, F, A, user}}` to
//! `rex`, `{Ref, Result}` back (rpc.erl). It needs no distribution flag, works on
//! every release, and each call has a process of its own there, so that a slow
//! one delays no other.

use std::time::Duration;

use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::gen_server::{ALIAS, GEN_CALL};
use super::{Identity, Inner, Node, QuickMap, own_pid, own_reference};
use crate::CallError;
use crate::link::{Control, LinkId, signals};
use crate::terms::{self, Encoded, List, RawTerm, Term, TermError};

/// How much of a failed call's reason is kept, in bytes.
const MAX_REASON: usize = 300;

/// Calls that wait for their answer, by the number of their reference.
#[derive(Default)]
pub(super) struct Calls(QuickMap<u64, Waiting>);

struct Waiting {
    link: LinkId,
    answerer: Answerer,
    max_bytes: usize,
    answer: oneshot::Sender<Answer>,
}

/// Who may answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answerer {
    /// The node that was called, over the link that the call went out on.
    Called,
    /// Whoever was handed the call: a `gen_server` may leave the reply to a process of
    /// another node.
    Anybody,
}

/// What came back: a term without a version byte, or too much to take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Term(Vec<u8>),
    TooLarge(usize),
    /// The process is gone, for this reason: only of calls that monitor it.
    Down(Vec<u8>),
}

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// How long to wait for the answer.
    pub time: Duration,
    /// How many bytes the answer may have; each can become forty in memory.
    pub answer_bytes: usize,
}

/// What a signal says to whom it is for: a call.
pub(super) struct CallAnswer<'a> {
    number: Option<u64>,
    said: Said<'a>,
}

enum Said<'a> {
    Result(RawTerm<'a>),
    /// The process that was called is gone, for this reason.
    Down(RawTerm<'a>),
}

impl<'a> CallAnswer<'a> {
    /// `None` if the signal is for another.
    pub(super) fn of(control: &Control<'a>, creation: u32) -> Option<Self> {
        let number = |reference: RawTerm<'_>| own_reference::number(reference.bytes(), creation);
        let is_caller =
            |to: RawTerm<'_>| own_pid::number(to.bytes(), creation) == Some(own_pid::CALLER);
        match *control {
            Control::Send { to, message } if is_caller(to) || number(to).is_some() => {
                let (tag, result) = message.pair().unwrap_or((message, message));
                let number = number(reference_of(tag));
                let said = Said::Result(result);
                Some(Self { number, said })
            }
            Control::MonitorExit {
                to,
                reference,
                reason,
            } if is_caller(to) => {
                let (number, said) = (number(reference), Said::Down(reason));
                Some(Self { number, said })
            }
            _ => None,
        }
    }
}

impl Calls {
    /// Hands a result to the call that it is for.
    pub(super) fn take(&mut self, link: LinkId, answer: &CallAnswer<'_>) {
        let Some(number) = answer.number else {
            return;
        };
        match answer.said {
            Said::Result(result) => self.answered(link, number, result.bytes()),
            Said::Down(reason) => self.down(link, number, reason.bytes()),
        }
    }

    fn down(&mut self, link: LinkId, number: u64, reason: &[u8]) {
        if self.0.get(&number).is_some_and(|call| call.link == link) {
            self.finish(number, |call| {
                let kept = if reason.len() <= call.max_bytes {
                    reason
                } else {
                    &[]
                };
                Answer::Down(kept.to_vec())
            });
        }
    }

    /// Nobody waits for this call any more.
    pub(super) fn give_up(&mut self, number: u64) {
        self.0.remove(&number);
    }

    fn finish(&mut self, number: u64, answer: impl FnOnce(&Waiting) -> Answer) {
        if let Some(call) = self.0.remove(&number) {
            let answer = answer(&call);
            // A caller that gave up meanwhile does not matter.
            let _ = call.answer.send(answer);
        }
    }

    pub(super) fn start(
        &mut self,
        number: u64,
        link: LinkId,
        max_bytes: usize,
        answerer: Answerer,
    ) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting {
            link,
            answerer,
            max_bytes,
            answer,
        };
        self.0.insert(number, waiting);
        receiver
    }

    /// Hands a term to the call of this number, if that may be answered over this
    /// link.
    fn answered(&mut self, link: LinkId, number: u64, result: &[u8]) {
        let may_answer = |call: &Waiting| call.link == link || call.answerer == Answerer::Anybody;
        if !self.0.get(&number).is_some_and(may_answer) {
            return;
        }
        self.finish(number, |call| {
            if result.len() <= call.max_bytes {
                Answer::Term(result.to_vec())
            } else {
                Answer::TooLarge(result.len())
            }
        });
    }

    /// Whoever waits for an answer over this link waits in vain.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        self.0.retain(|_, waiting| waiting.link != link);
    }
}

/// The reference in a tag: the tag itself, or `[alias | Reference]`.
fn reference_of(tag: RawTerm<'_>) -> RawTerm<'_> {
    let reference = tag.bytes().strip_prefix(ALIAS);
    reference.map_or(tag, RawTerm::unscanned)
}

/// Removes a call whose caller no longer waits.
struct CallGuard<'a> {
    inner: &'a Inner,
    number: u64,
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.inner.links().calls.give_up(self.number);
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
        let args = Encoded::new(&Term::from(List::from(args)));
        let call = self.call_raw(peer, (module, function), args, limits);
        let bytes = call.await?;
        let result = RawTerm::unscanned(&bytes);
        result.decode().map_err(|cause| unreadable(peer, cause))
    }

    /// [`call`](Self::call) without trees: the arguments are an encoded list, and `read` takes
    /// a result of a known shape from its bytes, or says that it is none such.
    pub(super) async fn ask<T>(
        &self,
        peer: &NodeName,
        function: (&str, &str),
        args: Result<Encoded, TermError>,
        limits: CallLimits,
        read: impl FnOnce(RawTerm<'_>) -> Option<T>,
    ) -> Result<T, CallError> {
        let bytes = self.call_raw(peer, function, args, limits).await?;
        let result = RawTerm::only(&bytes).map_err(|cause| unreadable(peer, cause))?;
        if let Some(reason) = failure(result) {
            return Err(CallError::Failed {
                peer: peer.clone(),
                reason,
            });
        }
        read(result).ok_or_else(|| CallError::Unexpected(peer.clone()))
    }

    /// The result as the bytes of a term that nobody has looked at. Of the arguments nothing
    /// is kept while it waits: many calls may wait for long.
    async fn call_raw(
        &self,
        peer: &NodeName,
        function: (&str, &str),
        args: Result<Encoded, TermError>,
        limits: CallLimits,
    ) -> Result<Vec<u8>, CallError> {
        let begun = self
            .inner
            .begin_call(peer, function, args, limits.answer_bytes);
        let (_guard, answer) = begun?;
        match tokio::time::timeout(limits.time, answer).await {
            Ok(Ok(Answer::Term(bytes))) => Ok(bytes),
            Ok(Ok(Answer::Down(_)) | Err(_)) => Err(CallError::LinkLost(peer.clone())),
            Ok(Ok(Answer::TooLarge(bytes))) => Err(CallError::AnswerTooLarge {
                peer: peer.clone(),
                bytes,
            }),
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

/// Why a call failed where it was made, if it did.
pub(super) fn failure(result: RawTerm<'_>) -> Option<String> {
    let [badrpc, reason] = result.tuple()?;
    badrpc.is_atom("badrpc").then(|| reason_text(reason))
}

/// A reason as Erlang prints it, or the beginning of it.
pub(super) fn reason_text(reason: RawTerm<'_>) -> String {
    match reason.decode() {
        Ok(term) => term_text(&term),
        Err(_) => "unreadable".to_owned(),
    }
}

/// A term as Erlang prints it, or the beginning of it.
pub(crate) fn term_text(term: &Term) -> String {
    use std::fmt::Write as _;
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
    /// Sends a call; its end is the guard's.
    fn begin_call(
        &self,
        peer: &NodeName,
        function: (&str, &str),
        args: Result<Encoded, TermError>,
        max_bytes: usize,
    ) -> Result<(CallGuard<'_>, oneshot::Receiver<Answer>), CallError> {
        let not_linked = || CallError::NotLinked(peer.clone());
        let unencodable = |_| CallError::Unencodable(peer.clone());
        let number = self.next_id();
        let call = Call {
            identity: self.identity.get().ok_or_else(not_linked)?,
            number,
            function,
            args: args.map_err(unencodable)?,
        };
        let mut links = self.links();
        let link = links.table.link(peer.as_str()).ok_or_else(not_linked)?;
        let sender = links.senders.get(&link).ok_or_else(not_linked)?;
        let sent = sender.send_with(|frame| call.write(frame).map(|()| None));
        sent.map_err(unencodable)?;
        let answer = links.calls.start(number, link, max_bytes, Answerer::Called);
        let guard = CallGuard {
            inner: self,
            number,
        };
        Ok((guard, answer))
    }
}

/// A call, as it is sent.
struct Call<'a> {
    identity: &'a Identity,
    number: u64,
    function: (&'a str, &'a str),
    args: Encoded,
}

impl Call<'_> {
    /// `{'$gen_call', {Pid, Ref}, {call, Module, Function, Args, user}}` to `rex`.
    fn write(&self, frame: &mut Vec<u8>) -> Result<(), TermError> {
        let write_from =
            |frame: &mut Vec<u8>| own_pid::write(frame, self.identity, own_pid::CALLER);
        signals::begin_send_to_name(frame, write_from, "rex")?;
        frame.extend_from_slice(GEN_CALL);
        terms::write_tuple_head(frame, 2)?;
        write_from(frame);
        own_reference::write(frame, self.identity, self.number);
        terms::write_tuple_head(frame, 5)?;
        let (module, function) = self.function;
        for atom in ["call", module, function] {
            terms::write_atom(frame, atom)?;
        }
        frame.extend_from_slice(self.args.as_term().bytes());
        terms::write_atom(frame, "user")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut calls = Calls::default();
        let mut answer = calls.start(7, LinkId(1), 2, Answerer::Called);
        calls.answered(LinkId(1), 8, &[97, 1]);
        calls.answered(LinkId(2), 7, &[97, 2]);
        assert!(answer.try_recv().is_err());
        calls.answered(LinkId(1), 7, &[97, 3]);
        assert_eq!(answer.try_recv(), Ok(Answer::Term(vec![97, 3])));
        let mut large = calls.start(7, LinkId(1), 2, Answerer::Called);
        calls.answered(LinkId(1), 7, &[104, 1, 106]);
        assert_eq!(large.try_recv(), Ok(Answer::TooLarge(3)));
        let mut other = calls.start(8, LinkId(1), 2, Answerer::Called);
        calls.link_lost(LinkId(2));
        assert_eq!(calls.0.len(), 1);
        calls.link_lost(LinkId(1));
        assert_eq!(other.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[test]
    fn end_of_a_process_comes_from_its_node_and_its_reply_from_anywhere() {
        let mut calls = Calls::default();
        let mut first = calls.start(7, LinkId(1), 2, Answerer::Anybody);
        calls.down(LinkId(2), 7, &[106]);
        calls.answered(LinkId(2), 7, &[97, 1]);
        assert_eq!(first.try_recv(), Ok(Answer::Term(vec![97, 1])));
        for (reason, kept) in [(&[97, 1][..], vec![97, 1]), (&[104, 1, 106], vec![])] {
            let mut ended = calls.start(7, LinkId(1), 2, Answerer::Anybody);
            calls.down(LinkId(1), 7, reason);
            assert_eq!(ended.try_recv(), Ok(Answer::Down(kept)));
        }
        assert!(calls.0.is_empty());
    }
}
