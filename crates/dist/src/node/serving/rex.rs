//! `rex`: the process that older nodes, `erl_call` and `ei_rpc` call functions through.
//!
//! Unlike OTP's it runs `block_call` beside all else, and knows no group leaders: what
//! functions of ours print stays here. Source: rpc.erl.

use std::sync::Arc;

use eetf::Pid;

use super::outcome::{SYSTEM_LIMIT, bad_rpc, tuple};
use super::performing::Call;
use super::{Place, Served};
use crate::link::signals;
use crate::node::destination::Destination;
use crate::node::gen_server::Caller;
use crate::node::processes::{Arrival, Inbox, Receiver, raw};
use crate::node::routing::LOCAL;
use crate::node::sending::message_frame;
use crate::node::{Inner, own_pid};
use crate::terms::RawTerm;
use crate::{MailboxEnded, RegisterError};

const NAME: &str = "rex";
const ATOM_REX: &[u8] = b"\x77\x03rex";

/// Whom to answer, and how.
enum Asker {
    /// `gen_server:call`.
    Caller(Caller),
    /// `From ! {rex, Reply}`: what a C node waits for.
    Plain(Pid),
}

impl Asker {
    fn answer(&self, reply: &[u8]) -> Option<(Destination, Vec<u8>)> {
        match self {
            Self::Caller(caller) => caller.answer(reply).ok(),
            Self::Plain(pid) => Some((Destination::from(pid), tuple(&[ATOM_REX, reply]))),
        }
    }
}

/// What rex is told.
enum Told<'a> {
    Call(Option<Asker>, Call<'a>),
    /// `{From, {sbcast | send, Name, Message}}`
    Pass {
        from: Pid,
        is_sbcast: bool,
        name: RawTerm<'a>,
        message: RawTerm<'a>,
    },
    /// `{From, features_request}`
    Features(Pid),
}

impl<'a> Told<'a> {
    fn read(message: RawTerm<'a>) -> Option<Self> {
        if let Some([gen_call, from, request]) = message.tuple() {
            let call = call_of(request, &["call", "block_call"])?;
            let caller = from.decode().ok()?;
            let asker = Asker::Caller(Caller::of(&caller)?);
            let is_call = gen_call.is_atom("$gen_call");
            return is_call.then_some(Self::Call(Some(asker), call));
        }
        let [from, request] = message.tuple()?;
        if from.is_atom("$gen_cast") {
            return Some(Self::Call(None, call_of(request, &["cast"])?));
        }
        let from = from.pid()?;
        if request.is_atom("features_request") {
            return Some(Self::Features(from));
        }
        if let Some(call) = call_of(request, &["call"]) {
            return Some(Self::Call(Some(Asker::Plain(from)), call));
        }
        let [what, name, message] = request.tuple()?;
        let is_sbcast = what.is_atom("sbcast");
        (is_sbcast || what.is_atom("send")).then_some(Self::Pass {
            from,
            is_sbcast,
            name,
            message,
        })
    }
}

/// `{What, Module, Function, Args, GroupLeader}`
fn call_of<'a>(request: RawTerm<'a>, kinds: &[&str]) -> Option<Call<'a>> {
    let [what, call @ .., _leader] = request.tuple::<5>()?;
    let is_one = kinds.iter().any(|kind| what.is_atom(kind));
    is_one.then(|| Call::of(call))
}

/// Lives as long as the node: one that was killed begins anew, as under OTP's
/// supervisor.
pub(super) async fn answer_all(inner: Arc<Inner>, served: Arc<Served>, first: Arc<Inbox>) {
    let mut inbox = first;
    loop {
        let ended = answer_until_end(&inner, &served, &inbox).await;
        if ended == MailboxEnded::NodeStopped {
            return;
        }
        tracing::warn!(%ended, "rex was ended and begins anew");
        inbox = match inner.open_rex() {
            Ok(inbox) => inbox,
            Err(_) => return,
        };
    }
}

async fn answer_until_end(inner: &Arc<Inner>, served: &Arc<Served>, inbox: &Inbox) -> MailboxEnded {
    loop {
        match inbox.pop().await {
            Ok(Arrival::Message(message)) => on_message(inner, served, &message),
            Ok(_) => {}
            Err(ended) => return ended,
        }
        // Between floods of calls others have their turn.
        tokio::task::consume_budget().await;
    }
}

fn on_message(inner: &Arc<Inner>, served: &Arc<Served>, message: &bytes::Bytes) {
    match Told::read(RawTerm::unscanned(message)) {
        Some(Told::Call(asker, _)) => match served.place(message.len()) {
            Some(place) => {
                let task = perform(inner.clone(), served.clone(), message.clone(), place);
                served.spawn(inner, task);
            }
            None => {
                if let Some(asker) = asker {
                    inner.say(asker.answer(&bad_rpc(SYSTEM_LIMIT)));
                }
            }
        },
        Some(Told::Pass {
            from,
            is_sbcast,
            name,
            message,
        }) => inner.pass(from, is_sbcast, name, message),
        Some(Told::Features(from)) => {
            let features = b"\x6c\0\0\0\x01\x77\x04erpc\x6a";
            let reply = inner.own_name_atom().map(|node| {
                let reply = tuple(&[b"\x77\x0efeatures_reply", &node, features]);
                (Destination::from(from), reply)
            });
            inner.say(reply);
        }
        // OTP's ignores what it does not know, too.
        None => {}
    }
}

