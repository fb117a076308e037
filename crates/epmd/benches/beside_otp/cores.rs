//! Who runs on which core.

use std::fmt;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;

/// The first core that we may use, and the others.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    first: usize,
    others: CpuSet,
}

impl Cores {
    /// Leaves the first core to the EPMDs: the caller, and the threads that it starts
    /// from now on, have the others.
    pub(crate) fn split() -> Outcome<Self> {
        let mut others = sched_getaffinity(None)?;
        let mut all = (0..CpuSet::MAX_CPU).filter(|&core| others.is_set(core));
        let first = all.next().ok_or("no core")?;
        if all.next().is_none() {
            return Err("there is one core only: the EPMD and those who ask need two".into());
        }
        others.unset(first);
        sched_setaffinity(None, &others)?;
        Ok(Self { first, others })
    }

    /// Does something, such as starting a program, on the core that was left.
    pub(crate) fn on_the_first<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Outcome<T> {
        let there = || {
            let mut first = CpuSet::new();
            first.set(self.first);
            sched_setaffinity(None, &first).map(|()| what())
        };
        let done = thread::scope(|scope| scope.spawn(there).join());
        Ok(done.map_err(|_| "a thread has panicked")??)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, others) = (self.first, self.others.count());
        write!(
            f,
            "each has core {first} to itself, and whoever asks the other {others}"
        )
    }
}
