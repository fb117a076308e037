//! Peers that dial us.

use std::time::Duration;

use pgmesh_dist::NodeEvent;
use pgmesh_testkit::PeerConnection;

use crate::stage::{Stage, prove, status};

#[tokio::test]
async fn oversized_handshake_frame_is_refused_before_it_arrives() {
    let patient = Duration::from_secs(60);
    let stage = Stage::set_with(|config| config.setup_timeout = patient).await;
    let port = stage.epmd.find("m").unwrap();
    let mut connection = PeerConnection::open(port).await;
    connection.send_raw(&[255, 255, b'N']).await;
    let closed = tokio::time::timeout(patient / 6, connection.receive()).await;
    assert_eq!(closed.expect("still open"), None);
}

#[tokio::test]
async fn linked_peer_that_dials_again_is_told_alive_and_taken_when_proven() {
    let mut stage = Stage::set().await;
    let (mut first, said) = stage.call_in("peer@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("ok"));
    prove(&mut first).await;
    let NodeEvent::LinkUp { link: old, .. } = stage.next_link_event().await else {
        panic!("no first link");
    };
    // A wrong digest leaves the old link alone.
    let (mut wrong, said) = stage.call_in("peer@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("alive"));
    wrong.send(b"strue").await;
    let _challenge = wrong.receive().await.unwrap();
    wrong.send(&[b'r'; 21]).await;
    assert_eq!(wrong.receive().await, None);
    // So does giving way.
    let (mut gives_way, _) = stage.call_in("peer@127.0.0.1").await;
    gives_way.send(b"sfalse").await;
    assert_eq!(gives_way.receive().await, None);
    // The right one takes its place, and the old one is closed.
    let (mut second, _) = stage.call_in("peer@127.0.0.1").await;
    second.send(b"strue").await;
    prove(&mut second).await;
    let NodeEvent::LinkUp { link: new, .. } = stage.next_link_event().await else {
        panic!("the old link's end was told");
    };
    assert_ne!(old, new);
    assert_eq!(first.receive().await, None);
}

#[tokio::test]
async fn our_own_name_is_refused() {
    let stage = Stage::set().await;
    let (mut connection, said) = stage.call_in("m@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("not_allowed"));
    assert_eq!(connection.receive().await, None);
}
