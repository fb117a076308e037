//! Each command: its flags, and what its help says.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Command};
use clap_complete::Shell;

use super::arguments::{daemon_flags, flag, json, node_flags, required, setting, switch};
use crate::settings::TABLE;

pub(super) fn run(command: Command) -> Command {
    command
        .after_help(
            "Each flag can be given as a variable instead: --announce-interval is \
             PGMESH_ANNOUNCE_INTERVAL. A flag wins over a variable, a variable over the \
             file.\n\
             SIGHUP reads the file again, if there is one; what takes a restart is said in the \
             log.\n\
             PGMESH_COOKIE holds the cookie itself. DATABASE_URL is used where \
             --database-url is not given.\n\n\
             SIGTERM and SIGINT say goodbye and close the links, within two seconds; a second \
             one does not wait.\n\n\
             Examples:\n  \
             pgmesh run --config /etc/pgmesh/pgmesh.toml\n  \
             pgmesh run --database-url postgres://app@db/app\n  \
             pgmesh run --introduce all --http 127.0.0.1:4380\n  \
             pgmesh run --announce none --introduce none\n  \
             pgmesh run --name pgmesh@10.0.0.9 --allow 10.0.0.0/8\n  \
             pgmesh run --epmd none --listen 0.0.0.0:4370 --peers app@10.0.0.7=9100",
        )
        .args(TABLE.iter().map(setting))
}

pub(super) fn validate(command: Command) -> Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .conflicts_with("config")
                .help("Configuration file; the same as --config FILE"),
        )
        .args(TABLE.iter().map(setting))
        .after_help(
            "Says what each setting is and where it comes from, or everything that is wrong \
             (exit code 78). Nothing is connected to.\n\n\
             Examples:\n  \
             pgmesh validate /etc/pgmesh/pgmesh.toml\n  \
             pgmesh validate /etc/pgmesh/pgmesh.toml && systemctl reload pgmesh",
        )
}

