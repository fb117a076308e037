//! Watchers: processes on linked nodes that tell us whom those are linked to.
//!
//! Nobody tells a hidden node of links between others, and code of ours cannot be
//! loaded there; so a node is asked to spawn a process that evaluates a few
//! expressions. It reports to a pid of ours that lives as long as the watch, and
//! monitors it: when link or watch ends, so does the watcher.

mod told;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::abstract_code::{self as code, Form, Program};
use super::mesh_calls::{MAX_PEERS, Names};
use super::{CallLimits, Inner, Links, Node, NodeEvent, own_pid};
use crate::CallError;
use crate::link::{Control, LinkId, monitor_exit};
use crate::terms::{Encoded, RawTerm, Term, TermError, Writer};
use told::Told;

/// What a watcher's messages begin with.
const TAG: &str = "pgmesh_watch";
/// A watcher monitors us once.
const MAX_MONITORS: usize = 4;
/// A signal around a pid and a reference has some 600 bytes at most.
const MAX_MONITOR_BYTES: usize = 1024;

/// What we keep of one watcher.
pub(super) struct Watch {
    name: NodeName,
    /// Which pid of ours it reports to.
    number: u32,
    /// What to send to those who monitor that pid, once it is gone.
    on_end: Vec<Bytes>,
    /// Whoever waits for its first list; nobody, once that has come.
    begun: Option<oneshot::Sender<()>>,
    /// Whom we were told that node is linked to.
    peers: Told,
}

impl Node {
    /// Starts a watcher on a linked node, and returns once it has told its first
    /// list: [`NodeEvent::PeersSeen`], then [`NodeEvent::EdgeUp`] and
    /// [`NodeEvent::EdgeDown`] as they happen there.
    ///
    /// The watch begins with the call, and the node is asked when the future is polled:
    /// after [`unwatch`](Self::unwatch) in between it is not asked at all.
    ///
    /// To be called once for each link, after [`NodeEvent::LinkUp`]: the watcher
    /// ends with the link. Called again, it ends the link's older watcher, whose
    /// call returns [`CallError::LinkLost`] if it has not returned yet.
    ///
    /// # Errors
    ///
    /// When there is no link, it goes away, or the list does not come within the
    /// limits. No watcher is left there then.
    ///
    /// Cancel safe: dropped, it ends the watcher.
    pub fn watch(
        &self,
        peer: &NodeName,
        limits: CallLimits,
    ) -> impl Future<Output = Result<(), CallError>> + Send + use<> {
        let (node, peer) = (self.clone(), peer.clone());
        let watch = self.inner.begin_watch(&peer);
        async move {
            let (starting, begun) = watch.ok_or_else(|| CallError::NotLinked(peer.clone()))?;
            let start = node.start_watcher(&peer, &starting, begun, limits);
            let started = tokio::time::timeout(limits.time, start).await;
            started.map_err(|_| CallError::Timeout(peer))??;
            starting.keep();
            Ok(())
        }
    }

    async fn start_watcher(
        &self,
        peer: &NodeName,
        starting: &Starting,
        begun: oneshot::Receiver<()>,
        limits: CallLimits,
    ) -> Result<(), CallError> {
        let identity = self.inner.identity.get();
        let identity = identity.ok_or_else(|| CallError::NotLinked(peer.clone()))?;
        let lost = || CallError::LinkLost(peer.clone());
        if !starting.is_wanted() {
            return Err(lost());
        }
        let me = Term::from(own_pid::pid(identity, starting.number));
        self.ask(peer, ("erlang", "spawn"), watcher(me), limits, pid)
            .await?;
        begun.await.map_err(|_| lost())
    }

    /// Ends the watcher on a linked node, if there is one, as for those who no longer
    /// want to be told. A call of [`watch`](Self::watch) that has not returned yet
    /// returns [`CallError::LinkLost`].
    pub fn unwatch(&self, peer: &NodeName) {
        let mut links = self.inner.links();
        if let Some(link) = links.table.link(peer.as_str()) {
            links.end_watch(link);
        }
    }
}

/// A watch that ends when this is dropped, unless it is kept.
struct Starting {
    inner: Arc<Inner>,
    link: LinkId,
    number: u32,
    kept: bool,
}

