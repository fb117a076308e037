//! What a benchmark sends messages to, beside a BEAM and a C node: a hidden node on
//! 127.0.0.1, `ALIVE@localhost` unless the host is given, too, whose process `bench`
//! answers what the peers of such a comparison answer.
//!
//!     cargo build --release -p pgmesh-dist --example bench-peer
//!     target/release/examples/bench-peer ALIVE[@HOST] COOKIE
//!
//! EPMD's port is in `ERL_EPMD_PORT` if it is not the usual one. To `bench` one sends
//!
//! - `{ping, Pid, Ref}`, which is answered by `{pong, Ref}`,
//! - `{sink, Pid, Every}`, by `{sink_ready, Every}`, and from then on binaries; after each
//!   `Every` of them Pid gets `{ack, Count}`,
//! - `{source, Pid, Ref, Count, Size}`, by as many binaries of that size and
//!   `{source_done, Ref}`,
//! - `{dial, Pid, Ref, Node, N}`, by `{done, Ref, M}` after N links to Node were opened and
//!   closed, M of them with success,
//! - `{rpc, Pid, Ref, N}`, by `{done, Ref, M}` after N calls of `erlang:nodes()` on Pid's node,
//! - `{rpc, Pid, Ref, N, AtOnce}`, by the same after N calls, so many of them at a time.

use std::env;
use std::error::Error;
use std::time::Duration;

use pgmesh_dist::terms::{Atom, BigInteger, Binary, FixInteger, List, Pid, Term, Tuple};
use pgmesh_dist::{CallLimits, Cookie, Mailbox, Node, NodeConfig, Received, epmd};
use pgmesh_name::NodeName;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 1024 * 1024,
};
/// How long a link of ours may take to be gone.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(alive), Some(cookie)) = (args.next(), args.next()) else {
        return Err("usage: bench-peer ALIVE[@HOST] COOKIE".into());
    };
    let name = if alive.contains('@') {
        alive.parse()?
    } else {
        format!("{alive}@localhost").parse()?
    };
    let config = NodeConfig {
        listen: "127.0.0.1:0".parse()?,
        epmd_port: match env::var("ERL_EPMD_PORT") {
            Ok(port) => port.parse()?,
            Err(_) => epmd::DEFAULT_PORT,
        },
        ..NodeConfig::new(name, Cookie::new(cookie))
    };
    let (node, mut events) = Node::start(config).await?;
    let bench = Bench {
        mailbox: node.register("bench")?,
        dialler: node.mailbox()?,
        sink: None,
    };
    // Events that nobody took would pile up.
    let drain = async { while events.recv().await.is_some() {} };
    tokio::select! {
        outcome = bench.serve() => outcome,
        () = drain => Ok(()),
    }
}

struct Bench {
    mailbox: Mailbox,
    /// Monitors the nodes that are dialled, so that their ends come to nobody else.
    dialler: Mailbox,
    sink: Option<Sink>,
}

struct Sink {
    to: Pid,
    every: u64,
    count: u64,
}

impl Bench {
    async fn serve(mut self) -> Result<(), Box<dyn Error>> {
        loop {
            match self.mailbox.recv().await? {
                Received::Message(Term::Binary(_)) => self.count().await,
                Received::Message(Term::Tuple(question)) => self.answer(question.elements).await,
                _ => {}
            }
        }
    }