pub(super) fn doctor(command: Command) -> Command {
    command
        .arg(json())
        .arg(flag("listen-for", "DURATION").help(
            "How long to listen who is on the channel [default: a little more than one announce \
             interval]",
        ))
        .next_help_heading("Settings, as pgmesh run has them")
        .args(TABLE.iter().map(setting))
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

pub(super) fn status(command: Command) -> Command {
    command
        .args(daemon_flags())
        .arg(json())
        .arg(
            switch("ready")
                .help("Say only whether it is ready: exit code 0 or 1, as /readyz answers"),
        )
        .after_help(
            "Exit code 1 if no daemon answers. With --ready it is 1, too, until EPMD has us, our \
             own words were heard on Postgres, and --min-cluster was met; each counts once, so \
             that a Postgres that goes away later makes nobody unready.\n\n\
             Examples:\n  \
             pgmesh status\n  \
             pgmesh status --ready || echo not yet\n  \
             pgmesh status --name pgmesh@10.0.0.9 --json | jq .counts",
        )
}

pub(super) fn members(command: Command) -> Command {
    command.args(daemon_flags()).arg(json()).after_help(
        "up        linked, its cookie proven\n\
             heard     waits for its turn to be dialled\n\
             dialing   being dialled now\n\
             down      cannot be reached; dialled again\n\
             refused   answers, and will not have us (or we will not have it)\n\
             left      said goodbye\n\
             held      disconnected by hand, left alone until pgmesh connect\n\n\
             What is wrong stands in the last column, and in full in the log.\n\n\
             Examples:\n  \
             pgmesh members\n  \
             pgmesh members --json | jq -r '.[] | select(.state != \"up\") | .node'",
    )
}

pub(super) fn matrix(command: Command) -> Command {
    command
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

pub(super) fn watch(command: Command) -> Command {
    command
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

pub(super) fn wait(command: Command) -> Command {
    command
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

pub(super) fn connect(command: Command) -> Command {
    command
        .args(daemon_flags())
        .arg(required("a", "A", "One node, alive@host"))
        .arg(required("b", "B", "The other"))
        .after_help(
            "The daemon must be linked to both, or hold them. Waits up to five seconds until \
             both say that they are connected; exit code 1 if they do not.\n\n\
             Examples:\n  \
             pgmesh connect app@10.0.0.7 app@10.0.0.8",
        )
}

pub(super) fn disconnect(command: Command) -> Command {
    command
        .args(daemon_flags())
        .arg(required("node", "NODE", "Name of the node, alive@host"))
        .arg(flag("for", "DURATION").help(
            "How long it is held; without this, until pgmesh connect names it or it is restarted",
        ))
        .after_help(
            "Every node that the daemon is linked to is told to disconnect from it. Held means \
             that this daemon tells nobody to connect to it again. Others do: where there are \
             several, tell each. What the nodes do by themselves is theirs to decide (a strategy \
             of libcluster connects them again).\n\n\
             Examples:\n  \
             pgmesh disconnect app@10.0.0.7\n  \
             pgmesh disconnect app@10.0.0.7 --for 10m",
        )
}

pub(super) fn forget(command: Command) -> Command {
    command
        .args(daemon_flags())
        .arg(required("node", "NODE", "Name of the node, alive@host"))
        .after_help(
            "A hold on it ends. Who is heard again is known again.\n\n\
             Examples:\n  \
             pgmesh forget old@10.0.0.3",
        )
}

pub(super) fn ping(command: Command) -> Command {
    command
        .args(node_flags())
        .after_help(
            "Needs no daemon. Prints pong and how long the link took, with exit code 0; else why not, with exit \
             code 1.\n\n\
             Examples:\n  \
             pgmesh ping app@10.0.0.7\n  \
             pgmesh ping app@db1 --cookie-file /etc/pgmesh/cookie --timeout 1s\n  \
             pgmesh ping app@10.0.0.7 --dist-port 9100",
        )
}

pub(super) fn rpc(command: Command) -> Command {
    command
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
            "Needs no daemon. Names and ARGS are in Erlang's syntax, not Elixir's: the module \
             System is Elixir.System; #{a => 1}, ok, <<\"text\">>. A call that crashes is shown \
             on stderr, with exit code 1.\n\n\
             Examples:\n  \
             pgmesh rpc app@10.0.0.7 erlang nodes\n  \
             pgmesh rpc app@10.0.0.7 lists reverse '[[1, 2, 3]]'\n  \
             pgmesh rpc app@10.0.0.7 Elixir.System version",
        )
}

pub(super) fn names(command: Command) -> Command {
    command
        .arg(
            Arg::new("host")
                .value_name("HOST")
                .default_value("localhost")
                .help("Host whose EPMD is asked"),
        )
        .after_help(
            "ERL_EPMD_PORT names another port than 4369.\n\n\
             Examples:\n  \
             pgmesh names\n  \
             pgmesh names 10.0.0.7",
        )
}

/// OTP's flags have one dash: they are read elsewhere.
pub(super) fn epmd(command: Command) -> Command {
    command
        .disable_help_flag(true)
        .arg(
            Arg::new("words")
                .value_name("FLAGS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(clap::value_parser!(OsString))
                .help("Those of epmd; pgmesh epmd -help lists them"),
        )
        .after_help(
            "A link of the name epmd to this program does the same.\n\n\
             Examples:\n  \
             pgmesh epmd -daemon\n  \
             pgmesh epmd -names",
        )
}

pub(super) fn completions(command: Command) -> Command {
    command
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(clap::value_parser!(Shell))
                .help("The shell"),
        )
        .after_help(
            "The Debian package has them in place already.\n\n\
             Examples:\n  \
             pgmesh completions bash > ~/.local/share/bash-completion/completions/pgmesh\n  \
             pgmesh completions fish > ~/.config/fish/completions/pgmesh.fish\n  \
             pgmesh completions zsh > ~/.zfunc/_pgmesh",
        )
}

/// For those who make packages.
pub(super) fn man() -> Command {
    Command::new("man")
        .about("Write the manual pages into a folder")
        .hide(true)
        .arg(
            Arg::new("folder")
                .value_name("FOLDER")
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Where the pages are written"),
        )
}