impl Starting {
    fn keep(mut self) {
        self.kept = true;
    }

    /// Whether nobody has ended it yet.
    fn is_wanted(&self) -> bool {
        let mut links = self.inner.links();
        links.watch_mut(self.link, self.number).is_some()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.kept {
            let mut links = self.inner.links();
            if links.watch_mut(self.link, self.number).is_some() {
                links.end_watch(self.link);
            }
        }
    }
}

impl Inner {
    /// Opens a pid for a new watcher, and ends the older one of that link.
    fn begin_watch(self: &Arc<Self>, peer: &NodeName) -> Option<(Starting, oneshot::Receiver<()>)> {
        let (begun, receiver) = oneshot::channel();
        let mut links = self.links();
        let link = links.table.link(peer.as_str())?;
        links.end_watch(link);
        let number = links.processes.open_watch();
        let watch = Watch {
            name: peer.clone(),
            number,
            on_end: Vec::new(),
            begun: Some(begun),
            peers: Told::default(),
        };
        links.watches.insert(link, watch);
        let starting = Starting {
            inner: self.clone(),
            link,
            number,
            kept: false,
        };
        Some((starting, receiver))
    }

    /// Remembers who monitors the pid of a watch, as the watcher does: it ends
    /// when it hears that the pid is gone.
    pub(super) fn note_monitor(&self, link: LinkId, control: &Control<'_>) {
        let Control::Monitor {
            from,
            to,
            reference,
        } = *control
        else {
            return;
        };
        let Some(number) = self.own_number(to.bytes()) else {
            return;
        };
        if let Some(watch) = self.links().watch_mut(link, number)
            && watch.on_end.len() < MAX_MONITORS
            && from.bytes().len() + reference.bytes().len() <= MAX_MONITOR_BYTES
        {
            watch.on_end.push(monitor_exit(to, from, reference));
        }
    }

    /// Tells what a watcher says, if it is the one of this link. Under the lock,
    /// so that it is told between the link's beginning and its end.
    pub(super) fn on_news(&self, link: LinkId, number: u32, message: RawTerm<'_>) {
        let news = News::read(message);
        let mut links = self.links();
        let Some(watch) = links.watch_mut(link, number) else {
            return self.count_undelivered();
        };
        let Some(news) = news else {
            return self.count_unreadable(message.bytes());
        };
        self.count_refused(&news.names);
        if let Some(event) = watch.learn(link, news) {
            self.tell(event);
            if let Some(begun) = watch.begun.take() {
                let _ = begun.send(());
            }
        }
    }
}

impl Links {
    /// The watch of this link, if it has this number.
    fn watch_mut(&mut self, link: LinkId, number: u32) -> Option<&mut Watch> {
        let watch = self.watches.get_mut(&link);
        watch.filter(|watch| watch.number == number)
    }

    /// Forgets a link's watch, and the pid that it had.
    pub(super) fn take_watch(&mut self, link: LinkId) -> Option<Watch> {
        let watch = self.watches.remove(&link)?;
        self.processes.close_watch(watch.number);
        Some(watch)
    }

    /// Ends a link's watch; the watcher hears that our pid is gone.
    fn end_watch(&mut self, link: LinkId) {
        let Some(watch) = self.take_watch(link) else {
            return;
        };
        if let Some(sender) = self.senders.get(&link) {
            watch
                .on_end
                .into_iter()
                .for_each(|frame| sender.send(frame));
        }
    }
}

impl Watch {
    /// What is new in a message; nothing before the first list, which comes once.
    fn learn(&mut self, link: LinkId, news: News) -> Option<NodeEvent> {
        let name = self.name.clone();
        let has_begun = self.begun.is_none();
        let mut names = news.names.good;
        match news.kind {
            Kind::Peers if !has_begun => {
                self.peers.extend(&names);
                let peers = names;
                Some(NodeEvent::PeersSeen { name, link, peers })
            }
            // What the list had already comes again if it happened just before.
            Kind::Up if has_begun && self.peers.len() < MAX_PEERS => {
                let peer = names.pop()?;
                let is_new = self.peers.insert(&peer);
                is_new.then_some(NodeEvent::EdgeUp { name, link, peer })
            }
            Kind::Down if has_begun => {
                let peer = names.pop()?;
                let was_there = self.peers.remove(&peer);
                was_there.then_some(NodeEvent::EdgeDown { name, link, peer })
            }
            Kind::Peers | Kind::Up | Kind::Down => None,
        }
    }
}

