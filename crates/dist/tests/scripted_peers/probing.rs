//! Peers that we ask for their name and nothing else.

use std::net::SocketAddr;

use pgmesh_dist::{FailureKind, ProbeError, Probed, Step};

use crate::stage::{HIDDEN, Stage, VISIBLE, challenge_frame, name, status};

/// Probes a peer that says this after our name; returns also what we say to it.
async fn probe(stage: &Stage, says: &[Vec<u8>]) -> (Result<Probed, ProbeError>, Option<Vec<u8>>) {
    let address = SocketAddr::from(([127, 0, 0, 1], stage.peer.port()));
    let script = async {
        let mut connection = stage.peer.accept().await;
        let our_name = connection.receive().await.unwrap();
        assert!(our_name.ends_with(b"m-probe@127.0.0.1"));
        for frame in says {
            connection.send(frame).await;
        }
        connection
    };
    let (probed, mut connection) = tokio::join!(stage.node.probe(address), script);
    (probed, connection.receive().await)
}

#[tokio::test]
async fn name_is_learned_and_no_digest_leaves_us() {
    let stage = Stage::set().await;
    for said in ["ok", "ok_simultaneous"] {
        for (flags, hidden) in [(VISIBLE, false), (HIDDEN, true)] {
            let challenge = challenge_frame(flags, "any@10.0.0.7");
            let (probed, answer) = probe(&stage, &[status(said), challenge]).await;
            let probed = probed.unwrap();
            assert_eq!((probed.creation, probed.hidden), (5, hidden));
            assert_eq!(probed.name, name("any@10.0.0.7"));
            assert_eq!(answer, None, "something was sent after {said}");
        }
    }
}

#[tokio::test]
async fn probe_fails_with_every_other_word_and_says_why() {
    let stage = Stage::set().await;
    let ok = || status("ok");
    let cases = [
        (vec![status("nok")], FailureKind::Simultaneous, None),
        // The peer keeps the link that it has.
        (
            vec![status("alive")],
            FailureKind::AlreadyLinked,
            Some(b"sfalse".to_vec()),
        ),
        (vec![status("nonsense")], FailureKind::Malformed, None),
        (vec![ok(), b"Nshort".to_vec()], FailureKind::Malformed, None),
        (
            vec![ok(), challenge_frame(VISIBLE, "no name")],
            FailureKind::Malformed,
            None,
        ),
        (vec![], FailureKind::Timeout(Step::Status), None),
        (vec![ok()], FailureKind::Timeout(Step::Challenge), None),
    ];
    for (says, kind, expected) in cases {
        let (probed, answer) = probe(&stage, &says).await;
        let error = probed.unwrap_err();
        assert_eq!((error.kind(), answer), (kind, expected), "{error}");
    }
}

#[tokio::test]
async fn who_does_not_allow_the_probes_name_is_asked_under_ours() {
    let stage = Stage::set().await;
    let address = SocketAddr::from(([127, 0, 0, 1], stage.peer.port()));
    for says in ["ok", "not_allowed"] {
        let script = async {
            let mut askers = Vec::new();
            for says in ["not_allowed", says] {
                let mut connection = stage.peer.accept().await;
                let asker = connection.receive().await.unwrap();
                askers.push(asker.ends_with(b"m-probe@127.0.0.1"));
                connection.send(&status(says)).await;
                connection
                    .send(&challenge_frame(HIDDEN, "any@10.0.0.7"))
                    .await;
            }
            askers
        };
        let (probed, askers) = tokio::join!(stage.node.probe(address), script);
        assert_eq!(askers, [true, false]);
        let kind = probed
            .map(|probed| probed.name)
            .map_err(|error| error.kind());
        let expected = match says {
            "ok" => Ok(name("any@10.0.0.7")),
            _ => Err(FailureKind::NotAllowed),
        };
        assert_eq!(kind, expected);
    }
}

/// Looks for `peer@127.0.0.1`, which says in its challenge that it is this.
async fn find_who_is(says_it_is: &str) -> (Stage, Result<u16, FailureKind>) {
    let stage = Stage::set().await;
    let peer = name("peer@127.0.0.1");
    let script = async {
        let mut connection = stage.peer.accept().await;
        let _our_name = connection.receive().await.unwrap();
        connection.send(&status("ok")).await;
        let challenge = challenge_frame(HIDDEN, says_it_is);
        connection.send(&challenge).await;
        let answer = connection.receive().await;
        assert_eq!(answer, None, "something was sent after the challenge");
    };
    let (found, ()) = tokio::join!(stage.node.find(&peer), script);
    let port = found.map(|probed| probed.address.port());
    (stage, port.map_err(|error| error.kind()))
}

#[tokio::test]
async fn node_is_found_by_name_and_no_digest_leaves_us() {
    let (stage, found) = find_who_is("peer@127.0.0.1").await;
    assert_eq!(found, Ok(stage.peer.port()));
    let (stage, found) = find_who_is("other@127.0.0.1").await;
    assert_eq!(found, Err(FailureKind::NameMismatch));
    let kind = async |text| stage.node.find(&name(text)).await.unwrap_err().kind();
    assert_eq!(kind("nobody@127.0.0.1").await, FailureKind::NameUnknown);
    assert_eq!(kind("peer@short").await, FailureKind::LongShortNames);
}

/// Where only another network may be dialled, and our own EPMD is at this address.
async fn probe_at_own_host(own_host: [u8; 4]) -> FailureKind {
    let stage = Stage::set_with(|config| {
        config.allow = pgmesh_name::AllowList::parse(["10.0.0.0/8"]).unwrap();
        config.epmd_host = own_host.into();
    })
    .await;
    let address = SocketAddr::from(([127, 0, 0, 1], stage.peer.port()));
    stage.node.probe(address).await.unwrap_err().kind()
}

#[tokio::test]
async fn address_that_is_not_allowed_is_not_probed() {
    let kind = probe_at_own_host([127, 0, 0, 9]).await;
    assert_eq!(kind, FailureKind::AddressNotAllowed);
}

/// The peer says nothing, but it is asked.
#[tokio::test]
async fn own_host_is_probed_whatever_may_be_dialled() {
    let kind = probe_at_own_host([127, 0, 0, 1]).await;
    assert_eq!(kind, FailureKind::Timeout(Step::Status));
}
