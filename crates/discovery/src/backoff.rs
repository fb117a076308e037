//! How long to wait before Postgres is tried again.

use std::time::Duration;

use crate::PostgresErrorKind;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough to hear again within two seconds of Postgres being able.
const MAX: Duration = Duration::from_millis(1600);
const AFTER_SILENCE: Duration = Duration::from_millis(400);
/// A server that says no to us goes on until somebody changes something, and each attempt
/// is a line in its log and a failed login to whoever counts those.
const MAX_REFUSED: Duration = Duration::from_secs(15);

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
        let wait = FIRST.saturating_mul(1 << self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        let wait = wait.min(longest_wait(failure));
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}

fn longest_wait(failure: PostgresErrorKind) -> Duration {
    use PostgresErrorKind as Kind;
    match failure {
        Kind::Timeout => AFTER_SILENCE,
        Kind::Authentication
        | Kind::NotPermitted
        | Kind::UnknownDatabase
        | Kind::ClientCertificate
        | Kind::TlsRequired => MAX_REFUSED,
        _ => MAX,
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

    #[test]
    fn server_that_says_no_is_asked_ever_more_rarely_and_one_that_is_back_at_once() {
        let mut backoff = Backoff::default();
        let refused = PostgresErrorKind::Authentication;
        let waits: Vec<_> = (0..20).map(|_| backoff.next_wait(refused)).collect();
        assert!(waits.iter().all(|wait| *wait <= MAX_REFUSED));
        assert!(waits[19] >= MAX_REFUSED / 2);
        assert!(backoff.next_wait(GONE) <= MAX);
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
