//! What is heard and said on a channel, and a connection string: texts alone.

#![allow(missing_docs)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pgmesh_discovery::fuzzing;

fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("discovery");
    for (what, text) in [
        ("name", "my_app@10.0.0.1"),
        ("heartbeat", "heartbeat:my_app@10.0.0.1"),
        ("goodbye", "goodbye:my_app@10.0.0.1"),
        ("no_payload", "something else that is said there"),
    ] {
        group.bench_function(format!("payload_read_and_written/{what}"), |bencher| {
            bencher.iter(|| fuzzing::payload(text.as_bytes()));
        });
    }
    let url = "ecto://me:secret@db1.internal:5432,db2.internal/app?ssl=true";
    group.bench_function("connection_string", |bencher| {
        bencher.iter(|| fuzzing::conninfo(url.as_bytes()));
    });
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
    targets = texts
}
criterion_main!(benches);
