//! What systemd is told, if it started us with `Type=notify`: that we are there, how
//! the mesh stands, and that the loop turns.

use std::process::Command;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::api::shapes::{Counts, Status};

/// Changes come in bursts; the last one counts.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// What sd_notify(3) takes from its environment.
const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// A service manager that wants to be told. It may go away: nobody minds then.
pub(super) struct ServiceManager {
    /// Half of the time after which it takes us for stuck.
    ping_interval: Option<Duration>,
    pinged_at: Instant,
    look_at: Instant,
    said: String,
}

impl ServiceManager {
    /// `None` unless one has started us.
    pub(super) fn of_process(now: Instant) -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET")?;
        Some(Self {
            ping_interval: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            pinged_at: now,
            look_at: now,
            said: String::new(),
        })
    }

    /// Says that the loop runs. Whether Postgres or the cluster are there is no
    /// matter of starting: a unit that waited for them would fail with them.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// Says that other settings are put into force; to be followed by [`Self::ready`].
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!("no clock for the service manager: {error}"),
        }
    }

    /// Says why the links close.
    pub(super) fn stopping(&self, signal: &str) {
        let status = format!("stopping after {signal}");
        tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
    }

    /// When [`Self::on_timeout`] is to be called.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.look_at
    }

    /// Says how it stands, if that has changed, and that we are alive, if that is
    /// due. To be called by the loop itself, so that a loop that is stuck is noticed.
    pub(super) fn on_timeout(&mut self, now: Instant, status: &Status) {
        let line = line(status);
        if line != self.said {
            tell(&[NotifyState::Status(&line)]);
            self.said = line;
        }
        let is_due = |interval| now.duration_since(self.pinged_at) >= interval;
        if self.ping_interval.is_some_and(is_due) {
            tell(&[NotifyState::Watchdog]);
            self.pinged_at = now;
        }
        self.look_at = now
            + self
                .ping_interval
                .unwrap_or(LOOK_INTERVAL)
                .min(LOOK_INTERVAL);
    }
}

/// Keeps a child from speaking in our name.
pub(super) fn forget_in(child: &mut Command) {
    for variable in VARIABLES {
        child.env_remove(variable);
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

/// `5 nodes up, full mesh; Postgres listening`
fn line(status: &Status) -> String {
    let epmd = if status.epmd.lacks_us() {
        "; not registered with EPMD"
    } else {
        ""
    };
    let postgres = &status.postgres;
    let trouble = match &postgres.error {
        Some(error) => format!(" ({})", error.kind),
        None => String::new(),
    };
    let nodes = nodes(&status.counts);
    format!("{nodes}{epmd}; Postgres {}{trouble}", postgres.state)
}

fn nodes(counts: &Counts) -> String {
    match counts.up {
        0 => "no nodes up".to_owned(),
        1 => "1 node up".to_owned(),
        up => format!("{up} nodes up, {}", counts.verdict()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_how_it_stands() {
        let counts = |up, excluded| Counts {
            up,
            excluded,
            ..Counts::default()
        };
        for (counts, expected) in [
            (counts(0, 0), "no nodes up"),
            (counts(1, 0), "1 node up"),
            (counts(5, 0), "5 nodes up, full mesh"),
            (counts(5, 2), "5 nodes up, full but for 2 pairs"),
        ] {
            assert_eq!(nodes(&counts), expected);
        }
    }
}
