//! Every codec that reads bytes from outside, as a function of bytes.
//!
//! The targets in `fuzz/` call these; the corpora that they leave behind are
//! replayed by the test below. No function here may panic, hang, or take memory
//! beyond what the bytes weigh.

use bytes::BytesMut;

use crate::epmd::codec;
use crate::handshake::fuzz_handshake;
use crate::link::{Control, answer, take_frame};
use crate::node::fuzz_news;
use crate::terms;

/// What a name of a target stands for.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("handshake", handshake),
    ("frames", frames),
    ("control", control),
    ("term", term),
    ("epmd", epmd),
];

/// Both roles of the handshake: frames of a byte's length each.
pub fn handshake(bytes: &[u8]) {
    fuzz_handshake(&split(bytes));
}

/// A link's frames, in pieces as a socket gives them.
pub fn frames(bytes: &[u8]) {
    let mut buffer = BytesMut::new();
    for piece in split(bytes) {
        buffer.extend_from_slice(piece);
        while let Ok(Some(_)) = take_frame(&mut buffer, 1024) {}
        assert!(buffer.capacity() <= 4 * bytes.len() + 1024);
    }
}

/// A frame's body, the answer to it, and what a watcher would have said with it.
pub fn control(bytes: &[u8]) {
    if let Some(control) = Control::parse(bytes) {
        if let Control::Send { message, .. } = control {
            fuzz_news(message);
        }
        let _ = answer(&control, |pid| pid.len() % 2 == 0);
    }
}

/// An external term, decoded.
pub fn term(bytes: &[u8]) {
    if let Ok(term) = terms::decode(bytes) {
        let again = terms::encode(term);
        assert!(again.is_ok(), "decoded, but cannot be encoded");
    }
}

/// Both sides of EPMD's protocol: requests in pieces, and replies.
pub fn epmd(bytes: &[u8]) {
    let mut incoming = codec::Incoming::default();
    for piece in split(bytes) {
        let room = incoming.room().min(piece.len());
        match incoming.push(&piece[..room]) {
            Ok(Some(request)) => drop(codec::Request::decode(request)),
            Ok(None) => {}
            Err(codec::Malformed) => break,
        }
        if incoming.room() == 0 {
            break;
        }
    }
    let _ = codec::Request::decode(bytes);
    let _ = codec::Alive2Reply::decode(bytes);
    let _ = codec::decode_port2(bytes);
    let _ = codec::decode_names(bytes);
}

/// Pieces of at most 255 bytes, each behind its length.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((&len, rest)) = bytes.split_first() {
        let (piece, rest) = rest.split_at(usize::from(len).min(rest.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn corpora_are_replayed() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
            let files = std::fs::read_dir(folder.join(name)).unwrap();
            let inputs: Vec<_> = files
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .collect();
            assert!(inputs.len() >= 3, "the corpus of {name} is gone");
            inputs.iter().for_each(|input| target(input));
        }
    }

    #[test]
    fn every_target_has_its_program() {
        for (name, _) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            assert!(folder.join(format!("{name}.rs")).exists(), "{name}");
        }
    }
}
