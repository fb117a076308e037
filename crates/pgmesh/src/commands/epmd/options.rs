//! The command line of OTP's epmd.

use std::time::Duration;

use pgmesh_epmd::{Commands, ServerConfig};

use crate::settings::{ConfigErrors, epmd_port};

/// What the variables say, before the flags do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) port: u16,
    pub(super) addresses: String,
    pub(super) relaxed: bool,
}

impl Environment {
    pub(super) fn of_process() -> Result<Self, ConfigErrors> {
        Ok(Self {
            port: epmd_port()?,
            addresses: std::env::var("ERL_EPMD_ADDRESS").unwrap_or_default(),
            relaxed: std::env::var_os("ERL_EPMD_RELAXED_COMMAND_CHECK").is_some(),
        })
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Invocation {
    Serve(Serving),
    /// Serve, in another process.
    StartDaemon,
    Ask {
        question: Question,
        port: u16,
        silent: bool,
    },
}

/// How to serve.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) port: u16,
    pub(super) addresses: String,
    pub(super) config: ServerConfig,
    /// How often `-d` was given.
    pub(super) debug: usize,
    pub(super) systemd: bool,
    /// We are the process that goes on in the background.
    pub(super) detached: bool,
}

/// What the EPMD that runs is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    Names,
    Dump,
    Kill,
    Stop(String),
}

/// `None` if the words are not understood.
pub(super) fn parse(words: &[String], environment: Environment) -> Option<Invocation> {
    let mut serving = Serving::new(environment);
    let mut daemon = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-d" | "-debug" => serving.debug += 1,
            "-daemon" => daemon = true,
            super::detach::FLAG => serving.detached = true,
            "-systemd" => serving.systemd = true,
            "-relaxed_command_check" => serving.config.commands = Commands::Relaxed,
            "-port" => serving.port = positive(words.next())?,
            "-address" => words.next()?.clone_into(&mut serving.addresses),
            "-packet_timeout" => serving.config.packet_timeout = seconds(words.next())?,
            "-delay_accept" => serving.config.delay_accept = seconds(words.next())?,
            "-delay_write" => serving.config.delay_write = seconds(words.next())?,
            // Whatever is asked stands last.
            _ => {
                let question = question(word, words.next())?;
                let is_last = words.next().is_none();
                return is_last.then_some(Invocation::Ask {
                    question,
                    port: serving.port,
                    silent: word == "-started",
                });
            }
        }
    }
    Some(match daemon && !serving.detached {
        true => Invocation::StartDaemon,
        false => Invocation::Serve(serving),
    })
}

impl Serving {
    fn new(environment: Environment) -> Self {
        let commands = match environment.relaxed {
            true => Commands::Relaxed,
            false => Commands::Safe,
        };
        Self {
            port: environment.port,
            addresses: environment.addresses,
            config: ServerConfig {
                commands,
                ..ServerConfig::default()
            },
            debug: 0,
            systemd: false,
            detached: false,
        }
    }
}

fn question(word: &str, next: Option<&str>) -> Option<Question> {
    match (word, next) {
        // `-started` answers by its exit code alone.
        ("-names" | "-started", None) => Some(Question::Names),
        ("-dump", None) => Some(Question::Dump),
        ("-kill", None) => Some(Question::Kill),
        ("-stop", Some(name)) => Some(Question::Stop(name.to_owned())),
        _ => None,
    }
}

fn seconds(word: Option<&str>) -> Option<Duration> {
    positive(word).map(|seconds: u32| Duration::from_secs(seconds.into()))
}

fn positive<T: std::str::FromStr + PartialEq + From<u8>>(word: Option<&str>) -> Option<T> {
    let number: T = word?.parse().ok()?;
    (number != T::from(0)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Invocation> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let environment = Environment {
            port: 4369,
            addresses: String::new(),
            relaxed: false,
        };
        parse(&words, environment)
    }

    #[test]
    fn serves_with_all_flags() {
        let line = "-d -debug -port 99 -address 10.0.0.1,::1 -relaxed_command_check \
                    -packet_timeout 5 -delay_accept 1 -delay_write 2 -systemd";
        let Some(Invocation::Serve(serving)) = parsed(line) else {
            panic!("not understood");
        };
        assert_eq!((serving.port, serving.debug), (99, 2));
        assert_eq!(serving.addresses, "10.0.0.1,::1");
        assert_eq!(serving.config.commands, Commands::Relaxed);
        assert_eq!(serving.config.packet_timeout, Duration::from_secs(5));
        assert_eq!(serving.config.delay_accept, Duration::from_secs(1));
        assert_eq!(serving.config.delay_write, Duration::from_secs(2));
        assert!(serving.systemd && !serving.detached);
    }

    #[test]
    fn questions_stand_last() {
        let asked = |line| match parsed(line) {
            Some(Invocation::Ask { question, port, .. }) => Some((question, port)),
            _ => None,
        };
        assert_eq!(asked("-port 7 -names"), Some((Question::Names, 7)));
        let stop = Question::Stop("a".to_owned());
        assert_eq!(asked("-stop a"), Some((stop, 4369)));
        for line in ["-names x", "-kill -port 7", "-stop", "-stop a b"] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_not_understood() {
        for line in [
            "-port",
            "-port 0",
            "-port x",
            "-packet_timeout 0",
            "--port 7",
            "help",
        ] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }

    #[test]
    fn usage_shows_every_flag_in_a_terminals_width() {
        for flag in [
            "-port", "-address", "-daemon", "-systemd", "-d,", "-names", "-kill", "-stop",
        ] {
            assert!(super::super::USAGE.contains(&format!("  {flag}")), "{flag}");
        }
        assert!(super::super::USAGE.lines().all(|line| line.len() <= 80));
    }
}
