//! How long to wait before the next dial.

use std::time::Duration;

use crate::Retry;

/// The least time between two dials of one name, however often it is heard.
const LEAST_GAP: Duration = Duration::from_millis(50);
const SOON_FROM: Duration = Duration::from_millis(250);
const SOON_MAX: Duration = Duration::from_secs(15);
const SLOWLY_FROM: Duration = Duration::from_secs(5);
const SLOWLY_MAX: Duration = Duration::from_secs(60);
/// A hidden node is asked again now and then: a name may change hands.
const NOT_OURS: Duration = Duration::from_secs(60);

/// The wait before we try again by ourselves, after `attempts` failures.
///
/// Jittered by ±20 %, so that daemons that lost the same node do not come back
/// to it in step.
pub(crate) fn own_retry(retry: Retry, attempts: u32, rng: &mut fastrand::Rng) -> Duration {
    jittered(unjittered(retry, attempts), rng)
}

/// The wait that even a fresh announcement does not shorten.
pub(crate) fn least_gap(retry: Option<Retry>, attempts: u32) -> Duration {
    match retry {
        None | Some(Retry::Soon) => LEAST_GAP,
        Some(retry) => unjittered(retry, attempts),
    }
}

/// `duration` ±20 %.
pub(crate) fn jittered(duration: Duration, rng: &mut fastrand::Rng) -> Duration {
    duration.mul_f64(0.8 + 0.4 * rng.f64())
}

fn unjittered(retry: Retry, attempts: u32) -> Duration {
    let (first, max) = match retry {
        Retry::Soon => (SOON_FROM, SOON_MAX),
        Retry::Slowly => (SLOWLY_FROM, SLOWLY_MAX),
        Retry::NotOurs => return NOT_OURS,
    };
    first
        .saturating_mul(1 << attempts.saturating_sub(1).min(16))
        .min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound() {
        let waits: Vec<_> = (1..=8).map(|n| unjittered(Retry::Soon, n)).collect();
        assert_eq!(waits[0], SOON_FROM);
        assert_eq!(waits[2], SOON_FROM * 4);
        assert_eq!(waits[7], SOON_MAX);
        assert_eq!(unjittered(Retry::Slowly, u32::MAX), SLOWLY_MAX);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(10), &mut rng);
            assert!((8.0..=12.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }

    #[test]
    fn being_heard_shortens_only_what_is_transient() {
        assert_eq!(least_gap(None, 0), LEAST_GAP);
        assert_eq!(least_gap(Some(Retry::Soon), 9), LEAST_GAP);
        assert_eq!(least_gap(Some(Retry::Slowly), 2), SLOWLY_FROM * 2);
    }
}
