//! Peers that dial us while we dial them.

use std::time::Duration;

use pgmesh_dist::NodeEvent;

use crate::stage::{Stage, VISIBLE, acknowledge, challenge_frame, name, prove, status};

/// Whoever merely claims a name must not keep us from dialling its owner.
#[tokio::test]
async fn claims_of_a_name_do_not_keep_us_from_dialling_it() {
    let mut stage = Stage::set_with(|config| config.setup_timeout = Duration::from_secs(60)).await;
    stage.epmd.add("z", stage.peer.port());
    let z = name("z@127.0.0.1");
    let script = async {
        let mut dialled = stage.peer.accept().await;
        let _our_name = dialled.receive().await.unwrap();
        let mut claims = 0;
        while stage.call_in("z@127.0.0.1").await.1.unwrap() == status("ok_simultaneous") {
            claims += 1;
            dialled = stage.peer.accept().await;
            let _our_name = dialled.receive().await.unwrap();
        }
        assert!(claims > 0, "no claim was given way to");
        // From now on we give way to nobody.
        for _ in 0..5 {
            let (_claim, said) = stage.call_in("z@127.0.0.1").await;
            assert_eq!(said.unwrap(), status("nok"));
        }
        dialled.send(&status("ok")).await;
        dialled.send(&challenge_frame(VISIBLE, "z@127.0.0.1")).await;
        acknowledge(&mut dialled).await;
        dialled
    };
    let (connected, _link) = tokio::join!(stage.node.connect(&z, false), script);
    connected.unwrap();
    assert!(matches!(
        stage.next_link_event().await,
        NodeEvent::LinkUp { .. }
    ));
}

/// Whoever has waited for another caller of ours has given way to nobody yet.
#[tokio::test]
async fn dial_that_waited_for_our_own_still_gives_way() {
    let stage = Stage::set_with(|config| config.setup_timeout = Duration::from_secs(60)).await;
    stage.epmd.add("z", stage.peer.port());
    let z = name("z@127.0.0.1");
    // Longer than a dial waits for the peer's own.
    let impatient =
        tokio::time::timeout(Duration::from_millis(2200), stage.node.connect(&z, false));
    let script = async {
        let _stalled = stage.peer.accept().await;
        let mut dialled = stage.peer.accept().await;
        let _our_name = dialled.receive().await.unwrap();
        let (mut own, said) = stage.call_in("z@127.0.0.1").await;
        assert_eq!(said.unwrap(), status("ok_simultaneous"));
        prove(&mut own).await;
        own
    };
    let (given_up, connected, _link) =
        tokio::join!(impatient, stage.node.connect(&z, false), script);
    assert!(given_up.is_err());
    connected.unwrap();
}

/// A BEAM that gets a dial of ours beside its own drops one of them, and with it
/// whoever waits for the link.
#[tokio::test]
async fn no_dial_of_ours_crosses_one_of_theirs_that_is_under_way() {
    let mut stage = Stage::set_with(|config| config.setup_timeout = Duration::from_secs(60)).await;
    stage.epmd.add("a", stage.peer.port());
    let a = name("a@127.0.0.1");
    let (mut own, said) = stage.call_in("a@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("ok"));
    let script = async {
        let crossed = tokio::time::timeout(Duration::from_millis(300), stage.peer.accept()).await;
        assert!(crossed.is_err(), "a dial of ours crosses theirs");
        prove(&mut own).await;
        own
    };
    let (connected, _link) = tokio::join!(stage.node.connect(&a, false), script);
    connected.unwrap();
    let up = stage.next_link_event().await;
    assert!(matches!(up, NodeEvent::LinkUp { .. }), "{up:?}");
}

#[tokio::test]
async fn simultaneous_connect_is_settled_by_the_greater_name() {
    // Ours is "m@…": "z@…" wins against it, "a@…" loses.
    for (peer_name, says) in [("z@127.0.0.1", "ok_simultaneous"), ("a@127.0.0.1", "nok")] {
        let stage = Stage::set().await;
        let (alive, _) = peer_name.split_once('@').unwrap();
        stage.epmd.add(alive, stage.peer.port());
        let peer = name(peer_name);
        let script = async {
            let mut dialled = stage.peer.accept().await;
            let _our_name = dialled.receive().await.unwrap();
            // Our dial is under way; now the peer's own arrives.
            let (mut own, said) = stage.call_in(peer_name).await;
            assert_eq!(said.unwrap(), status(says));
            if says == "nok" {
                dialled.send(&status("ok_simultaneous")).await;
                dialled.send(&challenge_frame(VISIBLE, peer_name)).await;
                acknowledge(&mut dialled).await;
            } else {
                dialled.send(&status("nok")).await;
                prove(&mut own).await;
            }
            (own, dialled)
        };
        let (connected, _open) = tokio::join!(stage.node.connect(&peer, false), script);
        connected.unwrap_or_else(|error| panic!("{peer_name}: {error}"));
    }
}
