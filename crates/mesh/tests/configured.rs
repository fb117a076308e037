//! Names that the settings give: dialled unheard, kept, and counted for what they are.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use pgmesh_mesh::{Action, Config, DialId, Failure, Input, LinkId, Mesh, Peer, Retry, State, Time};
use pgmesh_name::{NodeName, PeerMap};

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn config(peers: &[&str]) -> Config {
    let mut map = PeerMap::default();
    for peer in peers {
        map.add(peer).unwrap();
    }
    Config {
        peers: map,
        ..Config::new(name("pgmesh@h1"))
    }
}

fn at(second: u32) -> Time {
    Time::ZERO + SECOND * second
}

fn actions(mesh: &mut Mesh) -> Vec<Action> {
    std::iter::from_fn(|| mesh.poll_action()).collect()
}

/// Whom it dials now.
fn dials(mesh: &mut Mesh) -> Vec<(NodeName, DialId)> {
    let dial = |action| match action {
        Action::Dial { name, dial } => Some((name, dial)),
        _ => None,
    };
    actions(mesh).into_iter().filter_map(dial).collect()
}

fn failure() -> Failure {
    Failure {
        kind: "closed_by_peer",
        message: String::new(),
        retry: Retry::Soon,
    }
}

fn failed((name, dial): (NodeName, DialId)) -> Input {
    Input::DialFailed {
        name,
        dial,
        failure: failure(),
    }
}

fn up(node: &str, link: u64) -> Input {
    let peer = Peer {
        name: name(node),
        creation: 4,
        hidden: false,
    };
    let link = LinkId(link);
    Input::LinkUp { peer, link }
}

fn down(node: &str, link: u64) -> Input {
    Input::LinkDown {
        name: name(node),
        link: LinkId(link),
        failure: failure(),
    }
}

fn reload(mesh: &mut Mesh, now: Time, peers: &[&str]) {
    mesh.handle(now, Input::Reconfigured(Box::new(config(peers))));
    mesh.handle(now, Input::Timeout);
}

#[test]
fn is_dialled_at_the_first_timeout_and_ever_again() {
    let mut mesh = Mesh::new(config(&["a@h2=9100", "pgmesh@h1=9100"]), 1);
    assert_eq!(mesh.poll_timeout(), Some(Time::ZERO));
    let mut dialled = 0;
    for second in 0..300 {
        mesh.handle(at(second), Input::Timeout);
        for dial in dials(&mut mesh) {
            assert_eq!(dial.0, name("a@h2"), "and not ourselves");
            mesh.handle(at(second), failed(dial));
            dialled += 1;
        }
    }
    assert!(
        (15..40).contains(&dialled),
        "{dialled} dials in five minutes"
    );
}

#[test]
fn is_never_forgotten_and_no_flood_pushes_it_out() {
    let mut mesh = Mesh::new(config(&["a@h2=9100"]), 1);
    mesh.handle(at(0), Input::PostgresUp);
    for number in 0..5_000 {
        mesh.handle(at(0), Input::HeardName(name(&format!("x{number}@h2"))));
    }
    mesh.handle(at(0), Input::Forget(name("a@h2")));
    for second in (0..600).step_by(5) {
        mesh.handle(at(second), Input::EchoHeard);
    }
    let left: Vec<_> = mesh.members().map(|(name, _)| name.to_string()).collect();
    let idle = left.iter().filter(|name| *name == "a@h2").count();
    assert_eq!(idle, 1, "{left:?}");
}

#[test]
fn does_not_wait_for_the_turns_of_names_that_anybody_says() {
    let mut mesh = Mesh::new(config(&[]), 1);
    for number in 0..1_000 {
        mesh.handle(at(0), Input::HeardName(name(&format!("x{number}@h2"))));
    }
    let _ = actions(&mut mesh);
    reload(&mut mesh, at(0), &["a@h2=9100"]);
    let dialled = dials(&mut mesh);
    assert!(dialled.iter().any(|(dialled, _)| *dialled == name("a@h2")));
}

#[test]
fn is_dialled_again_after_a_goodbye_that_nobody_may_take_back() {
    let mut mesh = Mesh::new(config(&["a@h2=9100"]), 1);
    mesh.handle(at(0), up("a@h2", 1));
    mesh.handle(at(1), Input::HeardGoodbye(name("a@h2")));
    mesh.handle(at(2), down("a@h2", 1));
    assert_eq!(mesh.member(&name("a@h2")).unwrap().state(), State::Left);
    let _ = actions(&mut mesh);
    mesh.handle(at(10), Input::Timeout);
    assert_eq!(dials(&mut mesh).len(), 1);
}

#[test]
fn is_dialled_at_once_where_a_reload_says_that_it_listens() {
    let mut mesh = Mesh::new(config(&["a@h2=9100"]), 1);
    mesh.handle(at(0), Input::Timeout);
    let (_, first) = dials(&mut mesh)[0];
    reload(&mut mesh, at(1), &["a@h2=9101", "b@h3=9100"]);
    let expected = [
        Action::CancelDial(first),
        Action::Dial {
            name: name("a@h2"),
            dial: DialId(2),
        },
        Action::Dial {
            name: name("b@h3"),
            dial: DialId(3),
        },
    ];
    assert_eq!(actions(&mut mesh), expected);
    reload(&mut mesh, at(1), &["a@h2=9101", "b@h3=9100"]);
    assert_eq!(actions(&mut mesh), []);
}

#[test]
fn is_forgotten_once_no_settings_and_nobody_else_name_it() {
    let mut mesh = Mesh::new(config(&["a@h2=1", "b@h2=1", "c@h2=1"]), 1);
    mesh.handle(at(0), up("b@h2", 1));
    mesh.handle(at(0), Input::HeardName(name("c@h2")));
    reload(&mut mesh, at(1), &[]);
    let left: Vec<_> = mesh.members().map(|(name, _)| name.to_string()).collect();
    assert_eq!(left, ["b@h2", "c@h2"], "one is linked, the other was heard");
}

#[test]
fn node_with_our_host_is_announced_while_it_is_linked() {
    let mut mesh = Mesh::new(config(&["a@h1=9100", "b@h2=9100"]), 1);
    mesh.handle(at(0), Input::PostgresUp);
    let announced = |mesh: &mut Mesh| {
        let names = actions(mesh).into_iter().filter_map(|action| match action {
            Action::Announce(names) => Some(names),
            _ => None,
        });
        names.last()
    };
    assert_eq!(announced(&mut mesh), Some(vec![name("pgmesh@h1")]));
    mesh.handle(at(1), up("a@h1", 1));
    mesh.handle(at(1), up("b@h2", 2));
    mesh.handle(at(1), Input::Timeout);
    let both = vec![name("pgmesh@h1"), name("a@h1")];
    assert_eq!(announced(&mut mesh), Some(both), "at once");
    mesh.handle(at(2), down("a@h1", 1));
    mesh.handle(at(10), Input::Timeout);
    assert_eq!(announced(&mut mesh), Some(vec![name("pgmesh@h1")]));
}
