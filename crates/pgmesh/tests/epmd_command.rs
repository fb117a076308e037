//! `pgmesh epmd`, and a link of the name `epmd`, beside OTP's: the same words, and
//! what is printed and the exit codes compared.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PGMESH: &str = env!("CARGO_BIN_EXE_pgmesh");

/// A program to be called as epmd is.
struct Epmd {
    program: PathBuf,
    words: &'static [&'static str],
    port: u16,
    relaxed: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    /// Whether there was something; the words are nobody's interface.
    on_stderr: bool,
    code: Option<i32>,
}

impl Epmd {
    fn new(program: &Path, words: &'static [&'static str], relaxed: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            program: program.to_owned(),
            words,
            port: listener.local_addr().unwrap().port(),
            relaxed,
        }
    }

    fn say(&self, words: &str) -> Said {
        let mut command = Command::new(&self.program);
        command
            .args(self.words)
            .args(words.split_whitespace())
            .env("ERL_EPMD_PORT", self.port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env_remove("ERL_EPMD_RELAXED_COMMAND_CHECK")
            .stdin(Stdio::null());
        if self.relaxed {
            command.env("ERL_EPMD_RELAXED_COMMAND_CHECK", "");
        }
        let output = command.output().expect("epmd of OTP must be on PATH");
        let stdout = String::from_utf8(output.stdout).unwrap();
        Said {
            stdout: stdout.replace(&self.port.to_string(), "PORT"),
            on_stderr: !output.stderr.is_empty(),
            code: output.status.code(),
        }
    }

    /// A node, for as long as the connection is held.
    fn register(&self) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let request = b"\0\x0ex\x12\x34M\0\0\x06\0\x05\0\x01a\0\0";
        stream.write_all(request).unwrap();
        let mut reply = [0; 6];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..2], [118, 0]);
        stream
    }

    /// OTP's daemon may not listen yet when its start is over.
    fn start_daemon(&self) -> Said {
        let said = self.say("-daemon");
        while self.say("-started").code != Some(0) {}
        said
    }

    /// Everything that a daemon is for, once.
    fn life(&self) -> Vec<(String, Said)> {
        let asked = |words: &str| (words.to_owned(), self.say(words));
        let mut said: Vec<_> = QUESTIONS.map(asked).into();
        said.push(("-daemon".to_owned(), self.start_daemon()));
        said.extend(QUESTIONS[1..].iter().map(|words| asked(words)));
        said.push(asked("-daemon"));
        // There is one already.
        said.push(asked(""));
        let held = self.register();
        said.extend(["-names", "-dump"].map(asked).map(without_descriptor));
        // A relaxed one ends here.
        said.push(match self.relaxed {
            true => asked("-stop a"),
            false => asked("-kill"),
        });
        drop(held);
        while self.say("-names").stdout.contains("name a") {}
        said.extend(NONSENSE.map(asked));
        said.push(asked("-kill"));
        self.await_end();
        said.push(asked("-names"));
        said
    }

    /// A daemon that was killed may take one more connection before it has ended.
    fn await_end(&self) {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {}
    }
}

/// The first ends it, and is asked only while there is none.
const QUESTIONS: [&str; 5] = ["-kill", "-names", "-stop nobody", "-started", "-d -names"];
const NONSENSE: [&str; 9] = [
    "-names x",
    "-port",
    "-port 0",
    "-port x -names",
    "-stop",
    "-stop a b",
    "-bogus",
    "-packet_timeout 0",
    "-help",
];

fn without_descriptor((words, mut said): (String, Said)) -> (String, Said) {
    if let Some(at) = said.stdout.find("fd = ") {
        said.stdout.truncate(at);
    }
    (words, said)
}

fn compare(relaxed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("epmd");
    symlink(PGMESH, &link).unwrap();
    let expected = Epmd::new(Path::new("epmd"), &[], relaxed).life();
    assert_eq!(Epmd::new(&link, &[], relaxed).life(), expected);
    let within = Epmd::new(Path::new(PGMESH), &["epmd"], relaxed);
    assert_eq!(within.life(), expected);
}

#[test]
fn prints_what_otps_prints() {
    compare(false);
}

#[test]
fn relaxed_one_prints_what_otps_prints() {
    compare(true);
}
