//! What a cluster of 1,000 nodes on 100 hosts costs those who decide: 100 meshes in
//! virtual time, as the tests' simulator runs them, and one mesh alone.
//!
//! Prints lines of a name, a value and a unit. Other sizes can be given:
//! `cargo bench -p pgmesh-mesh --bench scale -- HOSTS NODES_PER_HOST`.

// As in the tests that share the simulator.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    unreachable_pub
)]

#[path = "../../tests/simulator/mod.rs"]
mod simulator;

#[path = "../settled/mod.rs"]
mod settled;

mod again;
mod alone;
mod cluster;
mod usage;

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // Cargo adds a flag of its own.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let sizes: Vec<usize> = words.map(|word| word.parse()).collect::<Result<_, _>>()?;
    let (hosts, nodes_per_host) = match sizes[..] {
        [] => (100, 10),
        [hosts, nodes_per_host] => (hosts, nodes_per_host),
        _ => return Err("usage: scale [HOSTS NODES_PER_HOST]".into()),
    };
    alone::measure(hosts * nodes_per_host)?;
    alone::measure(5 * hosts * nodes_per_host)?;
    cluster::measure(hosts, nodes_per_host)
}

fn figure(name: &str, value: impl Display, unit: &str) {
    println!("{name} {value:.1} {unit}");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
