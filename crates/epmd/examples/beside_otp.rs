//! Figures of two EPMDs side by side, in one run: OTP's, and the program that is
//! given.
//!
//! `cargo run --release -p pgmesh-epmd --example beside_otp -- target/release/pgmesh epmd`
//!
//! Each figure is the median of some rounds, in which the two take turns. The CPU time
//! is that of the EPMD alone.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 7;
const QUESTIONS: usize = 4000;
/// Threads that ask.
const ASKERS: usize = 4;
const TICKS_PER_SECOND: f64 = 100.0;
const PACKET_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let given: Vec<_> = std::env::args().skip(1).collect();
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    let programs = [
        &["epmd"][..],
        if given.is_empty() { &["epmd"] } else { &given },
    ];
    println!("{:34} {:>12} {:>12} {:>7}", "", "OTP's", "given", "ratio");
    for names in [1, 1000] {
        compare(programs, names)?;
    }
    idle(programs)?;
    ten_thousand(programs[1])
}

/// Lookups and registrations while so many names are held.
fn compare(programs: [&[&str]; 2], names: usize) -> Outcome<()> {
    let epmds = [Epmd::start(programs[0])?, Epmd::start(programs[1])?];
    let mut held = Vec::new();
    for epmd in &epmds {
        held.push(epmd.hold(names)?);
    }
    let mut lookups = [Vec::new(), Vec::new()];
    let mut registrations = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (number, epmd) in epmds.iter().enumerate() {
            lookups[number].push(epmd.measure(|_| epmd.lookup("n0"))?);
            registrations[number]
                .push(epmd.measure(|asker| epmd.register(&format!("new{asker}")).map(drop))?);
        }
    }
    report(&format!("lookups/s, {names} names"), lookups);
    report(&format!("registrations/s, {names} names"), registrations);
    Ok(())
}

/// Lookups beside a thousand connections that ask nothing.
fn idle(programs: [&[&str]; 2]) -> Outcome<()> {
    for (label, program) in ["OTP's", "given"].into_iter().zip(programs) {
        let epmd = Epmd::start(program)?;
        let _held = epmd.hold(1)?;
        let rate = || -> Outcome<f64> {
            let rates = (0..ROUNDS).map(|_| Ok(epmd.measure(|_| epmd.lookup("n0"))?.rate));
            Ok(median(rates.collect::<Outcome<_>>()?))
        };
        let alone = rate()?;
        let opened = Instant::now();
        let mut idle = Vec::new();
        for number in 0..1000 {
            let mut stream = epmd.connect()?;
            match number % 3 {
                0 => {}
                1 => stream.write_all(b"\0")?,
                _ => stream.write_all(b"\0\x09za")?,
            }
            idle.push(stream);
        }
        let beside = epmd.measure(|_| epmd.lookup("n0"))?.rate;
        for mut stream in idle {
            stream.read_to_end(&mut Vec::new())?;
        }
        let closed = opened.elapsed();
        println!(
            "{label:6} beside 1000 idle connections: {beside:.0} lookups/s, {:.2} times slower; \
             all closed after {closed:.1?} (packet time-out {PACKET_TIMEOUT:?})",
            alone / beside
        );
    }
    Ok(())
}

fn ten_thousand(program: &[&str]) -> Outcome<()> {
    let epmd = Epmd::start(program)?;
    let _one = epmd.hold(1)?;
    let cpu = |name: &str| -> Outcome<f64> {
        let rounds = (0..ROUNDS).map(|_| Ok(epmd.measure(|_| epmd.lookup(name))?.cpu_us));
        Ok(median(rounds.collect::<Outcome<_>>()?))
    };
    let few = cpu("n0")?;
    let before = epmd.memory()?;
    let _many = epmd.hold_named("m", 10_000)?;
    let (many, after) = (cpu("m5000")?, epmd.memory()?);
    println!(
        "given  at 10,000 names: {many:.1} µs of CPU for a lookup, with one {few:.1} ({:.2} times); \
         {after:.1} MB, with one {before:.1}",
        many / few
    );
    Ok(())
}

