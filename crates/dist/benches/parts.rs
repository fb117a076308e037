//! What a link is made of, without a socket: the handshake, frames, control messages, terms.
//!
//! These are the functions that fuzzing calls, with inputs that are well-formed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgmesh_dist::fuzzing;

/// As many as a socket gives at once, of the size of a small message.
const FRAMES: u64 = 100;
const FRAME_BYTES: u8 = 100;

fn handshake(criterion: &mut Criterion) {
    criterion.bench_function("dist/handshake_of_both_roles", |bencher| {
        bencher.iter(|| assert!(fuzzing::prove_both()));
    });
}

fn frames(criterion: &mut Criterion) {
    let mut pieces = Vec::new();
    for _ in 0..FRAMES {
        pieces.push(FRAME_BYTES + 4);
        pieces.extend(u32::from(FRAME_BYTES).to_be_bytes());
        pieces.extend([0; FRAME_BYTES as usize]);
    }
    let mut group = criterion.benchmark_group("dist");
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("100_frames_of_100_bytes", |bencher| {
        bencher.iter(|| fuzzing::frames(&pieces));
    });
    group.finish();
}

/// Some of what the corpora hold, as real nodes say it.
fn from_corpora(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dist");
    let parts: [(&str, fuzzing::Target, &[&str]); 3] = [
        (
            "control",
            fuzzing::control,
            &[
                "send",
                "alias_send",
                "link",
                "monitor_exit",
                "watch_nodeup",
                "is_auth",
            ],
        ),
        ("answer", fuzzing::called, &["nodes", "value_true"]),
        ("term", fuzzing::term, &["map_of_all"]),
    ];
    for (corpus, read, inputs) in parts {
        for input in inputs {
            let bytes = corpus_file(corpus, input);
            group.bench_function(format!("{corpus}/{input}"), |bencher| {
                bencher.iter(|| read(&bytes));
            });
        }
    }
    group.finish();
}

/// Read and written again: the answer to who is connected, in a large mesh.
fn list_of_atoms(criterion: &mut Criterion) {
    let (version, list, nil, atom) = (131, 108, 106, 119);
    let mut bytes = vec![version, list];
    bytes.extend(1000_u32.to_be_bytes());
    for node in 0..1000 {
        let name = format!("n{node}@10.0.0.1");
        bytes.extend([atom, u8::try_from(name.len()).unwrap()]);
        bytes.extend(name.bytes());
    }
    bytes.push(nil);
    criterion.bench_function("dist/term/list_of_1000_atoms", |bencher| {
        bencher.iter(|| fuzzing::term(&bytes));
    });
}

fn corpus_file(corpus: &str, input: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    fs::read(folder.join(corpus).join(input)).unwrap()
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
    targets = handshake, frames, from_corpora, list_of_atoms
}
criterion_main!(benches);