    async fn count(&mut self) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        sink.count += 1;
        if sink.count.is_multiple_of(sink.every) {
            let (to, count) = (sink.to.clone(), sink.count);
            self.send(&to, tuple([atom("ack"), number(count)])).await;
        }
    }

    async fn answer(&mut self, question: Vec<Term>) {
        let mut parts = question.into_iter();
        let (Some(Term::Atom(what)), Some(Term::Pid(asking))) = (parts.next(), parts.next()) else {
            return;
        };
        let parts: Vec<_> = parts.collect();
        match (what.name.as_str(), parts.as_slice()) {
            ("ping", [reference]) => {
                let pong = tuple([atom("pong"), reference.clone()]);
                self.send(&asking, pong).await;
            }
            ("sink", [every]) => self.begin_sink(asking, every).await,
            ("source", [reference, count, size]) => {
                self.pour(&asking, count, size).await;
                let done = tuple([atom("source_done"), reference.clone()]);
                self.send(&asking, done).await;
            }
            ("dial", [reference, Term::Atom(node), count]) => {
                let succeeded = self.dial(&node.name, count).await;
                self.done(&asking, reference, succeeded).await;
            }
            ("rpc", [reference, count]) => {
                let succeeded = self.call(&asking.node.name, count, 1).await;
                self.done(&asking, reference, succeeded).await;
            }
            ("rpc", [reference, count, at_once]) => {
                let at_once = unsigned(at_once).unwrap_or(1);
                let succeeded = self.call(&asking.node.name, count, at_once).await;
                self.done(&asking, reference, succeeded).await;
            }
            _ => {}
        }
    }

    async fn begin_sink(&mut self, asking: Pid, every: &Term) {
        let Some(count) = unsigned(every).filter(|every| *every > 0) else {
            return;
        };
        let ready = tuple([atom("sink_ready"), every.clone()]);
        self.send(&asking, ready).await;
        self.sink = Some(Sink {
            to: asking,
            every: count,
            count: 0,
        });
    }

    async fn pour(&self, to: &Pid, count: &Term, size: &Term) {
        let size = unsigned(size).and_then(|size| usize::try_from(size).ok());
        let (Some(count), Some(size)) = (unsigned(count), size) else {
            return;
        };
        let drop_of_it = Term::from(Binary::from(vec![b'y'; size]));
        for _ in 0..count {
            // Whoever has gone needs no more.
            if self.mailbox.send(to, &drop_of_it).await.is_err() {
                return;
            }
        }
    }

    async fn dial(&self, node: &str, count: &Term) -> u64 {
        let (Ok(node), Some(count)) = (node.parse(), unsigned(count)) else {
            return 0;
        };
        let mut succeeded = 0;
        for _ in 0..count {
            succeeded += u64::from(self.dial_once(&node).await);
        }
        succeeded
    }

    /// A link from its beginning to its end: a node that was not monitored would be linked
    /// still when it is dialled the next time.
    async fn dial_once(&self, node: &NodeName) -> bool {
        if self.dialler.monitor_node(node).await.is_err() {
            return false;
        }
        self.dialler.node().disconnect(node);
        let gone = timeout(CLOSE_LIMIT, self.dialler.recv()).await;
        matches!(gone, Ok(Ok(Received::NodeDown(_))))
    }

    /// As many callers as calls at once, each with its share.
    async fn call(&self, node: &str, count: &Term, at_once: u64) -> u64 {
        let (Ok(node), Some(count)) = (node.parse::<NodeName>(), unsigned(count)) else {
            return 0;
        };
        let mut callers = JoinSet::new();
        for caller in 0..at_once.max(1) {
            let share = (count + caller) / at_once.max(1);
            callers.spawn(call_in_turn(
                self.mailbox.node().clone(),
                node.clone(),
                share,
            ));
        }
        callers.join_all().await.iter().sum()
    }

    async fn done(&self, to: &Pid, reference: &Term, succeeded: u64) {
        let done = tuple([atom("done"), reference.clone(), number(succeeded)]);
        self.send(to, done).await;
    }

    async fn send(&self, to: &Pid, message: Term) {
        // Whoever has gone needs no answer.
        let _ = self.mailbox.send(to, &message).await;
    }
}

async fn call_in_turn(node: Node, to: NodeName, count: u64) -> u64 {
    let mut succeeded = 0;
    for _ in 0..count {
        let call = node.call(&to, "erlang", "nodes", Vec::new(), LIMITS);
        // No nodes are an empty list; an error would be a tuple.
        succeeded += u64::from(matches!(call.await, Ok(Term::List(List { .. }))));
    }
    succeeded
}

fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

fn tuple<const N: usize>(elements: [Term; N]) -> Term {
    Term::from(Tuple::from(Vec::from(elements)))
}

fn number(number: u64) -> Term {
    match i32::try_from(number) {
        Ok(number) => Term::from(FixInteger::from(number)),
        Err(_) => Term::from(BigInteger::from(number)),
    }
}

fn unsigned(term: &Term) -> Option<u64> {
    match term {
        Term::FixInteger(FixInteger { value }) => u64::try_from(*value).ok(),
        _ => None,
    }
}
