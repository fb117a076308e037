//! Two nodes of our own that dial each other, again and again.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use pgmesh_dist::{
    CallLimits, Cookie, FailureKind, LinkId, Node, NodeConfig, NodeEvent, NodeEvents, StartError,
};
use pgmesh_name::{NodeName, PeerMap};
use pgmesh_testkit::ScratchEpmd;

async fn start(epmd: &ScratchEpmd, name: &str) -> (Node, NodeEvents) {
    let mut config = NodeConfig::new(name.parse().unwrap(), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    config.listen = "127.0.0.1:0".parse().unwrap();
    Node::start(config).await.unwrap()
}

async fn next_event(events: &mut NodeEvents) -> NodeEvent {
    let limit = Duration::from_secs(10);
    let event = tokio::time::timeout(limit, events.recv()).await;
    event.expect("no event in time").unwrap()
}

async fn link_up(events: &mut NodeEvents) -> LinkId {
    loop {
        match next_event(events).await {
            NodeEvent::LinkUp { link, .. } => return link,
            NodeEvent::LinkDown { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

/// The next event is the end of this very link: it was the only one.
async fn only_link_down(events: &mut NodeEvents, only: LinkId) {
    match next_event(events).await {
        NodeEvent::LinkDown { link, .. } => assert_eq!(link, only),
        event => panic!("{event:?} instead of the end of {only:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_over_a_link_is_counted_when_it_has_ended_too() {
    let epmd = ScratchEpmd::start().await;
    let (a, mut a_events) = start(&epmd, "a@127.0.0.1").await;
    let (b, _b_events) = start(&epmd, "b@127.0.0.1").await;
    let b_name = b.name().unwrap().clone();
    a.connect(&b_name, true).await.unwrap();
    let link = link_up(&mut a_events).await;
    let limits = CallLimits {
        time: Duration::from_millis(200),
        answer_bytes: 1024,
    };
    // Nobody answers calls there, but the question goes out.
    let asked = a.call(&b_name, "erlang", "node", Vec::new(), limits).await;
    assert!(asked.is_err());
    let traffic = a.traffic();
    let [(name, over_link)] = &traffic.links[..] else {
        panic!("{traffic:?}");
    };
    assert_eq!(*name, b_name);
    assert!(over_link.sent_messages >= 1 && over_link.sent_bytes > 20);
    assert_eq!(traffic.total, *over_link);
    a.disconnect(&b_name);
    only_link_down(&mut a_events, link).await;
    let after = a.traffic();
    assert!(after.links.is_empty());
    assert!(after.total.sent_messages >= traffic.total.sent_messages);
    assert_eq!(after.total.queued_bytes, 0);
}

#[tokio::test]
async fn node_is_reached_at_each_of_its_addresses() {
    let epmd = ScratchEpmd::start().await;
    let mut config = NodeConfig::new("a@127.0.0.1".parse().unwrap(), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    config.listen = "127.0.0.1:0,127.0.0.2:0".parse().unwrap();
    let (a, _a_events) = Node::start(config).await.unwrap();
    let (b, mut b_events) = start(&epmd, "b@127.0.0.1").await;
    let a_name = a.name().unwrap();
    b.connect(a_name, true).await.unwrap();
    let link = link_up(&mut b_events).await;
    b.disconnect(a_name);
    only_link_down(&mut b_events, link).await;
    // One port, which EPMD tells.
    let port = epmd.find("a").unwrap();
    let mut elsewhere = PeerMap::default();
    let entry = format!("{a_name}=127.0.0.2:{port}");
    elsewhere.add(&entry).unwrap();
    b.set_peers(elsewhere);
    b.connect(a_name, true).await.unwrap();
    let link = link_up(&mut b_events).await;
    a.stop();
    only_link_down(&mut b_events, link).await;
    let refused = async || b.connect(a_name, true).await.unwrap_err().kind();
    while refused().await != FailureKind::Refused {}
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_simultaneous_connects_end_in_one_link_each() {
    let epmd = ScratchEpmd::start().await;
    let (a, mut a_events) = start(&epmd, "a@127.0.0.1").await;
    let (b, mut b_events) = start(&epmd, "b@127.0.0.1").await;
    let (a_name, b_name): (NodeName, NodeName) =
        (a.name().unwrap().clone(), b.name().unwrap().clone());
    for round in 0..200 {
        let (from_a, from_b) = tokio::join!(a.connect(&b_name, true), b.connect(&a_name, true));
        from_a.unwrap_or_else(|error| panic!("round {round}, a: {error}"));
        from_b.unwrap_or_else(|error| panic!("round {round}, b: {error}"));
        let at_a = link_up(&mut a_events).await;
        let at_b = link_up(&mut b_events).await;
        a.disconnect(&b_name);
        only_link_down(&mut a_events, at_a).await;
        only_link_down(&mut b_events, at_b).await;
    }
}

#[tokio::test]
async fn call_to_a_node_without_rex_times_out_and_a_lost_link_ends_it() {
    let epmd = ScratchEpmd::start().await;
    let (a, mut a_events) = start(&epmd, "a@127.0.0.1").await;
    let (b, _b_events) = start(&epmd, "b@127.0.0.1").await;
    let b_name = b.name().unwrap().clone();
    let call = |limit| {
        a.call(
            &b_name,
            "erlang",
            "node",
            vec![],
            CallLimits {
                time: Duration::from_millis(limit),
                answer_bytes: 1024,
            },
        )
    };
    assert_eq!(call(50).await.unwrap_err().kind(), "not_linked");
    a.connect(&b_name, true).await.unwrap();
    link_up(&mut a_events).await;
    assert_eq!(call(50).await.unwrap_err().kind(), "timeout");
    let (called, ()) = tokio::join!(call(5_000), async { a.disconnect(&b_name) });
    assert_eq!(called.unwrap_err().kind(), "link_lost");
}

#[tokio::test]
async fn taken_name_is_an_error_after_a_while() {
    let epmd = ScratchEpmd::start().await;
    let (_first, _events) = start(&epmd, "a@127.0.0.1").await;
    let mut config = NodeConfig::new("a@127.0.0.1".parse().unwrap(), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    let second = Node::start(config).await;
    let error = second.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::NameTaken(_)), "{error}");
}

#[tokio::test]
async fn killed_node_comes_back_under_its_name() {
    let epmd = ScratchEpmd::start().await;
    let (a, _a_events) = start(&epmd, "a@127.0.0.1").await;
    a.stop();
    // Registering again may meet the old registration, and outlasts it.
    let (again, mut events) = start(&epmd, "a@127.0.0.1").await;
    assert!(matches!(events.recv().await, Some(NodeEvent::Registered)));
    assert_eq!(again.name().unwrap().as_str(), "a@127.0.0.1");
}
