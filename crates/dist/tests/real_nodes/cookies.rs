//! Peers with a cookie of their own.

use pgmesh_dist::{Cookie, FailureKind, Node, NodeEvents};

use crate::beam::{Beam, evaluate, name, our_node, our_node_with};
use crate::place::Place;

/// A node `n` that does not know the cluster's cookie, and takes this for that of `a`.
async fn stranger(place: &Place, cookie_of_a: &str) -> (Node, NodeEvents) {
    let own = (name("a@host"), Cookie::new(cookie_of_a));
    our_node_with(place, "n@host", |config| {
        config.cookie = Cookie::new("none");
        config.peer_cookies.extend([own]);
    })
    .await
}

#[tokio::test]
async fn cookie_of_a_peer_holds_in_both_directions() {
    let place = Place::start().await;
    let beam = Beam::start(&place, "a@host", &[]).await;
    let (node, _events) = our_node(&place, "m@host").await;
    node.connect(&beam.name, true).await.unwrap();
    let erl = |code| evaluate(&node, &beam.name, code);
    assert_eq!(erl("erlang:set_cookie('n@host', ours).").await, "'true'");
    let ping = "net_adm:ping('n@host').";
    let (wrong, _wrong_events) = stranger(&place, "wrong").await;
    let dialled = wrong.connect(&beam.name, true).await.unwrap_err();
    assert_eq!(dialled.kind(), FailureKind::CookieRejectedByPeer);
    assert_eq!(erl(ping).await, "'pang'");
    wrong.stop();
    let (right, _right_events) = stranger(&place, "ours").await;
    right.connect(&beam.name, true).await.unwrap();
    let code = "erlang:monitor_node('n@host', true), \
        erlang:disconnect_node('n@host'), \
        receive {nodedown, _} -> nodes(hidden) end.";
    assert_eq!(erl(code).await, "['m@host']");
    assert_eq!(erl(ping).await, "'pong'");
}
