//! A node against peers that say every status, stop at every step, or lie.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepting;
mod dialling;
mod hostile;
mod linked;
mod mailboxes;
mod probing;
mod serving;
mod simultaneous;
mod stage;
mod watching;
