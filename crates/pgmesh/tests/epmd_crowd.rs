//! `pgmesh epmd` with many connections: ten thousand names, and a thousand that ask
//! nothing.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PGMESH: &str = env!("CARGO_BIN_EXE_pgmesh");
const MANY: usize = 10_000;
/// Generous: only a hang lasts as long.
const LIMIT: Duration = Duration::from_secs(60);

struct Epmd {
    child: Child,
    stderr: BufReader<ChildStderr>,
    port: u16,
}

impl Drop for Epmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Epmd {
    /// With this limit of open files, as `ulimit` takes it. Returns once it listens.
    fn start(ulimit: &str, flags: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let line = format!("ulimit {ulimit} && exec \"$0\" epmd -port {port} -d {flags}");
        let mut child = Command::new("sh")
            .args(["-c", &line, PGMESH])
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            stderr,
            port,
        }
    }

    /// What it logs until it listens.
    fn log_of_start(&mut self) -> String {
        self.log_until("epmd listens")
    }

    fn log_until(&mut self, text: &str) -> String {
        let mut log = String::new();
        while !log.contains(text) {
            let read = self.stderr.read_line(&mut log).unwrap();
            assert_ne!(read, 0, "it has ended: {log}");
        }
        log
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn register(&self, number: usize) -> TcpStream {
        let mut stream = self.connect();
        let request = format!("\0\x12x\x12\x34M\0\0\x06\0\x05\0\x05{number:05}\0\0");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = [0; 6];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..2], [118, 0], "{number}");
        stream
    }

    fn names(&self) -> Vec<String> {
        let mut stream = self.connect();
        stream.write_all(b"\0\x01n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let text = String::from_utf8(reply.split_off(4)).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

/// For this process, which has the other end of each connection.
fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        allowed >= wanted,
        "the hard limit of open files is {allowed} (raise it to {wanted} for this test)"
    );
    let raised = Rlimit {
        current: Some(limit.current.unwrap_or(u64::MAX).max(wanted)),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn ten_thousand_names_are_held_where_the_soft_limit_is_low() {
    allow_open_files(12_000);
    let mut epmd = Epmd::start("-Sn 256", "");
    let log = epmd.log_of_start();
    assert!(!log.contains("can hold"), "{log}");
    let mut held: Vec<_> = (0..MANY).map(|number| epmd.register(number)).collect();
    let names = epmd.names();
    assert_eq!(names.len(), MANY);
    assert_eq!(names[0], "name 09999 at port 4660");
    // Any of them goes, and no other.
    drop(held.swap_remove(5000));
    while epmd.names().len() == MANY {}
    let names = epmd.names();
    assert_eq!(names.len(), MANY - 1);
    assert!(!names.contains(&"name 05000 at port 4660".to_owned()));
    drop(held);
    while !epmd.names().is_empty() {}
}

#[test]
fn hard_limit_that_is_too_low_is_told_with_the_remedy() {
    let mut epmd = Epmd::start("-n 300", "");
    let log = epmd.log_of_start();
    assert!(log.contains("can hold some 300 names"), "{log}");
    assert!(log.contains("raise it to 12000"), "{log}");
}

#[test]
fn no_descriptor_left_is_told_once_and_who_is_connected_is_answered() {
    let mut epmd = Epmd::start("-n 40", "");
    epmd.log_of_start();
    let mut early = epmd.connect();
    assert_eq!(epmd.names(), [""; 0]);
    let crowd: Vec<_> = (0..60).map(|_| epmd.connect()).collect();
    epmd.log_until("cannot accept connections");
    early.write_all(b"\0\x01n").unwrap();
    assert_eq!(early.read_to_end(&mut Vec::new()).unwrap(), 4);
    drop(crowd);
    assert_eq!(epmd.names(), [""; 0]);
    epmd.child.kill().unwrap();
    let mut rest = String::new();
    epmd.stderr.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("cannot accept"), "{rest}");
}

#[test]
fn thousand_that_ask_nothing_are_closed_and_delay_nobody() {
    allow_open_files(2000);
    let mut epmd = Epmd::start("-Sn 256", "-packet_timeout 2");
    epmd.log_of_start();
    let _held = epmd.register(1);
    let say = |said: &[u8]| {
        let mut stream = epmd.connect();
        stream.write_all(said).unwrap();
        stream
    };
    let silent: Vec<_> = (0..666)
        .map(|number| say([&b""[..], b"\0\x09za"][number % 2]))
        .collect();
    let dripping: Vec<_> = (0..334).map(|_| say(b"\x0b")).collect();
    thread::scope(|scope| {
        let dripped = scope.spawn(|| drip(dripping));
        for mut stream in silent {
            assert_eq!(epmd.names(), ["name 00001 at port 4660"]);
            let mut rest = Vec::new();
            assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);
        }
        dripped.join().unwrap();
    });
    assert_eq!(epmd.names(), ["name 00001 at port 4660"]);
}

/// Says the beginning of a long request on each of them, a byte at a time, until all
/// were closed.
fn drip(mut dripping: Vec<TcpStream>) {
    while !dripping.is_empty() {
        dripping.retain_mut(|stream| {
            // Whoever is not closed says nothing until then.
            stream
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            let is_open = stream.write_all(b"\x0b").is_ok();
            is_open && !matches!(stream.read(&mut [0]), Ok(0))
        });
    }
}
