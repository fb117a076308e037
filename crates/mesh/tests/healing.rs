//! One full mesh, whatever happens, over thousands of seeds.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub
)]

mod simulator;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use pgmesh_mesh::IntroduceScope;
use simulator::{Op, Setup, World};

const SECOND: Duration = Duration::from_secs(1);
/// After the last fault: the longest backoff of a pair, an audit, a lost link's ticks.
const SETTLE: Duration = Duration::from_secs(150);

/// Runs a scenario; a failure names the seed and prints the script.
fn with_seed(seed: u64, setup: &Setup, scenario: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(seed, setup.clone());
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario(&mut world)));
    if let Err(panic) = outcome {
        eprintln!("seed {seed}, {setup:?}, at {:?}", world.now);
        for (at, op) in &world.script {
            eprintln!("  {at:?} {op:?}");
        }
        resume_unwind(panic);
    }
    world
}

fn assert_meshed(world: &World) {
    assert_eq!(world.apart(), [], "apart at {:?}", world.now);
    for daemon in world.daemons.iter().flatten() {
        let mesh = daemon.mesh();
        let matrix = mesh.matrix();
        let nodes = matrix.nodes.len();
        let pairs = nodes * nodes.saturating_sub(1) / 2;
        assert_eq!(matrix.links.len(), pairs);
        let counts = mesh.pair_counts();
        let seen = (counts.linked, counts.expected());
        assert_eq!(seen, (pairs, pairs), "{} sees gaps", daemon.name);
    }
}

fn faults_then_peace(world: &mut World) {
    world.plan_faults(12, 120 * SECOND);
    world.run_for(250 * SECOND);
    world.mend_all();
    world.run_for(SETTLE);
    assert_meshed(world);
}

#[test]
fn after_any_faults_configured_nodes_are_one_mesh_without_epmd_and_postgres() {
    for seed in 0..300 {
        let nodes = 2 + usize::try_from(seed % 7).unwrap();
        with_seed(seed, &Setup::configured(nodes), faults_then_peace);
    }
}

/// Every mixture of who speaks, who watches, who prunes, by the seed.
fn any_mixture(seed: u64, sidecars: bool) -> Setup {
    let mut rng = fastrand::Rng::with_seed(seed);
    let nodes = rng.usize(2..=12);
    let mut setup = if sidecars {
        Setup::sidecars(nodes)
    } else {
        Setup::healers(nodes, rng.usize(1..=3))
    };
    if sidecars {
        setup.speaking = rng.usize(0..=nodes);
    }
    setup.watch_edges = rng.u8(..4) > 0;
    setup.overlapping_prevented = rng.bool();
    setup.prune = rng.u8(..4) == 0;
    setup
}

#[test]
fn after_any_faults_sidecars_have_made_one_mesh() {
    for seed in 0..1_000 {
        with_seed(seed, &any_mixture(seed, true), faults_then_peace);
    }
}

#[test]
fn after_any_faults_healers_have_made_one_mesh() {
    for seed in 0..1_000 {
        with_seed(seed, &any_mixture(seed, false), faults_then_peace);
    }
}

#[test]
fn plain_nodes_with_sidecars_form_a_mesh() {
    let world = with_seed(1, &Setup::sidecars(5), |world| {
        world.run_for(3 * SECOND);
        assert_meshed(world);
    });
    let daemon = world.daemons[0].as_ref().unwrap();
    assert_eq!(daemon.mesh().counts().up, 5);
}

#[test]
fn lost_edge_is_healed_at_once_whatever_else_it_costs() {
    for overlapping_prevented in [false, true] {
        let setup = Setup {
            overlapping_prevented,
            speaking: 0,
            ..Setup::sidecars(5)
        };
        with_seed(1, &setup, |world| {
            world.run_for(10 * SECOND);
            world.plan(world.now, Op::Disconnect(0, 1));
            world.run_for(SECOND / 5);
            assert_meshed(world);
        });
    }
}

#[test]
fn halves_that_were_cut_become_one_mesh_within_a_beat() {
    for overlapping_prevented in [false, true] {
        let setup = Setup {
            overlapping_prevented,
            ..Setup::healers(8, 2)
        };
        with_seed(1, &setup, |world| {
            world.run_for(10 * SECOND);
            let (cut, joined) = (world.now, world.now + 60 * SECOND);
            world.plan_split(cut, joined);
            world.run_for(60 * SECOND + 6 * SECOND);
            assert_meshed(world);
        });
    }
}

