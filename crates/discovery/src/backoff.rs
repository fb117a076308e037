//! How long to wait before Postgres is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough to hear again within two seconds of Postgres being able.
const MAX: Duration = Duration::from_millis(1600);
const AFTER_SILENCE: Duration = Duration::from_millis(400);
/// A server that says no to us goes on until somebody changes something, and each attempt
/// is a line in its log and a failed login to whoever counts those.
const MAX_REFUSED: Duration = Duration::from_secs(15);

/// What kept us from a session, as far as waiting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No server can give us one now.
    Away,
    /// A server was silent: it has been waited for already, and is asked again soon, since
    /// a host that is back is to be found within two seconds.
    Silent,
    /// Each server has said no.
    Refused,
}

/// Doubles up to a bound, each wait jittered between half and whole: a hundred
/// daemons that lost Postgres together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    was_refused: bool,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next_wait(&mut self, trouble: Trouble) -> Duration {
        let (is_refused, longest) = match trouble {
            Trouble::Away => (false, MAX),
            Trouble::Silent => (false, AFTER_SILENCE),
            Trouble::Refused => (true, MAX_REFUSED),
        };
        // However long it was away: that it says no now may be over in a moment.
        if is_refused && !self.was_refused {
            self.reset();
        }
        self.was_refused = is_refused;
        let wait = FIRST.saturating_mul(1 << self.failures.min(8)).min(longest);
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
        let first = backoff.next_wait(Trouble::Away);
        assert!((FIRST / 2..=FIRST).contains(&first));
        for _ in 0..50 {
            assert!(backoff.next_wait(Trouble::Away) <= MAX);
        }
        assert!(backoff.next_wait(Trouble::Away) >= MAX / 2);
        assert!(backoff.next_wait(Trouble::Silent) <= AFTER_SILENCE);
        backoff.reset();
        assert!(backoff.next_wait(Trouble::Away) <= FIRST);
    }

    #[test]
    fn server_that_says_no_is_asked_ever_more_rarely_and_one_that_is_back_at_once() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next_wait(Trouble::Away);
        }
        assert!(backoff.next_wait(Trouble::Refused) <= FIRST);
        let waits: Vec<_> = (0..20)
            .map(|_| backoff.next_wait(Trouble::Refused))
            .collect();
        assert!(waits.iter().all(|wait| *wait <= MAX_REFUSED));
        assert!(waits[19] >= MAX_REFUSED / 2);
        assert!(backoff.next_wait(Trouble::Away) <= MAX);
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
                at += backoff.next_wait(Trouble::Away);
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
