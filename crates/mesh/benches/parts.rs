//! What one mesh takes for each kind of input, among 1,000 nodes that are all connected.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod settled;

use std::time::Duration;

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use pgmesh_mesh::{Failure, Input, Retry};

use settled::{Settled, link, name};

const NODES: usize = 1000;
/// None of them lives on our host: most do not.
const NODE: usize = 500;
const PEER: usize = 700;

fn heard_name(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let input = Input::HeardName(name(NODE));
    bencher.iter(|| settled.handle(input.clone()));
}

fn newcomer(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let newcomer = name(NODES);
    bencher.iter(|| {
        settled.handle(Input::HeardName(newcomer.clone()));
        settled.handle(Input::Forget(newcomer.clone()));
    });
}

fn edge(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let (down, up) = (
        settled.edge(NODE, PEER, false),
        settled.edge(NODE, PEER, true),
    );
    bencher.iter(|| {
        settled.handle(down.clone());
        settled.handle(up.clone());
    });
}

/// The first node lives on our host: from the loss on it is ours to mend.
fn edge_of_ours(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let (down, up) = (settled.edge(PEER, 0, false), settled.edge(PEER, 0, true));
    bencher.iter(|| {
        settled.handle(down.clone());
        settled.handle(up.clone());
    });
}

/// As a watcher's first news, and as the answer to an audit.
fn peers_seen(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let answer = settled.peers_seen(NODE);
    bencher.iter(|| settled.handle(answer.clone()));
}

fn link_lost_and_back(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let down = Input::LinkDown {
        name: name(NODE),
        link: link(NODE),
        failure: Failure {
            kind: "closed_by_peer",
            message: "closed".to_owned(),
            retry: Retry::Soon,
        },
    };
    let (up, seen) = (settled.link_up(NODE), settled.peers_seen(NODE));
    bencher.iter(|| {
        settled.handle(down.clone());
        settled.handle(up.clone());
        settled.handle(seen.clone());
    });
}

/// Almost each of them is an audit's.
fn timeout(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    bencher.iter(|| {
        settled.now = settled.mesh.poll_timeout().unwrap();
        settled.handle(Input::Timeout);
    });
}

fn echo(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    bencher.iter(|| settled.handle(Input::EchoHeard));
}

fn local_names(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    let names: Vec<_> = (0..10).map(name).collect();
    bencher.iter(|| settled.handle(Input::LocalNames(names.clone())));
}

fn pair_counts(settled: &mut Settled, bencher: &mut Bencher<'_>) {
    bencher.iter(|| settled.mesh.pair_counts());
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh_of_1000");
    type Part = fn(&mut Settled, &mut Bencher<'_>);
    let parts: [(&str, Part); 10] = [
        ("heard_name", heard_name),
        ("newcomer_heard_and_forgotten", newcomer),
        ("edge_down_and_up", edge),
        ("edge_of_ours_down_and_up", edge_of_ours),
        ("peers_seen", peers_seen),
        ("link_lost_and_back", link_lost_and_back),
        ("timeout", timeout),
        ("echo", echo),
        ("local_names", local_names),
        ("pair_counts", pair_counts),
    ];
    for (name, part) in parts {
        let mut settled = Settled::new(NODES);
        group.bench_function(name, |bencher| part(&mut settled, bencher));
    }
    group.finish();
}

fn brief() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = brief();
    targets = parts
}
criterion_main!(benches);
