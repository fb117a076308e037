//! `slow_line MILLISECONDS`: holds each packet back that netfilter's queue 1 brings,
//! for as long as it is told, until it is ended.
//!
//! For tests between hosts on kernels without netem. The queue's packets are those
//! of the network namespace that it runs in: `iptables -j NFQUEUE --queue-num 1`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nfq::{Message, Queue, Verdict};

const QUEUE: u16 = 1;
/// How exact the delay is.
const POLL: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let milliseconds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let Some(delay) = milliseconds.map(Duration::from_millis) else {
        eprintln!("usage: slow_line MILLISECONDS");
        return ExitCode::from(2);
    };
    match hold_back(delay) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slow_line: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold_back(delay: Duration) -> std::io::Result<()> {
    let mut queue = Queue::open()?;
    queue.bind(QUEUE)?;
    queue.set_nonblocking(true);
    // Whoever waits for it to work waits for this line.
    println!("holding packets back for {delay:?}");
    let mut held: VecDeque<(Instant, Message)> = VecDeque::new();
    loop {
        take_all(&mut queue, &mut held)?;
        while held
            .front()
            .is_some_and(|(came, _)| came.elapsed() >= delay)
        {
            if let Some((_, mut packet)) = held.pop_front() {
                packet.set_verdict(Verdict::Accept);
                queue.verdict(packet)?;
            }
        }
        sleep(POLL);
    }
}

fn take_all(queue: &mut Queue, held: &mut VecDeque<(Instant, Message)>) -> std::io::Result<()> {
    loop {
        match queue.recv() {
            Ok(packet) => held.push_back((Instant::now(), packet)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
