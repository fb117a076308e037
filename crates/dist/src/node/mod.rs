//! A hidden node: its name, its listener, its links.

mod abstract_code;
mod accept;
mod calls;
mod destination;
mod dial;
mod erpc;
mod gen_server;
mod gen_server_loop;
mod link_table;
mod links;
mod listen;
mod mailbox;
mod mesh_calls;
mod message;
mod multi_call;
mod own_pid;
mod own_reference;
mod port_lookups;
mod probe;
mod processes;
mod registration;
mod resolver;
mod routing;
mod sending;
mod serving;
mod spawning;
mod ticking;
mod transport;
mod unfinished;
mod watch;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use pgmesh_name::{AllowList, NodeName, PeerAddress, PeerMap};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cookie::Cookies;
use crate::error::{Failure, FailureKind};
use crate::handshake::{Local, LocalName};
use crate::link::{LinkConfig, LinkId, LinkSender, TotalQueued, Traffic};
use crate::tls::Contexts;
use crate::{Cookie, LinkError, MailboxEnded, StartError, TlsConfig, epmd};
use accept::Places;
pub use calls::CallLimits;
use calls::Calls;
pub(crate) use calls::term_text;
pub use destination::{Destination, ServerRef};
pub use gen_server::{Caller, Request};
pub use gen_server_loop::{Answer, GenServer, Turn};
use link_table::{Attempt, LinkTable};
pub use listen::{Listen, ListenError};
pub use mailbox::{Mailbox, Received};
pub use mesh_calls::{Introduced, MeshIntent};
pub use message::Message;
pub use multi_call::MultiReplies;
use port_lookups::PortLookups;
pub use probe::Probed;
use processes::Processes;
use resolver::Resolver;
use serving::Served;
pub use serving::{Class, Exception, Functions};
use watch::Watch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use {mesh_calls::fuzz_answer, processes::fuzz_signal, watch::fuzz_news};

/// Creations below are left to old nodes and wildcards.
const FIRST_RANDOM_CREATION: u32 = 4;

/// Settings of a [`Node`].
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Our name.
    pub name: NodeName,
    /// The cluster's secret.
    pub cookie: Cookie,
    /// The secrets of peers that have another one, each the same in both directions: what
    /// `erlang:set_cookie(Node, Cookie)` does. Whoever knows the cluster's cookie alone does not
    /// pass for such a peer. A name that we invent for a peer has the cluster's.
    pub peer_cookies: HashMap<NodeName, Cookie>,
    /// Where we listen; port 0 lets the system choose.
    pub listen: Listen,
    /// EPMD's port, on this host and on all others (OTP has one for all, too).
    pub epmd_port: u16,
    /// Where this host's EPMD listens.
    pub epmd_host: IpAddr,
    /// Whether EPMD is told of us.
    pub registers: bool,
    /// Where these peers listen, whatever DNS and their EPMDs would say.
    pub peers: PeerMap,
    /// Where every other peer listens; without it, each host's EPMD is asked.
    pub peer_port: Option<u16>,
    /// Which addresses may be dialled.
    pub allow: AllowList,
    /// Links are made over TLS, as nodes with `-proto_dist inet_tls` make them.
    pub tls: Option<TlsConfig>,
    /// How long each step of setting up a link may take.
    pub setup_timeout: Duration,
    /// How long a peer may be silent; should be the peers' own value. Links hold where a
    /// peer's is shorter, or up to three times as long.
    pub net_ticktime: Duration,
    /// The longest frame that is taken, in bytes. It bounds what waits to be sent, too: a
    /// link is closed where more follows while twice as much waits in it; and where twice as
    /// much waits in all links together, one with more than 256 KiB. No message is too long
    /// where nothing waits, so that links together hold no more than that, and 256 KiB and a
    /// message for each of them.
    pub max_frame: usize,
    /// What may wait in a [`Mailbox`], in bytes, with what keeping it takes; one that
    /// grows beyond is killed.
    pub max_mailbox: usize,
}