#[test]
fn leader_that_dies_with_the_edge_is_made_up_for_within_two_intervals() {
    let setup = Setup {
        speaking: 0,
        ..Setup::sidecars(4)
    };
    let setup = Setup {
        introduce: IntroduceScope::All,
        daemons: 3,
        speaking: 4,
        ..setup
    };
    with_seed(1, &setup, |world| {
        world.run_for(20 * SECOND);
        world.plan(world.now, Op::StopPostgres);
        world.plan(world.now, Op::KillDaemon(0));
        world.plan(world.now, Op::Disconnect(1, 2));
        world.run_for(10 * SECOND);
        assert_meshed(world);
    });
}

#[test]
fn node_that_is_stopping_is_left_alone() {
    with_seed(1, &Setup::sidecars(4), |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::StopGracefully(2));
        for other in [0, 1, 3] {
            world.plan(world.now + SECOND, Op::Disconnect(2, other));
        }
        world.run_for(5 * SECOND);
        let apart = world.apart();
        assert_eq!(apart, [(0, 2), (1, 2), (2, 3)], "dialled back");
        world.plan(world.now + 10 * SECOND, Op::Restart(2));
        world.run_for(30 * SECOND);
        assert_meshed(world);
    });
}

#[test]
fn held_node_is_left_alone_until_it_is_released() {
    with_seed(1, &Setup::sidecars(4), |world| {
        world.run_for(10 * SECOND);
        (0..4).for_each(|daemon| world.plan(world.now, Op::Hold(daemon, 2)));
        world.run_for(60 * SECOND);
        assert_eq!(world.apart(), [(0, 2), (1, 2), (2, 3)]);
        (0..4).for_each(|daemon| world.plan(world.now, Op::Release(daemon, 2)));
        world.run_for(10 * SECOND);
        assert_meshed(world);
    });
}

#[test]
fn goodbye_does_not_end_a_hold() {
    with_seed(1, &Setup::sidecars(3), |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::SayGoodbye(2));
        world.plan(world.now + SECOND, Op::Hold(2, 2));
        world.run_for(150 * SECOND);
        let mesh = world.daemons[2].as_ref().unwrap().mesh();
        assert_eq!(
            mesh.members()
                .filter(|(_, member)| member.is_held())
                .count(),
            1
        );
    });
}

#[test]
fn hold_ends_with_the_life_of_the_node_on_our_host() {
    with_seed(1, &Setup::sidecars(3), |world| {
        let held = |world: &World| {
            let mesh = world.daemons[2].as_ref().unwrap().mesh();
            mesh.members()
                .filter(|(_, member)| member.is_held())
                .count()
        };
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::Hold(2, 2));
        world.run_for(60 * SECOND);
        assert_eq!(held(world), 1);
        // It dials nobody by itself.
        world.plan(world.now, Op::Crash(2));
        world.plan(world.now + 10 * SECOND, Op::Restart(2));
        world.run_for(30 * SECOND);
        assert_eq!(held(world), 0);
        assert_meshed(world);
    });
}

#[test]
fn reload_that_narrows_gives_up_and_one_that_widens_heals() {
    for setup in [Setup::sidecars(4), Setup::healers(4, 1)] {
        with_seed(1, &setup, |world| {
            let daemons = 0..setup.daemons;
            world.run_for(10 * SECOND);
            let links = world.daemons[0].as_ref().unwrap().links.clone();
            daemons
                .clone()
                .for_each(|d| world.plan(world.now, Op::Narrow(d)));
            world.plan(world.now + SECOND, Op::Disconnect(0, 1));
            // Those that speak would heal it with the next beat.
            world.run_for(SECOND + SECOND / 2);
            let daemon = world.daemons[0].as_ref().unwrap();
            assert_eq!(daemon.links, links, "no link ends");
            assert!(daemon.watched.is_empty(), "nothing is left on the nodes");
            assert_eq!(world.apart(), [(0, 1)]);
            daemons.for_each(|d| world.plan(world.now, Op::Widen(d)));
            world.run_for(SECOND / 5);
            assert_meshed(world);
        });
    }
}

