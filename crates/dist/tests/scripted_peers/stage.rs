//! The node under test, and what a scripted peer says and checks.

use std::time::Duration;

use pgmesh_dist::{ConnectError, Cookie, FailureKind, Node, NodeConfig, NodeEvent, NodeEvents};
use pgmesh_name::NodeName;
use pgmesh_testkit::{PeerConnection, ScratchEpmd, ScriptedPeer};

/// The flags of a visible OTP 27 node.
pub(crate) const VISIBLE: u64 = 0xd_07df_7fbd;
pub(crate) const HIDDEN: u64 = VISIBLE & !1;

/// A node under test, and the peer that it can be made to dial.
pub(crate) struct Stage {
    pub(crate) epmd: ScratchEpmd,
    pub(crate) peer: ScriptedPeer,
    pub(crate) node: Node,
    pub(crate) events: NodeEvents,
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl Stage {
    /// A node `m@127.0.0.1`, and a peer that EPMD knows as `peer`.
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| ()).await
    }

    pub(crate) async fn set_with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let epmd = ScratchEpmd::start().await;
        let peer = ScriptedPeer::start().await;
        epmd.add("peer", peer.port());
        let mut config = NodeConfig::new(name("m@127.0.0.1"), Cookie::new("secret"));
        config.epmd_port = epmd.port();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.setup_timeout = Duration::from_millis(300);
        change(&mut config);
        let (node, events) = Node::start(config).await.unwrap();
        Self {
            epmd,
            peer,
            node,
            events,
        }
    }

    /// Dials `peer@127.0.0.1`, which says this after our name.
    pub(crate) async fn dial(
        &self,
        says: &[Vec<u8>],
    ) -> (Result<(), ConnectError>, PeerConnection) {
        let peer = name("peer@127.0.0.1");
        let script = async {
            let mut connection = self.peer.accept().await;
            let _our_name = connection.receive().await.unwrap();
            for frame in says {
                connection.send(frame).await;
            }
            connection
        };
        tokio::join!(self.node.connect(&peer, false), script)
    }

    pub(crate) async fn dial_kind(&self, says: &[Vec<u8>]) -> FailureKind {
        self.dial(says).await.0.unwrap_err().kind()
    }

    /// Connects to the node as somebody of this name; returns its first answer.
    pub(crate) async fn call_in(&self, from: &str) -> (PeerConnection, Option<Vec<u8>>) {
        self.call_in_with(VISIBLE, from).await
    }

    pub(crate) async fn call_in_with(
        &self,
        flags: u64,
        from: &str,
    ) -> (PeerConnection, Option<Vec<u8>>) {
        let port = self.epmd.find("m").unwrap();
        let mut connection = PeerConnection::open(port).await;
        connection.send(&name_frame(flags, 9, from)).await;
        let status = connection.receive().await;
        (connection, status)
    }

    pub(crate) async fn next_link_event(&mut self) -> NodeEvent {
        loop {
            match self.events.recv().await.unwrap() {
                NodeEvent::Registered
                | NodeEvent::Unregistered
                | NodeEvent::CookieRejected { .. } => {}
                event => return event,
            }
        }
    }
}

pub(crate) fn status(text: &str) -> Vec<u8> {
    format!("s{text}").into_bytes()
}

pub(crate) fn with_name(head: Vec<u8>, text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap().to_be_bytes();
    [head, len.to_vec(), text.as_bytes().to_vec()].concat()
}

pub(crate) fn name_frame(flags: u64, creation: u32, text: &str) -> Vec<u8> {
    let head = [&b"N"[..], &flags.to_be_bytes(), &creation.to_be_bytes()];
    with_name(head.concat(), text)
}

pub(crate) fn challenge_frame(flags: u64, text: &str) -> Vec<u8> {
    let head = [
        &b"N"[..],
        &flags.to_be_bytes(),
        &[0, 0, 0, 1],
        &[0, 0, 0, 5],
    ];
    with_name(head.concat(), text)
}

pub(crate) fn digest(cookie: &str, challenge: u32) -> [u8; 16] {
    use md5::{Digest as _, Md5};
    Md5::digest(format!("{cookie}{challenge}")).into()
}

/// Reads our challenge reply, checks our digest, and sends the right one.
pub(crate) async fn acknowledge(connection: &mut PeerConnection) {
    let reply = connection.receive().await.unwrap();
    assert_eq!(reply[0], b'r');
    assert_eq!(reply[5..], digest("secret", 1));
    let challenge = u32::from_be_bytes(reply[1..5].try_into().unwrap());
    let ack = [&b"a"[..], &digest("secret", challenge)].concat();
    connection.send(&ack).await;
}

/// Plays an honest acceptor behind this status.
pub(crate) async fn accept_with(
    stage: &Stage,
    first: Vec<u8>,
    wants: Option<&[u8]>,
) -> PeerConnection {
    let mut connection = stage.peer.accept().await;
    let our_name = connection.receive().await.unwrap();
    assert!(our_name.ends_with(b"m@127.0.0.1"));
    connection.send(&first).await;
    if let Some(wanted) = wants {
        assert_eq!(connection.receive().await.unwrap(), wanted);
    }
    let challenge = challenge_frame(VISIBLE, "peer@127.0.0.1");
    connection.send(&challenge).await;
    acknowledge(&mut connection).await;
    connection
}

/// Answers the node's challenge as a dialler that has the cookie.
pub(crate) async fn prove(connection: &mut PeerConnection) {
    let challenge = connection.receive().await.unwrap();
    let theirs = u32::from_be_bytes(challenge[9..13].try_into().unwrap());
    let reply = [&b"r\0\0\0\x02"[..], &digest("secret", theirs)].concat();
    connection.send(&reply).await;
    let ack = connection.receive().await.unwrap();
    assert_eq!(ack[1..], digest("secret", 2));
}