async fn perform(inner: Arc<Inner>, served: Arc<Served>, message: bytes::Bytes, place: Place) {
    let Some(Told::Call(asker, call)) = Told::read(RawTerm::unscanned(&message)) else {
        return;
    };
    let place = Arc::new(place);
    let outcome = call.perform(&served.functions, place.clone()).await;
    let answer = asker.and_then(|asker| asker.answer(&outcome.rex_reply()));
    drop(message);
    if let Some((to, reply)) = answer {
        // A caller that cannot be reached does not wait any more, and one that reads
        // nothing keeps no place from others.
        let sent = inner.send_encoded(own_pid::CALLER, &to, &reply);
        let _ = tokio::time::timeout(inner.config.net_ticktime, sent).await;
    }
    drop(place);
}

impl Inner {
    pub(super) fn open_rex(&self) -> Result<Arc<Inbox>, RegisterError> {
        let opened = self.open_process(Some(NAME), self.config.max_mailbox)?;
        Ok(opened.inbox)
    }

    fn own_name_atom(&self) -> Option<Vec<u8>> {
        let name = &self.identity.get()?.name;
        Some(raw(eetf::Atom::from(name.as_str())))
    }

    /// Sends without waiting, where there is a link; where there is none, nobody waits.
    fn say(&self, what: Option<(Destination, Vec<u8>)>) {
        let (Some((to, message)), Some(identity)) = (what, self.identity.get()) else {
            return;
        };
        let Ok(place) = self.place_for(&to) else {
            return;
        };
        let Ok(frame) = message_frame(identity, own_pid::CALLER, &to, &message) else {
            return;
        };
        let mut links = self.links();
        if let Ok(link) = links.link_to(&place) {
            links.post([(link, frame)]);
        }
    }

    /// Passes a message on to a name of ours. Only `sbcast` hears that it was passed on.
    fn pass(&self, from: Pid, is_sbcast: bool, name: RawTerm<'_>, message: RawTerm<'_>) {
        let sender = raw(from.clone());
        let is_there = {
            let mut links = self.links();
            let found = name.atom().map(Receiver::Name);
            let is_there = found.and_then(|name| links.processes.find(name)).is_some();
            let message = if is_sbcast {
                message.bytes().to_vec()
            } else {
                tuple(&[&sender, message.bytes()])
            };
            let frame = signals::send_to_name(&sender, name.bytes(), &[&message]);
            links.post(is_there.then_some((LOCAL, frame)));
            is_there
        };
        let Some(node) = self.own_name_atom() else {
            return;
        };
        let said = match (is_there, is_sbcast) {
            (true, true) => node.clone(),
            (true, false) => return,
            (false, _) => tuple(&[b"\x77\x10nonexisting_name", name.bytes()]),
        };
        let reply = tuple(&[ATOM_REX, &node, &said]);
        self.say(Some((Destination::from(from), reply)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::abstract_code::{atom, list, tuple};
    use crate::terms::Term;
    use proptest::prelude::*;

    fn kind(message: Term) -> &'static str {
        match Told::read(RawTerm::unscanned(&raw(message))) {
            Some(Told::Call(Some(Asker::Caller(_)), _)) => "call",
            Some(Told::Call(Some(Asker::Plain(_)), _)) => "call of a C node",
            Some(Told::Call(None, _)) => "cast",
            Some(Told::Pass { .. }) => "to be passed on",
            Some(Told::Features(_)) => "features",
            None => "noise",
        }
    }

    #[test]
    fn what_is_said_to_rex_is_told_apart() {
        let pid = || Term::from(Pid::new("a@h", 1, 2, 3));
        let call = |what| {
            let args = list(vec![]);
            tuple(vec![atom(what), atom("m"), atom("f"), args, atom("user")])
        };
        let from = || tuple(vec![pid(), atom("tag")]);
        let pass = |what| tuple(vec![atom(what), atom("name"), atom("hi")]);
        for (message, expected) in [
            (vec![atom("$gen_call"), from(), call("call")], "call"),
            (vec![atom("$gen_call"), from(), call("block_call")], "call"),
            (vec![atom("$gen_call"), from(), call("cast")], "noise"),
            (vec![atom("$gen_call"), pid(), call("call")], "noise"),
            (vec![atom("$gen_call"), from(), atom("stop")], "noise"),
            (vec![atom("$gen_cast"), call("cast")], "cast"),
            (vec![atom("$gen_cast"), call("call")], "noise"),
            (vec![pid(), call("call")], "call of a C node"),
            (vec![pid(), pass("sbcast")], "to be passed on"),
            (vec![pid(), pass("send")], "to be passed on"),
            (vec![pid(), pass("other")], "noise"),
            (vec![pid(), atom("features_request")], "features"),
            (vec![atom("nobody"), atom("features_request")], "noise"),
        ] {
            let shown = format!("{message:?}");
            assert_eq!(kind(tuple(message)), expected, "{shown}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Told::read(RawTerm::unscanned(&rest));
            let call = [b"\x68\x03\x77\x09$gen_call", &rest[..]].concat();
            let _ = Told::read(RawTerm::unscanned(&call));
        }
    }
}
