//! A node of ours among real BEAM nodes, which judge it.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beam;
mod called;
mod cookies;
mod gen_servers;
mod mailboxes;
mod mesh;
mod place;
mod plenty;
mod servers;
mod since_otp_24;
mod spawning;
mod ticks;
