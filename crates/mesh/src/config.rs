//! What a mesh is told once, at start.

use std::time::Duration;

use pgmesh_name::{AllowList, NodeName, PeerMap};

/// Settings of a [`crate::Mesh`]. Durations are those of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Our own name: never dialled, always announced unless we are silent.
    pub own: NodeName,
    /// Whom we link to.
    pub join: JoinScope,
    /// Whose names we say.
    pub announce: AnnounceScope,
    /// Which names may be dialled.
    pub allow: AllowList,
    /// Who is known without having been heard, dialled from the start and never
    /// forgotten. Where they listen is of no matter here, only that it has changed.
    pub peers: PeerMap,
    /// Whether there is a channel to hear names on. Without one nobody is ever heard, and
    /// a name is kept ten times as long.
    pub has_channel: bool,
    /// How often names are announced, before jitter.
    pub announce_interval: Duration,
    /// How long a name without a link must be silent before it is forgotten.
    pub expiry: Duration,
    /// Whom we connect to each other.
    pub introduce: IntroduceScope,
    /// Whether each linked node gets a watcher, which tells of every edge at once.
    pub watch_edges: bool,
    /// How often each linked node is asked for its connections, before jitter.
    pub audit_interval: Duration,
    /// Whether the others are told to disconnect from a name that is forgotten.
    pub prune: bool,
}

/// Whom we connect to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntroduceScope {
    /// Nobody.
    None,
    /// The nodes of our own host to every other.
    Local,
    /// Every pair.
    All,
}

impl IntroduceScope {
    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local",
            Self::All => "all",
        }
    }
}

/// Whom we link to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinScope {
    /// The nodes of our own host.
    Local,
    /// Every name heard.
    All,
}

impl JoinScope {
    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::All => "all",
        }
    }
}

/// Whose names we say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceScope {
    /// Nobody's: a silent observer.
    None,
    /// Our own, and those of this host's nodes.
    Local,
}

impl AnnounceScope {
    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local",
        }
    }
}

impl Config {
    /// The defaults, under this name.
    pub fn new(own: NodeName) -> Self {
        Self {
            own,
            join: JoinScope::All,
            announce: AnnounceScope::Local,
            allow: AllowList::default(),
            peers: PeerMap::default(),
            has_channel: true,
            announce_interval: Duration::from_secs(5),
            expiry: Duration::from_secs(60),
            introduce: IntroduceScope::Local,
            watch_edges: true,
            audit_interval: Duration::from_secs(30),
            prune: false,
        }
    }
}
