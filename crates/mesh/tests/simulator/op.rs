//! What may be done to a world.

/// Something done to the cluster. Nodes and daemons are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Crash(usize),
    Restart(usize),
    /// Packets between a daemon and a node are lost.
    Cut(usize, usize),
    Join(usize, usize),
    StopPostgres,
    StartPostgres,
    KillDaemon(usize),
    StartDaemon(usize),
    /// Somebody says a node's name once.
    Say(usize),
    /// Somebody says goodbye for a node that stays.
    SayGoodbye(usize),
    /// A name of which nothing ever answers is said.
    SaySilent(usize),
    /// A node has another cookie from now on, and loses its links.
    Refuse(usize),
    Relent(usize),
    /// What is said no longer reaches this daemon; its session stands.
    Deafen(usize),
    /// One node disconnects from another (`erlang:disconnect_node`).
    Disconnect(usize, usize),
    /// Packets between two nodes are lost.
    CutNodes(usize, usize),
    JoinNodes(usize, usize),
    /// A node takes ten seconds to stop, and says so.
    StopGracefully(usize),
    /// A daemon's EPMD ends, and its list of names with it.
    KillEpmd(usize),
    StartEpmd(usize),
    Hold(usize, usize),
    Release(usize, usize),
    /// A daemon is told to dial and to introduce nobody any more.
    Narrow(usize),
    /// It has its first settings again.
    Widen(usize),
}
