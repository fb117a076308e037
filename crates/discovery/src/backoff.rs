//! How long to wait before Postgres is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough to hear again within two seconds of Postgres being able.
const MAX: Duration = Duration::from_millis(1600);

/// Doubles up to a bound, each wait jittered between half and whole: a hundred
/// daemons that lost Postgres together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(8)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::default();
        let first = backoff.next_wait();
        assert!((FIRST / 2..=FIRST).contains(&first));
        for _ in 0..50 {
            assert!(backoff.next_wait() <= MAX);
        }
        assert!(backoff.next_wait() >= MAX / 2);
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}