fn report(what: &str, [otp, given]: [Vec<Figure>; 2]) {
    let of =
        |figures: &[Figure], value: fn(&Figure) -> f64| median(figures.iter().map(value).collect());
    let (a, b) = (of(&otp, |f| f.rate), of(&given, |f| f.rate));
    println!("{what:34} {a:>12.0} {b:>12.0} {:>7.2}", b / a);
    let (a, b) = (of(&otp, |f| f.cpu_us), of(&given, |f| f.cpu_us));
    println!(
        "{:34} {a:>12.1} {b:>12.1} {:>7.2}",
        "  µs of CPU for each",
        a / b
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Figure {
    rate: f64,
    cpu_us: f64,
}

struct Epmd {
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
    fn start(words: &[&str]) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let (program, before) = words.split_first().ok_or("no program")?;
        let seconds = PACKET_TIMEOUT.as_secs().to_string();
        let child = Command::new(program)
            .args(before)
            .args(["-port", &port.to_string(), "-packet_timeout", &seconds])
            .stderr(Stdio::null())
            .spawn()?;
        let epmd = Self { child, port };
        let give_up = Instant::now() + Duration::from_secs(10);
        while epmd.connect().is_err() {
            if Instant::now() > give_up {
                return Err("it does not listen".into());
            }
            thread::yield_now();
        }
        Ok(epmd)
    }

    /// Several ask at the same time, each one question after the other.
    fn measure(&self, ask: impl Fn(usize) -> Outcome<()> + Sync) -> Outcome<Figure> {
        let (started, cpu) = (Instant::now(), self.cpu_us()?);
        let all_answered = thread::scope(|scope| {
            let ask = &ask;
            let askers: Vec<_> = (0..ASKERS)
                .map(|number| {
                    scope.spawn(move || (0..QUESTIONS / ASKERS).all(|_| ask(number).is_ok()))
                })
                .collect();
            let mut ended = askers.into_iter().map(thread::ScopedJoinHandle::join);
            ended.all(|answered| answered.unwrap_or(false))
        });
        if !all_answered {
            return Err("a question was not answered".into());
        }
        Ok(Figure {
            rate: QUESTIONS as f64 / started.elapsed().as_secs_f64(),
            cpu_us: (self.cpu_us()? - cpu) / QUESTIONS as f64,
        })
    }

    fn lookup(&self, name: &str) -> Outcome<()> {
        let mut stream = self.connect()?;
        stream.write_all(&counted(&[b"z", name.as_bytes()].concat())?)?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        match reply.get(..2) {
            Some([119, 0]) => Ok(()),
            _ => Err(format!("{name} is not known").into()),
        }
    }

    /// A name that was given up a moment ago may not be free yet.
    fn register(&self, name: &str) -> Outcome<TcpStream> {
        let mut body = b"x\x12\x34M\0\0\x06\0\x05".to_vec();
        body.extend(counted(name.as_bytes())?);
        body.extend([0, 0]);
        loop {
            let mut stream = self.connect()?;
            stream.write_all(&counted(&body)?)?;
            let mut reply = [0; 6];
            stream.read_exact(&mut reply)?;
            if reply[1] == 0 {
                return Ok(stream);
            }
        }
    }

    fn hold(&self, names: usize) -> Outcome<Vec<TcpStream>> {
        self.hold_named("n", names)
    }

    fn hold_named(&self, prefix: &str, names: usize) -> Outcome<Vec<TcpStream>> {
        (0..names)
            .map(|number| self.register(&format!("{prefix}{number}")))
            .collect()
    }

    fn connect(&self) -> Outcome<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn cpu_us(&self) -> Outcome<f64> {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let stat = std::fs::read_to_string(path);
        if let Ok(stat) = stat
            && let Some(ns) = stat.split_whitespace().next()
        {
            return Ok(ns.parse::<f64>()? / 1000.0);
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = stat.split_whitespace().collect();
        let ticks = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
        Ok(ticks / TICKS_PER_SECOND * 1e6)
    }

    fn memory(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
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
