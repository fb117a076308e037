//! Nodes whose net_ticktime is not ours, and changes.

use pgmesh_dist::{NodeEvent, NodeEvents, Traffic};
use pgmesh_testkit::eventually;

use crate::beam::{Beam, evaluate, our_node};
use crate::place::Place;

async fn link_down(events: &mut NodeEvents) -> NodeEvent {
    loop {
        let event = events.recv().await.expect("no node");
        if matches!(event, NodeEvent::LinkDown { .. }) {
            return event;
        }
    }
}

#[tokio::test]
async fn node_that_waits_for_less_long_than_we_keeps_its_link() {
    let place = Place::start().await;
    let beam = Beam::start(&place, "a@host", &[]).await;
    // Its next tick would be in fifteen seconds.
    let (node, mut events) = our_node(&place, "m@host").await;
    node.connect(&beam.name, true).await.unwrap();
    let code = "net_kernel:set_net_ticktime(3, 1).";
    let said = evaluate(&node, &beam.name, code).await;
    assert_eq!(said, "'change_initiated'");
    let traffic = || -> Option<Traffic> {
        let links = node.traffic().links;
        links.first().map(|(_, traffic)| *traffic)
    };
    let before = traffic().expect("no link");
    // Two of its tick times, and the time in which it changes.
    let ticked = eventually("it has ticked often enough", || {
        let now = traffic()?;
        (now.received_ticks >= before.received_ticks + 12).then_some(now)
    });
    let now = tokio::select! {
        now = ticked => now,
        event = link_down(&mut events) => panic!("{event:?}"),
    };
    assert_eq!(
        now.sent_messages, before.sent_messages,
        "only ticks kept the link"
    );
    let code = "{net_kernel:get_net_ticktime(), nodes(hidden)}.";
    let said = evaluate(&node, &beam.name, code).await;
    assert_eq!(said, "{3,['m@host']}");
}
