//! Calls that look at the mesh and mend it: whom a node is linked to, and whom it
//! is told to link to or to part from.
//!
//! Every name that a BEAM is given is an atom there for ever, so these give away
//! only names that their caller passes in.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgmesh_name::NodeName;
use tokio::time::Instant;

use super::abstract_code::{self as code, Form, Program};
use super::{CallLimits, Inner, Node};
use crate::CallError;
use crate::terms::{Encoded, RawTerm, TermError, Writer};

/// The most names that a node may have in its list: half of a longer one would
/// look like links that are missing.
pub(super) const MAX_PEERS: usize = 10_000;
/// How long a node may take to say that it is not about to stop.
const STATUS_LIMIT: Duration = Duration::from_millis(500);
/// A short answer, or a reason with a stack trace.
const SHORT_ANSWER: usize = 64 * 1024;

/// What became of two nodes that were told of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduced {
    /// They are linked, perhaps since long ago.
    Connected,
    /// The one that was asked could not or would not connect.
    Refused,
    /// This one of the two is stopping; nothing was asked of it.
    Stopping(NodeName),
}

/// Whether a node wants to be linked to all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshIntent {
    /// It is set up to connect only where it is told to: `dist_auto_connect` is
    /// `never`, or `connect_all` is false.
    pub partial: bool,
}

impl Node {
    /// The visible nodes that a linked node is linked to, as `erlang:nodes/0` has
    /// them there. Names that are none are left out, and counted.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); also when the list has more than 10,000 names.
    ///
    /// Cancel safe.
    pub async fn visible_peers(
        &self,
        node: &NodeName,
        limits: CallLimits,
    ) -> Result<Vec<NodeName>, CallError> {
        let nodes = ("erlang", "nodes");
        let names = self
            .ask(node, nodes, no_args(), limits, Names::read)
            .await?;
        self.inner.count_refused(&names);
        Ok(names.good)
    }

    /// Makes `to` connect to `peer`, unless one of the two is stopping.
    ///
    /// If we are linked to `peer`, it is asked first, for at most half a second.
    /// `to` must be linked; `peer` must be a name that has been proven, for it
    /// becomes an atom there.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), with the name of the node that the call was made
    /// to: [`CallError::Timeout`] of `peer` means that `to` was not asked.
    ///
    /// Cancel safe, but they may connect all the same.
    pub async fn introduce(
        &self,
        to: &NodeName,
        peer: &NodeName,
        limit: Duration,
    ) -> Result<Introduced, CallError> {
        let give_up = Instant::now() + limit;
        if self.is_stopping(peer, limit.min(STATUS_LIMIT)).await? {
            return Ok(Introduced::Stopping(peer.clone()));
        }
        let left = give_up.saturating_duration_since(Instant::now());
        let args = connect_unless_stopping(peer);
        let outcome = |result: RawTerm<'_>| introduced(result, to);
        self.ask(to, EXPRS, args, short(left), outcome).await
    }

    /// Whether a linked node is set up to be part of a full mesh. It does not
    /// change while the node lives: ask once for each link.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call). Cancel safe.
    pub async fn mesh_intent(
        &self,
        node: &NodeName,
        limit: Duration,
    ) -> Result<MeshIntent, CallError> {
        let args = code::exprs(&IS_PARTIAL, vec![]);
        let partial = self.ask(node, EXPRS, args, short(limit), partial).await?;
        Ok(MeshIntent { partial })
    }

    /// Makes `at` close its link to `peer`; `false` if it has none.
    ///
    /// Only for names that have been proven or that came from `at` itself: the
    /// name becomes an atom there. Since OTP 25 one cut may be followed by others
    /// (`prevent_overlapping_partitions`).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// Cancel safe, but the link may be closed all the same.
    pub async fn disconnect_at(
        &self,
        at: &NodeName,
        peer: &NodeName,
        limits: CallLimits,
    ) -> Result<bool, CallError> {
        let args = Writer::new().list(1).atom(peer.as_str()).nil().finish();
        let disconnect = ("erlang", "disconnect_node");
        self.ask(at, disconnect, args, limits, disconnected).await
    }

    /// Whether a node is in `init:stop`. One that we are not linked to is taken
    /// not to be: nobody can tell.
    async fn is_stopping(&self, node: &NodeName, limit: Duration) -> Result<bool, CallError> {
        let get_status = ("init", "get_status");
        let asked = self.ask(node, get_status, no_args(), short(limit), stopping);
        match asked.await {
            Err(CallError::NotLinked(_)) => Ok(false),
            answered => answered,
        }
    }
}

impl Inner {
    pub(super) fn count_refused(&self, names: &Names) {
        let refused = &self.counters.refused_names;
        refused.fetch_add(names.refused, Ordering::Relaxed);
    }
}

const EXPRS: (&str, &str) = ("erl_eval", "exprs");

fn no_args() -> Result<Encoded, TermError> {
    Writer::new().nil().finish()
}

fn short(time: Duration) -> CallLimits {
    CallLimits {
        time,
        answer_bytes: SHORT_ANSWER,
    }
}

/// Node names as another node gave them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) good: Vec<NodeName>,
    /// How many were no node names.
    pub(super) refused: u64,
}

impl Names {
    /// From a list of atoms of bounded length.
    pub(super) fn read(list: RawTerm<'_>) -> Option<Self> {
        list.list(MAX_PEERS).map(|atoms| Self::of(&atoms))
    }