#[test]
fn goodbye_that_somebody_says_for_a_living_node_is_disbelieved_before_long() {
    with_seed(1, &Setup::sidecars(3), |world| {
        world.run_for(20 * SECOND);
        world.plan(world.now, Op::SayGoodbye(0));
        // Whoever loses it now has nothing but its EPMD, and what its sidecar says.
        (0..3).for_each(|daemon| world.plan(world.now + SECOND, Op::Cut(daemon, 0)));
        (0..3).for_each(|daemon| world.plan(world.now + 90 * SECOND, Op::Join(daemon, 0)));
        world.run_for(150 * SECOND);
        assert_meshed(world);
        for daemon in world.daemons.iter().flatten() {
            assert_eq!(daemon.mesh().counts().up, 3, "left by {}", daemon.name);
        }
    });
}

#[test]
fn epmd_that_restarts_takes_nobody_off_the_channel() {
    with_seed(1, &Setup::sidecars(3), |world| {
        world.run_for(20 * SECOND);
        world.plan(world.now, Op::KillEpmd(0));
        world.plan(world.now + 5 * SECOND, Op::StartEpmd(0));
        world.run_for(120 * SECOND);
        assert_meshed(world);
        for daemon in world.daemons.iter().flatten() {
            assert_eq!(daemon.mesh().counts().up, 3, "forgotten by {}", daemon.name);
        }
    });
}

#[test]
fn observer_leaves_nothing_and_introduces_nobody() {
    let setup = Setup {
        speaking: 3,
        introduce: IntroduceScope::None,
        watch_edges: false,
        ..Setup::joining(3, 1)
    };
    with_seed(1, &setup, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::CutNodes(0, 1));
        world.run_for(100 * SECOND);
        let daemon = world.daemons[0].as_ref().unwrap();
        assert!(daemon.watched.is_empty() && daemon.introductions == 0);
        assert_eq!(daemon.mesh().matrix().missing, [(0, 1)], "seen by audits");
    });
}

/// Prints what a mesh costs to make, and how long it takes.
fn time_to_full_mesh(seed: u64, setup: &Setup) {
    let world = with_seed(seed, setup, |world| {
        // Postgres must have been reached.
        world.run_for(SECOND);
        if setup.introduce == IntroduceScope::All {
            (0..setup.nodes).for_each(|node| world.plan(world.now, Op::Say(node)));
        }
        while !world.apart().is_empty() {
            assert!(world.now.since_start() < 60 * SECOND, "no mesh");
            world.run_for(SECOND / 10);
        }
    });
    let daemons = || world.daemons.iter().flatten();
    println!(
        "{} nodes, {} daemons ({:?}): full mesh after {:.1} s, {} introductions, {} announcements",
        setup.nodes,
        setup.daemons,
        setup.introduce,
        world.now.since_start().as_secs_f64(),
        daemons().map(|daemon| daemon.introductions).sum::<u64>(),
        daemons().map(|daemon| daemon.announcements).sum::<u64>(),
    );
}

#[test]
fn ten_nodes_form_a_mesh() {
    time_to_full_mesh(1, &Setup::sidecars(10));
    time_to_full_mesh(1, &silent_nodes_and_one_daemon(10));
}

#[test]
fn hundred_nodes_form_a_mesh_and_survive_faults() {
    time_to_full_mesh(1, &Setup::sidecars(100));
    for seed in 0..20 {
        with_seed(seed, &Setup::healers(100, 3), faults_then_peace);
    }
}

/// What `cargo bench --bench scale` does with a thousand nodes on a hundred hosts.
#[test]
fn nodes_on_many_hosts_form_one_mesh_and_are_left_in_peace() {
    let setup = Setup::hosts(15, 10);
    with_seed(1, &setup, |world| {
        world.run_for(5 * SECOND);
        assert!(world.is_whole(), "apart: {:?}", world.apart());
        let introduced = world.introductions();
        let pairs = 150 * 149 / 2;
        assert!(
            (pairs..=2 * pairs).contains(&introduced),
            "{introduced} introductions of {pairs} pairs"
        );
        world.run_for(60 * SECOND);
        assert_meshed(world);
        assert_eq!(
            world.introductions(),
            introduced,
            "of those that were one mesh"
        );
    });
}

#[test]
fn thousand_nodes_form_a_mesh() {
    time_to_full_mesh(1, &silent_nodes_and_one_daemon(1000));
}

/// Nodes that know nobody, each said once; one daemon does everything.
fn silent_nodes_and_one_daemon(nodes: usize) -> Setup {
    Setup {
        speaking: 0,
        ..Setup::healers(nodes, 1)
    }
}
