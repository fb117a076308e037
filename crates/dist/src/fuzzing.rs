//! Every codec that reads bytes from outside, as a function of bytes.
//!
//! The targets in `fuzz/` call these; the corpora that they leave behind are
//! replayed by the test below. No function here may panic, hang, or take memory
//! beyond what the bytes weigh.

use std::collections::BTreeMap;

use crate::epmd::codec;
use crate::epmd::{Asker, Commands, Mapper, RegistrationId, Then};

use crate::handshake::fuzz_handshake;
use crate::link::{Control, answer, fuzz_frames};
use crate::node::{fuzz_answer, fuzz_news, fuzz_signal};
use crate::terms;

/// What a name of a target stands for.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("handshake", handshake),
    ("frames", frames),
    ("control", control),
    ("answer", called),
    ("term", term),
    ("epmd", epmd),
    ("mapper", mapper),
];

/// Both roles of the handshake: frames of a byte's length each.
pub fn handshake(bytes: &[u8]) {
    fuzz_handshake(&split(bytes));
}

/// A whole handshake, both roles of it, for benchmarks; whether it came to its end.
pub fn prove_both() -> bool {
    crate::handshake::prove_both()
}

/// A link's frames, in pieces as a socket gives them.
pub fn frames(bytes: &[u8]) {
    fuzz_frames(&split(bytes));
}

/// A frame's body, the answer to it, what it does to a process, and what a watcher
/// would have said with it.
pub fn control(bytes: &[u8]) {
    if let Some(control) = Control::parse(bytes) {
        if let Control::Send { message, .. } = control {
            fuzz_news(message);
        }
        fuzz_signal(&control, bytes);
        let _ = answer(&control, |pid| pid.len() % 2 == 0);
    }
}

/// What a node answered to a call of ours, for every call that the daemon makes.
pub fn called(bytes: &[u8]) {
    fuzz_answer(bytes);
}

/// An external term, decoded.
pub fn term(bytes: &[u8]) {
    if let Ok(term) = terms::decode(bytes) {
        assert!(
            terms::encode(&term).is_ok(),
            "decoded, but cannot be encoded"
        );
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

/// An EPMD, and eight connections that say to it what they like. Before each request
/// is a byte: who asks, whether from this host, and whether its connection ends first.
pub fn mapper(bytes: &[u8]) {
    for commands in [Commands::Refused, Commands::Safe, Commands::Relaxed] {
        let mut stage = Stage {
            mapper: Mapper::new(4369, commands, 77),
            held: BTreeMap::new(),
        };
        for piece in split(bytes) {
            if let Some((&who, request)) = piece.split_first() {
                stage.play(who, request);
                stage.check();
            }
        }
    }
}

/// An EPMD and what its connections hold, as it should be.
struct Stage<'a> {
    mapper: Mapper,
    held: BTreeMap<i32, (RegistrationId, codec::NodeInfo<'a>)>,
}

impl<'a> Stage<'a> {
    fn play(&mut self, who: u8, request: &'a [u8]) {
        let asker = Asker {
            local: who & 8 != 0,
            connection: i32::from(who & 7),
        };
        if who & 16 != 0 {
            self.end(asker.connection);
        }
        // Who holds a name and says something more is closed unheard.
        if self.held.contains_key(&asker.connection) {
            return;
        }
        match self.mapper.handle(request, asker).then {
            Then::Hold(Some(id)) => {
                let Ok(codec::Request::Alive2(info)) = codec::Request::decode(request) else {
                    unreachable!("a name is held that nobody asked for");
                };
                self.held.insert(asker.connection, (id, info));
            }
            Then::CloseHolder(holder) => self.end(holder),
            Then::Hold(None) | Then::Close | Then::End => {}
        }
    }

    fn end(&mut self, connection: i32) {
        if let Some((id, _)) = self.held.remove(&connection) {
            self.mapper.gone(id);
        }
    }

    /// Whoever holds a name is found by it.
    fn check(&mut self) {
        let stranger = Asker {
            local: false,
            connection: 9,
        };
        for (_, info) in self.held.values() {
            let Ok(name) = str::from_utf8(info.name) else {
                unreachable!("a name that is no text is held");
            };
            let lookup = codec::Request::PortPlease2(name).encode();
            // Some names can be held and not be asked for, as with OTP's EPMD.
            if codec::Request::decode(&lookup[2..]) == Ok(codec::Request::PortPlease2(name)) {
                let reply = self.mapper.handle(&lookup[2..], stranger).reply;
                assert_eq!(codec::decode_port2(&reply), Ok(Some(info.port)));
            }
        }
    }
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
    fn both_roles_come_to_their_end() {
        assert!(prove_both());
    }

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
