//! The command line: which commands there are, and their flags.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::settings::{self, Setting};

const AFTER_HELP: &str = "\
Examples:
  pgmesh run --database-url postgres://app@db/app --cookie-file /etc/cookie
  pgmesh members
  pgmesh rpc app@10.0.0.7 erlang nodes

Exit codes: 0 done, 1 failed, 2 unknown flags and bad arguments, 78 bad settings.";

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("pgmesh")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A hidden Erlang node that joins an Elixir or Erlang cluster over Postgres")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(80)
        .subcommand(run())
        .subcommand(status())
        .subcommand(members())
        .subcommand(matrix())
        .subcommand(watch())
        .subcommand(wait())
        .subcommand(connect())
        .subcommand(disconnect())
        .subcommand(forget())
        .subcommand(ping())
        .subcommand(rpc())
        .subcommand(names())
        .subcommand(doctor())
        .subcommand(validate())
}

fn run() -> Command {
    Command::new("run")
        .about("Run the node in the foreground")
        .after_help(
            "Each flag can be given as a variable instead: --announce-interval is \
             PGMESH_ANNOUNCE_INTERVAL. A flag wins over a variable, a variable over the \
             file.\n\
             SIGHUP reads the file again; what takes a restart is said in the log.\n\
             PGMESH_COOKIE holds the cookie itself. DATABASE_URL is used where \
             --database-url is not given.",
        )
        .args(settings::TABLE.iter().map(setting))
}

fn status() -> Command {
    Command::new("status")
        .about("Show the daemon: node, Postgres, counts")
        .args(daemon_flags())
        .arg(json())
        .arg(
            switch("ready")
                .help("Say only whether it is ready: exit code 0 or 1, as /readyz answers"),
        )
}

fn members() -> Command {
    Command::new("members")
        .about("Show every name the daemon knows: state, last heard, link")
        .args(daemon_flags())
        .arg(json())
}

fn matrix() -> Command {
    Command::new("matrix")
        .about("Show who is connected to whom, gaps marked")
        .args(daemon_flags())
        .arg(json())
        .arg(switch("full").help("List every pair, also those that are linked"))
        .after_help(
            "Shown are the visible nodes that the daemon is linked to: up to 30 as a grid, \
             more as lists of what is not linked. The last line says how it stands.\n\n  \
             missing   both nodes say that they are not connected\n  \
             one-way   one says that they are, the other that they are not\n  \
             unknown   one of them has not told yet\n  \
             excluded  apart on purpose: held, stopping, or of OTP releases that refuse\n            \
             each other\n\n\
             Examples:\n  \
             pgmesh matrix\n  \
             pgmesh matrix --full | grep ^missing",
        )
}

fn watch() -> Command {
    Command::new("watch")
        .about("Show events as they happen")
        .args(daemon_flags())
        .arg(switch("json").help("Print JSON, one object on each line"))
        .after_help(
            "Ends with Ctrl-C (exit code 0), or with the daemon (exit code 1). Who reads too \
             slowly is told how many events were missed.\n\n\
             Examples:\n  \
             pgmesh watch\n  \
             pgmesh watch --json | jq 'select(.event == \"nodedown\")'",
        )
}

fn wait() -> Command {
    Command::new("wait")
        .about("Wait until so many nodes are fully meshed, then run a command")
        .args(daemon_flags())
        .arg(
            flag("size", "N")
                .required(true)
                .value_parser(clap::value_parser!(usize))
                .help("How many visible nodes, at least, all linked to each other"),
        )
        .arg(
            flag("timeout", "DURATION")
                .default_value("60s")
                .help("How long to wait, also for the daemon to start"),
        )
        .arg(
            Arg::new("command")
                .value_name("CMD")
                .num_args(1..)
                .last(true)
                .value_parser(clap::value_parser!(OsString))
                .help("What to run then, in the place of pgmesh"),
        )
        .after_help(
            "Exit code 1 when the time is over, else that of CMD, or 0 without one.\n\n\
             Examples:\n  \
             pgmesh wait --size 3 && echo meshed\n  \
             pgmesh wait --size 3 --timeout 2m -- bin/app eval 'App.migrate()'",
        )
}

fn connect() -> Command {
    Command::new("connect")
        .about("Connect two nodes now, and end the holds on them")
        .args(daemon_flags())
        .arg(required("a", "A", "One node, alive@host"))
        .arg(required("b", "B", "The other"))
        .after_help(
            "The daemon must be linked to both, or hold them. Waits up to five seconds until \
             both say that they are connected; exit code 1 if they do not.\n\n\
             Example:\n  \
             pgmesh connect app@10.0.0.7 app@10.0.0.8",
        )
}

fn disconnect() -> Command {
    Command::new("disconnect")
        .about("Disconnect a node from all others, and leave it alone")
        .args(daemon_flags())
        .arg(required("node", "NODE", "Name of the node, alive@host"))
        .arg(flag("for", "DURATION").help(
            "How long it is held; without this, until pgmesh connect names it or it is restarted",
        ))
        .after_help(
            "Every node that the daemon is linked to is told to disconnect from it. Held means \
             that nobody is told to connect to it again; what the nodes do by themselves is \
             theirs to decide (a strategy of libcluster connects them again).\n\n\
             Examples:\n  \
             pgmesh disconnect app@10.0.0.7\n  \
             pgmesh disconnect app@10.0.0.7 --for 10m",
        )
}

