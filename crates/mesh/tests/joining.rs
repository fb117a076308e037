//! What the mesh must hold, over thousands of seeds.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod simulator;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use pgmesh_mesh::State;
use simulator::{Op, Setup, World};

const SECOND: Duration = Duration::from_secs(1);
/// After the last fault: the longest backoff of a node that said no, a beat, and
/// a lost link's ticks.
const SETTLE: Duration = Duration::from_secs(100);

/// Runs a scenario; a failure names the seed and prints the script.
fn with_seed(seed: u64, nodes: usize, daemons: usize, scenario: impl FnOnce(&mut World)) {
    let mut world = World::new(seed, Setup::joining(nodes, daemons));
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario(&mut world)));
    if let Err(panic) = outcome {
        eprintln!(
            "seed {seed}, {nodes} nodes, {daemons} daemons, at {:?}",
            world.now
        );
        for (at, op) in &world.script {
            eprintln!("  {at:?} {op:?}");
        }
        resume_unwind(panic);
    }
}

fn assert_converged(world: &World) {
    assert_eq!(world.missing(), [], "links missing at {:?}", world.now);
    for daemon in world.daemons.iter().flatten() {
        let counts = daemon.mesh().counts();
        let hidden = daemon
            .mesh()
            .members()
            .filter(|(_, m)| m.is_hidden())
            .count();
        assert_eq!(counts.up, daemon.links.len());
        assert_eq!(counts.heard + hidden, daemon.mesh().members().count());
        let others = world.daemons.iter().flatten().count() - 1;
        assert!(
            hidden <= others,
            "{hidden} hidden of {others} other daemons"
        );
    }
}

fn faults_then_peace(world: &mut World) {
    world.plan_faults(12, 120 * SECOND);
    world.run_for(250 * SECOND);
    world.mend_all();
    world.run_for(SETTLE);
    assert_converged(world);
}

#[test]
fn after_any_faults_all_is_linked_again() {
    for (seed, size) in (0..2_000).zip((0..24).cycle()) {
        with_seed(seed, 1 + size % 8, 1 + size % 3, faults_then_peace);
    }
}

#[test]
fn hundred_nodes_and_ten_daemons_settle() {
    for seed in 0..5 {
        with_seed(seed, 100, 10, faults_then_peace);
    }
}

#[test]
fn same_seed_gives_same_run() {
    let trace = |seed| {
        let mut world = World::new(seed, Setup::joining(5, 2));
        faults_then_peace(&mut world);
        let counters = |d: &simulator::Daemon| (d.actions, d.announcements);
        world
            .daemons
            .iter()
            .flatten()
            .map(counters)
            .collect::<Vec<_>>()
    };
    assert_eq!(trace(7), trace(7));
}

#[test]
fn newcomer_is_linked_within_a_beat() {
    with_seed(1, 3, 1, |world| {
        world.run_for(SECOND);
        assert_converged(world);
    });
}

#[test]
fn quiet_cluster_only_announces() {
    with_seed(1, 20, 1, |world| {
        world.run_for(SETTLE);
        let before = {
            let daemon = world.daemons[0].as_ref().unwrap();
            (daemon.actions, daemon.announcements)
        };
        world.run_for(60 * SECOND);
        let daemon = world.daemons[0].as_ref().unwrap();
        let announced = daemon.announcements - before.1;
        let audits = daemon.actions - before.0 - announced;
        assert!((10..=15).contains(&announced), "{announced} in a minute");
        assert!((20..=60).contains(&audits), "{audits} audits of 20 nodes");
    });
}

#[test]
fn long_postgres_outage_forgets_nobody() {
    with_seed(1, 4, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::StopPostgres);
        world.plan(world.now + SECOND, Op::Cut(0, 2));
        world.run_for(600 * SECOND);
        let daemon = world.daemons[0].as_ref().unwrap();
        assert_eq!(daemon.mesh().members().count(), 4);
        assert_eq!(daemon.links.len(), 3, "the other links stay");
        world.plan(world.now, Op::StartPostgres);
        world.plan(world.now, Op::Join(0, 2));
        world.run_for(20 * SECOND);
        assert_converged(world);
    });
}

