//! The command line: which commands there are, and how people find them.

mod arguments;
mod subcommands;

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap::Command;

use subcommands::{
    completions, connect, disconnect, doctor, epmd, forget, man, matrix, members, names, ping, rpc,
    run, status, validate, wait, watch,
};

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

/// The command line that begins with this word. To start is most of what a short command
/// does: who names a command gets that one alone.
pub(crate) fn command_for(word: Option<&OsStr>) -> Command {
    let named = shown().find(|(name, ..)| word == Some(OsStr::new(name)));
    match named {
        Some(named) => bare().subcommand(described(named)),
        None => command(),
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    bare()
        .about(ABOUT)
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{}\n\
             Options:\n{{options}}{{after-help}}",
            groups()
        ))
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(shown().map(described))
        .subcommand(man())
}

fn bare() -> Command {
    Command::new("pgmesh")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(80)
}

fn shown() -> impl Iterator<Item = &'static Described> {
    GROUPS.iter().flat_map(|(_, commands)| *commands)
}

fn described((name, about, rest): &Described) -> Command {
    Command::new(*name).about(*about).defer(*rest)
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
    fn command_that_is_named_is_the_same_alone() {
        for (name, help) in helps().iter().skip(1) {
            let mut alone = command_for(Some(name.as_ref()));
            alone.build();
            let named = alone.find_subcommand_mut(name).unwrap();
            assert_eq!(named.render_long_help().to_string(), *help);
            for wrong in ["--nonsense", "--help"] {
                let said = |command: Command| {
                    // All that stands behind `epmd` is epmd's own.
                    let outcome = command.try_get_matches_from(["pgmesh", name, wrong]);
                    outcome.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
                };
                assert_eq!(said(command_for(Some(name.as_ref()))), said(command()));
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
