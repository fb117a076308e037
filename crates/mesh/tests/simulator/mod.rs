//! A cluster in virtual time: BEAM nodes, daemons, one Postgres, and faults.
//!
//! Everything random comes from one seed, so a run that fails is repeated by its
//! seed. A run is a list of operations that can be printed; the daemons are real
//! [`Mesh`]es, everything else is a model as small as the question allows.
//! Each test file uses a part of it.
//! Every action of every mesh is checked against the invariants when it is taken.

#![allow(dead_code, unused_imports)]

mod daemon;
mod fabric;
mod op;
mod queue;
mod setup;
mod world;

pub use daemon::{Daemon, Record, Watched};
pub use op::Op;
pub use setup::Setup;
pub use world::{Told, World};

use std::time::Duration;

/// How often a BEAM node says its name, as libcluster_postgres does.
pub const BEACON_INTERVAL: Duration = Duration::from_secs(5);
/// How long a dial to an address that does not answer takes.
pub const SETUP_TIMEOUT: Duration = Duration::from_secs(7);
/// How long a link whose packets are lost is believed to be up.
pub const TICK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a daemon's session takes to notice that it has become deaf.
pub const DEAF_AFTER: Duration = Duration::from_secs(10);
/// How long a daemon waits before it connects to Postgres again.
pub const POSTGRES_RETRY: Duration = Duration::from_secs(1);
/// How long news of a watched node travels, until the next whole millisecond. The same
/// for all: they come in order.
pub const NEWS: Duration = Duration::from_millis(3);
/// How often a daemon asks its EPMD who is there.
pub const EPMD_INTERVAL: Duration = Duration::from_secs(1);
/// How long a node in `init:stop` stays.
pub const STOPPING: Duration = Duration::from_secs(10);
