//! Where names come from: one Postgres session that listens and announces.
//!
//! [`spawn`] keeps a session for ever: it starts while Postgres is down, notices
//! when it has become deaf, and comes back with jittered backoff. It tells of
//! every gap, because whoever forgets silent members must know when silence
//! means deafness. On the wire it is libcluster_postgres: the payload is a bare
//! node name.
//!
//! Nothing here knows what becomes of a name.

mod backoff;
mod channel;
mod connect;
mod conninfo;
mod ears;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod identify;
mod keeper;
mod nearest;
mod payload;
mod session;
mod tls;

pub use channel::{Channel, ChannelError};
pub use connect::{Examination, Listener, Reached, Settled, examine};
pub use conninfo::{Conninfo, ConninfoError, ConninfoErrorKind, ConninfoErrors, Environment};
pub use error::{PostgresError, PostgresErrorKind};
pub use identify::{Identity, identify};
pub use keeper::{Announcer, Event, Events, Role, Settings, spawn};
pub use nearest::nearest;
pub use payload::{Dialect, Hearing};
