//! Decides whom we dial, what we announce and whom we forget.
//!
//! One state machine, [`Mesh`]: one [`Input`] enum in, one [`Action`] enum out,
//! time as an argument. It has no clock, no sockets, no runtime and no logging,
//! so that the same inputs and the same seed give the same actions: a bug seen
//! anywhere becomes a seed of the simulator in `tests/`.
//!
//! ```
//! use pgmesh_mesh::{Action, Config, Input, Mesh, Time};
//!
//! let own = "pgmesh@10.0.0.1".parse()?;
//! let mut mesh = Mesh::new(Config::new(own), 42);
//! mesh.handle(Time::ZERO, Input::HeardName("a@10.0.0.2".parse()?));
//! assert!(matches!(mesh.poll_action(), Some(Action::Dial { .. })));
//! # Ok::<(), pgmesh_name::NameError>(())
//! ```

mod action;
mod backoff;
mod config;
mod edges;
mod event;
mod flapping;
mod input;
mod introductions;
mod member;
mod members;
mod mesh;
mod newcomers;
mod pair_set;
mod time;
mod timers;
mod turns;

pub use action::{Action, DialId, IntroductionId};
pub use config::{AnnounceScope, Config, IntroduceScope, JoinScope};
pub use event::{Event, IgnoredName};
pub use input::{Failure, Input, IntroductionOutcome, LinkId, Peer, Retry};
pub use member::{Counts, Member, State};
pub use mesh::{Matrix, Mesh, PairCounts};
pub use time::Time;
