//! EPMD's protocol without a socket: requests and replies as bytes, and what is answered.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use pgmesh_epmd::codec::{
    Alive2Reply, Incoming, NodeInfo, Request, TCP_IPV4, VISIBLE_NODE, decode_names, decode_port2,
    encode_names_head, encode_port2, names_line,
};
use pgmesh_epmd::{Asker, Commands, Mapper};

const NAMES: i32 = 1000;

fn node(name: &str) -> NodeInfo<'_> {
    NodeInfo {
        name: name.as_bytes(),
        port: 40_000,
        node_type: VISIBLE_NODE,
        protocol: TCP_IPV4,
        highest_version: 6,
        lowest_version: 5,
        extra: &[],
    }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("epmd_codec");
    group.bench_function("lookup_written_and_read", |bencher| {
        bencher.iter(|| {
            let asked = Request::PortPlease2("my_app").encode();
            let mut incoming = Incoming::default();
            let request = incoming.push(&asked).unwrap().unwrap();
            Request::decode(request).is_ok()
        });
    });
    group.bench_function("port_written_and_read", |bencher| {
        bencher.iter(|| decode_port2(&encode_port2(&node("my_app"))));
    });
    group.bench_function("registration_written_and_read", |bencher| {
        bencher.iter(|| {
            let asked = Request::Alive2(node("my_app")).encode();
            Request::decode(&asked[2..]).is_ok()
        });
    });
    let registered = Alive2Reply::Registered { creation: 7 };
    group.bench_function("creation_written_and_read", |bencher| {
        bencher.iter(|| Alive2Reply::decode(&registered.encode(6)));
    });
    let mut names = BytesMut::from(&encode_names_head(4369)[..]);
    (0..100).for_each(|n| names_line(&mut names, format!("n{n}").as_bytes(), 40_000));
    group.bench_function("100_names_read", |bencher| {
        bencher.iter(|| decode_names(&names));
    });
    group.finish();
}

fn mapper(criterion: &mut Criterion) {
    let mut mapper = Mapper::new(4369, Commands::Refused, 1);
    for connection in 0..NAMES {
        let name = format!("n{connection}");
        let asker = Asker {
            local: true,
            connection,
        };
        mapper.handle(&Request::Alive2(node(&name)).encode()[2..], asker);
    }
    let lookup = Request::PortPlease2("n500").encode();
    let stranger = Asker {
        local: false,
        connection: NAMES,
    };
    criterion.bench_function("epmd_mapper/lookup_among_1000", |bencher| {
        bencher.iter(|| mapper.handle(&lookup[2..], stranger));
    });
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
    targets = codec, mapper
}
criterion_main!(benches);
