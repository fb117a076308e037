//! The command line: which commands there are, and their flags.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};
use clap_complete::Shell;

use crate::settings::{Setting, TABLE, TLS_SETTINGS};

const ABOUT: &str = "A hidden Erlang node that joins an Elixir or Erlang cluster over Postgres";

const EXAMPLES: &str = "\
`pgmesh COMMAND --help` shows a command's flags, with examples.
Exit codes: 0 done, 1 failed, 2 unknown flags and bad arguments, 78 bad settings.

Examples:
  pgmesh run --database-url postgres://app@db/app --cookie-file /etc/cookie
  pgmesh status
  pgmesh matrix
  pgmesh rpc app@10.0.0.7 erlang nodes";

/// A command: its name, what it does, and what adds the rest of it, which is asked of the one
/// that is called alone.
type Described = (&'static str, &'static str, fn(Command) -> Command);

/// The commands as people look for them; clap knows one list only.
const GROUPS: &[(&str, &[Described])] = &[
    (
        "The daemon",
        &[
            ("run", "Run the node in the foreground", run),
            (
                "validate",
                "Check the settings of `pgmesh run`, without running it",
                validate,
            ),
            (
                "doctor",
                "Check the set-up step by step: what is wrong, and what to do",
                doctor,
            ),
        ],
    ),
    (
        "What it sees",
        &[
            ("status", "Show the daemon: node, Postgres, counts", status),
            (
                "members",
                "Show every name the daemon knows: state, last heard, link",
                members,
            ),
            (
                "matrix",
                "Show who is connected to whom, gaps marked",
                matrix,
            ),
            ("watch", "Show events as they happen", watch),
            (
                "wait",
                "Wait until so many nodes are fully meshed, then run a command",
                wait,
            ),
        ],
    ),
    (
        "What it does for you",
        &[
            (
                "connect",
                "Connect two nodes now, and end the holds on them",
                connect,
            ),
            (
                "disconnect",
                "Disconnect a node from all others, and leave it alone",
                disconnect,
            ),
            (
                "forget",
                "Forget a name that has no link, before its expiry",
                forget,
            ),
        ],
    ),
    (
        "Without a daemon",
        &[
            ("ping", "Link to a node and say whether it answers", ping),
            ("rpc", "Call a function on a node and print its result", rpc),
            ("names", "Show what EPMD knows", names),
            (
                "epmd",
                "Run an EPMD, or ask the one that runs: a drop-in for OTP's epmd",
                epmd,
            ),
        ],
    ),
    (
        "For your shell",
        &[(
            "completions",
            "Print what a shell needs to complete commands and flags",
            completions,
        )],
    ),
];

/// The whole command line.
pub(crate) fn command() -> Command {
    let shown = GROUPS.iter().flat_map(|(_, commands)| *commands);
    Command::new("pgmesh")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{}\n\
             Options:\n{{options}}{{after-help}}",
            groups()
        ))
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(80)
        .subcommands(
            shown.map(|(name, about, rest)| Command::new(*name).about(*about).defer(*rest)),
        )
        .subcommand(man())
}

fn groups() -> String {
    let mut text = String::new();
    for (title, commands) in GROUPS {
        let _ = writeln!(text, "\n{title}:");
        for (name, about, _) in *commands {
            let _ = writeln!(text, "  {name:<13}{about}");
        }
    }
    text
}

fn run(command: Command) -> Command {
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

fn status(command: Command) -> Command {
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

fn members(command: Command) -> Command {
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

fn matrix(command: Command) -> Command {
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

fn watch(command: Command) -> Command {
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

fn wait(command: Command) -> Command {
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

fn connect(command: Command) -> Command {
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

fn disconnect(command: Command) -> Command {
    command
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

fn forget(command: Command) -> Command {
    command
        .args(daemon_flags())
        .arg(required("node", "NODE", "Name of the node, alive@host"))
        .after_help(
            "A hold on it ends. Who is heard again is known again.\n\n\
             Examples:\n  \
             pgmesh forget old@10.0.0.3",
        )
}

fn ping(command: Command) -> Command {
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

fn rpc(command: Command) -> Command {
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

fn names(command: Command) -> Command {
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

fn completions(command: Command) -> Command {
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
fn man() -> Command {
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

fn doctor(command: Command) -> Command {
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

fn validate(command: Command) -> Command {
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

/// OTP's flags have one dash: they are read elsewhere.
fn epmd(command: Command) -> Command {
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
fn node_flags() -> Vec<Arg> {
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
    use super::*;

    /// Each command that people see, and its help.
    fn helps() -> Vec<(String, String)> {
        let mut whole = command();
        whole.build();
        let mut helps = vec![("pgmesh".to_owned(), whole.render_long_help().to_string())];
        let shown = whole.get_subcommands_mut().filter(|it| !it.is_hide_set());
        let own = shown.filter(|it| it.get_name() != "help");
        helps.extend(own.map(|it| (it.get_name().to_owned(), it.render_long_help().to_string())));
        helps
    }

    /// The commands below `Examples:`, up to what a shell would do with them.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let (_, below) = help.split_once("\nExamples:\n").unwrap_or_default();
        let lines = below.lines().take_while(|line| line.starts_with("  "));
        lines.map(|line| words(line.trim())).collect()
    }

    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for c in line.chars() {
            match (c, words.last_mut()) {
                ('\'', _) => is_quoted = !is_quoted,
                (' ', _) if !is_quoted => words.push(String::new()),
                (_, Some(word)) => word.push(c),
                _ => {}
            }
        }
        let is_shell = |word: &String| ["|", "||", "&&", ">"].contains(&word.as_str());
        let end = words.iter().position(is_shell).unwrap_or(words.len());
        words.truncate(end);
        words
    }

    #[test]
    fn command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_help_fits_into_a_terminal() {
        for (name, help) in helps() {
            let wide = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{name}");
        }
    }

    #[test]
    fn every_help_has_examples_that_work() {
        for (name, help) in helps() {
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{name} has no example");
            for example in examples {
                let parsed = command().try_get_matches_from(&example);
                let matches = parsed.unwrap_or_else(|error| panic!("{example:?}: {error}"));
                let is_own = name == "pgmesh" || matches.subcommand_name() == Some(&name);
                assert!(is_own, "{example:?} is no example of {name}");
            }
        }
    }

    #[test]
    fn every_command_is_in_the_overview() {
        let helps = helps();
        let overview = &helps[0].1;
        for (name, _) in &helps[1..] {
            assert!(overview.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
