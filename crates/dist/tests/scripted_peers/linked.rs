//! Peers after the handshake.

use std::time::Duration;

use pgmesh_dist::terms::{Atom, Term};
use pgmesh_dist::{CallLimits, FailureKind, NodeEvent};
use pgmesh_testkit::eventually;

use crate::stage::{Stage, VISIBLE, name, prove};

#[tokio::test]
async fn silent_link_is_ticked_and_then_dropped() {
    let mut stage = Stage::set_with(|config| {
        config.net_ticktime = Duration::from_secs(1);
    })
    .await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    let NodeEvent::LinkUp { .. } = stage.next_link_event().await else {
        panic!("no link");
    };
    assert_eq!(connection.receive_raw(4).await.unwrap(), [0; 4], "a tick");
    // As long as something comes the link stays.
    for _ in 0..8 {
        connection.send_raw(&[0; 4]).await;
        assert_eq!(connection.receive_raw(4).await.unwrap(), [0; 4]);
    }
    let NodeEvent::LinkDown { error, .. } = stage.next_link_event().await else {
        panic!("the silent link is still up");
    };
    assert_eq!(error.kind(), FailureKind::TickTimeout);
}

#[tokio::test]
async fn peer_that_ticks_more_often_than_we_is_answered() {
    let patient = Duration::from_secs(60);
    let mut stage = Stage::set_with(|config| config.net_ticktime = 100 * patient).await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    let NodeEvent::LinkUp { .. } = stage.next_link_event().await else {
        panic!("no link");
    };
    for _ in 0..4 {
        // The second says that it has heard the answer to the first.
        connection.send_raw(&[0; 4]).await;
        let answer = tokio::time::timeout(patient, connection.receive_raw(4)).await;
        assert_eq!(answer.expect("no tick in time").unwrap(), [0; 4]);
        connection.send_raw(&[0; 4]).await;
        eventually("both are read", || {
            let [(_, traffic)] = stage.node.traffic().links[..] else {
                panic!("the link is down");
            };
            (traffic.received_ticks == 2 * traffic.sent_ticks).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn peer_that_only_answers_ticks_is_ticked_while_we_send() {
    let mut stage = Stage::set_with(|config| {
        config.net_ticktime = Duration::from_secs(1);
    })
    .await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    let NodeEvent::LinkUp { .. } = stage.next_link_event().await else {
        panic!("no link");
    };
    let (mailbox, peer) = (stage.node.mailbox().unwrap(), name("peer@127.0.0.1"));
    // Several in each interval.
    let send = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            let message = Term::from(Atom::from("x"));
            mailbox.send(("any", &peer), &message).await.unwrap();
        }
    };
    let tick = async {
        loop {
            let length = connection.receive_raw(4).await.expect("the link is down");
            match u32::from_be_bytes(length.try_into().unwrap()) {
                0 => return,
                length => connection.receive_raw(length as usize).await.unwrap(),
            };
        }
    };
    tokio::select! {
        () = send => {}
        () = tick => {}
    }
}

#[tokio::test]
async fn frames_that_lie_about_their_length_end_the_link_alone() {
    let mut stage = Stage::set().await;
    let (mut healthy, _) = stage.call_in("healthy@127.0.0.1").await;
    prove(&mut healthy).await;
    let (mut hostile, _) = stage.call_in("hostile@127.0.0.1").await;
    prove(&mut hostile).await;
    for _ in 0..2 {
        stage.next_link_event().await;
    }
    // Garbage inside a frame is passed over.
    hostile.send_raw(&[0, 0, 0, 3, 112, 131, 68]).await;
    hostile.send_raw(&[255, 255, 255, 255]).await;
    let NodeEvent::LinkDown {
        name: ended, error, ..
    } = stage.next_link_event().await
    else {
        panic!("the hostile link is still up");
    };
    assert_eq!(
        (ended, error.kind()),
        (name("hostile@127.0.0.1"), FailureKind::FrameTooLarge)
    );
    assert_eq!(stage.node.counters().unreadable_messages, 1);
    // The healthy one still answers: a monitor of nobody fires.
    let pid = b"\x58\x77\x09h@1.1.1.1\0\0\0\x01\0\0\0\0\0\0\0\x05";
    let control = [&[112, 131, 104, 4, 97, 19][..], pid, b"\x77\x01x", &[97, 1]].concat();
    let len = u32::try_from(control.len()).unwrap().to_be_bytes();
    healthy.send_raw(&[&len[..], &control].concat()).await;
    let answer = healthy.receive_raw(4 + 6).await.unwrap();
    assert_eq!(answer[4..], [112, 131, 104, 5, 97, 21]);
}

#[tokio::test]
async fn stopped_node_closes_its_links_and_leaves_epmd() {
    let mut stage = Stage::set().await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    stage.next_link_event().await;
    stage.node.stop();
    assert_eq!(connection.receive().await, None);
    eventually("the name is gone", || {
        stage.epmd.find("m").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn peer_that_takes_no_spawn_requests_is_sent_none() {
    const SPAWN: u64 = 1 << 32;
    let mut stage = Stage::set().await;
    let peer = name("peer@127.0.0.1");
    let flags = VISIBLE & !SPAWN;
    let (mut connection, _) = stage.call_in_with(flags, peer.as_str()).await;
    prove(&mut connection).await;
    stage.next_link_event().await;
    let mailbox = stage.node.mailbox().unwrap();
    let refused = mailbox.spawn(&peer, "m", "f", vec![]).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.is_retryable()),
        ("not_supported", false)
    );
    let limits = CallLimits {
        time: Duration::from_secs(10),
        answer_bytes: 1024,
    };
    let refused = stage.node.erpc_call(&peer, "m", "f", vec![], limits).await;
    assert_eq!(refused.unwrap_err().kind(), "not_supported");
}
