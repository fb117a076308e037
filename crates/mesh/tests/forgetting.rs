//! Who is forgotten, when, and what that leaves.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use pgmesh_mesh::{Action, Config, Failure, Input, LinkId, Mesh, Peer, Retry, State, Time};
use pgmesh_name::NodeName;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn at(second: u32) -> Time {
    Time::ZERO + SECOND * second
}

/// Audits so rare that no test sees one that nobody asked for.
fn mesh(has_channel: bool) -> Mesh {
    let config = Config {
        has_channel,
        audit_interval: 1000 * SECOND,
        ..Config::new(name("pgmesh@h1"))
    };
    Mesh::new(config, 1)
}

fn link_up(mesh: &mut Mesh, now: Time, node: &str, link: u64) {
    let peer = Peer {
        name: name(node),
        creation: 1,
        hidden: false,
    };
    let link = LinkId(link);
    mesh.handle(now, Input::LinkUp { peer, link });
}

fn failure() -> Failure {
    Failure {
        kind: "unreachable",
        message: String::new(),
        retry: Retry::Soon,
    }
}

fn link_down(mesh: &mut Mesh, now: Time, node: &str, link: u64) {
    let (name, link, failure) = (name(node), LinkId(link), failure());
    let down = Input::LinkDown {
        name,
        link,
        failure,
    };
    mesh.handle(now, down);
}

/// Lets time go by: nothing is said but our own name, and every dial fails. Returns who
/// was audited.
fn pass(mesh: &mut Mesh, seconds: std::ops::Range<u32>) -> Vec<NodeName> {
    let mut audited = Vec::new();
    for now in seconds.map(at) {
        mesh.handle(now, Input::Timeout);
        mesh.handle(now, Input::EchoHeard);
        while let Some(action) = mesh.poll_action() {
            match action {
                Action::Dial { name, dial } => {
                    let failure = failure();
                    let failed = Input::DialFailed {
                        name,
                        dial,
                        failure,
                    };
                    mesh.handle(now, failed);
                }
                Action::Audit { name, .. } => audited.push(name),
                _ => {}
            }
        }
    }
    audited
}

/// Two linked nodes, of which the first tells that it is connected to the second; then our
/// link to the second is lost.
fn with_one_that_only_others_see() -> Mesh {
    let mut mesh = mesh(true);
    mesh.handle(at(0), Input::PostgresUp);
    link_up(&mut mesh, at(0), "a@h2", 1);
    link_up(&mut mesh, at(0), "b@h3", 2);
    let seen = Input::PeersSeen {
        name: name("a@h2"),
        link: LinkId(1),
        peers: vec![name("b@h3")],
    };
    mesh.handle(at(0), seen);
    link_down(&mut mesh, at(10), "b@h3", 2);
    mesh
}

#[test]
fn node_that_another_is_connected_to_is_kept_however_rare_audits_are() {
    let mut mesh = with_one_that_only_others_see();
    pass(&mut mesh, 10..300);
    let state = mesh.member(&name("b@h3")).map(pgmesh_mesh::Member::state);
    assert_eq!(state, Some(State::Down));
    let gone = Input::EdgeDown {
        name: name("a@h2"),
        link: LinkId(1),
        peer: name("b@h3"),
    };
    mesh.handle(at(300), gone);
    pass(&mut mesh, 300..400);
    assert!(mesh.member(&name("b@h3")).is_none());
}

#[test]
fn node_that_saw_who_is_forgotten_is_asked_again_soon() {
    let mut mesh = with_one_that_only_others_see();
    // The second's link had others asked for it.
    pass(&mut mesh, 10..20);
    assert_eq!(pass(&mut mesh, 20..40), []);
    mesh.handle(at(40), Input::Forget(name("b@h3")));
    assert_eq!(pass(&mut mesh, 40..43), [name("a@h2")]);
}

#[test]
fn without_a_channel_who_came_and_went_is_forgotten_in_the_end() {
    let mut mesh = mesh(false);
    for number in 0..100 {
        let node = format!("test{number}@h2");
        link_up(&mut mesh, at(1), &node, number);
        link_down(&mut mesh, at(2), &node, number);
    }
    pass(&mut mesh, 2..500);
    assert_eq!(
        mesh.members().count(),
        100,
        "the network may have been down"
    );
    pass(&mut mesh, 500..1000);
    assert_eq!(mesh.members().count(), 0);
    assert_eq!(mesh.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn node_that_others_see_long_after_its_goodbye_is_dialled_again() {
    let mut mesh = with_one_that_only_others_see();
    mesh.handle(at(11), Input::HeardGoodbye(name("b@h3")));
    let state = |mesh: &Mesh| mesh.member(&name("b@h3")).unwrap().state();
    let seen = |mesh: &mut Mesh, now| {
        let edge = Input::EdgeUp {
            name: name("a@h2"),
            link: LinkId(1),
            peer: name("b@h3"),
        };
        mesh.handle(at(now), edge);
    };
    seen(&mut mesh, 40);
    assert_eq!(state(&mesh), State::Left, "it may take its time to leave");
    seen(&mut mesh, 80);
    assert!(matches!(state(&mesh), State::Dialing(_)));
}

#[test]
fn link_that_outlived_a_goodbye_is_dialled_again_once_it_is_lost() {
    for (lost_at, expected) in [(20, State::Left), (80, State::Down)] {
        let mut mesh = mesh(true);
        mesh.handle(at(0), Input::PostgresUp);
        link_up(&mut mesh, at(0), "a@h2", 1);
        mesh.handle(at(1), Input::HeardGoodbye(name("a@h2")));
        // Nothing is announced meanwhile.
        mesh.handle(at(2), Input::PostgresDown);
        link_down(&mut mesh, at(lost_at), "a@h2", 1);
        assert_eq!(mesh.member(&name("a@h2")).unwrap().state(), expected);
    }
}
