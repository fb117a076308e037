//! Peers that have proven the cookie and then say anything, in any order.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use pgmesh_dist::NodeEvent;
use pgmesh_dist::terms::{self, Term};
use pgmesh_testkit::PeerConnection;

use crate::stage::{Stage, prove};

const PEERS: u64 = 300;
const FRAMES: usize = 200;
/// What they may make us keep, all together.
const MEMORY: usize = 64 * 1024 * 1024;

/// Good frames, from which the bad ones are made: those that the fuzzers begin with.
fn good_frames() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/control");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A good frame with something wrong in it, mostly; or no frame at all.
fn spoiled(rng: &mut Rng, good: &[Vec<u8>], mailbox: &[u8]) -> Vec<u8> {
    let mut frame = rng.choice(good).unwrap().clone();
    match rng.u8(..8) {
        0 => return (0..rng.usize(..300)).map(|_| rng.u8(..)).collect(),
        1 => frame.truncate(rng.usize(..=frame.len())),
        2 => frame.extend((0..rng.usize(..100)).map(|_| rng.u8(..))),
        // A monitor or a link of ours that there is, or is not.
        3 => {
            let op = [1, 4, 19, 20, 21, 35, 36][rng.usize(..7)];
            let theirs = &frame[6.min(frame.len())..];
            frame = [&[112, 131, 104, 4, 97, op], mailbox, theirs, mailbox].concat();
        }
        // As it is.
        4 => {}
        _ => {
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(..frame.len());
                frame[at] = rng.u8(..);
            }
        }
    }
    frame
}

fn in_a_frame(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&len[..], body].concat()
}

async fn call_in(stage: &mut Stage, name: &str) -> PeerConnection {
    let (mut connection, _) = stage.call_in(name).await;
    prove(&mut connection).await;
    loop {
        if let NodeEvent::LinkUp { peer, .. } = stage.next_link_event().await
            && peer.name.as_str() == name
        {
            return connection;
        }
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages = pages.split(' ').nth(1).unwrap();
    pages.parse::<usize>().unwrap() * 4096
}

/// A monitor of nobody fires, behind whatever else there is to hear: all that was said
/// before has been read. False if the link has been closed.
async fn is_answered(connection: &mut PeerConnection) -> bool {
    let pid = b"\x58\x77\x09h@1.1.1.1\0\0\0\x01\0\0\0\0\0\0\0\x05";
    let reference = b"\x5a\0\x01\x77\x09h@1.1.1.1\0\0\0\x05\0\0\0\x4d";
    let monitor = [
        &[112, 131, 104, 4, 97, 19][..],
        pid,
        b"\x77\x01x",
        reference,
    ];
    connection.send_raw(&in_a_frame(&monitor.concat())).await;
    while let Some(len) = connection.receive_raw(4).await {
        let len = u32::from_be_bytes(len.try_into().unwrap());
        let Some(said) = connection.receive_raw(len as usize).await else {
            break;
        };
        let is_end_of_monitor = said.starts_with(&[112, 131, 104, 5, 97, 21]);
        if is_end_of_monitor && said.windows(reference.len()).any(|part| part == reference) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn whatever_is_said_in_any_order_the_node_and_its_other_links_live() {
    let mut stage = Stage::set().await;
    let good = good_frames();
    let mut healthy = call_in(&mut stage, "healthy@127.0.0.1").await;
    let mut before = None;
    for seed in 0..PEERS {
        let mut rng = Rng::with_seed(seed);
        let mailbox = stage.node.mailbox().unwrap();
        let pid = terms::encode(&Term::from(mailbox.pid().clone())).unwrap();
        let mut hostile = call_in(&mut stage, &format!("hostile{seed}@127.0.0.1")).await;
        for _ in 0..FRAMES {
            let frame = spoiled(&mut rng, &good, &pid[1..]);
            hostile.send_raw(&in_a_frame(&frame)).await;
        }
        // What is no frame may end a link, what is in one does not.
        assert!(is_answered(&mut hostile).await, "{seed}");
        if rng.bool() {
            let bytes: Vec<u8> = (0..1000).map(|_| rng.u8(..)).collect();
            hostile.send_raw(&bytes).await;
        }
        assert!(is_answered(&mut healthy).await);
        // By then everything is there that is needed once.
        before.get_or_insert_with(resident);
    }
    let grown = resident().saturating_sub(before.unwrap());
    assert!(grown < MEMORY, "{grown} bytes more");
    let counters = stage.node.counters();
    assert!(counters.unreadable_messages > PEERS, "{counters:?}");
    assert!(counters.undelivered_messages > PEERS, "{counters:?}");
}
