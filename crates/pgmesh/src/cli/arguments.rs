//! Flags and arguments that commands share.

use clap::{Arg, ArgAction};

use crate::settings::{Setting, TABLE, TLS_SETTINGS};

/// The flag of a setting of `pgmesh run`.
pub(super) fn setting(setting: &'static Setting) -> Arg {
    let default = setting.default;
    let help = match default {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_owned(),
    };
    let action = if setting.repeats {
        ArgAction::Append
    } else {
        ArgAction::Set
    };
    Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value_name)
        .help(help)
        // `-1s` is a bad value, to be reported with the others.
        .allow_hyphen_values(true)
        .action(action)
}

/// How a command finds the daemon.
pub(super) fn daemon_flags() -> [Arg; 2] {
    [
        flag("name", "ALIVE@HOST")
            .help("Name of the daemon, if it was started with --name (or PGMESH_NAME)"),
        flag("socket", "PATH")
            .help("Control socket of the daemon, if started with --socket (or PGMESH_SOCKET)"),
    ]
}

pub(super) fn json() -> Arg {
    switch("json").help("Print JSON")
}

/// How a command reaches a node by itself.
pub(super) fn node_flags() -> Vec<Arg> {
    let tls = TABLE
        .iter()
        .filter(|setting| TLS_SETTINGS.contains(&setting.name));
    let tls = tls.map(|setting| flag(setting.name, setting.value_name).help(setting.help));
    let own = [
        required("node", "NODE", "Name of the node, alive@host"),
        flag("cookie-file", "PATH")
            .help("File with the cookie; without it PGMESH_COOKIE, else ~/.erlang.cookie"),
        flag("dist-port", "PORT")
            .help("Port at which it listens, instead of asking EPMD (or PGMESH_DIST_PORT)"),
        flag("timeout", "DURATION")
            .default_value("5s")
            .help("How long each step may take"),
    ];
    own.into_iter().chain(tls).collect()
}

pub(super) fn required(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(value_name)
        .help(help)
        .required(true)
}

pub(super) fn flag(name: &'static str, value_name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value_name)
}

pub(super) fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}
