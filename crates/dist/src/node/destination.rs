//! Whom a signal is sent to, as a caller says it.

use eetf::{Pid, Reference};
use pgmesh_name::NodeName;

use super::{Identity, Inner};
use crate::SendError;

/// A process: by its pid, or by the name that it is registered under. What OTP
/// calls `server_ref()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerRef {
    /// By pid.
    Pid(Pid),
    /// By name.
    Name {
        /// The registered name.
        name: String,
        /// Where it is registered; on our own node if this is `None`.
        node: Option<NodeName>,
    },
}

/// Where a message can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A process.
    Process(ServerRef),
    /// Whoever made this alias (`erlang:alias/0`).
    Alias(Reference),
}

impl From<Pid> for ServerRef {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<&Pid> for ServerRef {
    fn from(pid: &Pid) -> Self {
        Self::Pid(pid.clone())
    }
}

/// A name on our own node.
impl From<&str> for ServerRef {
    fn from(name: &str) -> Self {
        let name = name.to_owned();
        Self::Name { name, node: None }
    }
}

/// A name on some node.
impl From<(&str, &NodeName)> for ServerRef {
    fn from((name, node): (&str, &NodeName)) -> Self {
        let (name, node) = (name.to_owned(), Some(node.clone()));
        Self::Name { name, node }
    }
}

impl<T: Into<ServerRef>> From<T> for Destination {
    fn from(process: T) -> Self {
        Self::Process(process.into())
    }
}

impl From<Reference> for Destination {
    fn from(alias: Reference) -> Self {
        Self::Alias(alias)
    }
}

impl From<&Reference> for Destination {
    fn from(alias: &Reference) -> Self {
        Self::Alias(alias.clone())
    }
}

impl Destination {
    /// The node that it is on; ours, unnamed, if this is `None`.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Process(ServerRef::Pid(pid)) => Some(&pid.node.name),
            Self::Process(ServerRef::Name { node, .. }) => node.as_ref().map(NodeName::as_str),
            Self::Alias(alias) => Some(&alias.node.name),
        }
    }
}

/// Which node a signal goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    At(NodeName),
}

impl Place {
    fn of_node(own: &Identity, node: &str) -> Result<Self, SendError> {
        if node == own.name.as_str() {
            return Ok(Self::Here);
        }
        let bad_name = |_| SendError::BadNodeName(node.to_owned());
        node.parse().map(Self::At).map_err(bad_name)
    }
}

impl Inner {
    pub(super) fn place_of(&self, process: &ServerRef) -> Result<Place, SendError> {
        match process {
            ServerRef::Name { node: None, .. } => Ok(Place::Here),
            ServerRef::Name {
                node: Some(node), ..
            } => self.place_of_node(node.as_str()),
            ServerRef::Pid(pid) => self.place_of_node(&pid.node.name),
        }
    }

    pub(super) fn place_of_node(&self, node: &str) -> Result<Place, SendError> {
        match self.identity.get() {
            Some(own) => Place::of_node(own, node),
            None => Err(SendError::BadNodeName(node.to_owned())),
        }
    }
}
