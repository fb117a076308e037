//! How many connections an EPMD may have: one file descriptor for each name.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Ten thousand names, some who ask, and the rest of the program.
const WANTED: u64 = 12_000;

/// Raises the limit of this process as far as that is allowed; says so where it is
/// not far enough.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= WANTED {
        return;
    }
    let allowed = limit.maximum.unwrap_or(u64::MAX).min(WANTED);
    let raised = Rlimit {
        current: Some(allowed),
        maximum: limit.maximum,
    };
    let now = setrlimit(Resource::Nofile, raised).map_or(current, |()| allowed);
    if now < WANTED {
        tracing::warn!(
            "EPMD can hold some {now} names: the hard limit of open files allows no more \
             (raise it to {WANTED} for ten thousand)"
        );
    }
}
