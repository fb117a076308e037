//! All hosts with their daemons: how long until everybody is linked, what is said until
//! then and from then on, and what it costs one of the daemons.

use std::time::{Duration, Instant};

use crate::again::Again;
use crate::simulator::{Op, Setup, Told, World};
use crate::usage::{cpu, memory};
use crate::{Outcome, figure, micros, millis};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Whoever is apart by then is taken to be so for ever.
const LIMIT: Duration = Duration::from_secs(300);
/// The last introductions have been seen to succeed, the last audits were answered.
const SETTLE: Duration = Duration::from_secs(30);

/// Up to which of the first daemon's inputs each part of the run goes.
struct Parts {
    linked: usize,
    settled: usize,
    quiet: usize,
    gone: usize,
    back: usize,
}

pub(crate) fn measure(hosts: usize, nodes_per_host: usize) -> Outcome<()> {
    let before = memory()?;
    let setup = Setup {
        is_recorded: true,
        ..Setup::hosts(hosts, nodes_per_host)
    };
    let mut world = World::new(1, setup);
    figure("nodes", hosts * nodes_per_host, "nodes");
    figure("daemons", hosts, "daemons");
    form(&mut world)?;
    let linked = inputs(&world);
    introductions(&world);
    world.run_for(SETTLE);
    let settled = inputs(&world);
    figure("memory_in_all", memory()? - before, "KiB");
    quiet(&mut world);
    let quiet = inputs(&world);
    world.plan(world.now, Op::Crash(world.nodes() - 1));
    world.run_for(SECOND);
    let gone = inputs(&world);
    come_back(&mut world)?;
    let parts = Parts {
        linked,
        settled,
        quiet,
        gone,
        back: inputs(&world),
    };
    one_daemon(world, &parts)
}

fn form(world: &mut World) -> Outcome<()> {
    let (started, worked) = (Instant::now(), cpu());
    until_whole(world, SECOND / 4)?;
    let after = world.now.since_start().as_secs_f64();
    figure("linked_after", after, "virtual_s");
    figure("linking_wall", started.elapsed().as_secs_f64(), "s");
    figure("linking_cpu_in_all", (cpu() - worked).as_secs_f64(), "s");
    figure("edges_told_to_daemons", world.told.edges, "edges");
    figure("names_said_until_linked", world.told.names, "names");
    Ok(())
}

fn until_whole(world: &mut World, step: Duration) -> Outcome<()> {
    let started = world.now;
    while !world.is_whole() {
        if world.now.since(started) > LIMIT {
            return Err(format!("{} pairs are apart", world.apart().len()).into());
        }
        world.run_for(step);
    }
    Ok(())
}

fn introductions(world: &World) {
    let needless = world.told.needless_introductions;
    figure("introductions", world.introductions(), "introductions");
    figure(
        "introductions_of_pairs_that_were_connected",
        needless,
        "introductions",
    );
}

/// A minute in which nothing happens.
fn quiet(world: &mut World) {
    let (before, worked) = (world.told, cpu());
    world.run_for(MINUTE);
    let per_second = |count: fn(&Told) -> u64| {
        let count = count(&world.told) - count(&before);
        count as f64 / MINUTE.as_secs_f64()
    };
    figure("transactions", per_second(|t| t.transactions), "per_s");
    figure("notifications", per_second(|t| t.names), "per_s");
    let heard = per_second(|t| t.heard_by_daemons);
    figure("deliveries_to_daemons", heard, "per_s");
    figure("audits", per_second(|t| t.audits), "per_s");
    let worked = cpu() - worked;
    figure("quiet_cpu_in_all", millis(worked), "ms_per_virtual_min");
}

/// A node that was gone is there again, so that everybody is linked to it anew.
fn come_back(world: &mut World) -> Outcome<()> {
    let started = world.now;
    world.plan(started, Op::Restart(world.nodes() - 1));
    world.run_for(SECOND / 20);
    until_whole(world, SECOND / 20)?;
    let after = world.now.since(started).as_secs_f64();
    figure("node_back_after", after, "virtual_s");
    Ok(())
}

/// What the first daemon decided, decided again without the others.
fn one_daemon(mut world: World, parts: &Parts) -> Outcome<()> {
    let record = world.daemons[0].as_mut().and_then(|d| d.record.take());
    let record = record.ok_or("nothing was recorded")?;
    drop(world);
    let mut again = Again::new(record);
    let linking = again.until(parts.linked);
    again.until(parts.settled);
    let quiet = again.until(parts.quiet);
    let gone = again.until(parts.gone);
    let back = again.until(parts.back);
    figure("daemon_inputs_until_linked", parts.linked, "inputs");
    figure("daemon_cpu_until_linked", millis(linking), "ms");
    let inputs = parts.quiet - parts.settled;
    figure("daemon_inputs_once_quiet", inputs, "per_virtual_min");
    figure("daemon_cpu_once_quiet", millis(quiet), "ms_per_virtual_min");
    figure("daemon_cpu_of_a_node_that_goes", micros(gone), "us");
    figure("daemon_cpu_of_a_node_that_comes", micros(back), "us");
    Ok(())
}

fn inputs(world: &World) -> usize {
    let record = world.daemons[0].as_ref().and_then(|d| d.record.as_ref());
    record.map_or(0, |record| record.inputs.len())
}
