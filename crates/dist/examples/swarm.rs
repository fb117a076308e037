//! A thousand hidden nodes in one process, each with a name, a listener, its place at EPMD
//! and a link: to a BEAM, or from one to the next in a ring. Says how many are linked, after
//! how long, and what that takes of memory.
//!
//!     pgmesh epmd &
//!     ulimit -n 10000
//!     export PGMESH_COOKIE=secret
//!     cargo run --release -p pgmesh-dist --example swarm -- 1000
//!
//! Or around a BEAM of this host:
//!
//!     $ erl -name app@127.0.0.1 -setcookie secret
//!     $ cargo run --release -p pgmesh-dist --example swarm -- 1000 app@127.0.0.1
//!     1> length(nodes(hidden)).
//!     1000
//!
//! It stays until Ctrl-C. OTP's `epmd` has room for 1,017 connections and no more, names and
//! lookups together, since it uses select(2); `pgmesh epmd` has no such limit. Each node takes
//! three or four file descriptors, hence `ulimit`. EPMD's port is in `ERL_EPMD_PORT` if it is
//! not the usual one.

use std::env;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use pgmesh_dist::{ConnectError, Cookie, Node, NodeConfig, NodeEvents, epmd};
use pgmesh_name::NodeName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Dials under way at once: beside a thousand names OTP's `epmd` has no room for more.
const AT_ONCE: usize = 16;

/// A node and its events, which end with who takes them.
type Member = (Node, NodeEvents);

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let count: usize = args.next().ok_or("usage: swarm N [NAME@HOST]")?.parse()?;
    let beam: Option<NodeName> = args.next().map(|name| name.parse()).transpose()?;
    let host = beam.as_ref().map_or("127.0.0.1", NodeName::host);
    let before = resident_kb();
    let begun_at = Instant::now();
    let mut swarm: Vec<Member> = Vec::with_capacity(count);
    for number in 1..=count {
        let started = Node::start(config(number, host)?).await;
        let member = started.map_err(|error| format!("after {} nodes: {error}", swarm.len()))?;
        swarm.push(member);
    }
    println!("{count} nodes after {:.1?}", begun_at.elapsed());
    for error in link(&swarm, beam.as_ref()).await {
        println!("{error}");
    }
    let linked = swarm.iter().filter(|(node, _)| is_linked(node));
    println!("{} linked after {:.1?}", linked.count(), begun_at.elapsed());
    if let (Some(before), Some(after)) = (before, resident_kb()) {
        let each = after.saturating_sub(before) / u64::try_from(count.max(1))?;
        println!("{after} kB of memory, {each} kB for each node");
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn config(number: usize, host: &str) -> Result<NodeConfig, Box<dyn Error>> {
    let cookie = Cookie::new(env::var("PGMESH_COOKIE")?);
    let name = format!("swarm{number}@{host}").parse()?;
    Ok(NodeConfig {
        listen: "127.0.0.1:0".parse()?,
        epmd_port: match env::var("ERL_EPMD_PORT") {
            Ok(port) => port.parse()?,
            Err(_) => epmd::DEFAULT_PORT,
        },
        ..NodeConfig::new(name, cookie)
    })
}

/// Links each node to the BEAM, or to the next one; returns what failed.
async fn link(swarm: &[Member], beam: Option<&NodeName>) -> Vec<ConnectError> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let next = swarm.iter().cycle().skip(1);
    let mut dials = JoinSet::new();
    for ((node, _), (next, _)) in swarm.iter().zip(next) {
        let Some(peer) = beam.or(next.name()).cloned() else {
            continue;
        };
        let (node, places) = (node.clone(), places.clone());
        dials.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            node.connect(&peer, true).await
        });
    }
    let outcomes = dials.join_all().await;
    outcomes.into_iter().filter_map(Result::err).collect()
}

fn is_linked(node: &Node) -> bool {
    !node.linked().is_empty()
}

/// What of this process is in memory; `None` where there is no /proc.
fn resident_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line?.split_whitespace().next()?.parse().ok()
}
