//! Scratch servers and scripted peers for tests.
//!
//! Everything chooses a free port, and everything that is started ends when its
//! value is dropped. What fails here panics: a test without its tools has failed.

// A tool of tests: its panics are their failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificates;
mod dns;
mod epmd;
mod eventually;
mod postgres;
mod scripted_peer;

pub use certificates::{Certificates, PASSPHRASE, ServerCertificate};
pub use dns::ScratchDns;
pub use epmd::ScratchEpmd;
pub use eventually::eventually;
pub use postgres::{PostgresBuilder, ScratchPostgres, this_user};
pub use scripted_peer::{PeerConnection, ScriptedPeer};
