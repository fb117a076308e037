//! No sequence of inputs, however absurd, breaks the mesh.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

use std::time::Duration;

use pgmesh_mesh::{
    Action, Config, DialId, Failure, Input, IntroduceScope, JoinScope, LinkId, Mesh, PairCounts,
    Peer, Retry, State, Time,
};
use pgmesh_name::{AllowList, NodeName, PeerMap};
use proptest::prelude::*;

fn name(number: u8) -> NodeName {
    match number {
        0 => "own@h".parse().unwrap(),
        n => format!("n{n}@h{}", n % 3).parse().unwrap(),
    }
}

fn failure() -> impl Strategy<Value = Failure> {
    let retry = prop_oneof![Just(Retry::Soon), Just(Retry::Slowly), Just(Retry::NotOurs)];
    retry.prop_map(|retry| Failure {
        kind: "any",
        message: String::new(),
        retry,
    })
}

fn config() -> impl Strategy<Value = Config> {
    let joins = prop_oneof![Just(JoinScope::All), Just(JoinScope::Local)];
    let introduces = prop_oneof![
        Just(IntroduceScope::None),
        Just(IntroduceScope::Local),
        Just(IntroduceScope::All)
    ];
    let allows = prop_oneof![Just("*@*"), Just("n?@*"), Just("*@h1"), Just("nobody@*")];
    (joins, introduces, allows, any::<bool>(), peers()).prop_map(
        |(join, introduce, allow, watch_edges, peers)| Config {
            join,
            introduce,
            watch_edges,
            peers,
            allow: AllowList::parse([allow]).unwrap(),
            ..Config::new(name(0))
        },
    )
}

/// Some of the names, our own perhaps among them, each at one of two ports.
fn peers() -> impl Strategy<Value = PeerMap> {
    proptest::collection::btree_map(0u8..12, 1u16..3, 0..4).prop_map(|ports| {
        let mut peers = PeerMap::default();
        for (number, port) in ports {
            peers.add(&format!("{}={port}", name(number))).unwrap();
        }
        peers
    })
}

/// Whom the settings name and let us join, and the mesh does not know.
fn unknown_peers(config: &Config, mesh: &Mesh) -> Vec<NodeName> {
    let may_join = |peer: &&NodeName| config.join == JoinScope::All || mesh.is_local(peer);
    let others = config.peers.names().filter(|peer| **peer != config.own);
    let unknown = others
        .filter(may_join)
        .filter(|peer| mesh.member(peer).is_none());
    unknown.cloned().collect()
}

fn input() -> impl Strategy<Value = Input> {
    let names = || (0u8..12).prop_map(name);
    let peer = (names(), 0u32..3, any::<bool>()).prop_map(|(name, creation, hidden)| Peer {
        name,
        creation,
        hidden,
    });
    prop_oneof![
        names().prop_map(Input::HeardName),
        names().prop_map(Input::HeardGoodbye),
        names().prop_map(Input::Forget),
        Just(Input::EchoHeard),
        (peer, 0u64..4).prop_map(|(peer, link)| Input::LinkUp {
            peer,
            link: LinkId(link)
        }),
        (names(), 0u64..4, failure()).prop_map(|(name, link, failure)| Input::LinkDown {
            name,
            link: LinkId(link),
            failure
        }),
        (names(), 0u64..40, failure()).prop_map(|(name, dial, failure)| Input::DialFailed {
            name,
            dial: DialId(dial),
            failure
        }),
        (names(), any::<bool>()).prop_map(|(name, for_a_while)| Input::Hold {
            name,
            until: for_a_while.then_some(Time::from_start(Duration::from_secs(100))),
        }),
        names().prop_map(|name| Input::Release {
            a: name.clone(),
            b: name
        }),
        (names(), 0u64..4, proptest::collection::vec(names(), 0..6)).prop_map(
            |(name, link, peers)| Input::PeersSeen {
                name,
                link: LinkId(link),
                peers
            }
        ),
        (names(), 0u64..4, names(), any::<bool>()).prop_map(|(name, link, peer, connected)| {
            let link = LinkId(link);
            if connected {
                Input::EdgeUp { name, link, peer }
            } else {
                Input::EdgeDown { name, link, peer }
            }
        }),
        (names(), 20u32..30).prop_map(|(name, release)| Input::OtpKnown {
            name,
            link: LinkId(1),
            release
        }),
        config().prop_map(|config| Input::Reconfigured(Box::new(config))),
        Just(Input::PostgresUp),
        Just(Input::PostgresDown),
        Just(Input::Timeout),
        Just(Input::Timeout),
    ]
}

