//! Both roles, fed with any frames.

use std::collections::HashMap;
use std::sync::Arc;

use super::message::Status;
use super::{Acceptor, Initiator, Local, LocalName, Offer, acceptor, initiator};
use crate::Cookie;
use crate::cookie::Cookies;

/// Plays every status as acceptor, and both kinds of dialler.
pub(crate) fn fuzz_handshake(frames: &[&[u8]]) {
    let full = LocalName::Full(name("m@h"));
    let nameless = LocalName::Dynamic {
        host: "h".to_owned(),
    };
    for local_name in [full.clone(), nameless] {
        dial(local_name, frames);
    }
    let named = Status::Named {
        name: name("x@h"),
        creation: 4,
    };
    for status in [Status::Ok, Status::OkSimultaneous, Status::Alive, named] {
        accept(full.clone(), &status, frames);
    }
}

/// A dial and the one who is dialled; whether both have proven the cookie to each other.
pub(crate) fn prove_both() -> bool {
    let (own, peer) = (name("m@h"), name("peer@h"));
    let mut dial = Initiator::new(local(LocalName::Full(own)), peer.clone(), true, 7);
    let mut accept = Acceptor::new(local(LocalName::Full(peer)), 7);
    let Ok(Offer::Named(_)) = accept.on_name(&dial.first_frame()) else {
        return false;
    };
    for frame in accept.on_decision(&Status::Ok) {
        match dial.on_frame(&frame) {
            Ok(initiator::Next::Wait) => {}
            Ok(initiator::Next::Prove(reply)) => {
                let Ok(acceptor::Next::Done(ack, _)) = accept.on_frame(&reply) else {
                    return false;
                };
                return matches!(dial.on_frame(&ack), Ok(initiator::Next::Done(_)));
            }
            Ok(_) | Err(_) => return false,
        }
    }
    false
}

// Fuzzing stops at a panic, and this one would be its own fault.
#[allow(clippy::unwrap_used)]
fn name(text: &str) -> pgmesh_name::NodeName {
    text.parse().unwrap()
}

fn local(name: LocalName) -> Local {
    Local {
        name,
        creation: 4,
        cookies: Arc::new(Cookies::new(Cookie::new("secret"), HashMap::new())),
    }
}

fn dial(own: LocalName, frames: &[&[u8]]) {
    let mut dial = Initiator::new(local(own), name("peer@h"), false, 7);
    let _ = dial.first_frame();
    for frame in frames {
        match dial.on_frame(frame) {
            Ok(initiator::Next::Alive) => drop(dial.answer_alive(true)),
            Ok(initiator::Next::Done(_)) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn accept(own: LocalName, status: &Status, frames: &[&[u8]]) {
    let mut accept = Acceptor::new(local(own), 7);
    let Some((first, rest)) = frames.split_first() else {
        return;
    };
    let Ok(Offer::Named(_) | Offer::Nameless { .. }) = accept.on_name(first) else {
        return;
    };
    let _ = accept.on_decision(status);
    for frame in rest {
        match accept.on_frame(frame) {
            Ok(acceptor::Next::Done(..) | acceptor::Next::GivenUp) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
