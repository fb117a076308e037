//! An EPMD that is measured: what it is asked, and what it takes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cores::Cores;

pub(crate) const PACKET_TIMEOUT: Duration = Duration::from_secs(10);
const START_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Epmd {
    child: Child,
    port: u16,
}

impl Drop for Epmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Epmd {
    pub(crate) fn start(words: &[&str], cores: &Cores) -> Outcome<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let (program, before) = words.split_first().ok_or("no program")?;
        let mut command = Command::new(program);
        command
            .args(before)
            .args(["-port", &port.to_string()])
            .args(["-packet_timeout", &PACKET_TIMEOUT.as_secs().to_string()])
            .args(["-address", "127.0.0.1"])
            .stderr(Stdio::null());
        let child = cores.on_the_first(|| command.spawn())??;
        let epmd = Self { child, port };
        let give_up = Instant::now() + START_LIMIT;
        while epmd.connect().is_err() {
            if Instant::now() > give_up {
                return Err(format!("{program} does not listen").into());
            }
            thread::yield_now();
        }
        Ok(epmd)
    }

    pub(crate) fn connect(&self) -> Outcome<TcpStream> {
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?)
    }

    pub(crate) fn lookup(&self, name: &str) -> Outcome<()> {
        let mut stream = self.connect()?;
        stream.write_all(&counted(&[b"z", name.as_bytes()].concat())?)?;
        let mut reply = [0; 64];
        let len = stream.read(&mut reply)?;
        match reply[..len] {
            [119, 0, ..] => Ok(()),
            _ => Err(format!("{name} is not known").into()),
        }
    }

    pub(crate) fn register(&self, name: &str) -> Outcome<TcpStream> {
        let mut body = b"x\x12\x34M\0\0\x06\0\x05".to_vec();
        body.extend(counted(name.as_bytes())?);
        body.extend([0, 0]);
        let mut stream = self.connect()?;
        stream.write_all(&counted(&body)?)?;
        let mut reply = [0; 6];
        stream.read_exact(&mut reply)?;
        match reply[1] {
            0 => Ok(stream),
            _ => Err(format!("{name} is taken").into()),
        }
    }

    /// Registers so many names, for as long as the connections live.
    pub(crate) fn hold(&self, prefix: &str, names: usize) -> Outcome<Vec<TcpStream>> {
        (0..names)
            .map(|number| self.register(&format!("{prefix}{number}")))
            .collect()
    }

    /// CPU time since its start.
    pub(crate) fn cpu_us(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()))?;
        let ns = stat.split_whitespace().next().ok_or("no CPU time")?;
        Ok(ns.parse::<f64>()? / 1000.0)
    }

    /// Resident, with the pages of its program that others may use, too.
    pub(crate) fn memory_mb(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kb = line
            .and_then(|line| line.split_whitespace().nth(1))
            .ok_or("no VmRSS")?;
        Ok(kb.parse::<f64>()? * 1024.0 / 1e6)
    }
}

fn counted(bytes: &[u8]) -> Outcome<Vec<u8>> {
    Ok([&u16::try_from(bytes.len())?.to_be_bytes()[..], bytes].concat())
}