/// A message of a watcher: `{pgmesh_watch, Kind, NameOrNames}`.
#[derive(Debug, PartialEq, Eq)]
struct News {
    kind: Kind,
    names: Names,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Peers,
    Up,
    Down,
}

impl Kind {
    fn atom(self) -> &'static str {
        match self {
            Self::Peers => "nodes",
            Self::Up => "nodeup",
            Self::Down => "nodedown",
        }
    }
}

impl News {
    fn read(message: RawTerm<'_>) -> Option<Self> {
        let [tag, kind, what] = message.tuple()?;
        if !tag.is_atom(TAG) {
            return None;
        }
        let all = [Kind::Peers, Kind::Up, Kind::Down];
        let kind = all.into_iter().find(|known| kind.is_atom(known.atom()))?;
        let names = match kind {
            Kind::Peers => Names::read(what)?,
            Kind::Up | Kind::Down => Names::of(&[what]),
        };
        Some(Self { kind, names })
    }
}

/// Any bytes as a watcher's message.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_news(message: RawTerm<'_>) {
    let _ = News::read(message);
}

/// The arguments of `erlang:spawn/3` that start a watcher which reports to `me`.
fn watcher(me: Term) -> Result<Encoded, TermError> {
    let args = code::exprs(&WATCHER, vec![("Me", me)])?;
    let spawned = Writer::new().list(3).atom("erl_eval").atom("exprs");
    spawned.raw(args.as_term()).nil().finish()
}

/// What a watcher runs. It subscribes before it lists, so that nothing falls between; and it
/// never dials us to tell something (`noconnect`): without us it has nothing to tell.
static WATCHER: Program = LazyLock::new(|| {
    let options = code::tuple_of(vec![code::literal("node_type"), code::literal("visible")]);
    let subscribe = vec![code::literal("true"), code::list_of(vec![options])];
    let monitor = vec![code::literal("process"), code::var("Me")];
    code::program(vec![
        code::call("net_kernel", "monitor_nodes", subscribe),
        code::bind("Monitor", code::call("erlang", "monitor", monitor)),
        tell(Kind::Peers, code::call("erlang", "nodes", vec![])),
        code::run_named("Loop", vec![code::receive(branches())]),
    ])
});

/// What a watcher does with each message that it gets.
fn branches() -> Vec<(Form, Vec<Form>)> {
    let again = || code::apply(code::var("Loop"), vec![]);
    let any = || code::var("_");
    let on_change = |kind: Kind| {
        let elements = vec![code::literal(kind.atom()), code::var("Node"), any()];
        let body = vec![tell(kind, code::var("Node")), again()];
        (code::tuple_of(elements), body)
    };
    let down = vec![
        code::literal("DOWN"),
        code::var("Monitor"),
        any(),
        any(),
        any(),
    ];
    vec![
        on_change(Kind::Up),
        on_change(Kind::Down),
        (code::tuple_of(down), vec![code::literal("ok")]),
        (any(), vec![again()]),
    ]
}

/// `erlang:send(Me, {pgmesh_watch, Kind, What}, [noconnect])`.
fn tell(kind: Kind, what: Form) -> Form {
    let message = vec![code::literal(TAG), code::literal(kind.atom()), what];
    let options = code::list_of(vec![code::literal("noconnect")]);
    let args = vec![code::var("Me"), code::tuple_of(message), options];
    code::call("erlang", "send", args)
}

