//! Calls as `erpc:call/5` makes them: a process at the other node, whose end tells the
//! result.
//!
//! Source: erpc.erl.

use eetf::Reference;
use pgmesh_name::NodeName;

use super::abstract_code::{atom, list};
use super::gen_server::is_atom;
use super::processes::Arrival;
use super::{CallLimits, Class, Exception, Mailbox, Node};
use crate::spawn_error::Raised;
use crate::terms::{RawTerm, Term};
use crate::{ErpcError, MailboxEnded, SendError, SpawnError};

/// What waits for the answer beside it.
const AROUND_ANSWER: usize = 8 * 1024;

impl Node {
    /// Calls `module:function(args...)` on another node, as `erpc:call/5` does, and
    /// returns its result. Dials the node if there is no link to it.
    ///
    /// Unlike [`call`](Self::call) it tells results and failures apart: what the function
    /// raised is [`ErpcError::Raised`] with its class, whatever it returned is a result.
    /// It works with OTP 23 and later, and with nodes of ours that
    /// [`serve`](Self::serve) functions. What the function prints goes nowhere.
    ///
    /// ```no_run
    /// # async fn ask(node: pgmesh_dist::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use pgmesh_dist::terms::{Atom, Term};
    /// use pgmesh_dist::{CallLimits, ErpcError};
    ///
    /// let limits = CallLimits { time: Duration::from_secs(5), answer_bytes: 1024 * 1024 };
    /// let (peer, args) = ("app@127.0.0.1".parse()?, vec![Term::from(Atom::from("hello"))]);
    /// match node.erpc_call(&peer, "erlang", "atom_to_list", args, limits).await {
    ///     Ok(result) => println!("{result}"),
    ///     Err(ErpcError::Raised { raised, .. }) => println!("it raised {raised}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the function raises an exception, its process is ended from outside, the node
    /// cannot be reached or refuses, or no answer comes within the limits; the time is for
    /// all of that. A peer that takes no spawn requests is
    /// [`SpawnError::NotSupported`].
    ///
    /// Cancel safe, but the function may run to its end there all the same.
    pub async fn erpc_call(
        &self,
        peer: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
        limits: CallLimits,
    ) -> Result<Term, ErpcError> {
        let call = [atom(module), atom(function), list(args)];
        let called = self.erpc(peer, call, limits.answer_bytes);
        match tokio::time::timeout(limits.time, called).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ErpcError::Timeout(peer.clone())),
        }
    }

    async fn erpc(
        &self,
        peer: &NodeName,
        call: [Term; 3],
        max_bytes: usize,
    ) -> Result<Term, ErpcError> {
        // A dynamic node has neither name nor pids before its first link.
        let place = self.inner.place_of_node(peer.as_str());
        if place.is_err() && self.name().is_none() {
            let dialled = self.connect(peer, true).await;
            dialled.map_err(|error| SpawnError::Send(SendError::from(error)))?;
        }
        let lost = || ErpcError::LinkLost(peer.clone());
        let limit = max_bytes.saturating_add(AROUND_ANSWER);
        let mailbox = self.bounded_mailbox(limit).map_err(|_| lost())?;
        let result = self.inner.make_reference().ok_or_else(lost)?;
        let args = [Term::from(result.clone())].into_iter().chain(call);
        mailbox
            .spawn_monitor(peer, "erpc", "execute_call", args.collect())
            .await?;
        let reason = end_of_call(&mailbox, peer, max_bytes).await?;
        let cause = |cause| {
            let peer = peer.clone();
            ErpcError::Unreadable { peer, cause }
        };
        let reason = RawTerm::unscanned(&reason).decode().map_err(cause)?;
        outcome(peer, &result, reason)
    }
}

/// The reason with which the process ended: a term as bytes.
async fn end_of_call(
    mailbox: &Mailbox,
    peer: &NodeName,
    limit: usize,
) -> Result<bytes::Bytes, ErpcError> {
    let too_large = || ErpcError::AnswerTooLarge {
        peer: peer.clone(),
        limit,
    };
    loop {
        match mailbox.next().await {
            Ok(Arrival::Down { reason, .. }) if reason.len() > limit => return Err(too_large()),
            Ok(Arrival::Down { reason, .. }) => return Ok(reason),
            // Whoever has guessed the pid.
            Ok(_) => {}
            Err(MailboxEnded::Overflowed { .. }) => return Err(too_large()),
            Err(ended) => return Err(SpawnError::from(ended).into()),
        }
    }
}

/// As `erpc:result/4` reads it.
fn outcome(peer: &NodeName, result: &Reference, reason: Term) -> Result<Term, ErpcError> {
    let peer = peer.clone();
    let signal = |reason| ErpcError::Signal {
        peer: peer.clone(),
        reason,
    };
    let Term::Tuple(tuple) = reason else {
        if is_atom(&reason, "noconnection") {
            return Err(ErpcError::LinkLost(peer));
        }
        return Err(signal(reason));
    };
    let raise = |class, reason: &Term, stack: Option<&Term>| {
        let exception = Exception {
            class,
            reason: reason.clone(),
        };
        let stack = stack.cloned().unwrap_or_else(|| list(vec![]));
        let raised = Box::new(Raised { exception, stack });
        let peer = peer.clone();
        ErpcError::Raised { peer, raised }
    };
    Err(match &tuple.elements[..] {
        [Term::Reference(of), Term::Atom(how), rest @ ..] if **of == *result => {
            match (how.name.as_str(), rest) {
                ("return", [value]) => return Ok(value.clone()),
                ("throw", [reason]) => raise(Class::Throw, reason, None),
                ("exit", [reason]) => raise(Class::Exit, reason, None),
                ("error", [reason, stack]) => raise(Class::Error, reason, Some(stack)),
                // An argument was none that the function could be called with.
                ("error", [reason]) => raise(Class::Error, reason, None),
                _ => signal(Term::Tuple(tuple)),
            }
        }
        _ => signal(Term::Tuple(tuple)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::abstract_code::tuple;
    use eetf::Atom;

    fn reference(word: u32) -> Reference {
        Reference {
            node: Atom::from("a@h"),
            id: vec![word, 2, 3],
            creation: 4,
        }
    }

    fn read(of: u32, parts: &[&str]) -> Result<Term, ErpcError> {
        let parts = parts.iter().map(|text| atom(text)).collect();
        let reason = tuple([vec![Term::from(reference(of))], parts].concat());
        outcome(&"a@h".parse().unwrap(), &reference(1), reason)
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(read(1, &["return", "x"]).unwrap(), atom("x"));
        for (of, parts, kind) in [
            (1, &["throw", "x"][..], "raised_throw"),
            (1, &["exit", "x"], "raised_exit"),
            (1, &["error", "x", "stack"], "raised_error"),
            (1, &["error", "x"], "raised_error"),
            (1, &["return"], "signal"),
            (1, &[], "signal"),
            (2, &["return", "x"], "signal"),
        ] {
            assert_eq!(read(of, parts).unwrap_err().kind(), kind, "{parts:?}");
        }
        let peer = "a@h".parse().unwrap();
        let lost = outcome(&peer, &reference(1), atom("noconnection"));
        assert_eq!(lost.unwrap_err().kind(), "link_lost");
        let killed = outcome(&peer, &reference(1), atom("killed"));
        assert_eq!(
            killed.unwrap_err().to_string(),
            "the call was ended at a@h: 'killed'"
        );
    }
}