/// The pairs as the matrix lists them.
fn pairs_listed(mesh: &Mesh) -> PairCounts {
    let matrix = mesh.matrix();
    PairCounts {
        linked: matrix.links.len(),
        missing: matrix.missing.len(),
        one_way: matrix.one_way.len(),
        unknown: matrix.unknown.len(),
        excluded: matrix.excluded.len(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn never_dials_itself_and_always_moves_on(
        steps in proptest::collection::vec((0u64..4_000, input()), 1..200),
        first in config(),
        seed: u64,
    ) {
        let mut mesh = Mesh::new(first.clone(), seed);
        let mut now = Time::ZERO;
        let mut config = first;
        for (wait, input) in steps {
            if let Input::Reconfigured(new) = &input {
                config = (**new).clone();
            }
            now = now + Duration::from_millis(wait);
            let is_timeout = matches!(input, Input::Timeout);
            mesh.handle(now, input);
            if is_timeout {
                prop_assert!(mesh.poll_timeout().is_none_or(|next| next > now));
            }
            while let Some(action) = mesh.poll_action() {
                match action {
                    Action::Dial { name: dialled, .. } => {
                        prop_assert_ne!(&dialled, &name(0));
                        prop_assert!(config.allow.allows_name(&dialled), "dials {dialled}");
                        let may_join = config.join == JoinScope::All || mesh.is_local(&dialled);
                        prop_assert!(may_join, "dials {dialled} of another host");
                    }
                    Action::Introduce { to, peer, .. } => {
                        prop_assert!(config.introduce != IntroduceScope::None);
                        let both = [&to, &peer].map(|end| config.allow.allows_name(end));
                        prop_assert_eq!(both, [true, true], "passes on {} and {}", to, peer);
                    }
                    Action::Watch { .. } => prop_assert!(config.watch_edges),
                    _ => {}
                }
            }
            while mesh.poll_event().is_some() {}
            prop_assert!(mesh.members().count() < 12);
            prop_assert_eq!(unknown_peers(&config, &mesh), []);
            prop_assert_eq!(mesh.pair_counts(), pairs_listed(&mesh));
            let states = mesh.counts().by_state();
            let visible: usize = states.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(visible, mesh.counts().heard);
        }
    }
}

#[test]
fn flood_of_names_is_bounded_and_keeps_the_proven() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let proven = Peer {
        name: name(1),
        creation: 4,
        hidden: false,
    };
    mesh.handle(
        Time::ZERO,
        Input::LinkUp {
            peer: proven,
            link: LinkId(1),
        },
    );
    let mut in_flight = std::collections::BTreeSet::new();
    for number in 0..50_000u32 {
        let flood = format!("x{number}@10.9.{}.{}", number % 7, number % 251);
        mesh.handle(Time::ZERO, Input::HeardName(flood.parse().unwrap()));
        while let Some(action) = mesh.poll_action() {
            match action {
                Action::Dial { dial, .. } => assert!(in_flight.insert(dial)),
                Action::CancelDial(dial) => assert!(in_flight.remove(&dial)),
                _ => {}
            }
        }
        while mesh.poll_event().is_some() {}
        assert!(in_flight.len() <= 256);
    }
    assert!(mesh.members().count() <= 4097);
    assert!(mesh.members().any(|(member, _)| *member == name(1)));
}

#[test]
fn name_that_is_not_allowed_is_shown_and_never_dialled() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let public: NodeName = "a@8.8.8.8".parse().unwrap();
    for second in 0..100 {
        let now = Time::from_start(Duration::from_secs(second));
        mesh.handle(now, Input::HeardName(public.clone()));
        mesh.handle(now, Input::Timeout);
    }
    assert_eq!(mesh.poll_action(), None);
    assert_eq!(mesh.counts().refused, 1);
    let failures = std::iter::from_fn(|| mesh.poll_event())
        .filter(|event| matches!(event, pgmesh_mesh::Event::DialFailed { .. }));
    assert_eq!(failures.count(), 1, "told once");
}

