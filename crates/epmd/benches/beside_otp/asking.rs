//! Many questions at a time, and what they took.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;
use crate::epmd::Epmd;

const QUESTIONS: usize = 4000;
/// Enough that the next questions are there when one was answered: an EPMD that waits
/// is woken from another core, which costs more than the answer. OTP's has room for
/// a thousand names and little more.
const ASKERS: usize = 8;

pub(crate) struct Figure {
    /// Questions in a second.
    pub(crate) rate: f64,
    /// Of the EPMD, for a question.
    pub(crate) cpu_us: f64,
    /// Of those who asked, for a question.
    pub(crate) askers_us: f64,
}

/// Asks by some threads, each one question after the other; every question has a
/// number of its own.
pub(crate) fn measure(epmd: &Epmd, ask: impl Fn(usize) -> Outcome<()> + Sync) -> Outcome<Figure> {
    let numbers = AtomicUsize::new(0);
    let ask_all = || {
        while let number = numbers.fetch_add(1, Ordering::Relaxed)
            && number < QUESTIONS
        {
            ask(number).map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    };
    let (started, cpu, own) = (Instant::now(), epmd.cpu_us()?, own_cpu_us());
    thread::scope(|scope| {
        let askers = [(); ASKERS].map(|()| scope.spawn(ask_all));
        let mut ended = askers.into_iter().map(thread::ScopedJoinHandle::join);
        ended.try_for_each(|asked| asked.map_err(|_| "an asker has ended")?.map_err(Into::into))
    })
    .map_err(|error: Box<dyn std::error::Error>| error)?;
    let each = |total: f64| total / QUESTIONS as f64;
    Ok(Figure {
        rate: QUESTIONS as f64 / started.elapsed().as_secs_f64(),
        cpu_us: each(epmd.cpu_us()? - cpu),
        askers_us: each(own_cpu_us() - own),
    })
}

fn own_cpu_us() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}
