//! SIGHUP: reads the settings again, and takes over what can change while we run. If
//! anything is wrong with them, everything stays as it was.

use anyhow::Context as _;
use clap::ArgMatches;
use pgmesh_mesh::{Input, Time};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

use super::effects::INTERNAL;
use super::run_loop::{Daemon, Outcome};
use super::service_manager::ServiceManager;
use super::{mesh_config, role};
use crate::logging::LogLevel;
use crate::settings::{Change, ConfigErrors, RunSettings, Warning};

/// What is needed to read the settings again, and to put them into force.
pub(super) struct Reloading {
    flags: ArgMatches,
    level: LogLevel,
}

impl Reloading {
    pub(super) fn new(flags: ArgMatches, level: LogLevel) -> Self {
        Self { flags, level }
    }

    /// Reads the settings at each signal, one time after the other: the newest file
    /// is read last.
    pub(super) fn listen(&self, mut hangup: Signal, outcomes: mpsc::UnboundedSender<Outcome>) {
        let flags = self.flags.clone();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                let flags = flags.clone();
                // Files may lie on a disk that is slow.
                let read = spawn_blocking(move || RunSettings::read(&flags)).await;
                let Some(read) = told_if_broken(read) else {
                    continue;
                };
                if outcomes.send(Outcome::Reread(Box::new(read))).is_err() {
                    return;
                }
            }
        });
    }
}

/// SIGHUP, if there is a file to read again. Without one it does what it does to any
/// program: whoever closes the terminal wants no daemon to stay.
pub(super) fn hangup(settings: &RunSettings) -> anyhow::Result<Option<Signal>> {
    let file = settings.raw.file_name();
    let hangup = file.map(|_| signal(SignalKind::hangup()));
    hangup.transpose().context("cannot hear SIGHUP")
}

impl Daemon {
    pub(super) fn on_reread(&mut self, now: Time, read: Result<RunSettings, ConfigErrors>) {
        self.service.iter().for_each(ServiceManager::reloading);
        match read {
            Ok(new) => self.reload(now, new),
            Err(errors) => log_errors(&errors),
        }
        self.service.iter().for_each(ServiceManager::ready);
    }

    fn reload(&mut self, now: Time, new: RunSettings) {
        // What changed is told by the chattier of the two levels.
        let (before, after) = (self.view.settings().log, new.log);
        self.reloading.level.set(before.max(after));
        let warned = self.view.settings().warnings.clone();
        let changes = self.view.reconfigure(new);
        let warnings = self.view.settings().warnings.iter();
        log_warnings(warnings.filter(|warning| !warned.contains(warning)));
        for change in &changes {
            log_change(change);
        }
        let taken = changes.iter().filter(|change| change.taken).count();
        if taken > 0 {
            self.put_into_force(now);
        }
        let introduces = changes.iter().any(|change| change.setting == "introduce");
        if introduces && self.view.introduces_all() {
            self.ask_intents();
        }
        let left = changes.len() - taken;
        tracing::info!("reloaded: {taken} changed, {left} waiting for a restart");
        self.reloading.level.set(after);
    }

    fn put_into_force(&mut self, now: Time) {
        let settings = self.view.settings();
        self.node.set_allow(settings.allow.clone());
        self.node.set_peers(settings.peers.clone());
        if let Some(announcer) = &self.announcer {
            announcer.take_role(role(settings));
        }
        let config = mesh_config(settings);
        let input = Input::Reconfigured(Box::new(config));
        self.mesh.handle(now, input);
        self.ask_local_names();
    }
}

/// A bug must not be the end of all reloads.
fn told_if_broken<T>(read: Result<T, JoinError>) -> Option<T> {
    if let Err(broken) = &read {
        let kind = INTERNAL;
        tracing::error!(
            kind,
            "not reloaded: reading the settings broke off: {broken} (please report this)"
        );
    }
    read.ok()
}

pub(super) fn log_warnings<'a>(warnings: impl IntoIterator<Item = &'a Warning>) {
    for warning in warnings {
        tracing::warn!(kind = warning.kind, "{}", warning.message);
    }
}

fn log_change(change: &Change) {
    let Change {
        setting, from, to, ..
    } = change;
    if change.taken {
        tracing::info!(setting, "{setting} is now {to}, was {from}");
    } else {
        tracing::warn!(
            setting,
            kind = "takes_restart",
            "{setting} was changed from {from} to {to}, but takes a restart"
        );
    }
}

fn log_errors(errors: &ConfigErrors) {
    for error in &errors.0 {
        tracing::error!(kind = "bad_setting", "{error}");
    }
    let message = "not reloaded: everything stays as it was (mend the file, and reload again)";
    tracing::error!(kind = "not_reloaded", errors = errors.0.len(), "{message}");
}