fn forget() -> Command {
    Command::new("forget")
        .about("Forget a name that has no link, before its expiry")
        .args(daemon_flags())
        .arg(required("node", "NODE", "Name of the node, alive@host"))
        .after_help(
            "A hold on it ends. Who is heard again is known again.\n\n\
             Example:\n  \
             pgmesh forget old@10.0.0.3",
        )
}

fn ping() -> Command {
    Command::new("ping")
        .about("Link to a node, without a daemon, and say whether it answers")
        .args(node_flags())
        .after_help("Example:\n  pgmesh ping app@10.0.0.7")
}

fn rpc() -> Command {
    Command::new("rpc")
        .about("Call a function on a node, without a daemon, and print its result")
        .args(node_flags())
        .arg(required("module", "MODULE", "Module, as Erlang writes it"))
        .arg(required("function", "FUNCTION", "Function of that module"))
        .arg(
            Arg::new("args")
                .value_name("ARGS")
                .default_value("[]")
                .help("The arguments: one list of Erlang terms"),
        )
        .arg(
            flag("json", "STYLE")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("plain")
                .value_parser(["plain", "tagged"])
                .help("Print the result as JSON; tagged tells atoms from binaries"),
        )
        .after_help(
            "Examples:\n  \
             pgmesh rpc app@10.0.0.7 erlang nodes\n  \
             pgmesh rpc app@10.0.0.7 lists reverse '[[1, 2, 3]]'\n  \
             pgmesh rpc app@10.0.0.7 Elixir.System version\n\n\
             ARGS are in Erlang's syntax, not Elixir's: #{a => 1}, ok, <<\"text\">>. A call \
             that crashes is shown on stderr, with exit code 1.",
        )
}

fn names() -> Command {
    Command::new("names")
        .about("Show what EPMD knows")
        .arg(
            Arg::new("host")
                .value_name("HOST")
                .default_value("localhost"),
        )
        .after_help("ERL_EPMD_PORT names another port than 4369.")
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Check the set-up step by step: what is wrong, and what to do")
        .arg(json())
        .arg(flag("listen-for", "DURATION").help(
            "How long to listen who is on the channel [default: a little more than one announce \
             interval]",
        ))
        .next_help_heading("Settings, as pgmesh run has them")
        .args(settings::TABLE.iter().map(setting))
        .after_help(
            "Give it the settings of pgmesh run, by flag or by variable. A daemon that runs \
             under them is asked, and goes on undisturbed.\n\n  \
             ✓ well  ! works, and is probably not meant  ✗ failed  – not checked\n\n\
             In brackets stands the kind that pgmesh members, pgmesh status and the log show, \
             too. Exit codes: 0 nothing failed, 1 something did, 78 unusable settings.\n\n\
             Examples:\n  \
             pgmesh doctor --database-url postgres://app@db/app\n  \
             pgmesh doctor --json | jq '.checks[] | select(.outcome == \"failed\")'",
        )
}

fn validate() -> Command {
    Command::new("validate")
        .about("Check the settings of `pgmesh run`, without running it")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .conflicts_with("config")
                .help("Configuration file; the same as --config FILE"),
        )
        .args(settings::TABLE.iter().map(setting))
        .after_help(
            "Says what each setting is and where it comes from, or everything that is wrong \
             (exit code 78). Nothing is connected to.\n\n\
             Examples:\n  \
             pgmesh validate /etc/pgmesh/pgmesh.toml\n  \
             pgmesh validate /etc/pgmesh/pgmesh.toml && systemctl reload pgmesh",
        )
}

fn setting(setting: &'static Setting) -> Arg {
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
fn daemon_flags() -> [Arg; 2] {
    [
        flag("name", "ALIVE@HOST")
            .help("Name of the daemon, if it was started with --name (or PGMESH_NAME)"),
        flag("socket", "PATH")
            .help("Control socket of the daemon, if started with --socket (or PGMESH_SOCKET)"),
    ]
}

fn json() -> Arg {
    switch("json").help("Print JSON")
}

/// How a command reaches a node by itself.
fn node_flags() -> [Arg; 3] {
    [
        required("node", "NODE", "Name of the node, alive@host"),
        flag("cookie-file", "PATH")
            .help("File with the cookie; without it PGMESH_COOKIE, else ~/.erlang.cookie"),
        flag("timeout", "DURATION")
            .default_value("5s")
            .help("How long each step may take"),
    ]
}

fn required(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(value_name)
        .help(help)
        .required(true)
}

fn flag(name: &'static str, value_name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value_name)
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

#[cfg(test)]
mod tests {
    #[test]
    fn command_line_is_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn every_help_fits_into_a_terminal() {
        let mut whole = super::command();
        whole.build();
        for command in whole.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let wide = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{}", command.get_name());
        }
    }
}