/// Whether a term is the pid of some process: what `spawn` returns.
fn pid(term: RawTerm<'_>) -> Option<()> {
    matches!(term.bytes().first(), Some(88 | 103)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms;
    use proptest::prelude::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn raw(term: &Term) -> Vec<u8> {
        terms::encode(term).unwrap().split_off(1)
    }

    fn message(kind: &str, what: Term) -> Vec<u8> {
        raw(&code::tuple(vec![code::atom(TAG), code::atom(kind), what]))
    }

    fn read(bytes: &[u8]) -> Option<News> {
        News::read(RawTerm::unscanned(bytes))
    }

    fn watch() -> Watch {
        Watch {
            name: name("a@h"),
            number: 2,
            on_end: Vec::new(),
            begun: Some(oneshot::channel().0),
            peers: Told::default(),
        }
    }

    fn learn(watch: &mut Watch, kind: &str, what: Term) -> Option<NodeEvent> {
        let event = watch.learn(LinkId(1), read(&message(kind, what)).unwrap());
        if event.is_some() {
            watch.begun = None;
        }
        event
    }

    #[test]
    fn changes_are_told_once_and_not_before_the_first_list() {
        let (b, c) = (|| code::atom("b@h"), || code::atom("c@h"));
        let mut watch = watch();
        assert!(learn(&mut watch, "nodeup", b()).is_none(), "no list yet");
        let Some(NodeEvent::PeersSeen {
            name: told, peers, ..
        }) = learn(&mut watch, "nodes", code::list(vec![b()]))
        else {
            panic!("no list");
        };
        assert_eq!((told, peers), (name("a@h"), vec![name("b@h")]));
        assert!(learn(&mut watch, "nodes", code::list(vec![])).is_none());
        assert!(learn(&mut watch, "nodeup", b()).is_none(), "in the list");
        assert!(learn(&mut watch, "nodedown", c()).is_none(), "never there");
        let event = learn(&mut watch, "nodeup", c());
        assert!(matches!(event, Some(NodeEvent::EdgeUp { peer, .. }) if peer == name("c@h")));
        let event = learn(&mut watch, "nodedown", b());
        assert!(matches!(event, Some(NodeEvent::EdgeDown { peer, .. }) if peer == name("b@h")));
        assert!(learn(&mut watch, "nodedown", b()).is_none());
    }

    #[test]
    fn names_that_are_none_are_passed_over_and_counted() {
        let odd = vec![code::atom("b@h"), code::atom("no name"), code::list(vec![])];
        let names = read(&message("nodes", code::list(odd))).unwrap().names;
        assert_eq!((names.good, names.refused), (vec![name("b@h")], 2));
        let news = read(&message("nodeup", code::atom("nonode"))).unwrap();
        assert_eq!((news.names.good.len(), news.names.refused), (0, 1));
    }

    #[test]
    fn neither_peers_nor_lists_grow_without_bound() {
        let many = |count| (0..count).map(|n| code::atom(&format!("n{n}@h"))).collect();
        let too_long = code::list(many(MAX_PEERS + 1));
        assert_eq!(read(&message("nodes", too_long)), None);
        let mut watch = watch();
        learn(&mut watch, "nodes", code::list(many(MAX_PEERS)));
        assert!(learn(&mut watch, "nodeup", code::atom("x@h")).is_none());
        assert_eq!(watch.peers.len(), MAX_PEERS);
    }

    #[test]
    fn other_messages_are_no_news() {
        assert_eq!(read(&message("nodes", code::atom("b@h"))), None);
        assert_eq!(read(&message("noise", code::atom("b@h"))), None);
        assert_eq!(read(&raw(&code::tuple(vec![code::atom(TAG)]))), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn watcher_is_the_code_that_erl_parse_would_make() {
        let args = watcher(code::atom("me")).unwrap().decode().unwrap();
        let printed = code::printed(&args);
        for part in [
            "[erl_eval,exprs,[[",
            "{remote,1,{atom,1,net_kernel},{atom,1,monitor_nodes}}",
            "{named_fun,1,Loop,[{clause,1,[],[],[{receive,1,",
            "{tuple,1,[{atom,1,DOWN},{var,1,Monitor},{var,1,_},{var,1,_},{var,1,_}]}",
            "[{Me,me}]",
        ] {
            assert!(printed.contains(part), "{part} is not in {printed}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(rest in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&rest);
            let head = &message("nodes", code::list(vec![]));
            let _ = read(&[&head[..head.len() - 1], &rest].concat());
        }
    }
}
