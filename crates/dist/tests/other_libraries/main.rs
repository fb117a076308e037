//! A node of ours among programs on the other libraries: `ei`, Jinterface, `erl_call`.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pgmesh_dist::terms::{Atom, Pid, Term};
use pgmesh_dist::{Cookie, Exception, Functions, Mailbox, Node, NodeConfig, NodeEvents, Received};
use pgmesh_testkit::ScratchEpmd;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

const OURS: &str = "m@127.0.0.1";
/// A JVM takes its time to start.
const LIMIT: Duration = Duration::from_secs(60);

/// A node of ours with what the programs ask for: `demo:double(N)`, `echo`, and
/// `mortal`, which tells its pid and ends with the reason `done` when it is told to.
struct Place {
    epmd: ScratchEpmd,
    node: Node,
    _events: NodeEvents,
    _servers: JoinSet<()>,
}

impl Place {
    async fn start() -> Self {
        let epmd = ScratchEpmd::start().await;
        let mut config = NodeConfig::new(OURS.parse().unwrap(), Cookie::new("secret"));
        config.epmd_port = epmd.port();
        config.listen = "127.0.0.1:0".parse().unwrap();
        let (node, events) = Node::start(config).await.unwrap();
        node.serve(Functions::new().with("demo", "double", double))
            .unwrap();
        let mut servers = JoinSet::new();
        servers.spawn(echo(node.register("echo").unwrap()));
        servers.spawn(die_when_told(node.register("mortal").unwrap()));
        Self {
            epmd,
            node,
            _events: events,
            _servers: servers,
        }
    }

    /// Begins a program of this machine, which asks our EPMD.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("ERL_EPMD_PORT", self.epmd.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Dials a program that waits for it, and expects hello from the process of this name.
    async fn is_answered_by(&self, name: &str, process: &str) {
        let name = name.parse().unwrap();
        let mailbox = self.node.mailbox().unwrap();
        self.node.connect(&name, true).await.unwrap();
        let asked = tuple(mailbox.pid().clone(), atom("hello"));
        mailbox.send((process, &name), &asked).await.unwrap();
        let answer = timeout(LIMIT, message(&mailbox)).await.unwrap();
        assert_eq!(answer, Some(atom("hello")));
    }
}

async fn double(args: Vec<Term>) -> Result<Term, Exception> {
    match args.as_slice() {
        [Term::FixInteger(number)] => Ok(Term::from(eetf::FixInteger::from(2 * number.value))),
        _ => Err(Exception::badarg()),
    }
}

/// What arrives next, if it is a message.
async fn message(mailbox: &Mailbox) -> Option<Term> {
    match mailbox.recv().await {
        Ok(Received::Message(message)) => Some(message.decode().unwrap()),
        _ => None,
    }
}

/// Answers `{Pid, Message}` with `{echo, Message}`.
async fn echo(mailbox: Mailbox) {
    while let Some(message) = message(&mailbox).await {
        let (pid, message) = asked(message);
        let answer = tuple(atom("echo"), message);
        mailbox.send(pid, &answer).await.unwrap();
    }
}

async fn die_when_told(mailbox: Mailbox) {
    let Some(told) = message(&mailbox).await else {
        return;
    };
    let me = Term::from(mailbox.pid().clone());
    mailbox.send(asked(told).0, &me).await.unwrap();
    assert_eq!(message(&mailbox).await, Some(atom("end")));
    mailbox.exit(&atom("done")).unwrap();
}

/// The parts of `{Pid, Message}`.
fn asked(message: Term) -> (Pid, Term) {
    let Term::Tuple(tuple) = message else {
        panic!("no question: {message}");
    };
    match <[Term; 2]>::try_from(tuple.elements) {
        Ok([Term::Pid(pid), message]) => (pid, message),
        other => panic!("no question: {other:?}"),
    }
}

fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

fn tuple(first: impl Into<Term>, second: impl Into<Term>) -> Term {
    Term::from(eetf::Tuple::from(vec![first.into(), second.into()]))
}

/// A program that prints a line for each thing that it has done; ended when dropped.
struct Program {
    lines: Lines<BufReader<ChildStdout>>,
    _input: ChildStdin,
    _process: Child,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("the program is not to be started");
        Self {
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            _input: process.stdin.take().unwrap(),
            _process: process,
        }
    }

    async fn says(&mut self, expected: &[&str]) {
        for expected in expected {
            let line = timeout(LIMIT, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("not {expected} in time"));
            assert_eq!(line.unwrap().as_deref(), Some(*expected));
        }
    }
}

fn source(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/other_libraries").join(name)
}

/// Runs a compiler, which has nothing to say about a good program.
async fn compile(command: &mut Command) {
    let output = command.output().await.expect("no such compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn program_on_ei_talks_to_us_calls_us_and_is_dialled() {
    let place = Place::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ei_peer");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-pthread", "-o"]).arg(&program);
    compiler.arg(source("ei_peer.c")).arg("-lei");
    compile(&mut compiler).await;
    let mut command = place.command(program.to_str().unwrap());
    let mut peer = Program::start(command.args(["c", "secret", OURS]));
    peer.says(&["connected", "echoed", "called", "listening"])
        .await;
    place.is_answered_by("c@127.0.0.1", "anybody").await;
    peer.says(&["answered"]).await;
}

#[tokio::test]
async fn program_on_jinterface_talks_to_us_calls_us_and_is_dialled() {
    const LIBRARY: &str = "/usr/share/java/OtpErlang.jar";
    let place = Place::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut compiler = Command::new("javac");
    compiler.args(["-cp", LIBRARY, "-d"]).arg(folder.path());
    compile(compiler.arg(source("JinterfacePeer.java"))).await;
    let mut command = place.command("java");
    let classes = format!("{LIBRARY}:{}", folder.path().display());
    command.args([
        "-cp",
        &classes,
        "JinterfacePeer",
        "j@127.0.0.1",
        "secret",
        OURS,
    ]);
    let mut peer = Program::start(&mut command);
    peer.says(&["pinged", "echoed", "called", "outlived", "listening"])
        .await;
    place.is_answered_by("j@127.0.0.1", "box").await;
    peer.says(&["answered"]).await;
}

#[tokio::test]
async fn erl_call_calls_us() {
    let place = Place::start().await;
    let call = async |code: &str| {
        let mut command = place.command("erl_call");
        command.args(["-name", OURS, "-c", "secret", "-a", code]);
        let output = timeout(LIMIT, command.output()).await.unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(call("demo double [21]").await, "42");
    let undefined = call("demo nosuch [21]").await;
    assert!(undefined.contains("undef"), "{undefined}");
}
