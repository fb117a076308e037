//! What this process has taken so far, as Linux tells it.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// Time on a core, of this thread: there is no other.
pub(crate) fn cpu() -> Duration {
    let taken = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = taken.tv_sec * 1_000_000_000 + taken.tv_nsec;
    Duration::from_nanos(nanos.unsigned_abs())
}

/// Memory that is in use, in KiB.
pub(crate) fn memory() -> Outcome<u64> {
    let said = fs::read_to_string("/proc/self/status")?;
    let mut lines = said.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|rest| rest.split_whitespace().next());
    Ok(resident.ok_or("no memory in use")?.parse()?)
}
