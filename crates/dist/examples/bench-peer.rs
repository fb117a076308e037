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
//! - `{dial, Pid, Ref, Node, N}`, by `{done, Ref, M}` after M links to Node were opened and
//!   closed: N, or as many as succeeded one after the other within twenty seconds,
//! - `{rpc, Pid, Ref, N}`, by `{done, Ref, M}` after M calls of `erlang:nodes()` on Pid's node,
//!   as many as of links,
//! - `{rpc, Pid, Ref, N, AtOnce}`, by the same after N calls, so many of them at a time.

use std::env;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use pgmesh_dist::terms::{List, Pid, RawTerm, Term, Writer};
use pgmesh_dist::{CallLimits, Cookie, Mailbox, MailboxEnded, Node, NodeConfig, Received, epmd};
use pgmesh_name::NodeName;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    answer_bytes: 1024 * 1024,
};
/// How long a batch of dials or calls may take. Whoever waits for it gives up after half a
/// minute, and until it is over nobody else is answered.
const BATCH_LIMIT: Duration = Duration::from_secs(20);
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
    let (node, events) = Node::start(config).await?;
    let bench = Bench {
        mailbox: node.register("bench")?,
        dialler: node.mailbox()?,
        sink: None,
    };
    // Events that nobody took would pile up.
    drop(events);
    // A task of its own: the one that blocks has its turn less often.
    tokio::spawn(bench.serve()).await??;
    Ok(())
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
    async fn serve(mut self) -> Result<(), MailboxEnded> {
        loop {
            if let Received::Message(message) = self.mailbox.recv().await? {
                let message = message.as_term();
                if message.binary().is_some() {
                    self.count().await;
                } else {
                    self.answer(message).await;
                }
            }
        }
    }

    async fn count(&mut self) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        sink.count += 1;
        if sink.count.is_multiple_of(sink.every) {
            let ack = Writer::new().tuple(2).atom("ack").integer(sink.count);
            let to = sink.to.clone();
            self.send(to, ack).await;
        }
    }

    /// Answers `{What, Pid, …}`.
    async fn answer(&mut self, question: RawTerm<'_>) {
        let Some([what, asking, third]) = question.tuple_start() else {
            return;
        };
        let (Some(what), Some(asking)) = (what.atom(), asking.pid()) else {
            return;
        };
        match what {
            "ping" => self.reply(asking, "pong", third).await,
            "sink" => self.begin_sink(asking, third).await,
            "source" => {
                if let Some([_, _, reference, count, size]) = question.tuple() {
                    self.pour(&asking, count, size).await;
                    self.reply(asking, "source_done", reference).await;
                }
            }
            "dial" => {
                if let Some([_, _, reference, node, count]) = question.tuple() {
                    let succeeded = self.dial(node, count).await;
                    self.done(asking, reference, succeeded).await;
                }
            }
            "rpc" => self.call(asking, question).await,
            _ => {}
        }
    }

    async fn begin_sink(&mut self, asking: Pid, every: RawTerm<'_>) {
        let Some(every) = every.unsigned().filter(|every| *every > 0) else {
            return;
        };
        let ready = Writer::new().tuple(2).atom("sink_ready");
        self.send(asking.clone(), ready.integer(every)).await;
        self.sink = Some(Sink {
            to: asking,
            every,
            count: 0,
        });
    }

    async fn pour(&self, to: &Pid, count: RawTerm<'_>, size: RawTerm<'_>) {
        let size = size.unsigned().and_then(|size| usize::try_from(size).ok());
        let (Some(count), Some(size)) = (count.unsigned(), size) else {
            return;
        };
        let drop_of_it = Bytes::from(vec![b'y'; size]);
        for _ in 0..count {
            // Whoever has gone needs no more.
            if self.mailbox.send(to, drop_of_it.clone()).await.is_err() {
                return;
            }
        }
    }

    async fn dial(&self, node: RawTerm<'_>, count: RawTerm<'_>) -> u64 {
        let node = node.atom().and_then(|node| node.parse().ok());
        let (Some(node), Some(count)) = (node, count.unsigned()) else {
            return 0;
        };
        one_by_one(count, || self.dial_once(&node)).await
    }

    /// A link from its beginning to its end: a node that was not monitored would be linked
    /// still when it is dialled the next time.
    async fn dial_once(&self, node: &NodeName) -> bool {
        // The end of an earlier link that took too long is not this one's.
        self.dialler.demonitor_node(node);
        if self.dialler.monitor_node(node).await.is_err() {
            return false;
        }
        self.dialler.node().disconnect(node);
        timeout(CLOSE_LIMIT, self.gone(node)).await.is_ok()
    }

    /// Waits for the end of the link to a node, whatever is told of others.
    async fn gone(&self, node: &NodeName) {
        while let Ok(received) = self.dialler.recv().await {
            if matches!(received, Received::NodeDown(name) if name == *node) {
                return;
            }
        }
    }

    /// As many callers as calls at once, each with its share.
    async fn call(&self, asking: Pid, question: RawTerm<'_>) {
        let Some([_, _, reference, count]) = question.tuple_start() else {
            return;
        };
        let at_once = question.tuple().and_then(|[_, _, _, _, n]| n.unsigned());
        let (Ok(node), Some(count)) = (asking.node.name.parse::<NodeName>(), count.unsigned())
        else {
            return;
        };
        let at_once = at_once.unwrap_or(1).max(1);
        let mut callers = JoinSet::new();
        for caller in 0..at_once {
            let (from, share) = (self.mailbox.node().clone(), (count + caller) / at_once);
            callers.spawn(call_in_turn(from, node.clone(), share));
        }
        let succeeded = callers.join_all().await.iter().sum();
        self.done(asking, reference, succeeded).await;
    }

    async fn done(&self, to: Pid, reference: RawTerm<'_>, succeeded: u64) {
        let done = Writer::new().tuple(3).atom("done").raw(reference);
        self.send(to, done.integer(succeeded)).await;
    }

    async fn reply(&self, to: Pid, what: &str, reference: RawTerm<'_>) {
        let reply = Writer::new().tuple(2).atom(what).raw(reference);
        self.send(to, reply).await;
    }

    async fn send(&self, to: Pid, message: Writer) {
        // Whoever has gone needs no answer.
        if let Ok(message) = message.finish() {
            let _ = self.mailbox.send(to, message).await;
        }
    }
}

async fn call_in_turn(node: Node, to: NodeName, count: u64) -> u64 {
    let call_once = || async {
        let call = node.call(&to, "erlang", "nodes", Vec::new(), LIMITS);
        // No nodes are an empty list; an error would be a tuple.
        matches!(call.await, Ok(Term::List(List { .. })))
    };
    one_by_one(count, call_once).await
}

/// Does it so many times, until it fails or the batch takes too long; returns how often it
/// succeeded.
async fn one_by_one<F: Future<Output = bool>>(count: u64, once: impl Fn() -> F) -> u64 {
    let mut succeeded = 0;
    let batch = async {
        while succeeded < count && once().await {
            succeeded += 1;
        }
    };
    // What was done in time counts.
    let _ = timeout(BATCH_LIMIT, batch).await;
    succeeded
}