impl NodeConfig {
    /// The defaults, under this name and cookie.
    pub fn new(name: NodeName, cookie: Cookie) -> Self {
        Self {
            name,
            cookie,
            peer_cookies: HashMap::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)).into(),
            epmd_port: epmd::DEFAULT_PORT,
            epmd_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            registers: true,
            peers: PeerMap::default(),
            peer_port: None,
            allow: AllowList::default(),
            tls: None,
            setup_timeout: Duration::from_secs(7),
            net_ticktime: Duration::from_secs(60),
            max_frame: 64 * 1024 * 1024,
            max_mailbox: 128 * 1024 * 1024,
        }
    }

    fn link_config(&self) -> LinkConfig {
        LinkConfig {
            net_ticktime: self.net_ticktime,
            max_frame: self.max_frame,
            max_queued: self.max_frame.saturating_mul(2),
        }
    }
}

/// Who opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We dialled.
    Initiator,
    /// The peer dialled.
    Acceptor,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Initiator, Self::Acceptor];

    /// The word of the JSON shapes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Acceptor => "acceptor",
        }
    }
}

/// The node at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name.
    pub name: NodeName,
    /// Which life of that name this is.
    pub creation: u32,
    /// Whether it is a hidden node.
    pub hidden: bool,
    /// Who dialled.
    pub direction: Direction,
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum NodeEvent {
    /// A link is up; it replaces an older one of that name, if there is one.
    LinkUp {
        /// To whom.
        peer: PeerInfo,
        /// Which.
        link: LinkId,
        /// How long it took, from the beginning of our TCP connect, or from the
        /// moment that the peer's was accepted.
        after: Duration,
    },
    /// A link is gone. Not told of links that were replaced.
    LinkDown {
        /// To whom.
        name: NodeName,
        /// Which.
        link: LinkId,
        /// Why.
        error: LinkError,
    },
    /// A watcher has begun ([`Node::watch`]): the visible nodes that `name` is
    /// linked to. Each later change is told once, as [`EdgeUp`](Self::EdgeUp) or
    /// [`EdgeDown`](Self::EdgeDown), until the link's end or another watcher.
    PeersSeen {
        /// The watched node.
        name: NodeName,
        /// Over which link this was told.
        link: LinkId,
        /// The nodes at the other ends.
        peers: Vec<NodeName>,
    },
    /// A watched node has a link to another visible node.
    EdgeUp {
        /// The watched node.
        name: NodeName,
        /// Over which link this was told.
        link: LinkId,
        /// The node at the other end.
        peer: NodeName,
    },
    /// A watched node has lost its link to another visible node.
    EdgeDown {
        /// The watched node.
        name: NodeName,
        /// Over which link this was told.
        link: LinkId,
        /// The node at the other end.
        peer: NodeName,
    },
    /// Somebody connected with another cookie.
    CookieRejected {
        /// From where.
        address: SocketAddr,
        /// What was refused, for a person.
        detail: String,
    },
    /// EPMD has our name.
    Registered,
    /// EPMD is gone, and our name with it; it is registered again as soon as
    /// EPMD answers.
    Unregistered,
}

/// The events of one node, in order.
pub type NodeEvents = mpsc::UnboundedReceiver<NodeEvent>;

/// A running hidden node. Cheap to clone; it stops with [`Node::stop`].
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: NodeConfig,
    cookies: Arc<Cookies>,
    /// Our name and creation: known from the start, unless the first peer names us.
    identity: OnceLock<Identity>,
    /// Which addresses may be dialled; [`NodeConfig::allow`] is what it began with.
    allow: RwLock<AllowList>,
    peers: RwLock<PeerMap>,
    links: Mutex<Links>,
    /// Counts changes of the table, for those who wait for one.
    changes: tokio::sync::watch::Sender<u64>,
    next_id: AtomicU64,
    events: mpsc::UnboundedSender<NodeEvent>,
    counters: Counting,
    resolver: Resolver,
    port_lookups: PortLookups,
    tls: Option<Contexts>,
    queued: TotalQueued,
    stopped: CancellationToken,
    /// What the node was started on. A dynamic one has none: each of its links is carried
    /// by the runtime of whoever dials.
    runtime: Option<Handle>,
}

#[derive(Default)]
struct Counting {
    unreadable: AtomicU64,
    undelivered: AtomicU64,
    refused_names: AtomicU64,
}

/// What a node has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that could not be read and were passed over.
    pub unreadable_messages: u64,
    /// Messages to names and pids that are not there.
    pub undelivered_messages: u64,
    /// Names in what other nodes told that are no node names, and were passed over.
    pub refused_names: u64,
}