#[test]
fn cut_mended_while_postgres_is_away_heals_by_itself() {
    with_seed(1, 3, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::StopPostgres);
        world.plan(world.now, Op::Cut(0, 1));
        world.plan(world.now + 60 * SECOND, Op::Join(0, 1));
        world.run_for(60 * SECOND + 30 * SECOND);
        assert_converged(world);
    });
}

#[test]
fn dead_name_is_forgotten_after_the_expiry() {
    with_seed(1, 3, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::Crash(0));
        world.run_for(50 * SECOND);
        let count = |world: &World| world.daemons[0].as_ref().unwrap().mesh().members().count();
        assert_eq!(count(world), 3, "still within the expiry");
        world.run_for(20 * SECOND);
        assert_eq!(count(world), 2);
    });
}

#[test]
fn silent_names_delay_nobody() {
    with_seed(1, 1, 1, |world| {
        world.run_for(10 * SECOND);
        let crash = world.now;
        world.plan(crash, Op::Crash(0));
        // Long enough to be forgotten: it comes back as an unproven newcomer.
        world.run_for(80 * SECOND);
        assert_eq!(
            world.daemons[0].as_ref().unwrap().mesh().members().count(),
            0
        );
        for number in 0..1000 {
            world.plan(world.now, Op::SaySilent(number));
        }
        world.plan(world.now + SECOND, Op::Restart(0));
        world.run_for(SECOND + SECOND / 5);
        let linked = world.daemons[0].as_ref().unwrap().links.len();
        assert_eq!(linked, 1, "the newcomer waits for the silent ones");
    });
}

/// The old life's link is replaced while it still stands, and the late news of
/// its end changes nothing.
#[test]
fn restarted_node_is_not_its_old_self() {
    with_seed(1, 1, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::Cut(0, 0));
        world.plan(world.now + SECOND, Op::Crash(0));
        world.plan(world.now + 2 * SECOND, Op::Restart(0));
        world.plan(world.now + 3 * SECOND, Op::Join(0, 0));
        for _ in 0..100 {
            world.run_for(SECOND);
            let daemon = world.daemons[0].as_ref().unwrap();
            let (_, member) = daemon.mesh().members().next().unwrap();
            assert!(
                matches!(member.state(), State::Up(_)),
                "{:?}",
                member.state()
            );
        }
        let daemon = world.daemons[0].as_ref().unwrap();
        let (_, member) = daemon.mesh().members().next().unwrap();
        assert_eq!(member.peer().unwrap().creation, 2);
        assert_eq!(daemon.restarts, 1);
    });
}

#[test]
fn deaf_daemon_forgets_nobody() {
    with_seed(1, 3, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::Cut(0, 1));
        world.run_for(50 * SECOND);
        // Silent for almost the expiry; now nothing is heard of the others either.
        world.plan(world.now, Op::Deafen(0));
        world.run_for(30 * SECOND);
        let daemon = world.daemons[0].as_ref().unwrap();
        assert_eq!(daemon.mesh().members().count(), 3);
    });
}

#[test]
fn node_that_said_no_once_is_linked_soon_after() {
    with_seed(1, 1, 1, |world| {
        world.run_for(10 * SECOND);
        world.plan(world.now, Op::Crash(0));
        world.plan(world.now + 15 * SECOND, Op::Refuse(0));
        world.plan(world.now + 15 * SECOND, Op::Restart(0));
        world.plan(world.now + 16 * SECOND, Op::Relent(0));
        // The first "no" waits five seconds, however often it was away before.
        world.run_for(15 * SECOND + 12 * SECOND);
        assert_converged(world);
    });
}

#[test]
fn other_daemons_are_known_and_not_counted() {
    with_seed(1, 3, 3, |world| {
        world.run_for(60 * SECOND);
        assert_converged(world);
        let daemon = world.daemons[0].as_ref().unwrap();
        assert_eq!(daemon.mesh().members().count(), 5);
        assert_eq!(daemon.mesh().counts().heard, 3);
    });
}
