//! How long to wait before Postgres is tried again.

use std::time::Duration;

use crate::PostgresErrorKind;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough to hear again within two seconds of Postgres being able.
const MAX: Duration = Duration::from_millis(1600);
const AFTER_SILENCE: Duration = Duration::from_millis(400);

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

    /// Who was silent has been waited for already, and is asked again soon: a host
    /// that is back is to be found within two seconds.
    pub(crate) fn next_wait(&mut self, failure: PostgresErrorKind) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(8)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = match failure {
            PostgresErrorKind::Timeout => wait.min(AFTER_SILENCE),
            _ => wait,
        };
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: PostgresErrorKind = PostgresErrorKind::Unreachable;

    #[test]
    fn grows_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::default();
        let first = backoff.next_wait(GONE);
        assert!((FIRST / 2..=FIRST).contains(&first));
        for _ in 0..50 {
            assert!(backoff.next_wait(GONE) <= MAX);
        }
        assert!(backoff.next_wait(GONE) >= MAX / 2);
        assert!(backoff.next_wait(PostgresErrorKind::Timeout) <= AFTER_SILENCE);
        backoff.reset();
        assert!(backoff.next_wait(GONE) <= FIRST);
    }

    /// A hundred daemons lose Postgres together, for five minutes. When it is back,
    /// no tenth of a second sees more than a third of them.
    #[test]
    fn a_hundred_daemons_do_not_come_back_together() {
        const OUTAGE: Duration = Duration::from_secs(300);
        const TENTH: u128 = 100;
        let comes_back_after = |_| {
            let mut backoff = Backoff::default();
            let mut at = Duration::ZERO;
            while at < OUTAGE {
                at += backoff.next_wait(GONE);
            }
            (at - OUTAGE).as_millis() / TENTH
        };
        let mut tenths: Vec<_> = (0..100).map(comes_back_after).collect();
        tenths.sort_unstable();
        let crowd = tenths.chunk_by(|a, b| a == b).map(<[u128]>::len).max();
        assert!(crowd.unwrap() < 34, "{tenths:?}");
        assert!(tenths[99] <= MAX.as_millis() / TENTH, "{tenths:?}");
    }
}