#[test]
fn name_that_is_not_allowed_is_refused_again_after_a_hold_and_after_a_goodbye() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let public: NodeName = "a@8.8.8.8".parse().unwrap();
    let state = |mesh: &Mesh| mesh.member(&public).unwrap().state();
    let (name, a, b) = (public.clone(), public.clone(), public.clone());
    let until = None;
    mesh.handle(Time::ZERO, Input::HeardName(public.clone()));
    mesh.handle(Time::ZERO, Input::Hold { name, until });
    assert_eq!(state(&mesh), State::Held);
    mesh.handle(Time::ZERO, Input::Release { a, b });
    assert_eq!(state(&mesh), State::Refused);
    mesh.handle(Time::ZERO, Input::HeardGoodbye(public.clone()));
    assert_eq!(state(&mesh), State::Left);
    mesh.handle(Time::ZERO, Input::HeardName(public.clone()));
    assert_eq!(state(&mesh), State::Refused);
    assert_eq!(mesh.poll_action(), None);
}

#[test]
fn settings_that_say_the_same_start_nothing_anew() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let link = LinkId(1);
    let peer = Peer {
        name: name(1),
        creation: 4,
        hidden: false,
    };
    mesh.handle(Time::ZERO, Input::PostgresUp);
    mesh.handle(Time::ZERO, Input::LinkUp { peer, link });
    while mesh.poll_action().is_some() {}
    let planned = mesh.poll_timeout();
    let same = Box::new(Config::new(name(0)));
    mesh.handle(Time::ZERO, Input::Reconfigured(same));
    assert_eq!(mesh.poll_timeout(), planned);
    let shorter = Config {
        announce_interval: Duration::from_secs(1),
        ..Config::new(name(0))
    };
    mesh.handle(Time::ZERO, Input::Reconfigured(Box::new(shorter)));
    assert_eq!(mesh.poll_timeout(), Some(Time::ZERO));
}

#[test]
fn name_that_was_not_allowed_is_dialled_as_soon_as_it_is() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let public: NodeName = "a@8.8.8.8".parse().unwrap();
    mesh.handle(Time::ZERO, Input::HeardName(public.clone()));
    let wider = Config {
        allow: AllowList::parse(["8.8.8.0/24"]).unwrap(),
        ..Config::new(name(0))
    };
    mesh.handle(Time::ZERO, Input::Reconfigured(Box::new(wider)));
    let dial = DialId(1);
    let expected = Action::Dial { name: public, dial };
    assert_eq!(mesh.poll_action(), Some(expected));
    let narrower = Config::new(name(0));
    mesh.handle(Time::ZERO, Input::Reconfigured(Box::new(narrower)));
    assert_eq!(mesh.poll_action(), Some(Action::CancelDial(dial)));
    assert_eq!(mesh.counts().refused, 1);
}

#[test]
fn nothing_is_dialled_after_shutdown() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    mesh.handle(Time::ZERO, Input::Shutdown);
    assert_eq!(mesh.poll_action(), Some(Action::Goodbye(vec![name(0)])));
    mesh.handle(Time::ZERO, Input::HeardName(name(1)));
    let later = Time::from_start(Duration::from_secs(600));
    mesh.handle(later, Input::Timeout);
    assert_eq!(mesh.poll_action(), None);
    assert_eq!(mesh.poll_timeout(), None);
}

#[test]
fn refused_name_is_asked_ever_more_rarely() {
    let mut mesh = Mesh::new(Config::new(name(0)), 1);
    let refusal = Failure {
        kind: "cookie_rejected_by_peer",
        message: String::new(),
        retry: Retry::Slowly,
    };
    let mut dials = 0;
    // Ten minutes of a node that beats every five seconds and always says no.
    for second in (0..600).step_by(5) {
        let now = Time::from_start(Duration::from_secs(second));
        mesh.handle(now, Input::HeardName(name(1)));
        mesh.handle(now, Input::Timeout);
        while let Some(action) = mesh.poll_action() {
            if let Action::Dial { name, dial } = action {
                dials += 1;
                let failure = refusal.clone();
                mesh.handle(
                    now,
                    Input::DialFailed {
                        name,
                        dial,
                        failure,
                    },
                );
            }
        }
    }
    assert!((8..=20).contains(&dials), "{dials} dials in ten minutes");
}