    pub(super) fn of(atoms: &[RawTerm<'_>]) -> Self {
        let mut names = Self::default();
        for atom in atoms {
            match atom.atom().and_then(|text| text.parse().ok()) {
                Some(name) => names.good.push(name),
                None => names.refused += 1,
            }
        }
        names
    }
}

// What each of these calls returns, read.

fn introduced(result: RawTerm<'_>, to: &NodeName) -> Option<Introduced> {
    match value(result)?.atom()? {
        "true" => Some(Introduced::Connected),
        "false" | "ignored" => Some(Introduced::Refused),
        "stopping" => Some(Introduced::Stopping(to.clone())),
        _ => None,
    }
}

fn partial(result: RawTerm<'_>) -> Option<bool> {
    value(result).and_then(boolean)
}

fn disconnected(result: RawTerm<'_>) -> Option<bool> {
    match result.atom()? {
        // That node is no longer distributed at all.
        "ignored" => Some(false),
        _ => boolean(result),
    }
}

fn stopping(result: RawTerm<'_>) -> Option<bool> {
    let [internal, _provided] = result.tuple()?;
    Some(internal.is_atom("stopping"))
}

/// Any bytes as the answer to each of these calls.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_answer(bytes: &[u8]) {
    let Ok(result) = RawTerm::whole(bytes) else {
        return;
    };
    let names = Names::read(result);
    assert!(names.is_none_or(|names| names.good.len() <= MAX_PEERS));
    let _ = (partial(result), disconnected(result), stopping(result));
    if let Ok(to) = "a@h".parse() {
        let _ = introduced(result, &to);
    }
    let _ = super::calls::failure(result);
}

/// The value in what `erl_eval:exprs/2` returns.
fn value(result: RawTerm<'_>) -> Option<RawTerm<'_>> {
    let [tag, value, _bindings] = result.tuple()?;
    tag.is_atom("value").then_some(value)
}

fn boolean(term: RawTerm<'_>) -> Option<bool> {
    match term.atom()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn connect_unless_stopping(peer: &NodeName) -> Result<Encoded, TermError> {
    let bound = vec![("Peer", code::atom(peer.as_str()))];
    code::exprs(&CONNECT_UNLESS_STOPPING, bound)
}

/// Asks whether the node is stopping, and if it is not, connects it to `Peer`. In one call: a
/// node that began to stop between two would be connected.
static CONNECT_UNLESS_STOPPING: Program = LazyLock::new(|| {
    let stopping = code::tuple_of(vec![code::literal("stopping"), code::var("_")]);
    let connect = code::call("net_kernel", "connect_node", vec![code::var("Peer")]);
    code::program(vec![code::case(
        code::call("init", "get_status", vec![]),
        vec![
            (stopping, vec![code::literal("stopping")]),
            (code::var("_"), vec![connect]),
        ],
    )])
});

/// Whether the node is none of a full mesh, by what net_kernel and global look at: since
/// OTP 25 the setting `connect_all` outweighs the flag of that name; before, there is only
/// the flag.
static IS_PARTIAL: Program = LazyLock::new(|| {
    let setting = |key| {
        code::call(
            "application",
            "get_env",
            vec![code::literal("kernel"), code::literal(key)],
        )
    };
    let flag = code::call("init", "get_argument", vec![code::literal("connect_all")]);
    let is = |value| code::tuple_of(vec![code::literal("ok"), value]);
    let any = || code::var("_");
    let no_flag = code::list_of(vec![code::list_of(vec![code::string("false")])]);
    let facts = code::tuple_of(vec![
        setting("dist_auto_connect"),
        setting("connect_all"),
        flag,
    ]);
    let when =
        |facts: [Form; 3], answer| (code::tuple_of(facts.into()), vec![code::literal(answer)]);
    code::program(vec![code::case(
        facts,
        vec![
            when([is(code::literal("never")), any(), any()], "true"),
            when([any(), is(code::literal("false")), any()], "true"),
            when([any(), code::literal("undefined"), is(no_flag)], "true"),
            (any(), vec![code::literal("false")]),
        ],
    )])
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{self, Term};

    fn raw(term: &Term) -> Vec<u8> {
        terms::encode(term).unwrap().split_off(1)
    }

    #[test]
    fn only_a_value_of_erl_eval_is_one() {
        let made = |tag| {
            raw(&code::tuple(vec![
                code::atom(tag),
                code::atom("true"),
                code::list(vec![]),
            ]))
        };
        let read = |bytes: &[u8]| value(RawTerm::unscanned(bytes)).and_then(boolean);
        assert_eq!(read(&made("value")), Some(true));
        assert_eq!(read(&made("other")), None);
        assert_eq!(read(&raw(&code::atom("true"))), None);
    }

    #[test]
    fn programs_are_the_code_that_erl_parse_would_make() {
        let printed =
            |args: Result<Encoded, TermError>| code::printed(&args.unwrap().decode().unwrap());
        let connect = printed(connect_unless_stopping(&"b@h".parse().unwrap()));
        for part in ["{atom,1,connect_node}},[{var,1,Peer}]", "[{Peer,b@h}]"] {
            assert!(connect.contains(part), "{part} is not in {connect}");
        }
        let partial = printed(code::exprs(&IS_PARTIAL, vec![]));
        assert!(partial.ends_with("[{atom,1,false}]}]}],[]]"), "{partial}");
    }
}