/// What went over a node's links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTraffic {
    /// Over all links since the start, those that have ended included.
    pub total: Traffic,
    /// Over each link that is up, in the order of names.
    pub links: Vec<(NodeName, Traffic)>,
}

#[derive(Clone, Debug)]
struct Identity {
    name: NodeName,
    creation: u32,
}

/// A map whose keys we choose: others can ask for one, but not fill it.
type QuickMap<K, V> = foldhash::HashMap<K, V>;

#[derive(Default)]
struct Links {
    table: LinkTable,
    senders: QuickMap<LinkId, LinkSender>,
    /// Tells all links when to tick.
    clock: Option<JoinHandle<()>>,
    dials: QuickMap<u64, CancellationToken>,
    watches: QuickMap<LinkId, Watch>,
    processes: Processes,
    /// What others may call here.
    served: Option<Arc<Served>>,
    calls: Calls,
    /// What went over links that have ended.
    ended: Traffic,
}

impl Node {
    /// Listens, registers with EPMD and accepts links.
    ///
    /// Who does not register ([`NodeConfig::registers`]) should listen where others
    /// expect it. Without an EPMD it starts all the same and registers as soon as there is
    /// one ([`NodeEvent::Registered`] tells). Must be called within a tokio
    /// runtime, which carries the node and all its links, whoever dials, and has to be driven
    /// for as long. Who does not read the events should drop them: they wait without bound,
    /// and strangers cause some of them.
    ///
    /// # Errors
    ///
    /// When a file for TLS cannot be used, an address cannot be listened on, or EPMD
    /// says for three seconds that the name is taken (a node of that name that was just killed is
    /// forgotten within milliseconds).
    pub async fn start(config: NodeConfig) -> Result<(Self, NodeEvents), StartError> {
        config.tls.as_ref().map_or(Ok(()), TlsConfig::check)?;
        let (listeners, port) = listen::bind(&config.listen).await?;
        let first = registration::first(&config, port).await?;
        let identity = Identity {
            name: config.name.clone(),
            creation: first.creation(),
        };
        let (node, events) = Self::build(config, Some(identity), Some(Handle::current()));
        let places = Places::default();
        for listener in listeners {
            let (inner, places) = (node.inner.clone(), places.clone());
            node.spawn(accept::accept_all(inner, listener, places));
        }
        if node.inner.config.registers {
            node.spawn(registration::keep(node.inner.clone(), port, first));
        }
        Ok((node, events))
    }

    /// A node that only dials: no listener, no EPMD, and a name that the first
    /// peer invents for it (OTP 24 and later). For tools that live for one call.
    ///
    /// `config.name` gives the host part of that name. What it dials is carried by the
    /// runtime of the call that dials.
    pub fn dynamic(config: NodeConfig) -> (Self, NodeEvents) {
        Self::build(config, None, None)
    }

    fn build(
        config: NodeConfig,
        identity: Option<Identity>,
        runtime: Option<Handle>,
    ) -> (Self, NodeEvents) {
        let (events, receiver) = mpsc::unbounded_channel();
        let cookies = Cookies::new(config.cookie.clone(), config.peer_cookies.clone());
        let inner = Inner {
            cookies: Arc::new(cookies),
            identity: identity.map_or_else(OnceLock::new, OnceLock::from),
            allow: RwLock::new(config.allow.clone()),
            peers: RwLock::new(config.peers.clone()),
            tls: config.tls.clone().map(Contexts::new),
            config,
            links: Mutex::default(),
            changes: tokio::sync::watch::Sender::new(0),
            next_id: AtomicU64::new(1),
            events,
            counters: Counting::default(),
            resolver: Resolver::default(),
            port_lookups: PortLookups::default(),
            queued: TotalQueued::default(),
            stopped: CancellationToken::new(),
            runtime,
        };
        let inner = Arc::new(inner);
        (Self { inner }, receiver)
    }

    /// Our name; a dynamic node has none before its first link.
    pub fn name(&self) -> Option<&NodeName> {
        self.inner.identity.get().map(|identity| &identity.name)
    }

    /// Which life of our name this is.
    pub fn creation(&self) -> Option<u32> {
        self.inner.identity.get().map(|identity| identity.creation)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let counting = &self.inner.counters;
        Counters {
            unreadable_messages: counting.unreadable.load(Ordering::Relaxed),
            undelivered_messages: counting.undelivered.load(Ordering::Relaxed),
            refused_names: counting.refused_names.load(Ordering::Relaxed),
        }
    }

    /// What went over the links so far.
    pub fn traffic(&self) -> NodeTraffic {
        self.inner.links().traffic()
    }

    /// The nodes that we are linked to, in order. For whoever missed the events.
    pub fn linked(&self) -> Vec<NodeName> {
        self.inner.links().table.linked().cloned().collect()
    }

    /// Sets which addresses may be dialled from now on. Links stay; a dial under way
    /// to another address ends before a digest leaves us.
    pub fn set_allow(&self, allow: AllowList) {
        let current = self.inner.allow.write();
        *current.unwrap_or_else(PoisonError::into_inner) = allow;
    }

    /// Sets where peers listen that are dialled from now on.
    pub fn set_peers(&self, peers: PeerMap) {
        let current = self.inner.peers.write();
        *current.unwrap_or_else(PoisonError::into_inner) = peers;
    }

    /// Closes our link to a node, if there is one. Its end is told as
    /// [`NodeEvent::LinkDown`]; the peer may dial us again at once.
    pub fn disconnect(&self, peer: &NodeName) {
        let links = self.inner.links();
        let link = links.table.link(peer.as_str());
        if let Some(sender) = link.and_then(|link| links.senders.get(&link)) {
            sender.close(Failure::new(FailureKind::ClosedByUs, "closed by us"));
        }
    }

    /// Waits, link by link, until nothing is queued for it any more, or it is over: all is
    /// with the operating system. For a program's last words, before
    /// [`stop`](Self::stop), which leaves out what is still queued. Whether a peer has read
    /// them it does not say.
    ///
    /// A peer that reads nothing keeps it waiting until its link is over, and so does
    /// whoever goes on sending: bound it with a time-out. Cancel safe.
    pub async fn flush(&self) {
        let senders: Vec<_> = self.inner.links().senders.values().cloned().collect();
        for sender in senders {
            sender.emptied().await;
        }
    }

    /// Closes every link, leaves EPMD and stops listening. Every mailbox ends, and what
    /// is still queued is left out ([`flush`](Self::flush)).
    pub fn stop(&self) {
        self.inner.stopped.cancel();
        let mut links = self.inner.links();
        links.processes.end_all(MailboxEnded::NodeStopped);
        // Nobody of our own answers any more.
        links.calls.link_lost(routing::LOCAL);
        let served = links.served.take();
        let senders: Vec<_> = links.senders.values().cloned().collect();
        drop(links);
        // Functions may hold mailboxes, which take the lock when they end, and this node.
        drop(served);
        for sender in senders {
            sender.close(Failure::new(FailureKind::ClosedByUs, "this node stops"));
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.inner.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task => {}
            }
        });
    }
}

impl Inner {
    /// Has the runtime that the node was started on carry what outlives its caller.
    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.runtime {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }

    /// The lock is held for a look or a change, never across an await.
    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        let allow = self.allow.read().unwrap_or_else(PoisonError::into_inner);
        allow.allows_address(address)
    }

    fn given_address(&self, peer: &NodeName) -> Option<PeerAddress> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer)
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn next_attempt(&self) -> Attempt {
        Attempt(self.next_id())
    }

    fn local(&self) -> Local {
        let (name, creation) = match self.identity.get() {
            Some(identity) => (LocalName::Full(identity.name.clone()), identity.creation),
            None => {
                let host = self.config.name.host().to_owned();
                (LocalName::Dynamic { host }, 0)
            }
        };
        Local {
            name,
            creation,
            cookies: Arc::clone(&self.cookies),
        }
    }

    fn epmd_address(&self, host: IpAddr) -> SocketAddr {
        SocketAddr::new(host, self.config.epmd_port)
    }

    /// Wakes whoever waits for a link or for the end of a dial.
    fn note_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn tell(&self, event: NodeEvent) {
        // Nobody listening is the caller's choice.
        let _ = self.events.send(event);
    }
}
